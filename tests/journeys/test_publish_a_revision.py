"""What a tag records is published: its versions, description and recipe, fetched from storages."""

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgdata.api import Project, init_project, open_project
from imgdata.errors import DamagedError, UsageError
from imgdata.repositories import Publishing
from imgdata.testing import small_inveniordm
from imgdata.testing.small_inveniordm import SmallInvenio
from imgdata.testing.small_project import call
from imgdata.workflows.whereis import WhereisOptions
from tests.schemas import document_of

CONFIG = """
version: 1
id: 5a1c0e526a534b6c9d413a0f5f0d9c11
title: The first title
description: Schwann cells.
license: CC-BY-4.0
creators: [{name: Ada Lovelace}]
keywords: [Cell Painting]
commit: never
origins: {own: {kind: own, access: open, license: CC-BY-4.0}}
storages: {archive: {url: ../archive}}
repositories: {zenodo: {url: "invenio:ADDRESS"}}
levels:
  raw: {path: data/raw, unit: plate, key: "{plate}/{well}_{site}.tif", origin: own,
        storage: [archive]}
"""


@pytest.fixture
def site() -> Iterator[SmallInvenio]:
    with small_inveniordm.serve() as served:
        yield served


def add(root: Path, plate: str, text: str) -> None:
    source = root.parent / "microscope" / plate
    source.mkdir(parents=True, exist_ok=True)
    for number in range(12):
        (source / f"B{number + 1:02}_1.tif").write_bytes(f"{plate} {text} {number}".encode() * 50)
    opened = open_project(root, writing=True)
    list(opened.add(opened.plan_add("raw", [source])))


def commit(root: Path, message: str) -> None:
    call(root, "git", "add", "-A")
    call(root, "git", "commit", "-qm", message)


