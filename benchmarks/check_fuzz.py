"""Mutate files of every format and read them: no exception, no hang, bounded memory.

Run with `python -m benchmarks.check_fuzz SAMPLES [MUTATIONS]`; prints one line a format and exits
with 1 when a reading raised, took more than five seconds or the process grew over one gigabyte.
"""

import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from imgdata.images.readers import ImageReaders

SECONDS = 5.0
MEGABYTES = 1024
MOST = 3_000_000
INTERESTING = (
    b"\0" * 4,
    b"\xff" * 4,
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
    b"../../",
    b"\x00\x00\x00\x00\x00\x00\x00\x01",
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return the bytes with a few random changes: flips, cuts, copies, telling numbers."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        if not out:
            break
        # Structure lies at both ends; half of the changes go there.
        where = chance.choice((64, 1024, len(out)))
        at = chance.randrange(min(where, len(out)))
        at = len(out) - 1 - at if chance.random() < 0.3 else at  # noqa: PLR2004 - see above
        _change(out, at, chance)
    return bytes(out)


def _change(out: bytearray, at: int, chance: random.Random) -> None:
    """Make one change at a place: flip, overwrite, tell a lie, delete, repeat, cut."""
    match chance.randrange(6):
        case 0:
            out[at] ^= 1 << chance.randrange(8)
        case 1:
            out[at] = chance.randrange(256)
        case 2:
            word = chance.choice(INTERESTING)
            out[at : at + len(word)] = word
        case 3:
            del out[at : at + chance.randrange(1, 64)]
        case 4:
            out[at:at] = out[at : at + chance.randrange(1, 64)]
        case _ if chance.random() < 0.3:  # noqa: PLR2004 - cuts are rarer
            del out[at:]


def seeds(folder: Path) -> Iterator[Path]:
    """Yield the files to mutate: one of each kind and folder, at most 3 MB."""
    seen: set[tuple[str, str]] = set()
    for path in sorted(folder.rglob("*")):
        kind = (path.suffix.lower(), path.parent.name)
        if path.is_file() and 0 < path.stat().st_size < MOST and kind not in seen:
            seen.add(kind)
            yield path


def fuzz(path: Path, count: int, folder: Path) -> tuple[Counter[str], float]:
    """Read so many mutations of one file; return what was found and the slowest reading."""
    chance = random.Random(path.name)  # noqa: S311 - repeatable on purpose
    data = path.read_bytes()
    readers = ImageReaders()
    found: Counter[str] = Counter()
    slowest = 0.0
    target = folder / path.name
    for _ in range(count):
        target.write_bytes(mutated(data, chance))
        begin = time.monotonic()
        try:
            reading = readers.read(target)
            sidecar = readers.sidecar(target)
        except Exception as error:  # noqa: BLE001 - what the fuzzing looks for
            found[f"RAISED {type(error).__name__}: {error}"[:120]] += 1
            continue
        finally:
            slowest = max(slowest, time.monotonic() - begin)
        found.update(s.rule for s in (reading.symptoms if reading else ()))
        found.update(s.rule for s in (sidecar.symptoms if sidecar else ()))
    return found, slowest


def main() -> int:
    """Fuzz every seed of a folder."""
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5000  # noqa: PLR2004 - optional argument
    bad = False
    with tempfile.TemporaryDirectory() as name:
        for path in seeds(Path(sys.argv[1])):
            found, slowest = fuzz(path, count, Path(name))
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            raised = [text for text in found if text.startswith("RAISED")]
            bad = bad or bool(raised) or slowest > SECONDS or memory > MEGABYTES
            rules = {k: v for k, v in found.items() if not k.startswith("RAISED")}
            print(f"{path.name[:50]:50} {count} slowest {slowest:.3f} s, {memory} MB, {rules}")
            for text in raised:
                print("   ", text, found[text])
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
