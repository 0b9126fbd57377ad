"""Names in a stranger's record: what would do harm is refused, what is odd is told."""

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from imgdata.errors import RefusedError
from imgdata.model.public_data import PublicFile, PublicRecord
from imgdata.workflows.import_names import checked_names, refuse_case_clash

RECORD = PublicRecord("zenodo:1", "https://x", "t", "", "", "", "", "", ())


def record_of(*names: str) -> PublicRecord:
    return replace(RECORD, files=tuple(PublicFile(name, "https://x", 1) for name in names))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.tif",
        "/etc/cron.d/x",
        "a/../../b",
        "a//b",
        "./a",
        "c:\\x",
        "C:x.tif",
        "a\nb.tif",
        "a\x1b[2Jb.tif",
        "a\x85b.tif",
        "a\u2028b.tif",
        "fit\u202egpj.exe",
        "a\ud800b",
        "",
        "x" * 250,
        "b.imgdata-part",
    ],
)
def test_a_name_that_would_do_harm_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="not safe") as caught:
        checked_names(record_of("good.tif", name))
    assert caught.value.cause.isascii()
    assert caught.value.cause.isprintable()


def test_two_files_of_one_name_and_a_file_that_is_a_folder_are_refused() -> None:
    for names in (("a.tif", "a.tif"), ("a", "a/b.tif")):
        with pytest.raises(RefusedError, match="a file name that is not safe"):
            checked_names(record_of(*names))


@pytest.mark.parametrize(
    "name",
    [".git/config", "x/.GIT/hooks/post-checkout", ".git./config", ".dvc/config", ".dvcignore"],
)
def test_what_git_and_dvc_would_act_on_is_left_out(name: str) -> None:
    named = checked_names(record_of("good.tif", name))
    assert [file.name for file in named.files] == ["good.tif"]
    assert name in named.remarks[0]


@pytest.mark.parametrize("name", ["aux.tif", "NUL", "d/com1.csv", "a?.tif", "dot./x", "space /x"])
def test_a_name_windows_cannot_write_is_told(name: str) -> None:
    assert "Windows cannot write" in checked_names(record_of(name)).remarks[0]


@pytest.mark.parametrize("name", ["console.tif", "Äußere Zellen 1.tif", "well (2).tif", "日本.tif"])
def test_an_ordinary_name_is_not_remarked(name: str) -> None:
    assert checked_names(record_of(name)).remarks == ()


def test_names_that_differ_in_case_only_are_told_and_refused_where_they_are_one(
    tmp_path: Path,
) -> None:
    record = record_of("a.tif", "A.tif")
    assert "one on Windows and macOS: a.tif and A.tif" in checked_names(record).remarks[0]
    refuse_case_clash(record.files, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".home"] == []


def test_a_hundred_thousand_names_twice_each_are_judged_quickly() -> None:
    names = [f"d{n % 100}/{n:06d}.tif" for n in range(100_000)]
    begin = time.process_time()
    with pytest.raises(RefusedError, match="100000 file names"):
        checked_names(record_of(*names, *names))
    assert time.process_time() - begin < 20
