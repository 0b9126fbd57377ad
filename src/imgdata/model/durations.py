"""Lengths of time as text."""

MINUTE_S, HOUR_S = 60.0, 3600.0


def format_duration(seconds: float) -> str:
    """Return a length of time as people say it: `0.4 s`, `40 s`, `6 min`, `3.5 h`."""
    if seconds < 9.95:  # noqa: PLR2004 - shown as 10 s from here on
        return f"{seconds:.1f} s"
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE_S:.0f} min" if seconds < HOUR_S else f"{seconds / HOUR_S:.1f} h"
