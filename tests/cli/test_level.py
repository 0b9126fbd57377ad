"""`imgdata level add|mv` through the installed command, with the real dvc."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from imgdata.dvc_files.config import read_config
from imgdata.dvc_files.state import State
from imgdata.testing.lab import Lab
from imgdata.testing.programs import PROGRAMS

NOTHING_LOST = "Data and pipelines are up to date."


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Return md5 and inode of every data file by its path below a folder."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.md5(path.read_bytes()).hexdigest(),
            path.stat().st_ino,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def answer(lab: Lab, *words: str) -> dict[str, object]:
    found: dict[str, object] = lab.ok("--json", "lineage", *words).results[0]
    return found


def first_commit(found: dict[str, object]) -> object:
    first = found["first_recorded"]
    assert isinstance(first, dict)
    return first["subject"]


# --- level add -----------------------------------------------------------------------------------


def test_a_new_level_is_like_its_neighbours_and_the_file_keeps_its_comments(lab: Lab) -> None:
    before = lab.file("imgdata.yaml").read_text()
    told = lab.ok("level", "add", "outlines", "--from", "masks", "--key", "{plate}/{well}.tif")
    after = lab.file("imgdata.yaml").read_text()
    added = (
        "  outlines:\n"
        "    path: data/outlines\n"
        "    unit: plate\n"
        '    key: "{plate}/{well}.tif"\n'
        "    from: [masks]\n"
        "    storage: [archive]\n"
    )
    assert after == before + added
    assert "data/outlines/${item}" in told.out
    assert "agree with imgdata.yaml" in lab.ok("storage", "apply", "--dry-run").out
    assert 'git commit -m "Add level outlines"' in told.out


def test_a_new_raw_level_takes_the_origin_of_the_others_and_takes_a_plate(lab: Lab) -> None:
    lab.ok("level", "add", "brightfield")
    assert "origin: own" in lab.file("imgdata.yaml").read_text().split("brightfield:")[1]
    lab.ok("add", "brightfield", lab.plate("B1"))
    lab.ok("push", "brightfield")
    assert "in sync" in lab.dvc("status", "-c", "data/brightfield/B1.dvc").out


def test_a_new_level_stands_after_the_last_one_and_before_what_follows(lab: Lab) -> None:
    config = lab.file("imgdata.yaml")
    config.write_text(
        config.read_text() + "\n# how we check\nchecks:\n  IMG-303: {severity: note, reason: old}\n"
    )
    lab.ok("level", "add", "outlines", "--storage", "none", "--unit", "none")
    levels, checks = config.read_text().split("\n# how we check\n")
    assert levels.endswith("  outlines:\n    path: data/outlines\n    unit: none\n"
                           "    origin: own\n    storage: none\n")  # fmt: skip
    assert checks.startswith("checks:")


def test_a_level_that_cannot_be_is_refused_and_nothing_is_written(lab: Lab) -> None:
    for words, said in (
        (("masks",), "there is a level 'masks' already"),
        (("Masks",), "cannot be the name of a level"),
        (("more", "--storage", "nowhere"), "'nowhere' is not a storage"),
        (("more", "--from", "nothing"), "'nothing' is not a level"),
        (("more", "--origin", "nobody"), "'nobody' is not an origin"),
        (("more", "--path", "data/raw/more"), "lies in that of level 'raw'"),
        (("more", "--path", "../more"), "must be a folder inside the project"),
        (("more", "--keep", "a while"), "'keep'"),
    ):
        refused = lab.imgdata("level", "add", *words)
        assert (refused.status, said in refused.err) == (2, True), (words, refused.err)
    assert lab.git("status", "--porcelain") == ""


# --- level mv ------------------------------------------------------------------------------------


def test_a_derived_level_moves_and_nothing_runs_or_is_sent_again(lab: Lab) -> None:
    data = contents(lab.file("data/masks"))
    objects = {name: path.stat().st_mtime_ns for name, path in lab.objects(lab.archive).items()}
    lab.ok("status")
    planned = lab.ok("level", "mv", "masks", "nuclei", "--dry-run")
    assert "rename data/masks -> data/nuclei" in planned.out
    assert lab.git("status", "--porcelain") == ""
    refused = lab.imgdata("level", "mv", "masks", "nuclei")
    assert refused.status == 5
    assert "--yes" in refused.err
    told = lab.ok("level", "mv", "masks", "nuclei", "--yes")
    assert told.out.startswith(planned.out)
    assert contents(lab.file("data/nuclei")) == data, "the same files, by inode and bytes"
    files = {str(path) for path in lab.file("data/nuclei/P1").iterdir()}
    known = State(lab.project, read_config(lab.file(".dvc")).site_cache_dir).read(files)
    assert known.keys() == files, "DVC knows their hashes, so nobody reads them again"
    assert not lab.file("data/masks").exists()
    lab.commit("Rename masks")
    assert NOTHING_LOST in lab.dvc("status").out
    assert "nothing to do" in lab.ok("run").out
    units = lab.ok("--json", "status", "nuclei").results
    assert [(one["here"], one["owed"]) for one in units] == [("complete", 0)], (
        "evidence still counts"
    )
    assert all(one["sent"] == 0 for one in lab.ok("--json", "push", "nuclei").results)
    after = {name: path.stat().st_mtime_ns for name, path in lab.objects(lab.archive).items()}
    assert after == objects, "no object was written again"
    assert "in sync" in lab.dvc("status", "-c").out
    clone = lab.clone()
    clone.dvc("pull", "--allow-missing")
    assert contents(clone.file("data/nuclei")).keys() == data.keys()
    assert clone.ok("status", "nuclei").out.count("1 of 1") == 1


def test_the_lineage_of_a_renamed_level_goes_on_and_names_who_ran_it(lab: Lab) -> None:
    before = answer(lab, "data/masks/P1", "--history")
    lab.ok("level", "mv", "masks", "nuclei", "--yes")
    lab.commit("Rename masks")
    after = answer(lab, "data/nuclei/P1", "--history")
    assert (after["level"], after["status"]) == ("nuclei", "recorded")
    assert after["producer"] == "dvc.lock::segment@P1"
    assert first_commit(after) == "One plate"
    runs = [
        next(node["run"] for node in nodes if node["id"] == "dvc.lock::segment@P1")
        for nodes in (before["nodes"], after["nodes"])
        if isinstance(nodes, list)
    ]
    assert runs[0]
    assert runs[0] == runs[1], "the run is still known"
    assert isinstance(after["history"], list)
    assert [one["subject"] for one in after["history"]] == ["One plate"]
    for path in ("data/masks/P1", "data/nuclei/P1"):
        old = answer(lab, path, "--rev", "HEAD~1")
        assert (old["file"], old["level"], old["status"]) == ("data/masks/P1", "masks", "recorded")
        now = answer(lab, path)
        assert (now["file"], now["level"], now["status"]) == (
            "data/nuclei/P1",
            "nuclei",
            "recorded",
        )
    said = answer(lab, "data/nuclei/P1", "--diff", "HEAD~1")["diff"]
    assert isinstance(said, list)
    assert not [line for line in said if "no record" in line]


def test_raw_data_move_with_their_dvc_files_and_keep_their_origin(lab: Lab) -> None:
    data = contents(lab.microscope / "P1")
    tracker = lab.file("data/raw/P1.dvc").read_text()
    lab.ok("level", "mv", "raw", "images", "--yes")
    assert lab.file("data/images/P1.dvc").read_text() == tracker
    assert not lab.file("data/raw").exists()
    lab.commit("Rename raw")
    assert NOTHING_LOST in lab.dvc("status").out
    moved = contents(lab.file("data/images/P1"))
    assert {name: md5 for name, (md5, _) in moved.items()} == {
        name: md5 for name, (md5, _) in data.items()
    }
    found = answer(lab, "data/images/P1", "--history")
    assert found["producer"] == "data/images/P1.dvc"
    assert first_commit(found) == "One plate", "before the renaming, at the old path"
    assert isinstance(found["history"], list)
    assert len(found["history"]) == 1, "the renaming made no version"
    assert lab.ok("--json", "whereis", "data/raw/P1").results[0]["level"] == "images"
    lab.ok("add", "images", lab.plate("P2"))
    lab.ok("run")
    assert NOTHING_LOST in lab.dvc("status").out
    assert lab.file("data/masks/P2").is_dir()


def test_in_another_clone_the_data_follow_to_the_new_folder(lab: Lab) -> None:
    other = lab.clone()
    other.dvc("pull", "--allow-missing")
    data = {level: contents(other.file(f"data/{level}/P1")) for level in ("raw", "masks")}
    for old, new in (("masks", "nuclei"), ("raw", "images")):
        lab.ok("level", "mv", old, new, "--yes")
        lab.commit(f"Rename {old}")
    other.git("pull", "--quiet")
    assert (
        "rename data/masks/P1 -> data/nuclei/P1" in other.ok("level", "mv", "masks", "nuclei").out
    )
    other.ok("level", "mv", "raw", "images")
    assert contents(other.file("data/nuclei/P1")) == data["masks"]
    assert contents(other.file("data/images/P1")) == data["raw"]
    assert other.git("status", "--porcelain") == ""
    assert not other.file("data/masks").exists()
    units = {one["level"]: one["here"] for one in other.ok("--json", "status").results}
    assert (units["images"], units["nuclei"]) == ("complete", "complete")
    assert "nothing of it lies" in other.ok("level", "mv", "masks", "nuclei").out


def test_git_never_takes_data_that_lie_under_the_former_name(lab: Lab) -> None:
    other = lab.clone()
    other.ok("pull")
    other.ok("add", "raw", other.plate("P2"))
    other.ok("run")
    other.commit("A plate under the old name")
    lab.ok("level", "mv", "masks", "nuclei", "--yes")
    lab.commit("Rename masks")
    other.git("pull", "--quiet", "--no-rebase", "--no-edit")
    assert len(list(other.file("data/masks/P2").iterdir())) == 4
    other.git("add", "--all")
    assert other.git("status", "--porcelain") == ""
    note = "data/masks/P1 and 1 more lie where level 'nuclei' was before its renaming; to move them"
    assert f"{note}: imgdata level mv masks nuclei" in other.ok("status").out
    other.ok("level", "mv", "masks", "nuclei")
    assert "before its renaming" not in other.ok("status").out
    assert not other.file("data/masks").exists()
    # raw data and their records, and back to a name that was left
    ignored = other.file(".gitignore").read_text()
    for old, new in (("raw", "images"), ("images", "raw"), ("nuclei", "masks")):
        other.ok("level", "mv", old, new, "--yes")
        other.commit(f"Rename {old}")
    added = other.file(".gitignore").read_text().splitlines()
    assert ("/data/masks/*/" in ignored.splitlines(), "/data/masks/*/" in added) == (True, False)
    assert added[-2:] == ["/data/images/*/", "/data/nuclei/*/"]
    other.ok("add", "raw", other.plate("P3"))
    assert "data/raw/P3.dvc" in other.git("status", "--porcelain")
    assert NOTHING_LOST in other.dvc("status", "segment@P1").out


def test_only_the_name_or_only_the_folder_can_change(lab: Lab) -> None:
    lab.ok("level", "mv", "masks", "nuclei", "--path", "data/masks", "--yes")
    lab.commit("Another name")
    assert lab.file("data/masks/P1").is_dir()
    lab.ok("level", "mv", "nuclei", "nuclei", "--path", "results/segmented/nuclei", "--yes")
    lab.commit("Another folder")
    assert lab.file("results/segmented/nuclei/P1").is_dir()
    assert NOTHING_LOST in lab.dvc("status").out
    assert [one["owed"] for one in lab.ok("--json", "status", "nuclei").results] == [0]
    lab.ok("level", "mv", "nuclei", "masks", "--path", "data/masks", "--yes")
    lab.commit("Back again")
    assert NOTHING_LOST in lab.dvc("status").out
    assert lab.git("diff", "--stat", "HEAD~3", "--", "dvc.yaml", "dvc.lock", "imgdata.yaml") == ""
    assert [one["owed"] for one in lab.ok("--json", "status", "masks").results] == [0]
    assert first_commit(answer(lab, "data/masks/P1")) == "One plate"


def test_what_was_stale_stays_stale_and_keeps_the_command_that_ran(lab: Lab) -> None:
    pipeline = lab.file("dvc.yaml")
    pipeline.write_text(pipeline.read_text().replace("cmd: sh ", "cmd: sh -e ", 1))
    lab.commit("Another command")
    lab.ok("level", "mv", "masks", "nuclei", "--yes")
    assert (
        "cmd: sh scripts/segment.sh data/raw/P1 data/masks/P1" in lab.file("dvc.lock").read_text()
    )
    said = lab.dvc("status", "segment@P1").out
    assert "changed command" in said
    assert "changed outs" not in said
    assert "changed deps" not in said
    lab.ok("run")
    assert NOTHING_LOST in lab.dvc("status").out


def test_a_stage_that_reads_a_rewritten_file_is_named_as_stale(lab: Lab) -> None:
    pipeline = lab.file("dvc.yaml")
    pipeline.write_text(
        pipeline.read_text().replace(
            "- scripts/segment.sh\n", "- scripts/segment.sh\n        - imgdata.yaml\n"
        )
    )
    lab.ok("run")
    lab.commit("Reads imgdata.yaml as a whole")
    told = lab.ok("level", "mv", "masks", "nuclei", "--yes")
    assert "segment@P1 reads imgdata.yaml, which changes" in told.out
    assert "imgdata.yaml" in lab.dvc("status", "segment@P1").out


def test_excluded_files_stay_excluded(lab: Lab) -> None:
    lab.ok("exclude", "raw", "--select", "plate=P1", "--select", "well=B03", "--reason", "bubble")
    lab.commit("Exclude a well")
    before = lab.file("metadata/excluded/P1.csv").read_text()
    lab.ok("level", "mv", "raw", "images", "--yes")
    after = lab.file("metadata/excluded/P1.csv").read_text()
    assert before.count("\nraw,") == 2
    assert after == before.replace("\nraw,", "\nimages,")


def test_code_is_listed_with_its_lines_and_left_as_it_is(lab: Lab) -> None:
    script = lab.file("scripts/look.py")
    script.write_text('import sys\nfolder = "data/masks/P1"\nlevels = ["masks"]\nmasks = 3\n')
    lab.commit("A script")
    told = lab.ok("--json", "level", "mv", "masks", "nuclei", "--yes")
    mentions = told.results[0]["mentions"]
    assert [(one["path"], one["line"]) for one in mentions] == [
        ("scripts/look.py", 2),
        ("scripts/look.py", 3),
    ]
    assert "data/masks" in script.read_text()
    lab.commit("Rename masks")
    shown = lab.ok("level", "mv", "counts", "tables", "--dry-run")
    assert "data/counts" in shown.out
    assert "look at them" not in shown.out


TEMPLATE_SCRIPT = """\
import pathlib, sys
outs = {outs}
for number in outs:
    out = pathlib.Path(sys.argv[number])
    name = out if out.suffix else out / "B02_1.tif"
    name.parent.mkdir(parents=True, exist_ok=True)
    name.write_text(f"made by {{sys.argv[0]}} {{number}}")
