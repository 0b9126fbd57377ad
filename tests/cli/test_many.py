"""Many files, many plates: what is the same for all of them is found out once.

Bounds of time are far from what is needed, and far from what looking up for each file takes.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from imgdata.api import open_project
from imgdata.levels.changes import Comparison
from imgdata.model.decisions import Excluded
from imgdata.project.exclusion_lists import list_path, write_list
from imgdata.testing.lab import Lab
from imgdata.transfer.move import Item
from imgdata.workflows.drop_sorting import WorkspaceFiles
from imgdata.workflows.exclude import ExcludePlan, UnitDecision
from imgdata.workflows.history import Version

PLATES = ("P2", "P3", "P4", "P5")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail where something takes far longer than it should."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def gits(lab: Lab, *words: str) -> tuple[str, list[str]]:
    """Run imgdata; return what it printed, and the git commands that it called."""
    trace = lab.base / "trace"
    trace.unlink(missing_ok=True)
    watched = replace(lab, variables={**lab.variables, "GIT_TRACE": str(trace)})
    out = watched.imgdata(*words).out
    lines = trace.read_text().splitlines()
    return out, [line.partition("built-in: ")[2] for line in lines if "built-in: " in line]


def test_a_plate_with_many_missing_and_edited_files_is_planned_file_by_file_once() -> None:
    names = [f"B02_{site}_DNA.tif" for site in range(50_000)]
    version = Version("data/raw/P1", "raw", "P1", f"{'a' * 32}.dir", 0, len(names))
    gone = Comparison(0, tuple(names[::2]), tuple(names[1::2]), (), 0)
    here = WorkspaceFiles(version, {}, gone, frozenset(names[::4]))
    with within(20):
        for name in names:
            item = Item("b" * 32, (f"data/raw/P1/{name}",))
            assert here.files(item) == {}
            assert here.edited.issuperset(item.names) or not here.of_others.issuperset(item.names)


def test_many_exclusions_are_taken_back_at_once(lab: Lab) -> None:
    project = open_project(lab.project, writing=True)
    path = list_path("raw", "P1")
    names = tuple(f"B02_{site}_DNA.tif" for site in range(20_000))
    write_list(lab.project, path, [Excluded("raw", "P1", name, "blurred") for name in names])
    unit = UnitDecision("raw", "P1", "", path, names[1:], 0, 0, ())
    with within(20):
        project.exclude(ExcludePlan(undo=True, reason="", units=(unit,)))
    assert [one.file for one in project.excluded(["raw"])] == [names[0]]


def test_a_folder_of_many_edited_files_is_noted(lab: Lab) -> None:
    source = lab.microscope / "P2"
    source.mkdir()
    for site in range(2500):
        (source / f"B02_{site}_DNA.tif").write_text(f"{site}")
    lab.ok("add", "raw", source)
    for path in lab.file("data/raw/P2").iterdir():
        path.unlink()
        path.write_text(f"{path.name} sharpened")
    project = open_project(lab.project)
    with within(8):
        plan = project.plan_note(["data/raw/P2"], "sharpened")
    assert len(plan.files) == 2500
    assert all(one.is_hand_edit for one in plan.files)


@pytest.fixture
def switched(lab: Lab) -> Lab:
    """Plates here as another branch has them than the one that is checked out."""
    lab.git("branch", "other")
    lab.ok("add", "raw", *(lab.plate(name) for name in PLATES))
    lab.commit("As they were")
    lab.git("switch", "--quiet", "other")
    shutil.rmtree(lab.microscope)
    for name in PLATES:
        shutil.rmtree(lab.file(f"data/raw/{name}"))
    lab.ok("add", "raw", *(lab.plate(name, ("C02", "C03")) for name in PLATES))
    lab.commit("Another acquisition")
    lab.git("switch", "--quiet", "main")
    return lab


@pytest.mark.parametrize("command", ["status", "pull"])
def test_history_is_read_once_for_all_plates_of_another_version(
    switched: Lab, command: str
) -> None:
    _, calls = gits(switched, command, "raw")
    assert sum(call.startswith("git log") for call in calls) <= 2, calls


def test_a_storage_that_is_named_no_more_is_looked_for_once(lab: Lab) -> None:
    lab.ok("add", "raw", *(lab.plate(name) for name in PLATES))
    lab.ok("push", "raw")
    config = lab.file("imgdata.yaml")
    config.write_text(config.read_text("utf-8").replace("archive", "renamed"), "utf-8")
    lab.commit("Another name")
    out, calls = gits(lab, "audit")
    assert "renamed: never stored there" in out
    assert sum("imgdata.yaml" in call and call.startswith("git log") for call in calls) <= 2, calls


def test_what_makes_an_old_version_safe_is_found_once_for_all_its_files(lab: Lab) -> None:
    config = lab.file("imgdata.yaml")
    text = config.read_text("utf-8").replace(
        "    unit: plate\n", "    versions: last 1\n    unit: plate\n"
    )
    config.write_text(text, "utf-8")
    lab.file("params.yaml").write_text("threshold: 4\n")
    lab.commit("Another threshold")
    lab.ok("run")
    lab.commit("Run again")
    shutil.rmtree(lab.archive / "files")
    out, calls = gits(lab, "drop", "masks", "--old-versions", "--dry-run", "--remote")
    assert "git checkout" in out, out
    assert sum("cat-file" in call or "show" in call for call in calls) <= 4, calls
