"""DVC's own files, read without DVC: dvc.yaml, dvc.lock, `.dvc`, their folders and ignores.

Readers take bytes or a `Tree`, so they work on a working folder and at any commit alike, and
never raise for what a file holds: the smallest unit that cannot be understood is left out and
named as a `Problem`. Nothing here runs code from the project.
"""
