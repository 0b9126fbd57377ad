"""Decisions, as pure functions: what counts, what is owed, what a check makes of the facts."""
