"""Whatever happens to a file, reading it ends soon, in bounded memory, with a reading.

A hundred mutations a format; `python -m benchmarks.check_fuzz` makes thousands.
"""

import resource
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgdata.images.readers import ImageReaders

NAMES = (
    "plain.tif",
    "big.tif",
    "lzw.tif",
    "jpeg.tif",
    "lerc.tif",
    "a.ome.tif",
    "ij.tif",
    "a.h5",
    "a.parquet",
    "a.png",
    "a.jpg",
    "a.jls",
    "a.jp2",
    "a.jxl",
    "a.webp",
    "a.avif",
    "a.czi",
    "a.lif",
)
SECONDS = 5
GIGABYTE = 1024 * 1024  # in the kilobytes of getrusage
WORDS = (b"", b"\0" * 8, b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"<!DOCTYPE a>", b"../../")

edits = st.lists(
    st.tuples(
        st.integers(0, 10_000_000),
        st.booleans(),
        st.one_of(st.sampled_from(WORDS), st.binary(min_size=1, max_size=8)),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=5,
)


def edited(data: bytes, changes: list[tuple[int, bool, bytes, int]]) -> bytes:
    """Replace some bytes by others of perhaps another length, near the start or anywhere."""
    for place, at_start, word, gone in changes:
        at = place % (min(len(data), 600) if at_start else len(data)) if data else 0
        data = data[:at] + word + data[at + gone :]
    return data


@pytest.mark.parametrize("name", NAMES)
def test_a_mutated_file_is_read_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, seeds: dict[str, bytes], name: str
) -> None:
    path = tmp_path_factory.mktemp("mutated") / name
    readers = ImageReaders()

    @settings(
        max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(edits, st.integers(0, 100))
    def read_mutated(changes: list[tuple[int, bool, bytes, int]], cut: int) -> None:
        data = edited(seeds[name], changes)
        path.write_bytes(data[: len(data) * cut // 60] if cut < 60 else data)
        begin = time.process_time()
        reading = readers.read(path)
        assert time.process_time() - begin < SECONDS
        assert reading is not None

    read_mutated()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < GIGABYTE


@pytest.mark.parametrize("name", ["plain.tif", "big.tif", "lzw.tif", "a.png", "a.czi", "a.lif"])
def test_pixels_of_a_mutated_file_are_measured_or_refused(
    tmp_path_factory: pytest.TempPathFactory, seeds: dict[str, bytes], name: str
) -> None:
    path = tmp_path_factory.mktemp("mutated") / name
    readers = ImageReaders()

    @settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    @given(edits)
    def measure_mutated(changes: list[tuple[int, bool, bytes, int]]) -> None:
        path.write_bytes(edited(seeds[name], changes))
        reading = readers.read(path)
        assert reading is not None
        begin = time.process_time()
        pixels = readers.pixels(path, reading, planes=1)
        assert time.process_time() - begin < SECONDS
        assert pixels.planes or pixels.error or reading.compression

    measure_mutated()
