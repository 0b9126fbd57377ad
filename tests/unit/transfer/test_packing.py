"""A pack is a plain zip with the same bytes every time, readable in parts."""

import hashlib
import json
import os
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgdata.errors import DamagedError
from imgdata.model.deposits import PackFormat
from imgdata.transfer import packing
from imgdata.transfer.pack_parts import MANIFEST_NAME, MeasuredSource, PackSource
from imgdata.transfer.packing import Pack, Style


def _sources(folder: Path, files: dict[str, bytes]) -> list[PackSource]:
    folder.mkdir(exist_ok=True)
    found = []
    for number, (name, data) in enumerate(files.items()):
        local = folder / str(number)
        local.write_bytes(data)
        found.append(
            PackSource(
                name, str(local), len(data), hashlib.md5(data, usedforsecurity=False).hexdigest()
            )
        )
    return found


def _whole(pack: Pack) -> bytes:
    return b"".join(pack.chunks())


FILES = {"masks/P1/B03_2.tif": b"two" * 1000, "masks/P1/B03_1.tif": b"one", "ü/leer": b""}


def test_any_zip_program_reads_a_pack(tmp_path: Path) -> None:
    pack = Pack(packing.measure(_sources(tmp_path / "in", FILES)))
    with zipfile.ZipFile(BytesIO(_whole(pack))) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == [*sorted(FILES), "MANIFEST.csv"]
        assert {name: opened.read(name) for name in FILES} == FILES


def test_the_bytes_depend_on_the_members_alone(tmp_path: Path) -> None:
    one = Pack(packing.measure(_sources(tmp_path / "a", FILES)))
    turned = _sources(tmp_path / "b", dict(reversed(FILES.items())))
    for source in turned:
        os.utime(source.local, (1, 1))
        Path(source.local).chmod(0o600)
    assert _whole(one) == _whole(Pack(packing.measure(turned)))


def test_the_size_is_known_before_anything_is_read(tmp_path: Path) -> None:
    pack = Pack(packing.measure(_sources(tmp_path / "in", FILES)))
    assert packing.pack_size((name, len(data)) for name, data in FILES.items()) == pack.size
    assert len(_whole(pack)) == pack.size


def test_one_member_is_one_range_request(tmp_path: Path) -> None:
    whole = _whole(Pack(packing.measure(_sources(tmp_path / "in", FILES))))
    asked: list[int] = []

    def read_range(start: int, length: int) -> bytes:
        asked.append(length)
        return whole[start : start + length]

    members = {member.path: member for member in packing.read_manifest(read_range, len(whole))}
    asked.clear()
    found = packing.read_member(read_range, members["masks/P1/B03_2.tif"])
    assert found == FILES["masks/P1/B03_2.tif"]
    assert asked == [3000]
    assert members["masks/P1/B03_1.tif"].sha256 == hashlib.sha256(b"one").hexdigest()


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    whole = bytearray(_whole(Pack(packing.measure(_sources(tmp_path / "in", FILES)))))
    members = packing.read_manifest(lambda s, n: bytes(whole[s : s + n]), len(whole))
    whole[members[0].offset] ^= 1
    with pytest.raises(DamagedError, match=r"masks/P1/B03_1\.tif"):
        packing.read_member(lambda s, n: bytes(whole[s : s + n]), members[0])


def test_a_file_that_is_not_what_was_recorded_is_not_packed(tmp_path: Path) -> None:
    (source,) = _sources(tmp_path / "in", {"a": b"right"})
    Path(source.local).write_bytes(b"wrong")
    with pytest.raises(DamagedError, match="not what was recorded"):
        packing.measure([source])


def test_a_file_that_changes_after_measuring_is_noticed(tmp_path: Path) -> None:
    (source,) = _sources(tmp_path / "in", {"a": b"right"})
    pack = Pack(packing.measure([source]))
    Path(source.local).write_bytes(b"wrong")
    with pytest.raises(DamagedError, match="changed while"):
        _whole(pack)


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", "a/./b", "", "a\\b", "C:/a", "a\nb"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    sources = _sources(tmp_path / "in", {name: b"x"})
    with pytest.raises(DamagedError):
        Pack(packing.measure(sources))


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"x" * 5000, b"PK\x05\x06" + b"\xff" * 18, b"PK\x05\x06" + b"\0" * 18]
)
def test_what_is_not_a_pack_is_a_sentence(data: bytes) -> None:
    with pytest.raises(DamagedError, match="not a pack"):
        packing.read_manifest(lambda s, n: data[s : s + n], len(data))


