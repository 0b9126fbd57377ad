"""The table of backends and how a url chooses one."""

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from imgdata.backends import BACKENDS, Backend, load, open_storage, storage_scheme
from imgdata.errors import InvalidProjectError, MachineError
from imgdata.storage.local import LocalStorage


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("/mnt/archive", "file"),
        ("archive/nf1", "file"),
        ("~/archive", "file"),
        ("../a:b/c", "file"),
        ("file:///mnt/archive", "file"),
        ("S3://bucket/x", "s3"),
        ("drive:RED-07/nf1", "drive"),
        ("rclone:one:path", "rclone"),
    ],
)
def test_the_scheme_of_a_url_chooses_the_backend(url: str, scheme: str) -> None:
    assert storage_scheme(url) == scheme


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/mnt/archive", "/mnt/archive"),
        ("file:///mnt/my%20archive", "/mnt/my archive"),
        ("stores/archive", "/project/stores/archive"),
    ],
)
def test_a_path_is_a_folder_and_a_relative_one_starts_at_the_project(
    url: str, expected: str
) -> None:
    storage = open_storage("archive", url, {}, Path("/project"))
    assert isinstance(storage, LocalStorage)
    assert storage.root == Path(expected)


def test_a_file_url_on_another_computer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidProjectError, match="names the computer 'nas'"):
        open_storage("archive", "file://nas/share", {}, tmp_path)


def test_an_unknown_scheme_names_the_known_ones_and_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InvalidProjectError, match="knows no storage 'fil:'") as caught:
        open_storage("lab", "fil:///x", {}, tmp_path)
    assert "file" in caught.value.cause
    assert "did you mean 'file'" in caught.value.remedy


def test_unknown_and_wrong_settings_are_told_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidProjectError, match="settings of storage 'lab'") as caught:
        open_storage("lab", "/mnt", {"publik": True, "region": "x", "x-note": 1}, tmp_path)
    assert "did you mean 'public'?" in caught.value.cause
    assert "'region'" in caught.value.cause
    assert "x-note" not in caught.value.cause


def test_settings_of_the_policy_are_no_concern_of_a_backend(tmp_path: Path) -> None:
    options = {"public": True, "price_per_tb_month": 4.5, "purged_after_days": 90}
    open_storage("lab", "/mnt", options, tmp_path)


def test_a_missing_extra_is_told_with_the_line_that_installs_it() -> None:
    row = Backend("storage", "s9", "nowhere:f", "a star", extra="s9", modules=("no_such_module",))
    with pytest.raises(MachineError, match="not installed") as caught:
        load(row)
    assert caught.value.remedy.endswith('"imgdata[s9]"')
    assert sys.executable in caught.value.remedy, "any other pip fetches another program"
    assert "no_such_module" in caught.value.cause


def test_every_row_of_the_table_can_be_opened_and_names_a_real_extra() -> None:
    extras = importlib.metadata.metadata("imgdata").get_all("Provides-Extra") or []
    for row in BACKENDS:
        assert callable(load(row))
        assert row.extra is None or row.extra in extras


def test_reading_the_table_imports_no_backend() -> None:
    code = (
        "import sys, imgdata.backends\n"
        "heavy = {'obstore', 'boto3', 'botocore', 'httpx', 'asyncssh', 'dvc'} & set(sys.modules)\n"
        "own = [m for m in sys.modules if m.startswith('imgdata.storage')]\n"
        "sys.exit(str((heavy, own)) if heavy or own else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("template", ["minimal", "cell-painting"])
def test_every_storage_that_a_template_offers_has_a_backend(template: str) -> None:
    path = Path(__file__).resolve().parents[2] / "templates" / template / "imgdata.yaml.jinja"
    line = next(row for row in path.read_text("utf-8").splitlines() if "Where copies are" in row)
    offered = set(re.findall(r"([a-z0-9]+):", line.partition("kept:")[2]))
    assert offered
    assert offered <= {row.name for row in BACKENDS if row.kind == "storage"}
