"""A lab publishes a level: planned without network, drafted, verified, published, read back."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import imgdata
from imgdata.api import Project, init_project, open_project
from imgdata.deposits.bia import REQUIRED, validate_package
from imgdata.errors import CredentialsError, RefusedError, UsageError
from imgdata.model.deposits import DepositState
from imgdata.repositories import DepositOptions, Publishing
from imgdata.testing import small_inveniordm
from imgdata.testing.small_inveniordm import SmallInvenio
from imgdata.testing.small_project import call
from imgdata.transfer import packing
from imgdata.workflows.objects import copy_key
from tests.schemas import document_of

PIPELINE = """
stages:
  profile:
    foreach: [P1, P2]
    do:
      cmd: python scripts/profile.py data/raw/${item} data/bulk_profiles/${item}.csv
      deps: [scripts/profile.py, "data/raw/${item}"]
      outs: ["data/bulk_profiles/${item}.csv"]
"""
SCRIPT = """
import pathlib, sys
source, target = map(pathlib.Path, sys.argv[1:])
target.parent.mkdir(parents=True, exist_ok=True)
lines = (f"{source.name},{p.name},{p.stat().st_size}\\n" for p in sorted(source.iterdir()))
target.write_text("".join(lines))
"""
CONFIG = """
version: 1
id: 5a1c0e526a534b6c9d413a0f5f0d9c11
title: NF1 pilot
description: Schwann cells, two plates.
license: CC-BY-4.0
creators:
  - {name: Ada Lovelace, orcid: 0000-0002-1825-0097, affiliation: Lab of Engines,
     email: ada@lab.example}
keywords: [Cell Painting]
origins:
  own: {kind: own, license: CC-BY-4.0}
  partner: {kind: academic-collaborator, license: CC-BY-4.0, access: restricted,
            release_on: 2099-01-01, may_leave: []}
storages: {archive: {url: ../archive}}
repositories: {zenodo: {url: "invenio:ADDRESS"}}
levels:
  raw: {path: data/raw, unit: plate, key: "{plate}/{well}_{site}.tif", origin: own,
        storage: [archive]}
  bulk_profiles: {path: data/bulk_profiles, unit: plate, key: "{plate}.csv", from: [raw],
                  storage: [archive, zenodo]}
