"""The operating system: processes, files, progress."""
