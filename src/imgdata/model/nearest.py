"""The known name a person probably meant."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Return the known names most like a word, best first; none when all are far from it."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake; slow to import

    return get_close_matches(word, list(known), count, 0.5)