"""


def test_a_folder_that_variables_and_a_matrix_make_up_moves_too(lab: Lab) -> None:
    """The template's pipeline: `data/${item.masks}/...`, the level a key of params.yaml."""
    base = lab.base / "cell"
    lab.ok("init", base, "--template", "cell-painting", "--yes", cwd=lab.base)
    made = Lab(lab.base, "cell", lab.variables)
    outs = {"qc": [2], "select_images": [3, 4, 5], "correct": [3], "segment": [2], "crop": [4],
            "profile_cells": [4], "bulk": [2]}  # fmt: skip
    for script, numbers in outs.items():
        made.file(f"scripts/{script}.py").write_text(TEMPLATE_SCRIPT.format(outs=numbers))
    made.commit("Start")
    made.ok("add", "raw", made.plate("P7"))
    made.dvc("repro", "--quiet")
    made.commit("Run")
    assert NOTHING_LOST in made.dvc("status").out
    for old, new in (("masks", "nuclei"), ("raw", "images"), ("corrected", "flat")):
        made.ok("level", "mv", old, new, "--yes")
        made.commit(f"Rename {old}")
    assert NOTHING_LOST in made.dvc("status").out
    params = made.file("params.yaml").read_text()
    assert "  nuclei: {channel: DNA" in params
    assert "  masks: nuclei            # cells of which masks" in params
    assert "images: flat" in params
    assert "levels.images.key" in made.file("dvc.yaml").read_text()
    found = answer(made, "data/nuclei/P7", "--history")
    assert found["producer"] == "dvc.lock::segment@P7-nuclei"
    assert first_commit(found) == "Run", "under the stage's former name"


