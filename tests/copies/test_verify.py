"""`imgdata verify` reads copies back, finds every kind of damage by file name, and mends it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from imgdata.errors import StorageError
from imgdata.workflows.push_plan import PushOptions
from imgdata.workflows.stored import SourceFile, Stored, StoredAnswer, Unpushed
from imgdata.workflows.verify import (
    Extra,
    NotVerified,
    Verified,
    VerifyOptions,
    VerifyOutcome,
    summary_error,
)
from tests.copies.conftest import Lab
from tests.copies.test_commands import type_


def victims(lab: Lab, storage: str = "archive") -> list[Path]:
    found = [path for path in lab.objects(storage) if path.suffix != ".dir"]
    for path in found:
        path.chmod(0o644)
    return found


def verify(
    lab: Lab, on: tuple[str, ...] = (), budget: int | None = None, *, repair: bool = False
) -> list[VerifyOutcome]:
    return list(lab.open().verify((), VerifyOptions(on, budget, repair=repair)))


def source_files(lab: Lab, folder: Path) -> list[SourceFile]:
    answers = list(lab.open().check_source(folder))
    assert all(isinstance(one, SourceFile) for one in answers), "the folder lacks nothing"
    return [one for one in answers if isinstance(one, SourceFile)]


def bad(outcomes: list[VerifyOutcome]) -> dict[str, str]:
    return {
        name: one.how
        for outcome in outcomes
        if isinstance(outcome, Verified)
        for one in outcome.still_bad
        for name in one.names
    }


def test_flipped_truncated_and_missing_objects_are_named_as_files(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    flipped, truncated, missing, _ = victims(lab)
    data = flipped.read_bytes()
    flipped.write_bytes(b"X" + data[1:])
    truncated.write_bytes(truncated.read_bytes()[:7])
    missing.unlink()
    outcomes = verify(lab)
    found = bad(outcomes)
    assert len(found) == 3
    assert all(name.startswith("data/raw/P1/B0") for name in found)
    ways = sorted(how.split()[0] for how in found.values())
    assert ways == ["flipped", "missing", "truncated"]
    error = summary_error(outcomes)
    assert error is not None
    assert error.exit_status == 1
    assert error.remedy == "imgdata verify raw --repair"
    # what was found is remembered: drop does not rely on it, whereis names it
    assert sum(len(one.names) for one in lab.plan_drop("raw").unsafe) == 3
    there = next(iter(lab.open().whereis(["raw"])))
    assert set(there.short) == set(found)


def test_repair_puts_good_bytes_back_from_any_place_that_has_them(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    before = {path.name: path.read_bytes() for path in lab.objects("archive")}
    one, two, *_ = victims(lab)
    one.write_bytes(b"?")
    two.unlink()
    outcomes = verify(lab, repair=True)
    assert bad(outcomes) == {}
    assert {path.name: path.read_bytes() for path in lab.objects("archive")} == before
    assert lab.plan_drop("raw").files == 4


def test_a_damaged_cache_is_found_and_mended_without_touching_the_workspace(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    name = next(path for path in lab.objects("archive") if path.suffix != ".dir")
    cached = lab.root / ".dvc/cache/files/md5" / name.parent.name / name.name
    cached.chmod(0o644)
    cached.write_bytes(b"edited through a hard link")
    assert bad(verify(lab, on=("cache",)))
    outcomes = verify(lab, on=("cache",), repair=True)
    assert bad(outcomes) == {}
    assert cached.read_bytes() == name.read_bytes()


def test_objects_that_no_version_has_are_told_and_left(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    stray = lab.base / "archive/files/md5/00/1111111111111111111111111111aa"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"who am I")
    outcomes = verify(lab)
    extra = [one for one in outcomes if isinstance(one, Extra)]
    assert [(one.storage, one.count) for one in extra] == [("archive", 1)]
    assert summary_error(outcomes) is None
    assert stray.exists()


def test_a_budget_reads_the_oldest_checks_first_and_goes_on_the_next_time(lab: Lab) -> None:
    lab.add("P1")
    lab.push("raw")
    time.sleep(0.01)
    size = sum(path.stat().st_size for path in lab.objects("archive"))
    half = verify(lab, on=("archive",), budget=size // 2)[0]
    assert isinstance(half, Verified)
    assert 0 < half.checked < 5
    checked = lab.open().clone.events[-1].details["objects"]
    verify(lab, on=("archive",), budget=size // 2)
    again = lab.open().clone.events[-1].details["objects"]
    assert isinstance(checked, list)
    assert isinstance(again, list)
    assert again
    assert not set(map(str, checked)) & set(map(str, again))


def test_a_cache_larger_than_the_budget_does_not_keep_it_from_the_storages(lab: Lab) -> None:
    lab.add("P1", count=12)
    lab.push("raw")
    size = sum(path.stat().st_size for path in lab.objects("archive"))
    checked = {"cache": 0, "archive": 0}
    for _ in range(6):  # four would do, were objects of one size
        for one in verify(lab, budget=size // 2):
            if isinstance(one, Verified):
                checked[one.storage] += one.checked
    assert min(checked.values()) >= len(lab.objects("archive"))


def test_copies_beyond_the_budget_are_one_line(lab: Lab) -> None:
    for name in ("P1", "P2", "P3"):
        lab.add(name)
    lab.push("raw")
    said = type_(lab, "verify", "--budget", "100").stdout
    assert "5 more copies were not begun within the budget: first the next time" in said
    assert "0 objects" not in said


def test_a_storage_that_is_away_is_told_and_the_others_are_read(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.push("raw", to=("second",))
    (lab.base / "archive").rename(lab.base / "unplugged")
    outcomes = verify(lab)
    assert [one.storage for one in outcomes if isinstance(one, NotVerified)] == ["archive"]
    assert any(isinstance(one, Verified) and one.storage == "second" for one in outcomes)
    assert any("offline" in note for line in next(iter(lab.open().whereis(["raw"]))).lines
               for note in line.notes)  # fmt: skip


def test_a_storage_that_should_have_nothing_may_be_away(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    old = '\n  former: {url: "https://former.invalid/dvc"}\n  other: {url: "gdrive://root/x"}\nlevels:'
    lab.edit_config("\nlevels:", old)
    project = lab.open()
    project.apply(project.plan_apply())
    outcomes = verify(lab)
    assert {one.storage for one in outcomes if isinstance(one, NotVerified)} == {"former", "other"}
    assert summary_error(outcomes) is None
    with pytest.raises(StorageError):
        verify(lab, on=("former",))


def test_a_storage_that_lists_but_cannot_read_gives_no_evidence(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    for path in victims(lab):
        path.unlink()
        path.mkdir()  # it has a name there, and nothing can be read of it
    outcomes = verify(lab, on=("archive",))
    assert len(bad(outcomes)) == 4
    assert lab.plan_drop("raw").files == 0


@pytest.mark.parametrize("seconds", [0.7, 1.3])
def test_a_killed_verify_or_drop_loses_no_file(lab: Lab, seconds: float) -> None:
    lab.add(count=300)
    before = {p.name: p.read_bytes() for p in (lab.root / "data/raw/P1").iterdir()}
    lab.push("raw")
    lab.push("raw", to=("second",))
    victims(lab)[7].write_bytes(b"damaged")
    for words in (["verify"], ["drop", "raw", "--from", "second", "--yes"],
                  ["drop", "raw", "--yes"]):  # fmt: skip
        command = [sys.executable, "-m", "imgdata", *words]
        process = subprocess.Popen(
            command, cwd=lab.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    project = lab.open()
    list(project.pull(["raw"]))
    after = {p.name: p.read_bytes() for p in (lab.root / "data/raw/P1").iterdir()}
    assert after == before


def is_enough(answers: Iterable[StoredAnswer]) -> bool:
    return all(one.is_enough for one in answers if isinstance(one, Stored))


def test_stored_answers_for_ci_and_for_a_person_who_leaves(lab: Lab) -> None:
    lab.add()
    answers = list(lab.open().stored())
    assert not is_enough(answers)
    lab.push("raw")
    assert is_enough(lab.open().stored())
    lab.share()
    assert is_enough(lab.open().stored(all_versions=True))
    lab.git("checkout", "--quiet", "-b", "idea")
    lab.add("P2")
    lab.commit()
    lab.git("checkout", "--quiet", "main")
    assert is_enough(lab.open().stored())
    leaving = list(lab.open().stored(all_versions=True))
    assert not is_enough(leaving)
    assert [one.name for one in leaving if isinstance(one, Unpushed)] == ["idea"]


def test_source_says_whether_the_microscopes_folder_may_be_wiped(lab: Lab) -> None:
    lab.add()
    folder = lab.base / "microscope" / "P1"
    assert not any(one.is_safe for one in source_files(lab, folder))
    lab.push("raw")
    assert [one.why_not for one in source_files(lab, folder)] == [""] * 4
    (folder / "P1" / "new.tif").write_bytes(b"acquired meanwhile")
    short = [one for one in source_files(lab, folder) if not one.is_safe]
    assert [(one.path, one.why_not) for one in short] == [("P1/new.tif", "not in this project")]


def test_source_names_the_recorded_files_that_the_folder_lacks(lab: Lab) -> None:
    lab.add()
    lab.add("P2")
    lab.push("raw")
    folder = lab.base / "microscope" / "P1"
    assert "not in this folder" not in type_(lab, "verify", "--source", str(folder)).stdout
    (folder / "P1" / "B02_1.tif").unlink()
    done = type_(lab, "verify", "--source", str(folder))
    assert done.returncode == 0
    assert "note: raw P1: one recorded file is not in this folder" in done.stdout
    assert "  data/raw/P1/B02_1.tif" in done.stdout
    assert "P2" not in done.stdout
    answer = json.loads(type_(lab, "--json", "verify", "--source", str(folder)).stdout)
    lacking = {"level": "raw", "unit": "P1", "not_in_folder": ["data/raw/P1/B02_1.tif"]}
    assert answer["results"][-1] == lacking


def test_a_command_writes_one_log_file_whatever_it_notes(lab: Lab) -> None:
    def files() -> set[Path]:
        return set((lab.root / ".imgdata" / "log").rglob("*.jsonl"))

    for name in ("P1", "P2", "P3"):
        lab.add(name)
    before = files()
    list(lab.open().push(["raw"], PushOptions(to=("archive", "second"))))
    pushed = files() - before
    assert len(pushed) == 1
    (path,) = pushed
    assert len(path.read_text().splitlines()) == 6
    assert lab.git("diff", "--name-only", "--", ".imgdata/log") == ""

    project = lab.open()
    list(project.verify(["raw"], VerifyOptions()))
    (path,) = files() - before - pushed
    assert len(path.read_text().splitlines()) == 6
    list(project.verify(["raw"], VerifyOptions()))
    assert len(files() - before - pushed) == 2
