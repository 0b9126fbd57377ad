"""Formats that answers are written in, one file each."""
