"""Which file is on which level, and what changed there."""