@pytest.fixture
def project(tmp_path: Path, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Tag v1 records P1; the working tree records P2 and another title, and P1 is not here."""
    root = tmp_path / "nf1"
    init_project(root, template="minimal", title="NF1 pilot")
    text = CONFIG.replace("ADDRESS", site.base)
    (root / "imgdata.yaml").write_text(text)
    (root / "params.yaml").write_text("diameter: 28\n")
    (tmp_path / "archive").mkdir()
    add(root, "P1", "first")
    call(root, "imgdata", "storage", "apply", "--yes")
    call(root, "imgdata", "push")
    commit(root, "One plate")
    call(root, "git", "tag", "v1")
    add(root, "P2", "second")
    (root / "imgdata.yaml").write_text(text.replace("The first title", "The second title"))
    (root / "params.yaml").write_text("diameter: 30\n")
    shutil.rmtree(root / "data" / "raw" / "P1")
    (root / "data" / "raw" / "P1.dvc").unlink()
    call(root, "chmod", "-R", "u+w", ".dvc/cache")
    shutil.rmtree(root / ".dvc" / "cache")
    commit(root, "Another plate instead")
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", small_inveniordm.TOKEN)
    return open_project(root, writing=True)


def test_a_tag_is_published_as_it_was(project: Project, site: SmallInvenio) -> None:
    publishing = Publishing(project.clone, "zenodo", revision="v1")
    with pytest.raises(DamagedError, match="is not here"):
        publishing.deposit(publishing.plan(["raw"]))
    publishing.fetch(["raw"])
    publishing.deposit(publishing.plan(["raw"]))
    publishing.publish(["raw"])
    (record,) = site.live
    assert record.body["metadata"]["title"] == "The first title"
    assert record.body["metadata"]["version"] == "v1"
    assert "raw_P1.zip" in record.data
    assert not any("P2" in name for name in record.data)
    recipe = zipfile.ZipFile(io.BytesIO(record.data["workflow.zip"]))
    assert recipe.read("params.yaml") == b"diameter: 28\n"
    assert b"The first title" in recipe.read("imgdata.yaml")
    assert not (project.root / "data" / "raw" / "P1").exists()
    found = open_project(project.root).whereis(["raw"], WhereisOptions(all_versions=True))
    copies = {one.version.unit: {line.storage for line in one.lines} for one in found}
    assert "zenodo" in copies["P1"]
    assert "zenodo" not in copies["P2"]


def test_todays_rules_hold_for_yesterdays_data(project: Project, site: SmallInvenio) -> None:
    path = project.root / "imgdata.yaml"
    path.write_text(path.read_text().replace("access: open", "access: restricted"))
    publishing = Publishing(open_project(project.root).clone, "zenodo", revision="v1")
    publishing.fetch(["raw"])
    plan = publishing.plan(["raw"])
    assert plan.items == ()
    assert [(held.unit, held.files) for held in plan.held] == [("P1", 12)]
    assert site.seen == []


def test_content_known_as_restricted_stays_under_another_name(
    project: Project, tmp_path: Path
) -> None:
    path = project.root / "imgdata.yaml"
    text = path.read_text()
    closed = "other: {kind: industry-collaborator, license: CC-BY-4.0}"
    path.write_text(text.replace("origins: {", f"origins: {{{closed}, "))
    source = tmp_path / "microscope" / "P9"
    source.mkdir()
    (source / "B01_1.tif").write_bytes(b"P1 first 0" * 50)
    opened = open_project(project.root, writing=True)
    list(opened.add(opened.plan_add("raw", [source], origin="other")))
    commit(project.root, "The same image came from a company")
    publishing = Publishing(open_project(project.root).clone, "zenodo", revision="v1")
    publishing.fetch(["raw"])
    (held,) = publishing.plan(["raw"]).held
    assert (held.unit, "has content of raw P9" in held.reason) == ("P1", True)


def test_by_the_command_line(project: Project, site: SmallInvenio) -> None:
    def publish(*words: str, check: bool = True) -> dict[str, Any]:
        done = call(project.root, "imgdata", "--json", "publish", "raw", *words, check=check)
        return document_of("publish", done.stdout)

    error = publish("--rev", "nosuch", check=False)["error"]
    assert (error["kind"], "nosuch" in error["problem"]) == ("usage", True)
    publish("--rev", "v1")
    publish("--list")
    publish("--publish", "--dry-run")
    (draft,) = publish("--publish", "--yes")["results"]
    assert "raw_P1.zip" in {file["name"] for file in draft["files"]}
    assert site.live[0].published


def test_a_revision_before_the_project_is_no_revision_of_it(project: Project) -> None:
    call(project.root, "git", "checkout", "-q", "--orphan", "empty")
    call(project.root, "git", "rm", "-rqf", "--cached", ".")
    call(project.root, "git", "commit", "-qm", "Nothing", "--allow-empty")
    call(project.root, "git", "tag", "nothing")
    call(project.root, "git", "symbolic-ref", "HEAD", "refs/heads/main")
    call(project.root, "git", "reset", "-q")
    with pytest.raises(UsageError, match=r"has no imgdata\.yaml"):
        Publishing(project.clone, "zenodo", revision="nothing")


def test_a_tar_and_an_ome_zarr_come_back_as_they_went(
    tmp_path: Path, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "volumes"
    init_project(root, template="minimal", title="Volumes")
    text = CONFIG.replace("ADDRESS", site.base).replace("key:", "pack: tar, key:")
    zarrs = "  volumes: {path: data/volumes, unit: plate, origin: own, storage: [archive]}\n"
    (root / "imgdata.yaml").write_text(text + zarrs)
    add(root, "P1", "first")
    volume = tmp_path / "microscope" / "V1" / "embryo.zarr"
    (volume / "0" / "c" / "0").mkdir(parents=True)
    told = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5"}}}
    (volume / "zarr.json").write_text(json.dumps(told))
    (volume / "0" / "zarr.json").write_text("{}")
    for number in range(20):
        (volume / "0" / "c" / "0" / str(number)).write_bytes(bytes([number]) * 500)
    opened = open_project(root, writing=True)
    list(opened.add(opened.plan_add("volumes", [volume.parent])))
    commit(root, "A plate and a volume")
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", small_inveniordm.TOKEN)
    publishing = Publishing(open_project(root, writing=True).clone, "zenodo")
    publishing.deposit(publishing.plan(["raw", "volumes"]))
    publishing.publish(["raw", "volumes"])
    commit(root, "Publish")
    (record,) = site.live
    assert {"raw_P1.tar", "embryo.ozx"} <= record.data.keys()
    before = {
        p.relative_to(root): p.read_bytes() for p in (root / "data").rglob("*") if p.is_file()
    }
    call(tmp_path, "git", "clone", "-q", root, tmp_path / "clone")
    list(open_project(tmp_path / "clone", writing=True).pull())
    clone = tmp_path / "clone"
    after = {
        p.relative_to(clone): p.read_bytes() for p in (clone / "data").rglob("*") if p.is_file()
    }
    assert {k: v for k, v in before.items() if k.suffix != ".dvc"} == {
        k: v for k, v in after.items() if k.suffix != ".dvc"
    }
