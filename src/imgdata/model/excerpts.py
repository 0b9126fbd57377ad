"""The beginning of a long list, for messages."""

from collections.abc import Iterable, Sequence


def first_lines(lines: Iterable[str], shown: int) -> str:
    """Return the first lines under each other, and how many more there are."""
    told = list(lines)
    more = [f"... and {len(told) - shown} more"] if len(told) > shown else []
    return "\n".join([*told[:shown], *more])


def first_names(names: Sequence[str], shown: int) -> str:
    """Return the first names beside each other, and how many more there are."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"
