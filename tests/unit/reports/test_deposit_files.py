"""The metadata files of a deposit are valid by their standards, and tell nothing private."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml
from datacite import schema45
from msgspec.structs import replace

from imgdata.model.deposits import Deposit, DepositState, HeldBack
from imgdata.model.makings import Making, WorkflowFile
from imgdata.reports.datacite import datacite
from imgdata.reports.deposit_files import Documented, citation, documents
from imgdata.reports.redaction import Redaction
from imgdata.testing.depository import MANY, METADATA, PLATES, level_files, plan_of
from imgdata.transfer.content import prepare
from tests.unit.reports.cff_schema import CFF

DOI = "10.5072/zenodo.1"
OPENED = Deposit("1", "0", DOI, "https://zenodo.example/1", DepositState.DRAFT)
MAKING = Making(
    "masks",
    "P1",
    "segment@P1",
    "python scripts/segment.py P1",
    (("data/raw/P1", "0" * 32), ("scripts/segment.py", "1" * 32)),
    "2" * 32,
    "2026-11-20T10:00:00Z",
    "2026-11-20T10:05:00Z",
)
PRIVATE = b"""# mail ada@lab.example
version: 1
title: T
storages: {secretshare: {url: "ssh://cluster.lab.example/scratch"}}
levels: {raw: {path: data/raw, origin: secretpharma, storage: [secretshare], key: "{plate}.tif"}}
origins:
  x: {kind: own, note: "call Bob", source: "ssh://bob/data"}
  secretpharma: {kind: industry-collaborator, access: restricted}
