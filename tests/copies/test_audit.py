"""`imgdata audit` finds what is wrong in a real project, and its next action mends it."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imgdata.model.events import parse_time, time_text
from imgdata.policy.audit.remarks import Remark
from tests.copies.conftest import Lab
from tests.copies.test_commands import answer, type_

PARTNER = (
    "  lab: {kind: own, access: open}\n"
    "  partner: {kind: academic-collaborator, access: restricted, release_on: 2999-01-01}\n"
)


def said(lab: Lab, *, remote: bool = True) -> dict[str, list[Remark]]:
    """Return what an audit has to say, by rule."""
    judged = lab.open().audit(remote=remote)
    return {one.rule.name: list(one.remarks) for one in judged if one.remarks}


def only(lab: Lab, rule: str) -> Remark:
    """Return the one thing that is to say about a project, which is of this rule."""
    found = said(lab)
    assert list(found) == [rule]
    assert len(found[rule]) == 1
    return found[rule][0]


def do(lab: Lab, command: str) -> None:
    """Paste a next action; answer its questions with yes."""
    programs = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    asks = ("imgdata drop", "imgdata storage apply", "imgdata storage move")
    line = f"{command} --yes" if command.startswith(asks) else command
    done = subprocess.run(
        line, shell=True, cwd=lab.root, env=env, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def sound(lab: Lab) -> Lab:
    """A project of which everything is as it should be: one plate, stored and shared."""
    lab.add()
    lab.push()
    lab.share()
    return lab


def test_a_sound_project_gets_a_short_answer_and_nothing_is_written(sound: Lab) -> None:
    before = sound.git("status", "--porcelain")
    done = type_(sound, "audit")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "small: all 22 rules hold",
        "  not asked, as remembered: markers, answers (imgdata audit --remote)",
    ]
    asked = type_(sound, "audit", "--remote")
    assert asked.stdout == "small: all 24 rules hold\n"
    assert sound.git("status", "--porcelain") == before == ""


def test_the_json_fits_its_schema_and_names_every_rule(sound: Lab) -> None:
    document = answer(sound, "audit")
    assert document["ok"] is True
    assert {one["rule"]: one["holds"] for one in document["results"]}["markers"] is None
    shutil.rmtree(sound.base / "archive" / "files")
    document = answer(sound, "audit", "--remote")
    assert document["ok"] is False
    broken = [one for one in document["results"] if one["holds"] is False]
    assert [one["rule"] for one in broken] == ["undamaged"]
    assert broken[0]["findings"][0]["next"] == "imgdata verify raw --on archive --repair"


def test_an_unpushed_plate_is_below_its_rule_until_it_is_pushed(lab: Lab) -> None:
    lab.add()
    lab.share()
    found = only(lab, "copies")
    assert found.what == "0 of 1 copy (archive: never stored there)"
    do(lab, found.next_step)
    lab.share()
    assert said(lab) == {}


def test_a_lost_storage_leaves_its_levels_below_their_rule(sound: Lab) -> None:
    sound.open().lose_storage("archive", "fell down")
    sound.share()
    found = only(sound, "copies")
    assert found.what == "0 of 1 copy (archive: lost)"
    do(sound, found.next_step)
    assert said(sound) == {}


def test_a_storage_taken_out_of_imgdata_yaml_with_the_only_copies_is_added_again(
    sound: Lab,
) -> None:
    sound.drop("raw")
    sound.share()
    config = sound.root / "imgdata.yaml"
    before = config.read_text()
    config.write_text(re.sub(r"(?m)^  archive: .*\n", "", before).replace("archive", "second"))
    applied = type_(sound, "storage", "apply", "--yes")
    sound.share()
    remark = only(sound, "copies")
    assert "only on a storage that imgdata.yaml does not name any more" in remark.what
    command = f"imgdata storage add archive {sound.base}/archive --option price_per_tb_month=20"
    assert remark.next_step == command
    warning = f"no other storage has its raw (1 unit); to know it again: {command}"
    assert warning in applied.stderr
    assert warning in type_(sound, "status").stdout
    assert warning in type_(sound, "push", "raw").stderr
    refused = type_(sound, "pull", "raw")
    assert (refused.returncode, command in refused.stderr) == (6, True)
    do(sound, command)
    assert type_(sound, "pull", "raw").returncode == 0
    assert "any more" not in type_(sound, "status").stdout
    assert "copies" not in said(sound)


def test_a_damaged_copy_that_verify_found_is_mended_by_the_command_named(sound: Lab) -> None:
    victim = next(path for path in sound.objects("archive") if path.suffix != ".dir")
    victim.chmod(0o644)
    victim.write_bytes(b"x" * victim.stat().st_size)
    list(sound.open().verify(["raw"]))
    found = only(sound, "undamaged")
    assert found.what == "archive: 1 file damaged"
    assert found.files[0].startswith("data/raw/P1/")
    do(sound, found.next_step)
    assert said(sound) == {}


def test_a_check_that_is_overdue_is_asked_for_and_done(sound: Lab) -> None:
    for path in (sound.root / ".imgdata/log").rglob("*.jsonl"):
        text = path.read_text()
        at = text.split('"at": "')[1].split('"')[0]
        path.write_text(text.replace(at, time_text(parse_time(at) - timedelta(days=200))))
    sound.share()
    (found,) = said(sound, remote=False)["checked"]
    assert found.what == "archive: last checked 200 days ago (asked: every 180 days)"
    do(sound, found.next_step)
    assert said(sound) == {}


def test_what_a_tag_records_must_be_stored_and_the_command_stores_it(lab: Lab) -> None:
    lab.add()
    lab.commit()
    lab.git("tag", "v1")
    shutil.rmtree(lab.root / "data/raw/P1")
    (lab.root / "data/raw/P1.dvc").unlink()
    lab.add("P1", count=2, mark="again")
    lab.push()
    lab.share()
    found = only(lab, "versions-stored")
    assert found.next_step == "git checkout v1 && imgdata push raw && git checkout -"
    do(lab, found.next_step)
    assert said(lab) == {}


def test_an_old_version_of_a_renamed_level_is_stored_by_its_name_of_then(lab: Lab) -> None:
    lab.add()
    lab.commit()
    lab.git("tag", "v1")
    shutil.rmtree(lab.root / "data/raw/P1")
    (lab.root / "data/raw/P1.dvc").unlink()
    lab.add("P1", count=2, mark="again")
    lab.push()
    lab.commit()
    assert type_(lab, "level", "mv", "raw", "originals", "--yes").returncode == 0
    lab.share()
    step = said(lab)["versions-stored"][0].next_step
    assert step == "git checkout v1 && imgdata push raw && git checkout -"
    do(lab, step)
    assert "versions-stored" not in said(lab)


@pytest.mark.dvc
def test_what_plain_dvc_gc_took_from_a_storage_is_missed_when_it_is_asked(sound: Lab) -> None:
    sound.git("tag", "v1")
    sound.git("push", "--quiet", "origin", "v1")
    shutil.rmtree(sound.root / "data/raw/P1")
    (sound.root / "data/raw/P1.dvc").unlink()
    sound.add("P1", count=2, mark="again")
    sound.push()
    sound.share()
    gc = ("gc", "--workspace", "--cloud", "--remote", "archive", "--force", "--quiet")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *gc],
        cwd=sound.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said(sound, remote=False) == {}
    (old,) = answer(sound, "whereis", "raw", "--all-versions", "--remote")["results"][1:]
    assert [(one["storage"], one["files"]) for one in old["copies"]] == [(None, 0), ("archive", 0)]
    remark = only(sound, "versions-stored")
    assert "of v1 is on no storage" in remark.what
    assert remark.next_step == (
        "in a clone that still has it: git checkout v1 && imgdata push raw && git checkout -"
    )


def test_an_old_version_that_was_dropped_by_rule_is_no_loss(lab: Lab) -> None:
    lab.add()
    lab.push(to=("archive", "second"))
    lab.commit()
    lab.git("tag", "v1")
    shutil.rmtree(lab.root / "data/raw/P1")
    (lab.root / "data/raw/P1.dvc").unlink()
    lab.add("P1", count=2, mark="again")
    lab.push()
    lab.share()
    assert said(lab) == {}


def test_a_foreign_and_an_absent_marker_are_noticed(sound: Lab) -> None:
    marker = sound.base / "archive" / "imgdata-project.json"
    kept = marker.read_bytes()
    marker.unlink()
    found = only(sound, "markers")
    assert "has no marker" in found.what
    do(sound, found.next_step)
    marker.write_bytes(kept.replace(b"0123456789abcdef", b"f" * 16))
    assert "another project" in only(sound, "markers").what


def test_a_storage_that_is_away_is_named(sound: Lab) -> None:
    (sound.base / "archive").rename(sound.base / "elsewhere")
    found = said(sound)
    assert [one.next_step for one in found["answers"]] == ["imgdata storage test archive"]
    assert list(said(sound, remote=False)) == []


def test_two_names_for_one_folder_are_found(sound: Lab) -> None:
    shutil.rmtree(sound.base / "second")
    (sound.base / "second").symlink_to(sound.base / "archive")
    sound.edit_config("    storage: archive\n  masks", "    storage: [archive, second]\n  masks")
    project = sound.open()
    project.apply(project.plan_apply())
    sound.share()
    assert only(sound, "places").subject == "second"


def test_files_that_disagree_with_imgdata_yaml_are_brought_in_line(sound: Lab) -> None:
    sound.edit_config(f"{sound.base}/second", f"{sound.base}/third")
    (sound.base / "third").mkdir()
    assert set(said(sound)) == {"dvc-files", "rules-committed"}
    do(sound, said(sound)["dvc-files"][0].next_step)
    do(sound, said(sound)["rules-committed"][0].next_step)
    found = only(sound, "rules-committed")
    assert found.next_step == "git push origin main"
    do(sound, found.next_step)
    assert said(sound) == {}


def test_an_edited_original_is_named(sound: Lab) -> None:
    path = sound.root / "data/raw/P1/B01_1.tif"
    path.unlink()
    path.write_bytes(b"by hand")
    found = only(sound, "raw")
    assert found.what == "1 changed (B01_1.tif)"
    do(sound, found.next_step)


@pytest.mark.dvc
def test_a_level_stored_nowhere_needs_its_proof_and_no_hand(sound: Lab) -> None:
    sound.run()
    sound.push()
    sound.share()
    edited = sound.root / "data/masks/P1/B02_1.tif"
    made = edited.read_bytes()
    edited.unlink()
    edited.write_bytes(b"by hand")
    found = said(sound)
    assert found["outputs"][0].what == "1 changed (B02_1.tif)"
    assert found["recomputable"][0].next_step == "imgdata run masks --prove"
    edited.write_bytes(made)
    do(sound, found["recomputable"][0].next_step)
    sound.share()
    due = only(sound, "keep")  # proven and used, so it may go
    assert due.next_step == "imgdata drop masks --due"
    do(sound, due.next_step)
    assert said(sound) == {}
    assert not (sound.root / "data/masks/P1").exists()


def test_an_accepted_loss_is_shown_for_ever(sound: Lab) -> None:
    loss = 'accept_loss: [{select: P7, reason: "wrong plate", by: "A. Lee", on: "2026-11-20"}]\n'
    sound.edit_config("    origin: lab\n", f"    origin: lab\n    {loss}")
    sound.share()
    assert only(sound, "losses").state == "note"
    sound.edit_config(f"    {loss}", "")
    sound.share()
    assert only(sound, "losses").what == "its loss is accepted: wrong plate (A. Lee, 2026-11-20)"
    assert type_(sound, "audit").returncode == 0


def test_old_versions_beyond_the_rule_are_due_and_go(lab: Lab) -> None:
    lab.edit_config("    origin: lab\n", "    origin: lab\n    versions: last 1\n")
    lab.add()
    lab.push(to=("archive", "second"))
    lab.share()
    shutil.rmtree(lab.root / "data/raw/P1")
    (lab.root / "data/raw/P1.dvc").unlink()
    lab.add("P1", count=2, mark="again")
    lab.push()
    lab.share()
    found = said(lab)
    assert list(found) == ["versions"]
    assert {one.storage for one in found["versions"]} == {"", "archive", "second"}
    here = next(one for one in found["versions"] if not one.storage)
    do(lab, here.next_step)
    assert {one.storage for one in said(lab)["versions"]} == {"archive", "second"}


# What others did behind imgdata's back


@pytest.fixture
def leaky(lab: Lab) -> Lab:
    """Raw data of a partner, a public storage that it must not reach, committed rules."""
    lab.edit_config("  lab: {kind: own, access: open}\n", PARTNER)
    lab.edit_config("origin: lab", "origin: partner")
    lab.edit_config('second"}', f'second"}}\n  world: {{url: "{lab.base}/world", public: true}}')
    (lab.base / "world").mkdir()
    project = lab.open()
    project.apply(project.plan_apply())
    lab.share()
    lab.add("P1", count=2)
    lab.push()
    lab.share()
    return lab


def dvc_push(lab: Lab, remote: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "push", "--quiet", "--remote", remote, "data/raw/P1.dvc"],
        cwd=lab.root,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_nothing_is_said_while_nothing_leaked(leaky: Lab) -> None:
    assert said(leaky) == {}


@pytest.mark.dvc
def test_what_plain_dvc_pushed_to_a_public_storage_is_found_by_hash_and_taken_back(
    leaky: Lab,
) -> None:
    path = leaky.root / "data/raw/P1.dvc"
    path.write_text(path.read_text().replace("  remote: archive\n", ""))  # so that dvc obeys -r
    dvc_push(leaky, "world")
    leaky.git("checkout", "--quiet", "--", "data/raw/P1.dvc")
    assert "leaks" not in said(leaky, remote=False)
    found = only(leaky, "leaks")
    assert found.what.startswith("restricted, but on world (public: true): data/raw/P1")
    assert "restricted until 2999-01-01" in found.what
    commands = found.next_step.split(" && ")
    assert len(commands) == 2  # it has no marker of this project yet
    do(leaky, commands[0])
    do(leaky, commands[1])
    assert said(leaky) == {}
    assert not [one for one in (leaky.base / "world/files").rglob("*") if one.is_file()]


def test_restricted_files_in_git_are_found_by_content_under_any_name(leaky: Lab) -> None:
    original = leaky.root / "data/raw/P1/B01_1.tif"
    (leaky.root / "figure.tif").write_bytes(original.read_bytes())
    leaky.share()
    found = only(leaky, "leaks")
    assert "in git" in found.what
    assert found.files == ("figure.tif",)
    take_out_of_git(leaky, found.next_step)
    assert said(leaky) == {}
    assert (leaky.root / "figure.tif").is_file()


def take_out_of_git(lab: Lab, command: str) -> None:
    """Do what the audit says; then no careless command brings it back."""
    do(lab, command)
    lab.git("commit", "--quiet", "-m", "Take it out")
    lab.share()


def test_a_plate_whose_line_in_gitignore_was_deleted_is_taken_out_of_git_for_good(
    leaky: Lab,
) -> None:
    ignore = leaky.root / "data/raw/.gitignore"
    before = ignore.read_text()
    ignore.write_text(before.replace("/P1\n", ""))
    leaky.share()
    assert "data/raw/P1/B01_1.tif" in leaky.git("ls-files")
    take_out_of_git(leaky, only(leaky, "leaks").next_step)
    assert said(leaky) == {}
    assert ignore.read_text() == before
    assert "data/raw/P1/B01_1.tif" not in leaky.git("ls-files")
    assert len(list((leaky.root / "data/raw/P1").iterdir())) == 2


def test_a_restricted_level_on_a_public_remote_is_found_before_anyone_pushes(leaky: Lab) -> None:
    path = leaky.root / "data/raw/P1.dvc"
    path.write_text(path.read_text().replace("remote: archive", "remote: world"))
    leaky.share()
    found = said(leaky, remote=False)
    assert found["public-remotes"][0].storage == "world"
    assert "plain dvc push would send it to world" in found["public-remotes"][0].what
    assert "dvc-files" in found


def test_a_restriction_without_an_end_and_one_that_ended_are_told(leaky: Lab) -> None:
    leaky.edit_config(", release_on: 2999-01-01", "")
    leaky.share()
    found = only(leaky, "restrictions-end")
    assert found.state == "note"
    assert type_(leaky, "audit").returncode == 0
    leaky.edit_config("access: restricted", "access: restricted, release_on: 2001-01-01")
    leaky.share()
    assert "ended on 2001-01-01" in only(leaky, "restrictions-end").what


def test_a_clone_of_the_project_comes_to_the_same_answer(leaky: Lab) -> None:
    clone = Lab(leaky.base / "clone", leaky.base)
    leaky.git("clone", "--quiet", str(leaky.base / "remote.git"), str(clone.root))
    assert list(said(clone)) == []
    done = type_(clone, "audit")
    assert done.returncode == 0, done.stdout
    assert not (clone.root / "data/raw/P1").exists()


def test_thousands_of_files_are_one_finding(sound: Lab) -> None:
    folder = sound.base / "microscope" / "P2"
    folder.mkdir()
    for number in range(3000):
        (folder / f"B{number // 100:02d}_{number % 100}.tif").write_bytes(b"%d" % number)
    project = sound.open()
    list(project.add(project.plan_add("raw", [folder])))
    document: Any = json.loads(type_(sound, "audit", "--json").stdout)
    copies = next(one for one in document["results"] if one["rule"] == "copies")
    assert len(copies["findings"][0]["files"]) == 3000
