"""One verb each: what a command does, planned first, then applied."""