"""


@pytest.fixture
def site() -> Iterator[SmallInvenio]:
    with small_inveniordm.serve() as served:
        yield served


@pytest.fixture
def project(tmp_path: Path, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "nf1"
    init_project(root, template="minimal", title="NF1 pilot")
    (root / "imgdata.yaml").write_text(CONFIG.replace("ADDRESS", site.base))
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "scripts").mkdir(exist_ok=True)
    (root / "scripts" / "profile.py").write_text(SCRIPT)
    opened = open_project(root, writing=True)
    for plate, origin in (("P1", "own"), ("P2", "partner")):
        source = tmp_path / "microscope" / plate
        source.mkdir(parents=True)
        for number in range(12):
            (source / f"B03_{number}.tif").write_bytes(f"{plate} {number}".encode() * 50)
        list(opened.add(opened.plan_add("raw", [source], origin=origin)))
        opened = open_project(root, writing=True)
    call(root, "dvc", "repro")
    call(root, "git", "add", "-A")
    call(root, "git", "commit", "-qm", "All")
    monkeypatch.delenv("IMGDATA_ZENODO_TOKEN", raising=False)
    return open_project(root, writing=True)


@pytest.mark.dvc
def test_from_plan_to_published_record(
    project: Project, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = Publishing(project.clone, "zenodo").plan(["raw", "bulk_profiles"])
    assert site.seen == []
    assert [(item.name) for item in planned.items] == ["raw_P1.zip", "P1.csv"]
    assert {(h.level, h.unit) for h in planned.held} == {("raw", "P2"), ("bulk_profiles", "P2")}
    assert planned.missing == ()
    assert planned.over == ()
    with pytest.raises(CredentialsError, match="no token for 'zenodo'"):
        Publishing(project.clone, "zenodo").deposit(planned)

    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", small_inveniordm.TOKEN)
    publishing = Publishing(project.clone, "zenodo")
    drafted = publishing.deposit(planned).deposit
    assert drafted.state is DepositState.DRAFT
    published = publishing.publish(["raw", "bulk_profiles"])
    assert published.doi == drafted.doi

    whole = _download(site, published.identifier, "raw_P1.zip")
    members = packing.read_manifest(lambda s, n: whole[s : s + n], len(whole))
    first = next(member for member in members if member.path.endswith("B03_0.tif"))
    assert packing.read_member(lambda s, n: whole[s : s + n], first) == b"P1 0" * 50

    crate = json.loads(_download(site, published.identifier, "ro-crate-metadata.json"))
    runs = [entity for entity in crate["@graph"] if entity["@type"] == "CreateAction"]
    assert [run["result"] for run in runs] == [[{"@id": "P1.csv"}]]
    _nothing_private(project, site, published.identifier)

    (known,) = Publishing(open_project(project.root).clone, "zenodo").deposits()
    assert known.state is DepositState.PUBLISHED
    assert {content[:2] for content in known.contents} == {("raw", "P1"), ("bulk_profiles", "P1")}
    ledger = open_project(project.root).clone.ledger
    (unit,) = [u for u in project.clone.units.by_level["raw"] if u.name == "P1"]
    assert ledger.copy(copy_key(unit, "zenodo")).evidence("0" * 32) is not None
    assert f"https://doi.org/{published.doi}" in (project.root / "README.md").read_text()
    assert f"doi: {published.doi}" in (project.root / "CITATION.cff").read_text()


def _download(site: SmallInvenio, identifier: str, name: str) -> bytes:
    authorised = {"Authorization": f"Bearer {small_inveniordm.TOKEN}"}
    url = f"{site.base}/api/records/{identifier}/files/{name}/content"
    return httpx.get(url, headers=authorised).raise_for_status().content


def _nothing_private(project: Project, site: SmallInvenio, identifier: str) -> None:
    record = site.records[identifier]
    texts = [json.dumps(record.body).encode(), *record.data.values()]
    with zipfile.ZipFile(io.BytesIO(record.data["workflow.zip"])) as recipe:
        assert {"dvc.yaml", "dvc.lock", "scripts/profile.py"} <= set(recipe.namelist())
        texts += [recipe.read(name) for name in recipe.namelist()]
    everything = b"\n".join(texts).decode("utf-8", "replace")
    for secret in (
        "P2",
        "partner",
        "archive",
        str(project.root),
        str(Path.home()),
        "ada@lab.example",
    ):
        assert secret not in everything, secret
    log = "".join(p.read_text() for p in (project.root / ".imgdata" / "log").rglob("*.jsonl"))
    assert small_inveniordm.TOKEN not in log + everything


@pytest.mark.dvc
@pytest.mark.slow
def test_the_same_by_the_command_line(
    project: Project, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def imgdata(*words: str) -> tuple[int, dict[str, Any], str]:
        done = call(project.root, "imgdata", "--json", "publish", *words, check=False)
        assert small_inveniordm.TOKEN not in done.stdout + done.stderr
        return done.returncode, document_of("publish", done.stdout), done.stderr

    status, told, _ = imgdata("bulk_profiles", "--to", "zenodo", "--dry-run")
    assert status == 0
    assert told["results"][0]["blocked"][0]["unit"] == "P2"
    assert imgdata("bulk_profiles", "--to", "zenodo")[0] == 4
    assert imgdata("bulk_profiles", "--to", "zenodo", "--publish")[0] == 1
    assert site.seen == []
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", small_inveniordm.TOKEN)
    (project.root.parent / "archive").mkdir()
    call(project.root, "imgdata", "storage", "apply", "--yes")
    call(project.root, "imgdata", "push")
    assert site.seen == []
    call(project.root, "imgdata", "push", "bulk_profiles")
    (draft,) = site.live
    assert "P1.csv" in draft.files
    status, told, said = imgdata("bulk_profiles")
    assert status == 0, said
    assert len(site.live) == 1
    doi = told["results"][1]["doi"]
    status, told, _ = imgdata("bulk_profiles", "--publish")
    assert (status, told["error"]["kind"]) == (5, "refused")
    assert not any(record.published for record in site.live)
    status, told, said = imgdata("bulk_profiles", "--publish", "--yes")
    assert status == 0, said
    assert told["results"][0]["doi"] == doi
    assert [one["state"] for one in imgdata("--list")[1]["results"]] == ["published"]
    assert imgdata("bulk_profiles")[0] == 5


@pytest.mark.dvc
def test_a_rule_that_is_not_committed_releases_nothing(project: Project) -> None:
    text = (project.root / "imgdata.yaml").read_text()
    loose = text.replace("may_leave: []", "may_leave: [bulk_profiles]")
    (project.root / "imgdata.yaml").write_text(loose)
    before = Publishing(open_project(project.root).clone, "zenodo").plan(["bulk_profiles"])
    assert [held.unit for held in before.held] == ["P2"]
    call(project.root, "git", "commit", "-qam", "The agreement lets profiles go")
    after = Publishing(open_project(project.root).clone, "zenodo").plan(["bulk_profiles"])
    assert after.held == ()


@pytest.mark.dvc
def test_a_level_that_is_wholly_restricted_is_refused(
    project: Project, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", small_inveniordm.TOKEN)
    text = (project.root / "imgdata.yaml").read_text()
    (project.root / "imgdata.yaml").write_text(
        text.replace("own: {kind: own", "own: {kind: industry-collaborator")
    )
    publishing = Publishing(open_project(project.root).clone, "zenodo")
    plan = publishing.plan(["bulk_profiles"], DepositOptions(version="v1"))
    with pytest.raises(RefusedError, match="nothing may leave"):
        publishing.deposit(plan)
    assert site.seen == []
    assert imgdata.__version__


@pytest.mark.dvc
def test_a_package_for_the_bioimage_archive_asks_first_and_then_is_valid(project: Project) -> None:
    path = project.root / "imgdata.yaml"
    text = path.read_text().replace("repositories: {", 'repositories: {bia: {url: "bia:"}, ')
    title = "title: NF1 Schwann cells, a Cell Painting pilot"
    path.write_text(text.replace("title: NF1 pilot", title))
    publishing = Publishing(open_project(project.root).clone, "bia")
    with pytest.raises(UsageError, match="answers are missing") as caught:
        publishing.package(publishing.plan(["raw"]), None)
    assert "biosample.organism" in caught.value.cause
    answers = "".join(f'{name}: "yes"\n' for name, _, where in REQUIRED if "rembi" in where)
    (project.root / "metadata" / "rembi.yaml").write_text(answers)
    written = publishing.package(publishing.plan(["raw"]), project.root / "package")
    today = project.clone.clock.now().date()
    assert validate_package(written[0].parent, today, project.root) == ()
    assert "P2" not in written[0].read_text()
