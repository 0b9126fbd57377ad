"""`imgdata add --move` and `--to STORAGE`: a plate leaves the microscope, and nothing is lost."""

import json
import os
import random
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace

from imgdata.api import open_project
from imgdata.errors import MachineError
from imgdata.testing.lab import Answer, Lab
from imgdata.testing.programs import kill_after
from imgdata.workflows.add_move import CHANGED, LINKED, NEW, Gone, leaving_of
from tests.attackers.vault import md5
from tests.cli.restricted import restricted

pytestmark = pytest.mark.dvc
SCHEMA = Path(__file__).resolve().parents[2] / "docs/reference/json/add.schema.json"
KILLS = int(os.environ.get("IMGDATA_KILLS", "5"))
SEED = int(os.environ.get("IMGDATA_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


def contents(folder: Path) -> dict[str, str]:
    found = sorted(folder.rglob("*")) if folder.is_dir() else []
    return {path.relative_to(folder).as_posix(): md5(path) for path in found if path.is_file()}


def said(lab: Lab, *words: str | Path) -> Answer:
    """Run add with --json; the document fits its schema."""
    answer = lab.imgdata("add", *words, "--json")
    jsonschema.validate(answer.document, json.loads(SCHEMA.read_text()))
    return answer


def only_in_cache(lab: Lab, before: set[str]) -> set[str]:
    return set(lab.objects()) - before


def change_config(lab: Lab, old: str, new: str) -> None:
    path = lab.file("imgdata.yaml")
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    lab.ok("storage", "apply", "--yes")
    lab.commit("Change the rules")


def pulled(lab: Lab, unit: str = "P2") -> dict[str, str]:
    """Return what a fresh clone gets with plain dvc."""
    lab.commit("Add")
    clone = lab.clone("pulled")
    got = clone.dvc("pull", f"data/raw/{unit}.dvc")
    assert got.status == 0, got.err
    return contents(clone.file(f"data/raw/{unit}"))


def test_a_moved_plate_is_on_the_storage_and_gone_from_the_microscope(lab: Lab) -> None:
    source = lab.plate("P2")
    wanted = contents(source)
    answer = said(lab, "raw", source, "--move", "--yes")
    assert answer.status == 0, answer.err
    moved = answer.results[-1]
    assert (moved["moved"], moved["files"], moved["copies"]) == ("raw P2", 4, ["archive"])
    assert not source.exists()
    assert lab.microscope.is_dir()
    assert contents(lab.file("data/raw/P2")) == wanted
    assert pulled(lab) == wanted
    assert lab.imgdata("status", "raw", "--fail-on", "unstored").status == 0


def test_without_a_terminal_nothing_is_done_until_yes_is_said(lab: Lab) -> None:
    source = lab.plate("P2")
    answer = said(lab, "raw", source, "--move")
    assert answer.status == 5
    assert "delete 4 files" in answer.error["problem"]
    assert "--yes" in answer.error["remedy"]
    assert not lab.file("data/raw/P2.dvc").exists()
    assert len(contents(source)) == 4


@pytest.mark.parametrize("flags", [("--move",), ("--to", "mirror"), ("--to", "mirror", "--move")])
def test_a_dry_run_says_what_would_be_sent_and_deleted(lab: Lab, flags: tuple[str, ...]) -> None:
    source = lab.plate("P2")
    before = set(lab.objects())
    answer = said(lab, "raw", source, *flags, "--dry-run")
    assert answer.status == 0
    (plan,) = answer.results
    assert plan["send_to"] == (["mirror"] if "mirror" in flags else ["archive"])
    assert plan["delete_source"] == ("--move" in flags)
    assert (len(plan["files"]), plan["keep_here"]) == (4, "mirror" not in flags)
    told = lab.ok("add", "raw", source, *flags, "--dry-run").out
    assert "would send up to 4 files" in told
    assert ("then would delete" in told) == ("--move" in flags)
    assert len(contents(source)) == 4
    assert set(lab.objects()) == before
    assert not lab.file("data/raw/P2.dvc").exists()


def test_too_few_copies_keep_the_source_and_a_rerun_deletes_it(lab: Lab) -> None:
    change_config(lab, "storage: [archive]", "storage: [archive, mirror]\n    copies: 2")
    source = lab.plate("P2")
    answer = said(lab, "raw", source, "--to", "archive", "--move", "--yes")
    assert answer.status == 9
    assert "1 of 2 copies" in answer.error["cause"]
    assert f"imgdata add raw {source} --to archive --move --yes" in answer.error["remedy"]
    assert len(contents(source)) == 4
    assert said(lab, "raw", source, "--to", "mirror", "--move", "--yes").status == 0
    assert not source.exists()
    assert said(lab, "raw", lab.plate("P3"), "--move", "--yes").results[-1]["copies"] == [
        "archive",
        "mirror",
    ]


def test_a_storage_that_is_away_keeps_the_source_and_a_rerun_goes_on(lab: Lab) -> None:
    source = lab.plate("P2")
    lab.archive.rename(lab.base / "unplugged")
    answer = said(lab, "raw", source, "--move", "--yes")
    assert answer.status == 4
    assert f"{source} stays" in answer.error["cause"]
    assert f"then: imgdata add raw {source} --move --yes" in answer.error["remedy"]
    assert len(contents(source)) == 4
    assert lab.file("data/raw/P2.dvc").exists(), "it is taken in all the same"
    (lab.base / "unplugged").rename(lab.archive)
    assert said(lab, "raw", source, "--move", "--yes").status == 0
    assert not source.exists()


@pytest.mark.parametrize("flags", [("--move",), ("--to", "mirror"), ("--to", "mirror", "--move")])
def test_a_restricted_plate_does_not_go_to_a_public_storage_and_stays(
    lab: Lab, flags: tuple[str, ...]
) -> None:
    change_config(lab, "mirror: {url: ../mirror}", "mirror: {public: true, url: ../mirror}")
    change_config(lab, "storage: [archive]", "storage: [mirror]")
    source = lab.plate("P2")
    answer = said(lab, "raw", source, "--origin", "partner", *flags, "--yes")
    assert answer.status == 5, answer.out
    assert "restricted" in answer.error["problem"]
    assert len(contents(source)) == 4
    assert not lab.objects(lab.base / "mirror")
    assert lab.file("data/raw/P2.dvc").exists() == ("--to" not in flags)


def test_content_known_as_restricted_is_not_streamed_under_another_origin(lab: Lab) -> None:
    change_config(lab, "mirror: {url: ../mirror}", "mirror: {public: true, url: ../mirror}")
    lab.ok("add", "raw", lab.plate("P2"), "--origin", "partner")
    lab.commit("Add P2")
    source = lab.microscope / "P3"
    shutil.copytree(lab.microscope / "P2", source)
    answer = said(lab, "raw", source, "--origin", "own", "--to", "mirror")
    assert answer.status == 5, answer.out
    assert not set(lab.objects(lab.base / "mirror"))
    assert not lab.file("data/raw/P3.dvc").exists()


def test_restricted_content_in_an_archive_is_not_streamed_under_another_name(lab: Lab) -> None:
    change_config(lab, "mirror: {url: ../mirror}", "mirror: {public: true, url: ../mirror}")
    lab.ok("add", "raw", lab.plate("P2"), "--origin", "partner")
    lab.commit("Add P2")
    source = lab.microscope / "P3"
    source.mkdir()
    with zipfile.ZipFile(source / "B02_1_DNA.tif", "w") as archive:
        archive.write(lab.microscope / "P2" / "B02_1_DNA.tif")
    answer = said(lab, "raw", source, "--origin", "own", "--to", "mirror")
    assert answer.status == 5, answer.out
    assert not lab.objects(lab.base / "mirror")


def test_a_restricted_stream_is_refused_before_a_file_is_read(lab: Lab) -> None:
    change_config(lab, "mirror: {url: ../mirror}", "mirror: {public: true, url: ../mirror}")
    words = ("raw", lab.plate("P2"), "--origin", "partner", "--to", "mirror", "--dry-run")
    assert said(lab, *words).status == 5
    assert said(lab, *words[:2], "--origin", "own", *words[4:]).status == 0


def test_sources_that_share_files_with_the_project_are_refused(lab: Lab) -> None:
    inside = lab.file("data/raw/P2")
    shutil.copytree(lab.plate("P2"), inside)
    for source in (inside, lab.base, lab.archive, lab.archive / "files"):
        answer = said(lab, "raw", source, "--unit", "P2", "--move", "--yes")
        assert answer.status == 2, source
        assert "share files" in answer.error["problem"]
    assert said(lab, "raw", inside, "--to", "mirror").status == 2
    assert len(contents(inside)) == 4


def test_what_changed_came_or_is_a_link_stays(lab: Lab) -> None:
    source = lab.plate("P2")
    (source / "sub").mkdir()
    (source / "sub" / "more.tif").write_bytes(b"more")
    elsewhere = lab.plate("elsewhere")
    (source / "link.tif").symlink_to(elsewhere / "B02_1_DNA.tif")
    (source / "folder").symlink_to(elsewhere)
    project = open_project(lab.project, writing=True)
    plan = project.plan_add_and_delete("raw", [source])
    (added,) = project.add(plan.add)
    leaving = leaving_of(added)
    assert len(leaving.taken) == 4 + 1 + 1 + 4
    list(project.push_units([leaving]))
    (source / "B02_1_DNA.tif").write_bytes(b"P2 B02 dna")
    (source / "B02_1_AGP.tif").rename(source / "aside")
    (source / "B02_1_AGP.tif").write_bytes((source / "aside").read_bytes())
    (source / "late.tif").write_bytes(b"late")
    (gone,) = project.delete_sources([leaving])
    assert isinstance(gone, Gone)
    why = {one.path: one.why for one in gone.left}
    assert why.pop("folder/B02_1_DNA.tif") == LINKED
    why = {path: reason for path, reason in why.items() if not path.startswith("folder/")}
    assert why == {
        "B02_1_DNA.tif": CHANGED,
        "B02_1_AGP.tif": CHANGED,
        "aside": NEW,
        "late.tif": NEW,
        "link.tif": LINKED,
    }
    assert set(contents(source)) >= {"B02_1_DNA.tif", "B02_1_AGP.tif", "aside", "late.tif"}
    assert not (source / "sub").exists()
    assert not (source / "B03_1_DNA.tif").exists()
    assert len(contents(elsewhere)) == 4, "what a link leads to is not deleted"
    again = said(lab, "raw", source, "--move", "--yes")
    assert (again.status, "different original" in again.error["problem"]) == (5, True)


def test_a_copy_that_was_only_counted_by_its_size_is_no_reason_to_delete(lab: Lab) -> None:
    source = lab.plate("P2")
    project = open_project(lab.project, writing=True)
    (added,) = project.add(project.plan_add_and_delete("raw", [source]).add)
    leaving = leaving_of(added)
    list(project.push_units([leaving]))
    for path in sorted(lab.file(".imgdata/log").rglob("*.jsonl"))[-1:]:
        path.write_text(path.read_text().replace('"how": "read"', '"how": "size"'))
        assert '"how": "size"' in path.read_text()
    (stays,) = project.delete_sources([leaving])
    assert not isinstance(stays, Gone)
    assert {one.why for one in stays.why} == {"0 of 1 copies (archive: only its size was checked)"}
    assert len(contents(source)) == 4


def test_a_copy_that_is_damaged_before_the_deletion_keeps_the_source(lab: Lab) -> None:
    source = lab.plate("P2")
    lost = md5(source / "B02_1_DNA.tif")
    project = open_project(lab.project, writing=True)
    (added,) = project.add(project.plan_add_and_delete("raw", [source]).add)
    list(project.push_units([leaving_of(added)]))
    lab.objects(lab.archive)[lost].unlink()
    (stays,) = project.delete_sources([leaving_of(added)])
    assert not isinstance(stays, Gone)
    assert [one.path for one in stays.why] == ["data/raw/P2/B02_1_DNA.tif"]
    assert len(contents(source)) == 4


def test_a_list_of_files_that_is_not_stored_keeps_the_source(lab: Lab) -> None:
    source = lab.plate("P2")
    project = open_project(lab.project, writing=True)
    (added,) = project.add(project.plan_add_and_delete("raw", [source]).add)
    list(project.push_units([leaving_of(added)]))
    lab.objects(lab.archive)[added.version].unlink()
    (stays,) = project.delete_sources([leaving_of(added)])
    assert not isinstance(stays, Gone)
    assert [one.path for one in stays.why] == ["the file list of raw P2"]
    assert len(contents(source)) == 4


def test_a_stamp_of_another_time_keeps_the_file(lab: Lab) -> None:
    source = lab.plate("P2")
    project = open_project(lab.project, writing=True)
    (added,) = project.add(project.plan_add_and_delete("raw", [source]).add)
    leaving = leaving_of(added)
    list(project.push_units([leaving]))
    first, *others = leaving.taken
    older = replace(first, stamp=replace(first.stamp, mtime=first.stamp.mtime - 1))
    (gone,) = project.delete_sources([replace(leaving, taken=(older, *others))])
    assert isinstance(gone, Gone)
    assert (gone.files, [one.why for one in gone.left]) == (3, [CHANGED])
    assert set(contents(source)) == {first.source.relpath}


def test_a_rerun_after_the_deletion_says_so_and_goes_on_with_the_others(lab: Lab) -> None:
    moved, emptied, whole = lab.plate("P2"), lab.plate("P3"), lab.plate("P4")
    lab.ok("add", "raw", moved, emptied, "--move", "--yes")
    (emptied / "sub").mkdir(parents=True)
    told = lab.ok("add", "raw", moved, emptied, whole, "--move", "--dry-run").out
    assert told.count("was moved before, as raw P") == 2
    answer = said(lab, "raw", moved, emptied, whole, "--move", "--yes")
    assert answer.status == 0, answer.err
    assert [one["files"] for one in answer.results if "moved" in one] == [4, 0, 0]
    assert not any(path.exists() for path in (moved, emptied, whole))
    assert said(lab, "raw", lab.microscope / "P9", "--move", "--yes").status == 2
    shutil.rmtree(lab.archive / "files")
    again = said(lab, "raw", moved, "--move", "--yes")
    assert (again.status, again.results[0]["sent"]) == (0, 5), "what is gone is sent from here"
    shutil.rmtree(lab.archive / "files")
    shutil.rmtree(lab.file(".dvc/cache/files"))
    assert said(lab, "raw", moved, "--move", "--yes").status != 0, "now it is gone for good"


def test_what_could_not_be_read_stays_and_is_told(lab: Lab) -> None:
    source = lab.plate("P2")
    os.mkfifo(source / "pipe")
    answer = said(lab, "raw", source, "--move", "--yes")
    assert answer.status == 9
    assert "not a regular file" in answer.error["cause"]
    assert [path.name for path in source.iterdir()] == ["pipe"]


def test_a_source_that_may_not_be_deleted_stays_and_is_told(lab: Lab) -> None:
    source = lab.plate("P2")
    source.chmod(0o555)
    answer = restricted(lab, "add", "raw", source, "--move", "--yes", "--json")
    source.chmod(0o755)
    assert answer.status == 9, answer.out
    assert "no permission" in answer.error["cause"]
    assert len(contents(source)) == 4
    assert said(lab, "raw", source, "--move", "--yes").status == 0
    assert not source.exists()


def test_a_single_file_is_moved(lab: Lab) -> None:
    path = lab.microscope / "P2.ome.tif"
    path.write_bytes(b"one image")
    assert said(lab, "raw", path, "--move", "--yes").status == 0
    assert not path.exists()
    assert lab.file("data/raw/P2.ome.tif").read_bytes() == b"one image"


def test_a_streamed_plate_has_no_copy_here_and_comes_back(lab: Lab) -> None:
    source = lab.plate("P2")
    wanted = contents(source)
    before = set(lab.objects())
    answer = said(lab, "raw", source, "--to", "archive")
    assert answer.status == 0, answer.err
    sent, added = answer.results
    assert (sent["sent"], added["new"]) == (5, sorted(wanted))
    assert only_in_cache(lab, before) == {added["version"]}, "only the list of its files"
    assert not lab.file("data/raw/P2").exists()
    assert contents(source) == wanted
    (unit,) = [one for one in lab.ok("status", "raw", "--json").results if one.get("unit") == "P2"]
    assert (unit["here"], unit["owed"]) == ("absent", 0)
    assert '"P2"' in lab.file("plates.yaml").read_text()
    assert lab.imgdata("verify", "--source", source).status == 0
    assert lab.imgdata("verify", "--stored").status == 0
    assert pulled(lab) == wanted
    lab.ok("pull", "raw")
    assert contents(lab.file("data/raw/P2")) == wanted


def test_a_plate_streamed_to_another_storage_than_the_levels_is_pulled_from_there(lab: Lab) -> None:
    source = lab.plate("P2")
    wanted = contents(source)
    assert said(lab, "raw", source, "--to", "mirror").status == 0
    lab.ok("pull", "raw", "--from", "mirror")
    assert contents(lab.file("data/raw/P2")) == wanted


def test_a_streamed_plate_leaves_the_microscope(lab: Lab) -> None:
    source = lab.plate("P2")
    wanted = contents(source)
    before = set(lab.objects())
    answer = said(lab, "raw", source, "--to", "archive", "--move", "--yes")
    assert answer.status == 0, answer.err
    assert not source.exists()
    assert len(only_in_cache(lab, before)) == 1
    lab.ok("pull", "raw")
    assert contents(lab.file("data/raw/P2")) == wanted


def test_more_of_a_streamed_plate_joins_what_is_stored(lab: Lab) -> None:
    lab.ok("add", "raw", lab.plate("P2"), "--to", "archive")
    more = lab.plate("more", ("C05",))
    answer = said(lab, "raw", more, "--unit", "P2", "--to", "archive")
    assert answer.status == 0, answer.err
    sent, added = answer.results
    assert (sent["sent"], sent["checked"], added["nfiles"]) == (3, 4, 6)
    lab.ok("pull", "raw")
    assert len(contents(lab.file("data/raw/P2"))) == 6


def test_a_different_original_of_the_same_name_is_not_streamed(lab: Lab) -> None:
    lab.ok("add", "raw", lab.plate("P2"), "--to", "archive")
    record = lab.file("data/raw/P2.dvc").read_text()
    other = lab.base / "other" / "P2"
    other.mkdir(parents=True)
    (other / "B02_1_DNA.tif").write_bytes(b"other")
    before = set(lab.objects(lab.archive))
    answer = said(lab, "raw", other, "--to", "archive")
    assert answer.status == 5
    assert "different original" in answer.error["problem"]
    assert set(lab.objects(lab.archive)) == before
    assert lab.file("data/raw/P2.dvc").read_text() == record


def test_a_storage_that_is_away_leaves_no_record_of_a_stream(lab: Lab) -> None:
    source = lab.plate("P2")
    lab.archive.rename(lab.base / "unplugged")
    answer = said(lab, "raw", source, "--to", "archive", "--move", "--yes")
    assert answer.status == 4
    assert f"then: imgdata add raw {source} --to archive --move --yes" in answer.error["remedy"]
    assert not lab.file("data/raw/P2.dvc").exists()
    assert len(contents(source)) == 4
    assert said(lab, "raw", source, "--to", "nowhere").status == 2


def test_a_file_that_changes_between_hashing_and_sending_is_not_recorded(lab: Lab) -> None:
    source = lab.plate("P2")
    project = open_project(lab.project, writing=True)
    plan = project.plan_add("raw", [source])
    progress = _Meddler("push", lambda: (source / "B02_1_DNA.tif").write_bytes(b"P2 B02 dna"))
    outcomes = list(project.stream(plan, "archive", progress=progress))
    assert "changed or gone since it was hashed" in outcomes[-1].error.cause  # type: ignore[union-attr]
    assert not lab.file("data/raw/P2.dvc").exists()
    for name, path in lab.objects(lab.archive).items():
        assert md5(path) == name.removesuffix(".dir")
    again = said(lab, "raw", source, "--to", "archive")
    assert (again.status, again.results[0]["sent"]) == (0, 2), "the changed file and the list"
    lab.ok("pull", "raw")
    assert contents(lab.file("data/raw/P2")) == contents(source)


def test_a_unit_that_another_command_changed_meanwhile_is_not_written_over(lab: Lab) -> None:
    other = shutil.copytree(lab.plate("other", ("C05",)), lab.base / "more" / "P2")
    project = open_project(lab.project, writing=True)
    plan = project.plan_add("raw", [lab.plate("P2")])
    progress = _Meddler("hash", lambda: lab.ok("add", "raw", other))
    with pytest.raises(MachineError, match="changed by another command meanwhile"):
        list(project.stream(plan, "archive", progress=progress))
    assert len(contents(lab.file("data/raw/P2"))) == 2
    sent, added = said(lab, "raw", lab.microscope / "P2", "--to", "archive").results
    assert (added["already"], added["nfiles"], sent["damaged"]) == (0, 6, [])


class _Meddler:
    """Does something once, in the middle of a kind of work; is told of nothing else."""

    def __init__(self, work: str, meddle: Callable[[], object]) -> None:
        self._work = work
        self._meddle = [meddle]
        self._label = ""

    def start(self, label: str, **_: int) -> None:
        self._label = label
        if self._work == "push":
            self.advance()

    def advance(self, **_: int) -> None:
        if self._label.startswith(self._work) and self._meddle:
            self._meddle.pop()()

    def finish(self) -> None: ...


def test_strict_streams_nothing_when_the_check_finds_errors(lab: Lab) -> None:
    source = lab.plate("P2")
    (source / "B04_1_DNA.tif").touch()
    answer = said(lab, "raw", source, "--to", "archive", "--strict")
    assert (answer.status, lab.file("data/raw/P2.dvc").exists()) == (5, False)
    told = lab.ok("add", "raw", source, "--to", "archive").out
    assert "IMG-103" in told


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("flags", [("--move", "--yes"), ("--to", "archive", "--move", "--yes")])
def test_killed_at_any_moment_every_file_is_somewhere(lab: Lab, flags: tuple[str, ...]) -> None:
    print(f"IMGDATA_KILL_SEED={SEED}")  # noqa: T201 - shown when the test fails
    chance = random.Random(SEED)  # noqa: S311 - test data

    def plate(name: str) -> Path:
        folder = lab.microscope / name
        folder.mkdir()
        for number in range(300):
            (folder / f"B02_{number}_DNA.tif").write_bytes(chance.randbytes(3000))
        return folder

    began = time.monotonic()
    assert not kill_after(lab.project, 100, ["add", "raw", plate("P2"), *flags], lab.environment)
    whole = time.monotonic() - began
    killed = 0
    for number in range(3, 3 + KILLS):
        source = plate(f"P{number}")
        wanted = contents(source)
        for _ in range(2):
            words: list[str | Path] = ["add", "raw", source, *flags]
            wait, began = chance.uniform(0.5, 1.05) * whole, time.monotonic()
            if kill_after(lab.project, wait, words, lab.environment):
                killed += 1
            else:  # the machine was busier when the whole was timed
                whole = min(whole, time.monotonic() - began)
            stored = {name for name, path in lab.objects(lab.archive).items() if md5(path) == name}
            lost = {
                n for n, one in wanted.items() if not (source / n).exists() and one not in stored
            }
            assert not lost
        assert said(lab, "raw", source, *flags).status == 0
        assert not source.exists()
        lab.ok("pull", "raw")
        assert contents(lab.file(f"data/raw/P{number}")) == wanted
    assert killed