def test_a_level_in_one_piece_moves_with_its_dvc_file_and_its_gitignore_line(lab: Lab) -> None:
    lab.ok("level", "add", "atlas", "--unit", "none")
    lab.file("data/atlas").mkdir()
    lab.file("data/atlas/map.tif").write_bytes(b"a map")
    lab.dvc("add", "data/atlas")
    lab.ok("storage", "apply", "--yes")
    lab.commit("An atlas")
    lab.ok("level", "mv", "atlas", "reference", "--yes")
    assert "/reference" in lab.file("data/.gitignore").read_text().splitlines()
    assert "path: reference" in lab.file("data/reference.dvc").read_text()
    lab.commit("Rename atlas")
    assert lab.git("status", "--porcelain") == ""
    assert NOTHING_LOST in lab.dvc("status").out
    assert first_commit(answer(lab, "data/reference")) == "An atlas"


def test_what_cannot_be_renamed_is_refused_and_nothing_changes(lab: Lab) -> None:
    for words, status, said in (
        (("nothing", "x"), 2, "'nothing' is not a level"),
        (("masks", "raw"), 2, "there is a level 'raw' already"),
        (("masks", "Masks"), 2, "cannot be the name"),
        (("masks", "masks"), 2, "this name and this folder already"),
        (("masks", "nuclei", "--path", "data/raw/nuclei"), 2, "lies in that of level 'raw'"),
        (("masks", "nuclei", "--path", "data/masks/inner"), 2, "lies in data/masks itself"),
        (("masks", "nuclei", "--path", "../nuclei"), 2, "cannot be the folder"),
        (("masks", "nuclei", "--path", "scripts"), 5, "scripts exists already"),
    ):
        refused = lab.imgdata("level", "mv", *words, "--yes")
        assert (refused.status, said in refused.err) == (status, True), (words, refused.err)
        assert lab.git("status", "--porcelain") == ""
    lab.file("dvc.yaml").write_text(lab.file("dvc.yaml").read_text() + "# not committed\n")
    refused = lab.imgdata("level", "mv", "masks", "nuclei", "--yes")
    assert (refused.status, "not committed" in refused.err) == (5, True)
    assert "dvc.yaml" in refused.err
    lab.git("checkout", "dvc.yaml")
    with subprocess.Popen(["sleep", "60"]) as process:
        held = {str(lab.file("data/masks/P1")): [{"pid": process.pid, "cmd": "dvc repro"}]}
        lab.file(".dvc/tmp/rwlock").write_text(json.dumps({"read": held}))
        refused = lab.imgdata("level", "mv", "masks", "nuclei", "--yes")
        process.kill()
    assert (refused.status, "in use by another process" in refused.err) == (8, True)
    assert lab.file("data/masks/P1").is_dir()


