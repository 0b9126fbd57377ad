"""Lineage: how a file was made, joined from what was recorded. Reads only through the ports."""
