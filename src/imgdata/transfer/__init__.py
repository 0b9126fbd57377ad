"""Bytes on their way: packed, moved, verified."""