def test_a_pipeline_that_takes_folders_from_imgdata_yaml_follows(lab: Lab) -> None:
    pipeline = lab.file("dvc.yaml")
    pipeline.write_text(
        pipeline.read_text()
        .replace("vars:\n", "vars:\n  - imgdata.yaml:levels\n")
        .replace("data/masks/${item}", "${levels.masks.path}/${item}")
    )
    lab.commit("Folders are said in one place")
    assert NOTHING_LOST in lab.dvc("status").out
    lab.ok("level", "mv", "masks", "nuclei", "--yes")
    assert "${levels.nuclei.path}/${item}" in pipeline.read_text()
    assert NOTHING_LOST in lab.dvc("status").out


def test_a_level_without_data_and_a_project_below_the_git_root_can_be_renamed(lab: Lab) -> None:
    (lab.project / ".git").rename(lab.base / ".git")
    (lab.base / ".gitignore").write_text("/archive\n/home\n/microscope\n/mirror\n")
    lab.git("add", "--all", ":/")
    lab.git("commit", "--quiet", "-m", "One project of several")
    lab.ok("level", "add", "outlines", "--from", "masks")
    lab.commit("A level without data")
    lab.ok("level", "mv", "outlines", "shapes", "--yes")
    assert "path: data/shapes" in lab.file("imgdata.yaml").read_text()
    lab.commit("Rename outlines")
    lab.ok("level", "mv", "masks", "nuclei", "--yes")
    lab.commit("Rename masks")
    assert lab.git("status", "--porcelain") == ""
    assert NOTHING_LOST in lab.dvc("status").out
    assert answer(lab, "data/masks/P1")["file"] == "project/data/nuclei/P1"


