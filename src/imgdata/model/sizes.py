"""Amounts of data as people read and write them."""

import re

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
STEP = 1000


def format_size(size: int) -> str:
    """Return bytes in decimal units with at most three digits: `1.2 MB`."""
    power = 0
    while power < len(UNITS) - 1 and round(size / STEP**power) >= STEP:
        power += 1
    amount = size / STEP**power
    digits = 0 if power == 0 or round(amount, 1) >= STEP / 10 else 1
    return f"{amount:.{digits}f} {UNITS[power]}"


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `200GB` or `1.5 TB`.

    Raises:
        ValueError: It is not a number with a unit.
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kMGTP]?)(i?)B?\s*", text)
    if found is None:
        msg = f"a size is a number with kB, MB, GB or TB, not {text!r}"
        raise ValueError(msg)
    step = 1024 if found[3] else STEP
    return int(float(found[1]) * step ** " kMGTP".index(found[2] or " "))
