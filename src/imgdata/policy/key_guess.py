"""Propose a key pattern from file names, and say why. Pure.

First the names of known microscopes are tried, then names are cut into parts and each part is
judged by what its values look like over all files.
"""

import re
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from imgdata.model.keys import Key

SHARE = 0.9
MANY = 20_000
_CUT = re.compile(r"([_\-. ()]+)")
_WELL = re.compile(r"[A-Pa-p](0?[1-9]|1[0-9]|2[0-4])")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9+]*")
_PREFIXED = (
    ("site", re.compile(r"(s|f|fld|site|field|pos|xy)(\d{1,4})", re.IGNORECASE)),
    ("channel", re.compile(r"(w|c|ch|wv|channel)(\d{1,2})", re.IGNORECASE)),
    ("z", re.compile(r"(z|p|slice|plane)(\d{1,4})", re.IGNORECASE)),
    ("t", re.compile(r"(t|tp|sk|time|timepoint)(\d{1,5})", re.IGNORECASE)),
)
_STAINS = re.compile(
    r"(dapi|hoechst|gfp|egfp|rfp|cfp|yfp|mcherry|fitc|tritc|cy[2357]|texasred|txred|alexa\d*|actin|"
    r"er|dna|rna|mito|agp|bf|brightfield|phase|dic|tubulin|phalloidin|draq5|sytox|nuclei|orig\w+)",
    re.IGNORECASE,
)
KNOWN: tuple[tuple[str, str], ...] = (
    (
        "Opera Phenix or Operetta",
        (
            "{_:(?:.+/)?}r{row:[0-9]{2}}c{column:[0-9]{2}}f{site:[0-9]+}p{z:[0-9]+}"
            "-ch{channel:[0-9]+}sk{t:[0-9]+}fk{_:[0-9]+}fl{_:[0-9]+}.{_:tiff?}"
        ),
    ),
    (
        "ImageXpress with time points and z steps",
        (
            "{_:(?:.+/)?}TimePoint_{t:[0-9]+}/ZStep_{z:[0-9]+}/{_}_{well:[A-P][0-9]{2}}"
            "_s{site:[0-9]+}_w{channel:[0-9]}{_:[0-9A-F-]*}.{_:(?:tif|TIF|tiff)}"
        ),
    ),
    (
        "ImageXpress with time points",
        (
            "{_:(?:.+/)?}TimePoint_{t:[0-9]+}/{_}_{well:[A-P][0-9]{2}}_s{site:[0-9]+}"
            "_w{channel:[0-9]}{_:[0-9A-F-]*}.{_:(?:tif|TIF|tiff)}"
        ),
    ),
    (
        "ImageXpress with z steps",
        (
            "{_:(?:.+/)?}ZStep_{z:[0-9]+}/{_}_{well:[A-P][0-9]{2}}_s{site:[0-9]+}"
            "_w{channel:[0-9]}{_:[0-9A-F-]*}.{_:(?:tif|TIF|tiff)}"
        ),
    ),
    (
        "ImageXpress",
        (
            "{_:(?:.+/)?}{_}_{well:[A-P][0-9]{2}}_s{site:[0-9]+}"
            "_w{channel:[0-9]}{_:[0-9A-F-]*}.{_:(?:tif|TIF|tiff)}"
        ),
    ),
    (
        "Yokogawa CV7000, CV8000 or CQ1",
        (
            "{_:(?:.+/)?}{_}_{well:[A-P][0-9]{2}}_T{t:[0-9]+}F{site:[0-9]+}{_:L[0-9]+A[0-9]+}Z{z:[0-9]+}"
            "C{channel:[0-9]+}.{_:(?:tif|TIF|tiff|png)}"
        ),
    ),
    (
        "IN Cell Analyzer",
        "{_:(?:.+/)?}{row:[A-P]} - {column:[0-9]+}(fld {site:[0-9]+} wv {channel:[^)]+}).{_:tiff?}",
    ),
    (
        "Cellomics ArrayScan",
        "{_:(?:.+/)?}{_}_{well:[A-P][0-9]{2}}f{site:[0-9]+}d{channel:[0-9]}.{_:(?i:tif|tiff|c01)}",
    ),
    (
        "NF1 Cell Painting",
        "{_:(?:.+/)?}{well:[A-P][0-9]{1,2}}_01_{_:[0-9]}_{site:[0-9]+}_{channel:[A-Z]+}_001.{_:tiff?}",
    ),
)


