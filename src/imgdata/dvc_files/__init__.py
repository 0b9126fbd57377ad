"""DVC's own files, read and written without DVC."""
