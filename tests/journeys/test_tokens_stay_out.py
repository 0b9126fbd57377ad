"""A repository's token is in no output, no file, no record, no deposit, and at no other host."""

import os
import zipfile
from pathlib import Path

import pytest

from imgdata.testing import small_figshare, small_inveniordm
from imgdata.testing.small_project import call
from imgdata.testing.small_site import Fault, SmallSite

PIPELINE = """\
stages:
  talk:
    cmd: mkdir -p data/tables && env | sort > data/tables/P1.csv
    deps: [data/raw/P1]
    outs: [data/tables/P1.csv]
"""
CONFIG = """\
version: 1
id: 5a1c0e526a534b6c9d413a0f5f0d9c11
title: Talkative
description: A stage that tells all it knows.
license: CC-BY-4.0
creators: [{name: Ada Lovelace}]
keywords: [Cell Painting]
commit: never
origins: {own: {kind: own, access: open, license: CC-BY-4.0}}
storages: {archive: {url: ../archive}}
repositories: {zenodo: {url: "URL"}}
levels:
  raw: {path: data/raw, unit: plate, key: "{plate}/{well}_{site}.tif", origin: own,
        storage: [archive]}
  tables: {path: data/tables, unit: plate, key: "{plate}.csv", from: [raw], storage: [archive]}
"""
KINDS = [
    pytest.param(small_inveniordm, "invenio:{}", "a-secret-of-zenodo-1", id="invenio"),
    pytest.param(small_figshare, "figshare:{}/v2", "a-secret-of-figshare-1", id="figshare"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    call(tmp_path, "imgdata", "init", root, "--template", "minimal")
    (tmp_path / "archive").mkdir(exist_ok=True)
    source = tmp_path / "microscope" / "P1"
    source.mkdir(parents=True)
    for number in range(12):
        (source / f"B{number + 1:02}_1.tif").write_bytes(bytes([number]) * 900)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "metadata" / "figshare.yaml").write_text("categories: Cell Biology\n")
    return root


@pytest.mark.dvc
@pytest.mark.parametrize(("service", "url", "secret"), KINDS)
def test_a_token_is_found_nowhere(
    root: Path, monkeypatch: pytest.MonkeyPatch, service: object, url: str, secret: str
) -> None:
    monkeypatch.setattr(service, "TOKEN", secret)
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", secret)
    told: list[str] = []

    def imgdata(*words: str, status: int = 0) -> None:
        done = call(root, "imgdata", "--debug", *words, check=False)
        told.append(done.stdout + done.stderr)
        assert done.returncode == status, (words, done.stdout, done.stderr)

    with service.serve() as site:  # type: ignore[attr-defined]
        (root / "imgdata.yaml").write_text(CONFIG.replace("URL", url.format(site.base)))
        imgdata("storage", "apply", "--yes")
        imgdata("add", "raw", "../microscope/P1")
        imgdata("run")
        call(root, "git", "add", "-A")
        call(root, "git", "commit", "-qm", "All")
        site.faults.append(Fault("POST", r"/files$", 403))
        imgdata("publish", "raw", "tables", "--to", "zenodo", status=4)
        imgdata("--verbose", "publish", "raw", "tables", "--to", "zenodo")
        imgdata("--json", "publish", "raw", "tables", "--publish", "--yes")
        call(root, "git", "add", "-A")
        call(root, "git", "commit", "-qm", "Publish")
        imgdata("whereis", "--remote")
        imgdata("verify", "--on", "zenodo")
        imgdata("publish", "--list")
        imgdata("pull", "--from", "zenodo")
        imgdata("lineage", "data/tables/P1.csv", "--format", "rocrate", "-o", "../crate")
        _at_its_host_only(site, secret)
    assert "PATH=" in (root / "data" / "tables" / "P1.csv").read_text()
    for text in told:
        assert secret not in text
    _in_no_file(root.parent, secret)


def _at_its_host_only(site: SmallSite, secret: str) -> None:
    """What the repository was sent: the token in the header of its own API, nowhere else."""
    assert any(secret in one.headers.get("Authorization", "") for one in site.requests)
    for one in site.requests:
        assert secret not in f"{one.path}?{one.query}"
        assert secret.encode() not in one.body
        others = {name: text for name, text in one.headers.items() if name != "Authorization"}
        assert secret not in str(others)
        if one.path.startswith("/upload/") or one.path.startswith("/files/"):
            assert "Authorization" not in one.headers


def _in_no_file(folder: Path, secret: str) -> None:
    """Search every file, packs and git's objects too."""
    for top, _, names in os.walk(folder):
        for name in names:
            path = Path(top, name)
            if not path.is_file():
                continue
            assert secret.encode() not in path.read_bytes(), path
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as pack:
                    assert all(secret.encode() not in pack.read(one) for one in pack.namelist())
    listed = call(folder / "project", "git", "log", "-p", "--all").stdout
    assert secret not in listed
