"""`imgdata drop` deletes only what is recoverable by evidence, and says why."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from imgdata.errors import RefusedError
from imgdata.model.events import parse_time, time_text
from imgdata.workflows.drop_plan import DropOptions
from imgdata.workflows.prove import NotProved, ProofOutcome, Proved
from imgdata.workflows.pull_unit import Pulled
from imgdata.workflows.verify import Verified
from tests.copies.conftest import SEGMENT, Lab
from tests.copies.test_commands import type_


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def verdicts(outcomes: Iterable[ProofOutcome]) -> list[str]:
    return [one.verdict for one in outcomes if isinstance(one, Proved)]


def test_raw_without_any_copy_is_refused_with_the_command_that_makes_it_safe(lab: Lab) -> None:
    lab.add()
    plan = lab.drop("raw")
    assert plan.files == 0
    assert [bad.remedy for bad in plan.unsafe] == ["imgdata push raw --to archive"]
    assert len(files(lab.root / "data/raw/P1")) == 4


def test_a_pushed_plate_goes_from_workspace_and_cache_and_comes_back(lab: Lab) -> None:
    lab.add()
    before = {path.name: path.read_bytes() for path in files(lab.root / "data/raw/P1")}
    lab.push()
    plan = lab.drop("raw")
    assert plan.versions[0].safe[0].why == "1 checked copy (archive)"
    assert not (lab.root / "data/raw/P1").exists()
    cached = [p for p in (lab.root / ".dvc/cache/files/md5").glob("??/*") if p.suffix != ".dir"]
    assert cached == []
    list(lab.open().pull(["raw"]))
    assert {p.name: p.read_bytes() for p in files(lab.root / "data/raw/P1")} == before


def test_dropping_twice_says_that_nothing_is_there(lab: Lab) -> None:
    lab.add()
    lab.push()
    lab.drop("raw")
    assert lab.plan_drop("raw").versions == ()


def test_a_copy_that_is_gone_from_the_storage_does_not_count_whatever_the_log_says(
    lab: Lab,
) -> None:
    lab.add()
    lab.push()
    victim = next(p for p in lab.objects("archive") if p.suffix != ".dir")
    victim.unlink()
    plan = lab.drop("raw")
    assert sum(len(bad.names) for bad in plan.unsafe) == 1
    assert "archive: not there any more" in plan.unsafe[0].why
    assert len(files(lab.root / "data/raw/P1")) == 1


def test_a_copy_that_was_written_to_since_its_check_does_not_count(lab: Lab) -> None:
    lab.add()
    lab.push()
    victim = next(p for p in lab.objects("archive") if p.suffix != ".dir")
    victim.chmod(0o644)
    data = bytearray(victim.read_bytes())
    data[3] ^= 1
    victim.write_bytes(bytes(data))
    future = victim.stat().st_mtime + 5
    os.utime(victim, (future, future))
    plan = lab.drop("raw")
    assert "written to since it was checked" in plan.unsafe[0].why


def test_a_check_that_is_too_old_sends_to_verify(lab: Lab) -> None:
    lab.add()
    lab.push()
    for path in (lab.root / ".imgdata/log").rglob("*.jsonl"):
        text = path.read_text()
        at = text.split('"at": "')[1].split('"')[0]
        path.write_text(text.replace(at, time_text(parse_time(at) - timedelta(days=200))))
    plan = lab.plan_drop("raw")
    assert plan.files == 0
    assert plan.unsafe[0].remedy == "imgdata verify raw --on archive"
    list(lab.open().verify(["raw"]))
    assert lab.plan_drop("raw").files == 4


def test_a_hand_edited_file_stays_and_is_named(lab: Lab) -> None:
    lab.add()
    lab.push()
    edited = lab.root / "data/raw/P1/B02_1.tif"
    edited.unlink()
    edited.write_bytes(b"corrected by hand")
    plan = lab.drop("raw")
    assert plan.unsafe[0].names == ("data/raw/P1/B02_1.tif",)
    assert "hand-edited, the only copy" in plan.unsafe[0].why
    assert edited.read_bytes() == b"corrected by hand"
    assert [path.name for path in files(lab.root / "data/raw/P1")] == ["B02_1.tif"]


def test_a_file_nobody_recorded_is_left_alone(lab: Lab) -> None:
    lab.add()
    lab.push()
    extra = lab.root / "data/raw/P1/notes.txt"
    extra.write_text("do not lose me")
    lab.drop("raw")
    assert extra.read_text() == "do not lose me"


def test_two_names_of_one_folder_are_one_copy(lab: Lab) -> None:
    shutil.rmtree(lab.base / "second")
    (lab.base / "second").symlink_to(lab.base / "archive")
    lab.edit_config(
        "storage: archive\n  masks", "storage: [archive, second]\n    copies: 2\n  masks"
    )
    project = lab.open()
    project.apply(project.plan_apply())
    lab.add()
    lab.push("raw")
    plan = lab.plan_drop("raw")
    assert plan.files == 0
    assert "the same place as archive" in plan.unsafe[0].why


def test_a_storage_in_the_shared_cache_is_no_copy(lab: Lab) -> None:
    lab.edit_config(f"{lab.base}/archive", f"{lab.root}/.dvc/cache")
    project = lab.open()
    project.apply(project.plan_apply())
    lab.add()
    lab.push("raw")
    assert lab.plan_drop("raw").files == 0


def test_scratch_that_is_purged_is_no_copy(lab: Lab) -> None:
    lab.edit_config("price_per_tb_month: 20", "purged_after_days: 90")
    lab.add()
    lab.push("raw")
    plan = lab.plan_drop("raw")
    assert "purged" in plan.unsafe[0].why


def test_the_only_copy_on_a_storage_is_not_dropped_for_the_local_one(lab: Lab) -> None:
    lab.add()
    lab.push()
    before = lab.objects("archive")
    plan = lab.drop("raw", source="archive")
    assert plan.files == 0
    assert lab.objects("archive") == before


def test_a_second_copy_lets_the_first_go_and_the_log_says_so(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.push("raw", to=("second",))
    lab.drop("raw", source="archive")
    assert lab.objects("archive") == []
    assert lab.plan_drop("raw", source="second").files == 0
    assert lab.plan_drop("raw").versions[0].safe[0].why == "1 checked copy (second)"


def test_a_storage_without_this_projects_marker_is_not_deleted_from(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.push("raw", to=("second",))
    (lab.base / "archive" / "imgdata-project.json").unlink()
    with pytest.raises(RefusedError, match="not known to be this project's"):
        lab.drop("raw", source="archive")


def test_another_projects_marker_makes_its_copies_count_for_nothing(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    marker = lab.base / "archive" / "imgdata-project.json"
    marker.chmod(0o644)
    marker.write_text('{"id": "someone", "title": "Other plate"}')
    plan = lab.plan_drop("raw")
    assert "another project, 'Other plate'" in plan.unsafe[0].why


def test_content_another_unit_uses_stays(lab: Lab) -> None:
    lab.add("P1")
    twin = lab.base / "microscope" / "P2"
    twin.mkdir()
    shared = (lab.root / "data/raw/P1/B01_1.tif").read_bytes()
    (twin / "B01_1.tif").write_bytes(shared)
    project = lab.open()
    list(project.add(project.plan_add("raw", [twin])))
    lab.push("raw")
    lab.push("raw", to=("second",))
    from imgdata.model.selection import parse_selection
    from imgdata.workflows.drop_plan import DropOptions

    options = DropOptions("archive", parse_selection(["plate=P1"]))
    project = lab.open()
    plan = project.plan_drop(["raw"], options)
    list(project.drop(["raw"], options, plan))
    assert sum(one.shared for one in plan.versions) == 1
    lab.push("raw")  # P2 on archive is whole: nothing of it was taken
    outcomes = list(lab.open().verify(["raw"]))
    assert not [bad for one in outcomes if isinstance(one, Verified) for bad in one.bad]


def test_an_accepted_loss_lets_the_last_copy_go_once_it_is_committed(lab: Lab) -> None:
    lab.add()
    rule = 'accept_loss: [{select: P1, reason: "wrong plate", by: Ada, on: "2026-01-02"}]'
    lab.edit_config("origin: lab\n", f"origin: lab\n    {rule}\n")
    assert lab.plan_drop("raw").files == 0
    lab.commit()
    plan = lab.plan_drop("raw")
    assert plan.versions[0].safe[0].why == "loss accepted by Ada on 2026-01-02: wrong plate"


def test_two_drops_that_could_rely_on_each_other_exclude_each_other(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.push("raw", to=("second",))
    note = '{"host": "elsewhere", "pid": 1, "at": "%s", "by": "Bob"}'
    (lab.base / "second" / "imgdata-drop.json").write_text(
        note % time_text(lab.open().clone.clock.now())
    )
    with pytest.raises(RefusedError, match="someone else drops"):
        lab.drop("raw", source="archive")
    assert len(lab.objects("archive")) == 5


@pytest.mark.dvc
def test_a_level_stored_nowhere_goes_only_when_it_is_proven(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.share()
    lab.run()
    lab.share()
    assert lab.plan_drop("masks").unsafe[0].remedy == "imgdata run masks --prove"
    proofs = list(lab.open().prove(["masks"]))
    assert verdicts(proofs) == ["identical"]
    lab.share()
    masks = lab.root / "data/masks/P1"
    before = {path.name: path.read_bytes() for path in files(masks)}
    plan = lab.drop("masks")
    assert plan.versions[0].safe[0].why.startswith("recomputable, proven identical on 20")
    assert plan.versions[0].needs == ("raw P1",)
    assert not masks.exists()
    lab.run("masks")
    assert {path.name: path.read_bytes() for path in files(masks)} == before
    # raw under a level that only a recipe gives back: lost raw means lost masks
    lab.open().lose_storage("archive", "fell down")
    plan = lab.plan_drop("masks")
    assert "its input raw P1 is not recoverable" in plan.unsafe[0].why
    assert plan.unsafe[0].remedy


@pytest.mark.dvc
def test_a_chain_of_two_proven_levels_goes_and_comes_back_identical(lab: Lab) -> None:
    lab.edit_config(
        'key: "{plate}.csv"\n    storage: archive', 'key: "{plate}.csv"\n    storage: none'
    )
    project = lab.open()
    project.apply(project.plan_apply())
    lab.add()
    lab.push("raw")
    lab.run()
    lab.share()
    table = lab.root / "data/tables/P1.csv"
    before = table.read_bytes()
    assert verdicts(lab.open().prove()) == ["identical", "identical"]
    lab.drop("masks", "tables")
    assert not table.exists()
    assert not (lab.root / "data/masks/P1").exists()
    lab.run("tables")
    assert table.read_bytes() == before


@pytest.mark.dvc
def test_a_proof_whose_code_is_not_pushed_does_not_hold(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.run("masks")
    lab.commit()
    list(lab.open().prove(["masks"]))
    plan = lab.plan_drop("masks")
    assert plan.unsafe[0].remedy == "git push"


@pytest.mark.dvc
def test_a_recipe_that_differs_from_the_commit_is_not_proven(lab: Lab) -> None:
    lab.add()
    lab.run("masks")
    outcome = next(iter(lab.open().prove(["masks"])))
    assert isinstance(outcome, NotProved)
    assert "dvc.lock as committed" in outcome.error.problem


@pytest.mark.dvc
def test_a_stage_that_makes_something_else_each_time_is_found_out(lab: Lab) -> None:
    script = lab.root / "segment.py"
    stamp = "import time\n(target / 'stamp.txt').write_text(str(time.time()))\n"
    script.write_text(script.read_text() + stamp)
    lab.add()
    lab.push("raw")
    lab.run("masks")
    lab.share()
    outcome = next(iter(lab.open().prove(["masks"])))
    assert isinstance(outcome, Proved)
    assert outcome.verdict == "different"
    assert outcome.differences == ("data/masks/P1/stamp.txt: other bytes",)
    lab.share()
    plan = lab.plan_drop("masks")
    assert "made again, it was different" in plan.unsafe[0].why


@pytest.mark.dvc
def test_a_proof_by_a_method_found_wrong_is_rejected(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.run("masks")
    lab.share()
    list(lab.open().prove(["masks"]))
    for path in (lab.root / ".imgdata/log").rglob("*.jsonl"):
        path.write_text(path.read_text().replace('"method_version": 2', '"method_version": 0'))
    assert "method version 0" in lab.plan_drop("masks").unsafe[0].why


@pytest.mark.dvc
def test_used_frees_what_is_stored_nowhere_only_when_its_consumers_are_done(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.run("masks")
    lab.share()
    list(lab.open().prove(["masks"]))
    assert lab.plan_drop(used=True).versions == ()
    lab.run("tables")
    plan = lab.plan_drop(used=True)
    assert {one.version.level for one in plan.versions} == {"masks"}
    assert plan.files == 4


@pytest.mark.dvc
def test_superseded_versions_go_by_their_rule_and_never_those_of_a_tag(lab: Lab) -> None:
    lab.edit_config('key: "{plate}.csv"\n', 'key: "{plate}.csv"\n    versions: last 1\n')
    lab.add()
    lab.run()
    lab.push("raw", "tables")
    lab.commit()
    lab.git("tag", "v1")
    for number in (2, 3):
        script = (lab.root / "measure.py").read_text()
        (lab.root / "measure.py").write_text(
            script + f"# version {number}\ntarget.write_text(target.read_text() + '{number}')\n"
        )
        lab.run()
        lab.push("tables")
        lab.push("tables", to=("second",))
        lab.commit()
    plan = lab.plan_drop("tables", source="archive", old=True)
    assert len(plan.versions) == 1
    assert plan.files == 1
    before = len(lab.objects("archive"))
    lab.drop("tables", source="archive", old=True)
    assert len(lab.objects("archive")) == before - 1


@pytest.mark.dvc
def test_a_chain_that_goes_one_level_after_the_other_comes_back_identical(lab: Lab) -> None:
    lab.edit_config(
        'key: "{plate}.csv"\n    storage: archive', 'key: "{plate}.csv"\n    storage: none'
    )
    project = lab.open()
    project.apply(project.plan_apply())
    lab.add()
    lab.push("raw")
    lab.run()
    lab.share()
    data = lab.root / "data"
    before = {path.name: path.read_bytes() for path in files(data)}
    assert verdicts(lab.open().prove()) == ["identical", "identical"]
    lab.drop("tables")
    lab.drop("masks")
    lab.drop("raw")
    assert not [path for path in files(data) if path.suffix not in {".dvc", ""}]
    (raw,) = lab.open().pull(["raw"])
    assert isinstance(raw, Pulled)
    lab.run("tables")
    assert {path.name: path.read_bytes() for path in files(data)} == before


@pytest.mark.dvc
def test_a_later_level_makes_what_it_needs_again_and_nothing_else(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.run()
    lab.share()
    list(lab.open().prove(["masks"]))
    masks = lab.root / "data/masks/P1"
    before = {path.name: path.read_bytes() for path in files(masks)}
    lab.drop("masks")
    assert lab.open().plan_run().stages == ()

    script = lab.root / "measure.py"
    script.write_text(script.read_text() + "# counted anew\n")
    plan = lab.open().plan_run(["tables"])
    assert [(one.stage.name, one.reasons) for one in plan.stages] == [
        ("segment@P1", ("stored nowhere and not here",)),
        ("measure@P1", ("measure.py changed",)),
    ]
    lab.run("tables")
    assert {path.name: path.read_bytes() for path in files(masks)} == before


@pytest.mark.dvc
def test_a_committed_version_that_was_never_pushed_is_not_deleted(lab: Lab) -> None:
    lab.edit_config('key: "{plate}.csv"\n', 'key: "{plate}.csv"\n    versions: last 1\n')
    lab.add()
    lab.run()
    lab.push("raw")
    lab.commit()
    table = lab.root / "data/tables/P1.csv"
    first = table.read_bytes()
    script = lab.root / "measure.py"
    script.write_text(script.read_text() + "target.write_text(target.read_text() * 2)\n")
    lab.run()
    lab.push("tables")
    lab.commit()

    plan = lab.drop("tables", old=True)
    assert plan.files == 0
    assert "never stored there" in plan.unsafe[0].why
    assert lab.drop("tables").files == 1
    assert not table.exists()
    lab.git("checkout", "--quiet", "HEAD~1")
    list(lab.open().pull(["tables"]))
    assert table.read_bytes() == first


@pytest.fixture
def reruns(lab: Lab) -> Lab:
    """Masks that a model made three times, each on one storage; one version is asked for."""
    lab.edit_config("storage: none", "storage: archive\n    versions: last 1")
    project = lab.open()
    project.apply(project.plan_apply())
    lab.add()
    lab.push("raw")
    for number in range(3):
        script = lab.root / "segment.py"
        script.write_text(SEGMENT.replace("[::-1]", f"[::-1] + b'{number}'"))
        lab.run("masks")
        lab.push("masks")
        lab.share()
    return lab


@pytest.mark.dvc
def test_an_old_version_names_what_makes_it_recoverable_and_that_works_when_typed(
    reruns: Lab,
) -> None:
    plan = reruns.plan_drop("masks", source="archive", old=True)
    assert (plan.files, len(plan.unsafe)) == (0, 2)
    for bad in plan.unsafe:
        assert re.fullmatch(
            r"git checkout [0-9a-f]{8} && imgdata run masks --prove && git checkout -", bad.remedy
        )
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        env = {**os.environ, "PATH": path}
        subprocess.run(bad.remedy, shell=True, cwd=reruns.root, env=env, check=True)
    reruns.share()
    assert reruns.git("branch", "--show-current") == "main"
    plan = reruns.drop("masks", source="archive", old=True)
    assert (plan.files, plan.unsafe) == (8, ())


@pytest.mark.dvc
def test_an_audit_tells_old_versions_that_may_go_from_those_nothing_else_has(reruns: Lab) -> None:
    judged = reruns.open().audit(remote=False)
    said = {
        one.storage: one for rule in judged for one in rule.remarks if rule.rule.name == "versions"
    }
    assert said[""].next_step == "imgdata drop masks --old-versions"
    assert said["archive"].what.endswith("may go once something else has them for sure")
    assert said["archive"].next_step.endswith("--from archive --dry-run")


@pytest.mark.dvc
def test_a_plan_without_the_lists_says_so_and_asking_finds_them(reruns: Lab) -> None:
    other = Lab(reruns.base / "other", reruns.base)
    reruns.git("clone", "--quiet", str(reruns.base / "remote.git"), str(other.root))
    for options in (
        DropOptions("archive", old_versions=True, ask=False),
        DropOptions("archive", ask=False),
    ):
        plan = other.open().plan_drop(["masks"], options)
        assert plan.versions == ()
        assert len(plan.unlisted) == 3
        asked = other.open().plan_drop(["masks"], replace(options, ask=True))
        assert (asked.unlisted, len(asked.versions)) == ((), 2 if options.old_versions else 1)
    done = type_(other, "drop", "masks", "--from", "archive", "--old-versions", "--dry-run")
    assert "no version is superseded" not in done.stdout
    assert "whose file list is not here (--remote asks)" in done.stdout


def test_where_no_other_storage_is_configured_the_remedy_is_to_have_one(lab: Lab) -> None:
    lab.edit_config('  second: {url: "' + f"{lab.base}" + '/second"}\n', "")
    lab.add()
    lab.push()
    plan = lab.plan_drop("raw", source="archive")
    assert [bad.remedy for bad in plan.unsafe] == [
        "edit imgdata.yaml: give raw a storage at another place"
    ]


def test_with_another_storage_the_remedy_names_it(lab: Lab) -> None:
    lab.add()
    lab.push()
    (bad,) = lab.plan_drop("raw", source="archive").unsafe
    assert bad.remedy == "imgdata push raw --to second"
    assert type_(lab, *bad.remedy.split()[1:]).returncode == 0
    assert lab.plan_drop("raw", source="archive").files == 4


def test_where_the_only_copy_is_on_a_storage_that_is_away_the_remedy_is_about_that_storage(
    lab: Lab,
) -> None:
    lab.edit_config('  second: {url: "' + f"{lab.base}" + '/second"}\n', "")
    lab.add()
    lab.push()
    (lab.base / "archive").rename(lab.base / "unplugged")
    (bad,) = lab.plan_drop("raw").unsafe
    assert bad.remedy == "imgdata storage test archive"
    told = type_(lab, *bad.remedy.split()[1:])
    assert (told.returncode, "mount the disk" in told.stderr) == (4, True)
    (lab.base / "unplugged").rename(lab.base / "archive")
    assert type_(lab, *bad.remedy.split()[1:]).returncode == 0
    assert lab.plan_drop("raw").unsafe == ()


def test_status_and_a_dry_run_that_ask_notice_another_projects_marker(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    assert "1 of 1" in type_(lab, "status", "raw", "--remote").stdout
    marker = lab.base / "archive" / "imgdata-project.json"
    marker.chmod(0o644)
    marker.write_text('{"id": "someone", "title": "Other plate"}')
    theirs = "its marker names another project, 'Other plate'"

    status = type_(lab, "status", "raw", "--remote")
    assert "0 of 1" in status.stdout
    assert f"note: nothing on archive counts: {theirs}" in status.stdout
    assert type_(lab, "status", "raw", "--remote", "--fail-on", "unstored").returncode == 1
    here = type_(lab, "drop", "raw", "--dry-run", "--remote")
    assert theirs in here.stdout
    assert "0 of 4 files are safe" in here.stdout
    there = type_(lab, "drop", "raw", "--from", "archive", "--dry-run", "--remote")
    assert (there.returncode, "names 'Other plate'" in there.stderr) == (5, True)
    marker.unlink()
    assert "it has no marker of this project" in type_(lab, "status", "raw", "--remote").stdout