class Guess(Struct, frozen=True):
    """A proposed key: the pattern, how many names it fits, and why."""

    pattern: str
    matched: int
    explanation: tuple[str, ...]


def guess_key(names: Sequence[str]) -> Guess | None:
    """Return the best pattern for some paths, or None when no well can be told.

    At most 20,000 names are looked at.
    """
    looked = list(names[:MANY])
    if len(looked) < 2:  # noqa: PLR2004 - one name has no pattern
        return None
    known = _known(looked)
    return known if known is not None else _by_parts(looked)


def _known(names: list[str]) -> Guess | None:
    best: Guess | None = None
    for title, pattern in KNOWN:
        key = Key(pattern)
        fits = sum(1 for name in names if key.readings(name))
        if fits >= SHARE * len(names) and (best is None or fits > best.matched):
            why = f"{fits} of {len(names)} names are those of {title}"
            best = Guess(pattern, fits, (why,))
    return best


def _by_parts(names: list[str]) -> Guess | None:
    stems = [name.rpartition("/")[2] for name in names]
    cut = [_CUT.split(stem) for stem in stems]
    length, count = Counter(len(parts) for parts in cut).most_common(1)[0]
    if count < SHARE * len(names):
        return None
    rows = [parts for parts in cut if len(parts) == length]
    pieces: list[str] = []
    why: list[str] = [f"{count} of {len(names)} names have {length // 2 + 1} parts"]
    used: set[str] = set()
    for index, column in enumerate(zip(*rows, strict=True)):
        piece, reason = _part(index, column, length, used)
        pieces.append(piece)
        if reason:
            why.append(reason)
    if "well" not in used:
        return None
    pattern = "{_:(?:.+/)?}" + "".join(pieces)
    key = Key(pattern)
    fits = sum(1 for name in names if key.readings(name))
    return Guess(pattern, fits, tuple(why)) if fits >= SHARE * len(names) else None


def _part(index: int, column: tuple[str, ...], length: int, used: set[str]) -> tuple[str, str]:
    """Return the pattern of one part of the names and the reason for it."""
    values = set(column)
    number = index // 2 + 1
    shown = ", ".join(sorted(values)[:4])
    if index % 2 or (len(values) == 1 and not _WELL.fullmatch(column[0])):
        if len(values) == 1:
            return column[0].replace("{", "{_:[{]}"), ""
        return "{_:[_ .()-]+}", ""
    if index == length - 1:
        return "{_}", f"part {number} is the ending ({shown})"
    if "well" not in used and all(_WELL.fullmatch(v) for v in values):
        used.add("well")
        return "{well}", f"part {number} looks like wells ({shown})"
    for name, prefix in _PREFIXED:
        found = [prefix.fullmatch(v) for v in values]
        if name not in used and all(found) and len({f[1] for f in found if f}) == 1:
            used.add(name)
            letter = next(f[1] for f in found if f)
            return f"{letter}{{{name}:[0-9]+}}", f"part {number} is {name} by its letter ({shown})"
    return _free_part(values, number, shown, used)


def _free_part(values: set[str], number: int, shown: str, used: set[str]) -> tuple[str, str]:
    words = [v for v in values if _WORD.fullmatch(v)]
    stains = [v for v in values if _STAINS.fullmatch(v)]
    if "channel" not in used and words and (len(stains) * 2 >= len(values)) and len(values) < 16:  # noqa: PLR2004
        used.add("channel")
        return "{channel}", f"part {number} names stains ({shown})"
    if "site" not in used and all(v.isdecimal() and len(v) <= 3 for v in values):  # noqa: PLR2004
        used.add("site")
        return "{site:[0-9]+}", f"part {number} counts ({shown}): taken as the site"
    return "{_}", f"part {number} varies without a known meaning ({shown})"
