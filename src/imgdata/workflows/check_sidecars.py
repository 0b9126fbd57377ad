"""Join what a microscope's index files say with the images beside them."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from msgspec.structs import replace

from imgdata.model.facts import ExpectedImage, Fact, Sidecar, Symptom
from imgdata.ports import ImageReader
from imgdata.workflows.check_walk import Candidate, is_thumb

SUFFIXES = (".xml", ".mlf", ".htd")
RAW = "raw"
MOST = 0.5
_ENDS = re.compile(r"_(?:[a-z]{1,2}\d{2}|s\d+|w\d)")
_WAVE = re.compile(r"_w\d+$")
Placed = tuple[str, Sidecar]


def find_sidecars(files: Sequence[Candidate], reader: ImageReader) -> Iterator[Placed]:
    """Yield the index files with the folder they are in; of nested HTD copies the outermost."""
    taken: dict[str, list[str]] = defaultdict(list)
    for candidate in sorted(files, key=lambda c: c.name.count("/")):
        folder, _, name = candidate.name.rpartition("/")
        if not name.lower().endswith(SUFFIXES):
            continue
        if any(_is_below(folder, above) for above in taken[name.lower()]):
            continue
        found = reader.sidecar(candidate.path)
        if found is None:
            continue
        if found.kind == "imagexpress":
            taken[name.lower()].append(folder)
        yield folder, replace(found, path=candidate.name)


def _is_below(folder: str, above: str) -> bool:
    return not above or folder.startswith(f"{above}/")


def facts_for(
    name: str, sidecars: Mapping[str, Sequence[Sidecar]]
) -> Iterator[tuple[Mapping[str, Fact], Sidecar]]:
    """Yield what each index above a file says about it, the nearest first."""
    parts = name.split("/")[:-1]
    for depth in range(len(parts), -1, -1):
        folder = "/".join(parts[:depth])
        for sidecar in sidecars.get(folder, ()):
            below = name[len(folder) + 1 if folder else 0 :].lower()
            facts = sidecar.facts_by_name.get(below)
            if facts is not None or sidecar.kind == "imagexpress":
                yield facts or {}, sidecar


def symptoms(
    sidecars: Sequence[Placed], names: set[str], level: str
) -> Iterator[tuple[Symptom, tuple[str, ...]]]:
    """Yield what is wrong with the index files, and the images they list that are not there."""
    lower = {name.lower() for name in names}
    for folder, sidecar in sidecars:
        for symptom in sidecar.symptoms:
            yield symptom, (sidecar.path,)
        missing, absent = _missing(folder, sidecar, lower)
        title = PurePosixPath(sidecar.path).name
        for words in absent:
            yield Symptom("IMG-402", f"no image of {words}", f"planned in {title}"), (sidecar.path,)
        if not missing:
            continue
        paths = tuple(f"{folder}/{e.name}" if folder else e.name for e in missing)
        listed = f"listed by {title}"
        if level != RAW and len(missing) > MOST * len(sidecar.expected):
            # A few images kept with the whole index: a selection, unless it is the raw level.
            found = f"{len(missing):,} of {len(sidecar.expected):,} images are not here"
            yield Symptom("IMG-401", found, listed, "warning"), paths
            continue
        for path in paths:
            yield Symptom("IMG-401", "not in the folder", listed), (path,)


def _missing(
    folder: str, sidecar: Sidecar, names: set[str]
) -> tuple[list[ExpectedImage], list[str]]:
    """Return the images that are not there, and in words what is absent as a whole."""
    start = f"{folder}/".lower() if folder else ""
    missing = [e for e in sidecar.expected if e.exact and start + e.name.lower() not in names]
    parts = [e for e in sidecar.expected if not e.exact]
    if not parts:
        return missing, []
    have = _have(start, names)
    timed = any(piece.startswith("timepoint_") for _, piece in have)
    gone = [e for e in parts if (e.name.lower(), e.folder.lower() if timed else "") not in have]
    absent = _absent(gone, parts, timed=timed)
    left = [e for e in gone if not any(covers(e) for covers in absent.values())]
    return missing + left, list(absent)


def _have(start: str, names: set[str]) -> set[tuple[str, str]]:
    """Return the beginnings of the names below a folder, alone and with each folder between."""
    below = [n for n in names if n.startswith(start) and not is_thumb(n)]
    return {
        (beginning, piece)
        for name in below
        for beginning in _beginnings(name.rpartition("/")[2])
        for piece in ("", *name[len(start) :].split("/")[:-1])
    }


def _beginnings(name: str) -> Iterator[str]:
    """Yield the parts of a name up to each place where a well, site or wave can end."""
    stem = name.rpartition(".")[0]
    yield stem
    for found in _ENDS.finditer(stem):
        yield stem[: found.end()]


def _absent(
    gone: Sequence[ExpectedImage], parts: Sequence[ExpectedImage], *, timed: bool
) -> dict[str, Callable[[ExpectedImage], bool]]:
    """Return waves and time points of which no image at all is there, with who belongs to them."""
    found: dict[str, Callable[[ExpectedImage], bool]] = {}
    gone_names = set(gone)
    groups: dict[tuple[str, str], list[ExpectedImage]] = defaultdict(list)
    for image in parts:
        wave = _WAVE.search(image.name)
        if wave:
            groups["wave", wave[0]].append(image)
        if timed and image.folder:
            groups["time", image.folder].append(image)
    for (kind, value), members in groups.items():
        if len(members) == len(parts) or not all(m in gone_names for m in members):
            continue
        if kind == "wave":
            found[f"wave {value[2:]}"] = lambda e, v=value: e.name.endswith(v)  # type: ignore[misc]  # bound now
        else:
            found[value] = lambda e, v=value: e.folder == v  # type: ignore[misc]  # bound now
    return found
