# ruff: noqa: E501 - imgdata.yaml reads best with a level a line
"""Members, rows, versions, differences, downstream, trust and public answers."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.errors import NothingFoundError, UsageError
from imgdata.lineage.json_form import answer_json
from tests.unit.lineage.repository_builder import (
    Repository,
    entry,
    lock,
    md5,
    record,
    run_message,
    stage,
)

CONFIG = """\
version: 1
id: 00000000000040008000000000000000
title: Test
license: CC-BY-4.0
origins:
  ours: {kind: own, license: CC-BY-4.0, access: open}
  theirs: {kind: industry-collaborator, access: restricted, may_leave: [bulk]}
storages:
  archive: {url: ../archive}
levels:
  raw: {path: data/raw, unit: plate, origin: ours, key: "{plate}/{well}_{site}_{channel}.tif", storage: [archive]}
  corrected: {path: data/corrected, unit: plate, key: "{plate}/{well}_{site}_{channel}.tif", from: [{level: raw, by: [plate, well, site, channel]}], storage: [archive]}
  masks: {path: data/masks, unit: plate, key: "{plate}/{well}_{site}.tif", ignore: ["**/lineage.csv"], from: [{level: corrected, by: [plate, well, site]}], storage: [archive]}
  loose: {path: data/loose, unit: plate, key: "{plate}/{well}_{site}.tif", storage: [archive]}
  cells: {path: data/cells, unit: plate, key: "{plate}.csv", from: [{level: corrected, by: [plate]}, {level: masks, by: [plate]}], storage: [archive]}
  bulk: {path: data/bulk, unit: plate, key: "{plate}.csv", from: [{level: cells, by: [plate]}], storage: [archive]}
