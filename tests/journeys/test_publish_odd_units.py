"""What a lab really has: a unit that came out empty, names from elsewhere, plates in a list."""

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgdata.api import open_project
from imgdata.repositories import Publishing
from imgdata.testing import small_inveniordm
from imgdata.testing.small_inveniordm import SmallInvenio
from imgdata.testing.small_project import SmallProject, make_small_project, write_random_plate

LEVELS = ["raw", "sums"]
ADDED = """\
description: Two plates, one of them without a cell.
"""


@pytest.fixture
def site() -> Iterator[SmallInvenio]:
    with small_inveniordm.serve() as served:
        yield served


@pytest.fixture
def project(tmp_path: Path, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    """Plates P1 and Ü [2]; the level `sums` of the second is an empty folder."""
    made = make_small_project(tmp_path / "lab")
    settings = made.root / "imgdata.yaml"
    repository = f'repositories:\n  zenodo: {{url: "invenio:{site.base}"}}\n'
    settings.write_text(f"{settings.read_text()}{ADDED}{repository}")
    pipeline = made.root / "dvc.yaml"
    line = '(cd "data/raw/${item}" && md5sum *) > "data/sums/${item}/sums.txt"'
    assert line in pipeline.read_text()
    filled = f'([ "${{item}}" != P1 ] || {line})'
    pipeline.write_text(pipeline.read_text().replace(line, filled))
    for name in ("P1", "Ü [2]"):
        write_random_plate(tmp_path / "microscope" / name, seed=len(name))
        made.imgdata("add", "raw", tmp_path / "microscope" / name)
    (made.root / "plates.yaml").write_text('plates: [P1, "Ü [2]"]\n')
    made.commit("Settings")
    made.imgdata("run")
    made.commit("All")
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", small_inveniordm.TOKEN)
    return made


def publish(project: SmallProject) -> None:
    publishing = Publishing(open_project(project.root, writing=True).clone, "zenodo")
    publishing.deposit(publishing.plan(LEVELS))
    publishing.publish(LEVELS)
    project.commit("Publish")


@pytest.mark.dvc
def test_an_empty_unit_comes_back_from_the_deposit(project: SmallProject, tmp_path: Path) -> None:
    publish(project)
    fresh = project.clone(tmp_path / "reader")
    shutil.rmtree(project.archive, ignore_errors=True)
    fresh.imgdata("pull", *LEVELS)
    assert (fresh.root / "data" / "sums" / "P1" / "sums.txt").is_file()
    assert list((fresh.root / "data" / "sums" / "Ü [2]").iterdir()) == []
    told = json.loads(fresh.imgdata("--json", "status", "sums").stdout)["results"]
    counted = [
        (u["unit"], c["counts"]) for u in told for c in u["copies"] if c["storage"] == "zenodo"
    ]
    assert counted == [("P1", True), ("Ü [2]", True)]
    (line,) = [
        one for one in fresh.imgdata("whereis", "sums").stdout.splitlines() if "zenodo" in one
    ]
    assert "server checksum" in line


@pytest.mark.dvc
def test_a_run_that_made_nothing_claims_no_file(project: SmallProject, site: SmallInvenio) -> None:
    publish(project)
    (record,) = site.live
    crate = json.loads(record.data["ro-crate-metadata.json"])
    runs = {one["name"]: one for one in crate["@graph"] if one["@type"] == "CreateAction"}
    assert [one["@id"] for one in runs["stage sum@P1 made sums P1"]["result"]] == ["sums.txt"]
    assert "result" not in runs["stage sum@Ü [2] made sums Ü [2]"]


@pytest.mark.dvc
def test_the_recipe_has_the_files_its_variables_come_from(
    project: SmallProject, site: SmallInvenio
) -> None:
    publish(project)
    (record,) = site.live
    with zipfile.ZipFile(io.BytesIO(record.data["workflow.zip"])) as recipe:
        assert {"dvc.yaml", "dvc.lock", "plates.yaml"} <= set(recipe.namelist())
