"""Names that are one file on macOS and Windows, where case does not count."""

from collections.abc import Iterable


def same_but_case(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return pairs of names that differ in case alone, each with the first of its kind."""
    seen: dict[str, str] = {}
    pairs = ((seen.setdefault(name.casefold(), name), name) for name in names)
    return tuple((first, name) for first, name in pairs if first != name)