"""


class Project(Repository):
    """A plate through all levels, with its folder lists in the cache."""

    def keep(self, data: bytes) -> str:
        digest = md5(data)
        path = self.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return digest

    def folder(self, path: str, files: dict[str, str]) -> str:
        entries = []
        for name, text in files.items():
            self.write({f"{path}/{name}": text})
            entries.append(FolderEntry(self.keep(text.encode()), name))
        data, name = write_folder(entries)
        place = self.root / ".dvc/cache/files/md5" / name[:2] / name[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return name

    def table(self, path: str, rows: list[dict[str, Any]]) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        self.write({path: text.getvalue()})
        return self.keep(text.getvalue().encode())


CHANNELS = ("DNA", "Mito")
FIELDS = (("B02", "1"), ("B02", "2"), ("B03", "1"))


def build(root: Path, *, origin: str = "ours") -> Project:
    project = Project(root)
    images = [f"{well}_{site}_{channel}.tif" for well, site in FIELDS for channel in CHANNELS]
    raw = project.folder("data/raw/P1", {name: f"raw {name}" for name in images})
    corrected = project.folder("data/corrected/P1", {name: f"even {name}" for name in images})
    mapped = "output,input\n" + "".join(
        f"{well}_{site}.tif,data/corrected/P1/{well}_{site}_DNA.tif\n" for well, site in FIELDS
    )
    fields = {f"{well}_{site}.tif": f"mask {well} {site}" for well, site in FIELDS}
    masks = project.folder("data/masks/P1", {**fields, "lineage.csv": mapped})
    loose = project.folder("data/loose/P1", fields)
    cells = project.table(
        "data/cells/P1.csv",
        [
            {
                "Metadata_Plate": "P1", "Metadata_Well": well, "Metadata_Site": site,
                "Metadata_ObjectNumber": number, "Nuclei_Area": 3,
                **{f"Image_FileName_{one}": f"{well}_{site}_{one}.tif" for one in CHANNELS},
                **{f"Image_PathName_{one}": "data/corrected/P1" for one in CHANNELS},
                "Image_ObjectsFileName_Nuclei": f"{well}_{site}.tif",
                "Image_ObjectsPathName_Nuclei": "data/masks/P1",
            }
            for well, site in FIELDS for number in (1, 2)
        ],
    )  # fmt: skip
    bulk = project.table(
        "data/bulk/P1.csv",
        [{"Metadata_Plate": "P1", "Metadata_Well": well, "Area": 3} for well in ("B02", "B03")],
    )
    plate = {"data/corrected/P1": corrected, "data/masks/P1": masks}
    meta = {"imgdata": {"origin": origin, "added": "2026-01-01T00:00:00Z"}}
    project.save(
        {
            "imgdata.yaml": CONFIG,
            ".gitignore": "/data/*/P1*\n!/data/*/*.dvc\n/.dvc/cache\n",
            "data/raw/P1.dvc": {"outs": [record("P1", raw, nfiles=6, meta=meta)]},
            "dvc.yaml": {
                "stages": {
                    "correct": stage("correct", ["data/raw/P1"], ["data/corrected/P1"]),
                    "segment": stage("segment", ["data/corrected/P1"], ["data/masks/P1"]),
                    "loosen": stage("loosen", ["data/corrected/P1"], ["data/loose/P1"]),
                    "measure": stage("measure", list(plate), ["data/cells/P1.csv"]),
                    "bulk": stage("bulk", ["data/cells/P1.csv"], ["data/bulk/P1.csv"], frozen=True),
                }
            },
            "dvc.lock": lock(
                correct=entry("correct", {"data/raw/P1": raw}, {"data/corrected/P1": corrected},
                              params={"params.yaml": {"grid": 24}}),
                segment=entry("segment", {"data/corrected/P1": corrected}, {"data/masks/P1": masks}),
                loosen=entry("loosen", {"data/corrected/P1": corrected}, {"data/loose/P1": loose}),
                measure=entry("measure", plate, {"data/cells/P1.csv": cells}),
                bulk=entry("bulk", {"data/cells/P1.csv": cells}, {"data/bulk/P1.csv": bulk}),
            ),
        }
    )  # fmt: skip
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return build(tmp_path / "project")


def members(answer: Any, level: str) -> dict[str, str]:
    return {one.path.rsplit("/", 1)[-1]: one.how for one in answer.members if one.level == level}


def test_a_map_the_stage_wrote_wins_over_the_join(project: Project) -> None:
    answer = project.ask("data/masks/P1/B02_1.tif")
    assert (answer.level, answer.unit, answer.member) == ("masks", "P1", "B02_1.tif")
    assert members(answer, "corrected") == {"B02_1_DNA.tif": "map"}
    assert members(answer, "raw") == {"B02_1_DNA.tif": "join"}
    raw = next(one for one in answer.members if one.level == "raw")
    assert raw.hash == md5("raw B02_1_DNA.tif")
    assert raw.producer == "data/raw/P1.dvc"


def test_a_stated_join_leads_from_image_to_image(project: Project) -> None:
    answer = project.ask("data/corrected/P1/B03_1_Mito.tif")
    assert members(answer, "raw") == {"B03_1_Mito.tif": "join"}
    assert answer.status == "recorded"


def test_without_map_or_join_names_are_said_to_be_no_record(project: Project) -> None:
    answer = project.ask("data/loose/P1/B02_2.tif")
    assert members(answer, "corrected") == {
        "B02_2_DNA.tif": "by key, not recorded", "B02_2_Mito.tif": "by key, not recorded",
    }  # fmt: skip


def test_a_row_leads_to_its_mask_label_and_its_raw_channels(project: Project) -> None:
    answer = project.ask("data/cells/P1.csv", row=3)
    assert answer.row is not None
    assert answer.row.fields == {"plate": "P1", "well": "B02", "site": "2", "object": "2"}
    assert members(answer, "corrected") == {"B02_2_DNA.tif": "map", "B02_2_Mito.tif": "map"}
    mask = next(one for one in answer.members if one.level == "masks")
    assert (mask.path, mask.label, mask.how) == ("data/masks/P1/B02_2.tif", "2", "map")
    assert members(answer, "raw") == {"B02_2_DNA.tif": "join", "B02_2_Mito.tif": "join"}


def test_one_bulk_value_leads_to_its_raw_files_and_back(project: Project) -> None:
    answer = project.ask("data/bulk/P1.csv", row=1)
    assert members(answer, "cells") == {"P1.csv": "join"}
    assert members(answer, "raw") == {"B03_1_DNA.tif": "join", "B03_1_Mito.tif": "join"}
    down = project.ask("data/raw/P1/B03_1_DNA.tif", down=True).down
    assert down is not None
    paths = {one.path: one for one in down}
    assert set(paths) == {
        "data/corrected/P1/B03_1_DNA.tif", "data/masks/P1/B03_1.tif", "data/loose/P1/B03_1.tif",
        "data/cells/P1.csv", "data/bulk/P1.csv",
    }  # fmt: skip
    assert paths["data/cells/P1.csv"].stale
    assert not paths["data/bulk/P1.csv"].stale


@pytest.mark.parametrize(("row", "error"), [(99, NothingFoundError), (-1, NothingFoundError)])
def test_a_row_that_does_not_exist_is_a_sentence(
    project: Project, row: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        project.ask("data/cells/P1.csv", row=row)


def test_a_row_of_an_image_is_refused(project: Project) -> None:
    with pytest.raises(UsageError):
        project.ask("data/masks/P1/B02_1.tif", row=0)


def test_a_list_that_is_not_here_is_a_gap(project: Project) -> None:
    for path in (project.root / ".dvc/cache").rglob("*.dir"):
        path.unlink()
    answer = project.ask("data/masks/P1/B02_1.tif")
    assert answer.members == ()
    assert any("imgdata pull" in gap for gap in answer.gaps)


def test_a_damaged_list_is_not_believed(project: Project) -> None:
    for path in (project.root / ".dvc/cache").rglob("*.dir"):
        path.write_bytes(path.read_bytes()[:-20])
    assert project.ask("data/masks/P1/B02_1.tif").members == ()


def test_changed_and_missing_bytes_are_said(project: Project) -> None:
    project.write({"data/masks/P1/B02_1.tif": "edited", "data/bulk/P1.csv": None})
    assert project.ask("data/masks/P1/B02_1.tif").status == "modified"
    assert project.ask("data/masks/P1").status == "modified"
    assert project.ask("data/masks/P1/B02_2.tif").status == "recorded"
    assert project.ask("data/bulk/P1.csv").status == "missing"


def test_verify_hashes_what_is_here(project: Project) -> None:
    answer = project.ask("data/bulk/P1.csv", verify=True)
    assert {edge.trust for edge in answer.edges} == {"re-verified"}
    for name in ("data/raw/P1/B02_1_DNA.tif",):
        project.write({name: "changed"})
    digest = md5("raw B02_1_DNA.tif")
    (project.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).write_text("damaged")
    answer = project.ask("data/bulk/P1.csv", verify=True)
    trust = {edge.dep: edge.trust for edge in answer.edges}
    assert trust["data/raw/P1"] == "recorded"
    assert trust["data/cells/P1.csv"] == "re-verified"
    assert any("data/raw/P1 is here with other content" in gap for gap in answer.gaps)


def test_a_lock_edited_by_hand_is_flagged(project: Project) -> None:
    text = (project.root / "dvc.lock").read_text()
    answer = project.ask("data/bulk/P1.csv")
    assert answer.out is not None
    project.save({"dvc.lock": text.replace(str(answer.out.md5), "f" * 32)}, "Improve the result")
    found = project.ask("data/bulk/P1.csv", verify=True)
    flags = found.nodes[0].flags
    assert flags.get("unmatched") is True
    assert flags.get("edited") is True
    assert any("edited by hand" in gap or "edit by hand" in gap for gap in found.gaps)


def test_differences_are_told_stage_by_stage(project: Project) -> None:
    text = (project.root / "dvc.lock").read_text()
    project.save(
        {"dvc.lock": text.replace("grid: 24", "grid: 30").replace("cmd: bulk", "cmd: bulk2")}
    )
    answer = project.ask("data/bulk/P1.csv", diff="HEAD~1")
    assert answer.diff is not None
    assert "dvc.lock::correct: grid 24 -> 30 (params.yaml)" in answer.diff
    assert any("the command changed from bulk to bulk2" in line for line in answer.diff)
    assert project.ask("data/bulk/P1.csv", diff="HEAD").diff == ()


def test_every_version_is_listed_with_what_changed(project: Project) -> None:
    text = (project.root / "dvc.lock").read_text()
    old = project.ask("data/bulk/P1.csv").out
    assert old is not None
    new = text.replace(str(old.md5), "e" * 32).replace("grid: 24", "grid: 30")
    second = project.save({"dvc.lock": new}, "Second")
    versions = project.ask("data/bulk/P1.csv", history=True).history
    assert versions is not None
    assert [one.hash for one in versions] == ["e" * 32, old.md5]
    assert versions[0].commit.id == second
    assert versions[0].commit.author == "Ada Lovelace"


def test_public_answers_name_nobody_and_nothing_restricted(tmp_path: Path) -> None:
    project = build(tmp_path / "restricted", origin="theirs")
    answer = project.ask("data/bulk/P1.csv", row=1, public=True, history=True)
    text = json.dumps(answer_json(answer))
    for secret in (
        "Ada Lovelace",
        "ada@lab.example",
        str(project.root),
        "B03_1_DNA",
        "data/raw/P1",
    ):
        assert secret not in text
    assert any("restricted" in gap for gap in answer.gaps)


def test_public_answers_hide_what_a_datalad_run_made_of_restricted_data(tmp_path: Path) -> None:
    project = build(tmp_path / "restricted", origin="theirs")
    project.save({"figures/growth.svg": "<svg/>"}, run_message(inputs=["data/corrected/P1"]))
    project.save({"figures/panel.svg": "<svg />"}, run_message(inputs=["figures/growth.svg"]))
    answer = project.ask("figures/panel.svg", public=True)
    assert "figures/growth.svg" not in json.dumps(answer_json(answer))


def test_commands_of_public_answers_name_no_restricted_file(tmp_path: Path) -> None:
    project = build(tmp_path / "restricted", origin="theirs")
    text = (project.root / "dvc.lock").read_text()
    cmd = "python bulk.py --in=data/cells/P1.csv 'data/raw/P1/B03_1_DNA.tif'>x"
    document = yaml.safe_load(text)
    bulk = next(name for name in document["stages"] if name.startswith("bulk"))
    document["stages"][bulk]["cmd"] = cmd
    project.save({"dvc.lock": document})
    answer = project.ask("data/bulk/P1.csv", public=True)
    assert answer.nodes[0].cmd == "python bulk.py --in=(restricted) '(restricted)'>x"


def test_a_rule_that_only_the_working_tree_has_shows_nothing(tmp_path: Path) -> None:
    project = build(tmp_path / "restricted", origin="theirs")
    settings = (project.root / "imgdata.yaml").read_text()
    project.write({"imgdata.yaml": settings.replace("access: restricted", "access: open")})
    answer = project.ask("data/bulk/P1.csv", row=1, public=True)
    assert "data/raw/P1" not in json.dumps(answer_json(answer))


def test_a_rule_that_only_another_branch_has_shows_nothing(tmp_path: Path) -> None:
    project = build(tmp_path / "restricted", origin="theirs")
    project.git("checkout", "-q", "-b", "open-everything")
    settings = (project.root / "imgdata.yaml").read_text()
    opened = settings.replace("access: restricted", "access: open")
    project.save({"imgdata.yaml": opened}, "Open")
    answer = project.ask("data/bulk/P1.csv", row=1, public=True)
    assert "data/raw/P1" not in json.dumps(answer_json(answer))
    project.git("branch", "-qf", "main", "open-everything")
    assert "data/raw/P1" in json.dumps(answer_json(project.ask("data/bulk/P1.csv", public=True)))


def test_public_answers_of_open_data_keep_the_data(project: Project) -> None:
    answer = project.ask("data/bulk/P1.csv", row=1, public=True)
    assert members(answer, "raw")
    assert "Ada" not in json.dumps(answer_json(answer))