def test_a_pipeline_that_cannot_follow_is_named_and_nothing_changes(lab: Lab) -> None:
    pipeline = lab.file("dvc.yaml")
    pipeline.write_text(pipeline.read_text().replace("data/masks/", "data/${a}sk${b}/"))
    lab.file("params.yaml").write_text("threshold: 3\na: ma\nb: s\n")
    lab.commit("A riddle")
    refused = lab.imgdata("level", "mv", "masks", "nuclei", "--yes")
    assert refused.status == 2
    assert "dvc.lock::segment@P1" in refused.err
    assert lab.git("status", "--porcelain") == ""


def test_a_failure_in_the_middle_puts_everything_back(lab: Lab) -> None:
    log = lab.file(".imgdata/log")
    log.rename(lab.file(".imgdata/kept"))
    log.write_text("in the way of the log\n")
    lab.commit("A file where the log should be")
    failed = lab.imgdata("level", "mv", "masks", "nuclei", "--yes")
    assert failed.status == 8, failed.err
    assert lab.git("status", "--porcelain") == ""
    assert lab.file("data/masks/P1").is_dir()
    assert not lab.file("data/nuclei").exists()
    assert NOTHING_LOST in lab.dvc("status").out


def test_after_a_kill_the_same_command_completes(lab: Lab, tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - test data
    warm = lab.copy_to(tmp_path / "warm")
    words = (PROGRAMS / "imgdata", "level", "mv", "masks", "nuclei", "--yes")
    start = time.monotonic()
    assert warm.call(*words).status == 0  # a new process, as those that are killed
    whole = time.monotonic() - start
    for number in range(4):
        copy = lab.copy_to(tmp_path / f"lab{number}")
        data = contents(copy.file("data/masks"))
        with subprocess.Popen(
            words,
            cwd=copy.project, env=copy.environment, stdout=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                process.wait(chance.uniform(whole * 0.4, whole))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
        if "nuclei" not in copy.file("imgdata.yaml").read_text() or (
            copy.file(".dvc/tmp/imgdata/level-mv.json").exists()
        ):
            copy.ok("level", "mv", "masks", "nuclei", "--yes")
        assert contents(copy.file("data/nuclei")) == data
        assert not copy.file("data/masks").exists()
        assert "nothing to do" in copy.ok("run", "--dry-run").out
        units = copy.ok("--json", "status", "nuclei").results
        assert [one["owed"] for one in units] == [0]
        shutil.rmtree(copy.base)


def test_a_renaming_that_stopped_half_way_blocks_others_until_it_is_completed(
    lab: Lab, tmp_path: Path
) -> None:
    """The state a kill leaves after the journal, the move, and the first of the files."""
    ready = lab.copy_to(tmp_path / "ready")
    plan = ready.ok("--json", "level", "mv", "masks", "nuclei", "--yes").results[0]
    texts = {
        path: tuple(file.read_text() if file.is_file() else "" for file in pair)
        for path in (one["path"] for one in plan["changes"])
        for pair in [(lab.file(path), ready.file(path))]
    }
    details = {name: plan[name] for name in ("level", "to", "path", "to_path")}
    journal = {
        "v": 1,
        "rename": {**details, "producers": {}, "entries": {}},
        "moves": plan["moves"],
        "texts": texts,
    }
    lab.file(".dvc/tmp/imgdata/level-mv.json").write_text(json.dumps(journal))
    lab.file("data/masks").rename(lab.file("data/nuclei"))
    first, (_, after) = next(iter(texts.items()))
    lab.file(first).write_text(after)
    blocked = lab.imgdata("push")
    assert (blocked.status, "imgdata level mv masks nuclei" in blocked.err) == (5, True)
    assert lab.imgdata("level", "mv", "raw", "images", "--yes").status == 5
    lab.file("dvc.yaml").write_text("stages: {}\n")
    assert lab.imgdata("level", "mv", "masks", "nuclei").status == 5, "a change of one's own"
    lab.git("checkout", "dvc.yaml")
    assert "completed renaming masks to nuclei" in lab.ok("level", "mv", "masks", "nuclei").out
    lab.commit("Rename masks")
    assert NOTHING_LOST in lab.dvc("status").out
    assert lab.file("dvc.lock").read_text() == ready.file("dvc.lock").read_text()
