"""Places that keep bytes under keys: one file for each, nothing else knows them."""