def test_a_manifest_that_points_outside_is_refused() -> None:
    text = "path,size,md5,sha256,offset\n../../etc/passwd,1,a,b,0\n"
    with pytest.raises(DamagedError):
        packing.parse_manifest(text.encode(), 100)
    with pytest.raises(DamagedError):
        packing.parse_manifest(b"path,size,md5,sha256,offset\na,101,a,b,0\n", 100)


def test_more_than_four_gigabytes_and_65535_members_are_laid_out(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.touch()
    os.truncate(big, 5 * 2**30)  # sparse: no bytes on disk
    source = PackSource("big", str(big), 5 * 2**30, "")
    small = PackSource("small", str(tmp_path / "small"), 2, "")
    (tmp_path / "small").write_bytes(b"ok")
    blank = [MeasuredSource(source, "0" * 32, "0" * 64, 0), *packing.measure([small])]
    pack = Pack(blank)
    tail = b"".join(pack.chunks(5 * 2**30))
    # zipfile reads the directory from a file whose hole stands for the big member.
    path = tmp_path / "pack.zip"
    with path.open("wb") as stream:
        stream.write(b"".join(pack.chunks(0, 100)))
        stream.seek(5 * 2**30)
        stream.write(tail)
    with zipfile.ZipFile(path) as opened:
        assert [info.file_size for info in opened.infolist()][:2] == [5 * 2**30, 2]
        assert opened.read("small") == b"ok"
    many = packing.pack_size((f"{number:05d}", 0) for number in range(70_000))
    assert many > 70_000 * 100


@settings(max_examples=50, deadline=None)
@given(start=st.integers(0, 4000), length=st.integers(0, 4000), sizes=st.lists(st.integers(0, 900)))
def test_any_range_equals_the_same_range_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("range")
    files = {f"f{number}": bytes([number % 256]) * size for number, size in enumerate(sizes)}
    pack = Pack(packing.measure(_sources(folder, files)))
    assert b"".join(pack.chunks(start, length)) == _whole(pack)[start : start + length]


ZARR = {
    "zarr.json": b'{"zarr_format": 3}',
    "0/zarr.json": b'{"node_type": "array"}',
    "labels/nuclei/zarr.json": b"{}",
    "0/c/0/0": b"chunk" * 300,
    "0/c/0/1": b"other" * 300,
}
OZX = Style(PackFormat.OZX, "0.5")


def test_an_ome_zarr_is_one_zip_as_its_rfc_says(tmp_path: Path) -> None:
    pack = Pack(packing.measure(_sources(tmp_path / "in", ZARR)), style=OZX)
    whole = _whole(pack)
    assert packing.pack_size(((name, len(data)) for name, data in ZARR.items()), OZX) == len(whole)
    with zipfile.ZipFile(BytesIO(whole)) as opened:
        assert opened.namelist()[:3] == ["zarr.json", "0/zarr.json", "labels/nuclei/zarr.json"]
        assert {name: opened.read(name) for name in opened.namelist()} == ZARR
        assert {info.compress_type for info in opened.infolist()} == {zipfile.ZIP_STORED}
        told = json.loads(opened.comment)
    assert told["ome"] == {"version": "0.5", "zipFile": {"centralDirectory": {"jsonFirst": True}}}
    assert b"PK\x06\x06" in whole, "64-bit records"
    for member in pack.members:
        read = packing.read_member(lambda start, size: whole[start : start + size], member)
        assert read == ZARR[member.path]
    again = Pack(
        packing.measure(_sources(tmp_path / "again", dict(reversed(ZARR.items())))), style=OZX
    )
    assert _whole(again) == whole


@pytest.mark.parametrize("long", [False, True])
def test_a_tar_holds_the_same_and_any_program_opens_it(tmp_path: Path, *, long: bool) -> None:
    files = {**FILES, **({f"data/{'x' * 200}/{'ä' * 60}.tif": b"long"} if long else {})}
    tar = Style(PackFormat.TAR)
    pack = Pack(packing.measure(_sources(tmp_path / "in", files)), style=tar)
    whole = _whole(pack)
    assert packing.pack_size(((name, len(data)) for name, data in files.items()), tar) == len(whole)
    with tarfile.open(fileobj=BytesIO(whole)) as opened:
        held = {one.name: one for one in opened.getmembers()}
        inside = {name: opened.extractfile(one) for name, one in held.items()}
        read = {name: stream.read() for name, stream in inside.items() if stream is not None}
    assert read.pop(MANIFEST_NAME).decode().count("\n") == len(files) + 1
    assert read == files
    for member in pack.members:
        assert whole[member.offset : member.offset + member.size] == files[member.path]
    assert _whole(pack) == whole
