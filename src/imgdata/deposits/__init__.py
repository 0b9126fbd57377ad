"""Data repositories: one file each, nothing else knows them."""
