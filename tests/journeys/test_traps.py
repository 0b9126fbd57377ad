"""Traps that other tools for data versions fall into, and that no other test here springs.

docs/explanation/traps.md lists all of them with their tests.
"""

import json
import os
from pathlib import Path

import pytest

from imgdata.testing.lab import Lab
from imgdata.testing.programs import PROGRAMS

pytestmark = pytest.mark.dvc


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".gitignore" and path.suffix != ".dvc"
    }


def test_each_level_has_a_remote_of_its_own_and_there_is_no_default(lab: Lab) -> None:
    config = lab.file("imgdata.yaml")
    text = config.read_text("utf-8").replace(
        "from: [raw]\n    storage: [archive]", "from: [raw]\n    storage: [mirror]"
    )
    config.write_text(text, "utf-8")
    lab.ok("storage", "apply", "--yes")
    assert lab.dvc("remote", "default", "--unset").status == 0
    lab.ok("push")
    lab.commit("A storage a level")
    masks = contents(lab.file("data/masks/P1"))

    clone = lab.clone()
    assert clone.ok("status", "--remote", "--json").results[1]["copies"][-1]["storage"] == "mirror"
    clone.ok("pull")
    assert contents(clone.file("data/masks/P1")) == masks
    assert [one["dropped"] for one in clone.ok("drop", "masks", "--yes", "--json").results[1:]] == [
        "masks P1"
    ]
    clone.ok("pull", "masks")
    assert contents(clone.file("data/masks/P1")) == masks

    plain = lab.clone("plain")
    assert plain.dvc("pull", "--allow-missing").status == 0
    assert contents(plain.file("data/masks/P1")) == masks


def test_a_clone_pulls_what_is_stored_and_is_told_how_to_make_the_rest(lab: Lab) -> None:
    clone = lab.clone()
    answer = clone.ok("pull")

    assert "counts P1: not brought back (storage: none); to make it: imgdata run counts" in (
        answer.out + answer.err
    )
    assert contents(clone.file("data/raw")) == contents(lab.file("data/raw"))
    assert not clone.file("data/counts/P1").exists()
    clone.ok("run", "counts")
    assert contents(clone.file("data/counts")) == contents(lab.file("data/counts"))
    assert clone.git("status", "--porcelain", "dvc.lock") == ""


def test_a_dirty_tree_is_in_the_run_record_and_in_lineage(lab: Lab) -> None:
    script = lab.file("scripts/segment.sh")
    script.write_text(script.read_text() + "# not committed\n")
    lab.ok("run", "masks")

    log = max(lab.file(".imgdata/log").rglob("*.jsonl"))
    event = json.loads(log.read_text())
    assert event["dirty_paths"] == ["scripts/segment.sh"]
    assert "with 1 uncommitted file" in lab.ok("lineage", "data/masks/P1").out
    assert "no commit has scripts/segment.sh with the content" in (
        lab.ok("lineage", "data/masks/P1").out
    )


def test_without_network_what_is_remembered_is_answered_and_the_rest_is_a_sentence(
    lab: Lab,
) -> None:
    lab.archive.rename(lab.base / "away")
    for words in (("status",), ("whereis",), ("lineage", "data/masks/P1"), ("drop",)):
        lab.ok(*words)
    lab.file("data/masks/P1").rename(lab.base / "masks")
    for path in lab.objects().values():
        path.unlink()
    lab.imgdata("whereis", "--remote")
    answer = lab.imgdata("pull", "masks")
    assert answer.status == 4
    assert "archive" in answer.err
    assert "try:" in answer.err


def test_a_program_that_is_missing_is_a_sentence(lab: Lab, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "imgdata").symlink_to(PROGRAMS / "imgdata")
    without_git = Lab(lab.base, lab.name, {"PATH": os.fspath(bare)})
    answer = without_git.imgdata("status")

    assert answer.status == 8
    assert "git" in answer.err
    assert "try:" in answer.err
