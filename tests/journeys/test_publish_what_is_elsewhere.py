"""What is only on a storage is published: named in the plan, fetched from any good copy."""

import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgdata.api import init_project, open_project
from imgdata.testing import small_inveniordm
from imgdata.testing.small_inveniordm import SmallInvenio
from imgdata.testing.small_project import call

CONFIG = """
version: 1
id: 5a1c0e526a534b6c9d413a0f5f0d9c11
title: NF1 pilot
description: Schwann cells.
license: CC-BY-4.0
creators: [{name: Ada Lovelace}]
keywords: [Cell Painting]
commit: never
origins:
  own: {kind: own, license: CC-BY-4.0}
  partner: {kind: academic-collaborator, license: CC-BY-4.0, access: restricted,
            release_on: 2099-01-01}
storages: {archive: {url: ../archive}, second: {url: ../second}}
repositories: {zenodo: {url: "invenio:ADDRESS"}}
levels:
  raw: {path: data/raw, unit: plate, key: "{plate}/{well}_{site}.tif", origin: own,
        storage: [archive, second]}
"""
TO = ("publish", "raw", "--to", "zenodo")


@pytest.fixture
def site() -> Iterator[SmallInvenio]:
    with small_inveniordm.serve() as served:
        yield served


@pytest.fixture
def root(tmp_path: Path, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The clone of a colleague, with no image: a large plate, a small one, and a restricted one."""
    origin = tmp_path / "lab" / "nf1"
    init_project(origin, template="minimal", title="NF1 pilot")
    (origin / "imgdata.yaml").write_text(CONFIG.replace("ADDRESS", site.base))
    for storage in ("archive", "second"):
        (tmp_path / "lab" / storage).mkdir()
        (tmp_path / storage).symlink_to(tmp_path / "lab" / storage)
    for plate, count, name in (("P1", 14, "own"), ("P2", 12, "partner"), ("P3", 2, "own")):
        source = tmp_path / "microscope" / plate
        source.mkdir(parents=True)
        for number in range(count):
            (source / f"B{number + 1:02}_1.tif").write_bytes(f"{plate} {number}".encode() * 500)
        opened = open_project(origin, writing=True)
        list(opened.add(opened.plan_add("raw", [source], origin=name)))
    call(origin, "imgdata", "storage", "apply", "--yes")
    call(origin, "imgdata", "push")
    call(origin, "git", "add", "-A")
    call(origin, "git", "commit", "-qm", "Three plates")
    call(tmp_path, "git", "clone", "-q", origin, tmp_path / "clone")
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", small_inveniordm.TOKEN)
    return tmp_path / "clone"


def told(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    done = call(root, "imgdata", "--json", *TO, *words, check=False)
    return done.returncode, json.loads(done.stdout)


def refused(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return call(root, "imgdata", *TO, *words, check=False)


def images(root: Path) -> list[Path]:
    return sorted((root / "data").rglob("*.tif"))


def objects(storage: Path) -> list[Path]:
    return [path for path in (storage / "files" / "md5").rglob("*") if path.is_file()]


def test_a_plan_says_what_is_fetched_with_bytes_and_asks_nobody(
    root: Path, site: SmallInvenio
) -> None:
    status, document = told(root, "--dry-run")
    (plan,) = document["results"]
    assert status == 0, document
    assert [(one["unit"], one["files"]) for one in plan["fetch"]] == [("P1", 14), ("P3", 2)]
    assert [one["bytes"] for one in plan["fetch"]] == [14 * 500 * 4 + 4 * 500, 2 * 500 * 4]
    assert plan["fetch"][0]["from"] == ["archive", "second"]
    assert [one["unit"] for one in plan["blocked"]] == ["P2"]
    said = refused(root, "--dry-run").stdout
    assert "fetch first: raw P1, 14 files, up to 30.0 kB from archive or second, verified" in said
    assert "free here" in said
    assert site.seen == []
    assert objects(root / ".dvc" / "cache") == []


def test_it_is_fetched_verified_and_published_and_no_file_is_placed(
    root: Path, site: SmallInvenio
) -> None:
    said = call(root, "imgdata", *TO).stdout
    assert "fetch first: raw P3, 2 files" in said
    (record,) = site.live
    assert {"raw_P1.zip", "B01_1.tif", "B02_1.tif"} <= record.data.keys()
    pack = zipfile.ZipFile(io.BytesIO(record.data["raw_P1.zip"]))
    assert pack.read("data/raw/P1/B14_1.tif") == b"P1 13" * 500
    assert images(root) == []
    held = {path.read_bytes() for path in objects(root / ".dvc" / "cache")}
    assert not any(data.startswith(b"P2 ") for data in held), "what stays is not fetched"
    again = call(root, "imgdata", *TO).stdout
    assert "fetch first" not in again


def test_a_part_of_it_is_fetched_alone(root: Path, site: SmallInvenio) -> None:
    call(root, "imgdata", *TO, "--select", "well=B01,B02")
    (record,) = site.live
    assert {"data_raw_P1_B01_1.tif", "data_raw_P3_B02_1.tif"} <= record.data.keys()
    sent = [path for path in objects(root / ".dvc" / "cache") if path.suffix != ".dir"]
    assert len(sent) == 4


def test_a_damaged_copy_is_passed_over_for_a_good_one(root: Path, site: SmallInvenio) -> None:
    archive = root.parent / "lab" / "archive"
    for path in objects(archive):
        if path.read_bytes().startswith(b"P1 "):
            path.chmod(0o644)
            path.write_bytes(b"x" * path.stat().st_size)
    call(root, "imgdata", *TO)
    (record,) = site.live
    pack = zipfile.ZipFile(io.BytesIO(record.data["raw_P1.zip"]))
    assert pack.read("data/raw/P1/B01_1.tif") == b"P1 0" * 500


def test_what_nothing_has_ends_with_a_sentence(root: Path, site: SmallInvenio) -> None:
    for storage in ("archive", "second"):
        for path in objects(root.parent / "lab" / storage):
            if path.read_bytes().startswith(b"P1 3"):
                path.unlink()
    done = refused(root)
    assert done.returncode == 6
    assert "one file of raw P1 cannot be had" in done.stderr
    assert "data/raw/P1/B04_1.tif" in done.stderr
    assert "imgdata whereis raw" in done.stderr
    assert site.live == []


def test_a_level_that_no_storage_keeps_is_named_at_once(root: Path, site: SmallInvenio) -> None:
    path = root / "imgdata.yaml"
    path.write_text(path.read_text().replace("storage: [archive, second]", "storage: none"))
    shutil.rmtree(root / ".imgdata" / "log")
    for words in (("--dry-run",), ()):
        done = refused(root, *words)
        assert done.returncode == 6, done.stdout
        assert "raw P1 is neither here nor on any storage" in done.stderr
    assert site.seen == []


def test_what_is_in_the_workspace_alone_is_not_fetched(root: Path, site: SmallInvenio) -> None:
    origin = root.parent / "lab" / "nf1"
    for path in objects(origin / ".dvc" / "cache"):
        if path.suffix != ".dir":
            path.parent.chmod(0o755)
            path.unlink()
    assert told(origin, "--dry-run")[1]["results"][0]["fetch"] == []
    said = call(origin, "imgdata", *TO).stdout
    assert "fetch first" not in said
    assert "raw_P1.zip" in site.live[0].data


def test_push_to_the_draft_of_a_level_fetches_too(root: Path, site: SmallInvenio) -> None:
    path = root / "imgdata.yaml"
    text = path.read_text()
    path.write_text(text.replace("storage: [archive, second]", "storage: [archive, zenodo]"))
    call(root, "imgdata", "storage", "apply", "--yes")
    assert "fetch first: raw P1" in call(root, "imgdata", "push", "raw").stdout
    assert "raw_P1.zip" in site.live[0].data


def logs(root: Path) -> int:
    return len(list((root / ".imgdata" / "log").rglob("*.jsonl")))


def test_a_command_that_fetches_and_deposits_keeps_to_one_log_file(
    root: Path, site: SmallInvenio
) -> None:
    for path in objects(root.parent / "lab" / "archive"):
        if path.read_bytes().startswith(b"P1 3"):
            path.chmod(0o644)
            path.write_bytes(b"x" * path.stat().st_size)
    before = logs(root)
    call(root, "imgdata", *TO)
    assert logs(root) - before == 1
    text = "".join(path.read_text() for path in (root / ".imgdata" / "log").rglob("*.jsonl"))
    assert '"damaged"' in text, "what was found on the way is noted"
    assert site.live


def test_a_push_that_fills_a_draft_too_keeps_to_one_log_file(
    root: Path, site: SmallInvenio
) -> None:
    origin = root.parent / "lab" / "nf1"
    path = origin / "imgdata.yaml"
    text = path.read_text()
    path.write_text(text.replace("storage: [archive, second]", "storage: [archive, zenodo]"))
    source = root.parent / "microscope" / "P4"
    source.mkdir()
    (source / "B01_1.tif").write_bytes(b"P4" * 500)
    call(origin, "imgdata", "add", "raw", source, "--origin", "own")
    call(origin, "imgdata", "storage", "apply", "--yes")
    before = logs(origin)
    call(origin, "imgdata", "push", "raw")
    assert logs(origin) - before == 1
    assert "P4.zip" in site.live[0].data or "data_raw_P4_B01_1.tif" in site.live[0].data


def test_nothing_is_fetched_for_a_deposit_that_is_refused_in_any_case(
    root: Path, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMGDATA_ZENODO_TOKEN")
    assert "no token for 'zenodo'" in refused(root).stderr
    path = root / "imgdata.yaml"
    path.write_text(path.read_text().replace("creators: [{name: Ada Lovelace}]", "creators: []"))
    assert "creators: Who made the data" in refused(root).stderr
    assert objects(root / ".dvc" / "cache") == []
    assert site.seen == []
