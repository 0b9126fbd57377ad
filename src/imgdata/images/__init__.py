"""Readers of image formats: one file a family, chosen by a file's first bytes."""
