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


def said(project: SmallProject, *words: str) -> tuple[int, str]:
    done = project.imgdata("publish", *words, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.dvc
def test_what_a_draft_is_made_of_is_not_asked_for_when_it_is_published(
    project: SmallProject, site: SmallInvenio
) -> None:
    assert said(project, *LEVELS)[0] == 0
    for words in (["--embargo", "2099-01-01"], ["--restricted"], ["--select", "plate=P1"]):
        status, told = said(project, *LEVELS, *words, "--publish", "--yes")
        assert (status, words[0] in told) == (2, True), told
    status, told = said(project, *LEVELS, "--community", "imaging")
    assert (status, "--community goes with --publish" in told) == (2, True), told
    assert not any(record.published for record in site.live)
    assert said(project, *LEVELS, "--publish", "--yes")[0] == 0
    status, told = said(project, *LEVELS, "--publish")
    assert (status, "becomes public" in told) == (0, False), told


@pytest.mark.dvc
def test_a_selection_that_fits_nothing_names_what_there_is(project: SmallProject) -> None:
    status, told = said(project, *LEVELS, "--select", "plate=P7", "--dry-run")
    assert (status, "nothing matches --select plate=P7" in told, "P1" in told) == (2, True, True)


@pytest.mark.dvc
def test_a_community_that_is_not_there_is_named(project: SmallProject) -> None:
    said(project, "raw")
    status, told = said(project, "raw", "--publish", "--community", "no-such", "--yes")
    assert (status, "community 'no-such'" in told) == (2, True), told


@pytest.mark.dvc
def test_where_nothing_may_leave_no_limit_is_blamed(project: SmallProject) -> None:
    settings = project.root / "imgdata.yaml"
    settings.write_text(settings.read_text().replace("access: open", "access: restricted", 1))
    project.commit("Restrict")
    status, told = said(project, "raw")
    assert status == 5, told
    assert "limits: EXCEEDED" not in told
    assert "does not fit" not in told
    assert "nothing may leave" in told


@pytest.mark.dvc
def test_a_recipe_that_no_commit_has_says_so(project: SmallProject, site: SmallInvenio) -> None:
    pipeline = project.root / "dvc.yaml"
    said(project, "sums")
    assert b"not committed" not in site.live[0].data["README.md"]
    pipeline.write_text(f"{pipeline.read_text()}# another thought\n")
    status, told = said(project, "sums")
    assert (status, "recipe: dvc.yaml is not committed as it is" in told) == (0, True), told
    assert b"not committed" in site.live[0].data["README.md"]


@pytest.mark.dvc
def test_a_dry_run_throws_no_draft_away(project: SmallProject, site: SmallInvenio) -> None:
    said(project, "raw")
    (draft,) = site.live
    assert said(project, "--discard", draft.identifier, "--dry-run", "--yes")[0] == 0
    assert said(project, "--discard", draft.identifier)[0] == 5
    assert site.live == [draft]
    assert said(project, "--discard", draft.identifier, "--yes")[0] == 0
    assert site.live == []


@pytest.mark.dvc
def test_whereis_names_the_deposits_that_hold_the_level(project: SmallProject) -> None:
    for level in LEVELS:
        assert said(project, level)[0] == 0
        assert said(project, level, "--publish", "--yes")[0] == 0
    project.commit("Publish")
    for level, mine, other in (("raw", "00000", "00001"), ("sums", "00001", "00000")):
        told = project.imgdata("whereis", level).stdout
        assert (f"10.5072/{mine}" in told, f"10.5072/{other}" in told) == (True, False), told


@pytest.mark.dvc
def test_a_colleague_sees_the_deposits_and_loses_none(
    project: SmallProject, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(project, "raw")
    (draft,) = site.live
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", "a-colleagues-token")
    for words in (["--list"], ["raw"], ["raw", "--publish", "--yes"]):
        status, told = said(project, *words)
        assert (status, "a-colleagues-token" in told) == (0 if words == ["--list"] else 4, False)
    told = said(project, "--list")[1]
    assert draft.identifier in told
    assert "as remembered" in told
    assert site.live == [draft]


@pytest.mark.dvc
def test_a_plan_names_files_as_they_travel_and_who_asks_for_answers(project: SmallProject) -> None:
    settings = project.root / "imgdata.yaml"
    more = 'repositories:\n  bia: {url: "bia:"}\n  figshare: {url: "figshare:"}\n'
    settings.write_text(settings.read_text().replace("repositories:\n", more))
    project.commit("Two repositories more")
    told = said(project, "raw", "--to", "bia", "--dry-run")[1]
    assert "data/raw/P1/B02_1_DNA.ome.tif" in told
    assert "imgdata describe" in told
    told = said(project, "raw", "--to", "figshare", "--dry-run")[1]
    assert "-> metadata/figshare.yaml" in told
    assert "imgdata describe" not in told