"""
SCRIPT = (
    b"DATA = '/home/ada/plates'  # on ada@node17.lab.example:/scratch, s3://lab/secret, PLATE9\n"
)


@pytest.fixture
def made(tmp_path: Path) -> dict[str, bytes]:
    plan = plan_of(level_files(tmp_path / "data", {**PLATES, **MANY}))
    held = HeldBack("masks", "PLATE9", 3, "restricted until 2027")
    told = Documented(
        plan=replace(plan, held=(held,)),
        makings=(MAKING, replace(MAKING, unit="PLATE9", stage="segment@PLATE9")),
        workflow=(
            WorkflowFile("imgdata.yaml", PRIVATE),
            WorkflowFile("scripts/segment.py", SCRIPT),
            WorkflowFile("dvc.lock", b"stages:\n  segment@PLATE9:\n    cmd: x PLATE9\n"),
        ),
        commit="0dde18a",
        restricted_units=frozenset({"PLATE9"}),
        origins=frozenset({"x"}),
    )
    prepared = prepare(plan.items)
    return {content.name: content.data for content in documents(told)(OPENED, prepared)}


def test_nothing_private_is_in_any_of_them(made: dict[str, bytes]) -> None:
    texts = dict(made)
    with zipfile.ZipFile(io.BytesIO(made["workflow.zip"])) as recipe:
        texts |= {name: recipe.read(name) for name in recipe.namelist()}
    everything = b"\n".join(texts.values()).decode("utf-8", "replace")
    for secret in (
        *("ada@", "lab.example", "/home/ada", "s3://", "ssh://", "PLATE9", "secretshare"),
        *("call Bob", "secretpharma", "node17", str(Path.home())),
    ):
        assert secret not in everything, secret
    assert "one file" not in everything
    assert "1 unit is left out" in texts["README.md"].decode()
    assert yaml.safe_load(texts["dvc.lock"])["stages"].keys() == {"segment@restricted-1"}


def test_the_manifest_finds_every_file_and_member(made: dict[str, bytes]) -> None:
    rows = list(csv.DictReader(io.StringIO(made["manifest.csv"].decode())))
    members = [row for row in rows if row["path"]]
    assert {row["path"] for row in members} == {f"data/{path}" for path in {**PLATES, **MANY}}
    assert {row["file"] for row in rows} >= {"masks_P1.zip", "c.csv", "README.md", "workflow.zip"}
    assert all(len(row["sha256"]) == 64 and len(row["md5"]) == 32 for row in rows)


def test_no_entity_of_the_crate_is_told_twice(made: dict[str, bytes]) -> None:
    crate = json.loads(made["ro-crate-metadata.json"])
    identifiers = [entity["@id"] for entity in crate["@graph"]]
    assert len(identifiers) == len(set(identifiers))
    (run,) = [entity for entity in crate["@graph"] if entity["@type"] == "CreateAction"]
    assert run["result"] == [{"@id": "masks_P1.zip"}]
    assert run["endTime"] == "2026-11-20T10:05:00Z"


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["ro-crate-1.1", "process-run-crate-0.5"])
def test_the_crate_is_valid(made: dict[str, bytes], tmp_path: Path, profile: str) -> None:
    folder = tmp_path / "crate"
    folder.mkdir()
    for name, data in made.items():
        (folder / name).write_bytes(data)
    for name in ("masks_P1.zip", "c.csv"):
        (folder / name).write_bytes(b"")
    validator = Path(__file__).parent / "validate_crate.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", validator, folder, profile],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr[-2000:]


def test_the_citation_has_what_the_format_demands(made: dict[str, bytes]) -> None:
    found = yaml.safe_load(made["CITATION.cff"])
    assert found["cff-version"] == "1.2.0"
    assert found["doi"] == DOI
    assert found["authors"][0]["orcid"] == "https://orcid.org/0000-0002-1825-0097"
    assert found["authors"][1] == {"name": "The Imaging Core"}
    assert isinstance(found["date-released"], str) or found["date-released"]


def test_the_citation_is_valid_cff(made: dict[str, bytes]) -> None:
    found = yaml.safe_load(made["CITATION.cff"])
    jsonschema.validate(found, CFF)
    mistakes: tuple[dict[str, object], ...] = (
        {"authors": []},
        {"doi": "https://doi.org/10.1/x"},
        {"licence": "CC0-1.0"},
    )
    for wrong in mistakes:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**found, **wrong}, CFF)
    twice = replace(METADATA, keywords=("NF1", "cells", "NF1"))
    jsonschema.validate(yaml.safe_load(citation(twice, DOI)), CFF)


def test_the_repositorys_own_citation_is_valid_cff() -> None:
    text = (Path(__file__).parents[3] / "CITATION.cff").read_text("utf-8")
    jsonschema.validate(yaml.safe_load(text), CFF)


def test_croissant_is_valid_and_lists_every_file(made: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "croissant.json"
    path.write_bytes(made["croissant.json"])
    files = json.loads(path.read_text())["distribution"]
    assert {one["name"] for one in files} == {"masks_P1.zip", "c.csv", *made} - {
        "croissant.json",
        "ro-crate-metadata.json",
    }
    good = f"files: {len(files)}\n"
    del files[0]["sha256"], files[0]["md5"]
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({**json.loads(path.read_text()), "distribution": files}))
    validator = Path(__file__).parent / "validate_croissant.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", validator, path, broken],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(good)
    assert "sha256" in done.stdout.removeprefix(good)


def test_the_description_is_valid_datacite() -> None:
    schema45.validator.validate(datacite(METADATA, DOI))


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("mail ada.lovelace+x@lab.uni.example now", "ada"),
        ("scp x ada@node7:/scratch/x", "node7"),
        ("open('C:\\Users\\ada\\x')", "ada"),
        ("/Users/ada/plates", "ada"),
        ("https://user:pw@host.example/x", "pw"),
        ("http://192.168.1.7:9000/bucket", "192"),
        ("drive:RED-07/nf1", "RED-07"),
    ],
)
def test_redaction(text: str, gone: str) -> None:
    assert gone not in Redaction().text(text)


def test_redaction_leaves_plain_text_alone() -> None:
    text = "python scripts/run.py --radius=5 data/raw/P1 https://doi.org/10.5281/zenodo.1"
    assert Redaction(["P"]).text(text) == text
