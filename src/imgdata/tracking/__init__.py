"""Doors to the tools the project stands on: git, dvc, datalad. Each is run, never imported."""
