"""Words for the terminal."""


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 file`, `1,204 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def was(number: int, where: str) -> str:
    """Return how many were in a place: `1 was there`, `1,204 were there`."""
    return f"{number:,} {'was' if number == 1 else 'were'} {where}"
