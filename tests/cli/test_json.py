"""`--json`: what every command prints fits its schema, done, planned, with nothing to do, failed.

What only public data, a repository or an earlier revision makes a command print is validated
beside those features.
"""

import json
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import typer
from jsonschema import Draft202012Validator

from imgdata.api import open_project
from imgdata.cli.main import application
from imgdata.testing.lab import Answer, Lab, flip_byte
from imgdata.testing.programs import PROGRAMS
from imgdata.workflows.clone import MOVE_JOURNAL

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json"
MODES = {"run-prove", "help"}
"""Schemas of what commands say with an option that changes the question."""


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command that people type."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name)


COMMANDS = frozenset(commands(typer.main.get_command(application())))


@cache
def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def schema_of(words: tuple[str, ...]) -> str:
    if "--help" in words:
        return "help"
    if "--prove" in words:
        return "run-prove"
    return "-".join(words[:2] if words[:2] in COMMANDS else words[:1])


def said(lab: Lab, *words: str | Path, status: int = 0) -> Answer:
    """Type a command; its document fits its schema and says by `ok` how it ended."""
    answer = lab.imgdata(*words, "--json")
    assert answer.status == status, (words, answer.out, answer.err)
    document = answer.document
    validator(schema_of(tuple(map(str, words)))).validate(document)
    assert document["ok"] == (status == 0)
    return answer


def told(lab: Lab, *words: str | Path, status: int = 0) -> Any:
    return said(lab, *words, status=status).results


def change(lab: Lab, before: str, after: str, name: str = "imgdata.yaml") -> None:
    path = lab.file(name)
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")


def write_image(path: Path) -> Path:
    tifffile.imwrite(path, np.zeros((3, 2), np.uint8))
    return path


def begin_renaming(lab: Lab, old: str, new: str) -> None:
    """Leave what a renaming leaves that is killed right after it began."""
    plan = open_project(lab.project).level_changes.plan_move(old, new, None)
    texts = {
        one.path.relative_to(lab.project).as_posix(): (one.before, one.after)
        for one in plan.changes
    }
    noted = {"v": 1, "rename": plan.rename.details, "moves": plan.moves, "texts": texts}
    lab.file(str(MOVE_JOURNAL)).write_text(json.dumps(noted), "utf-8")


# --- the schemas ---------------------------------------------------------------------------------


def test_every_command_has_a_schema_and_no_schema_is_left_over() -> None:
    wanted = {"-".join(words) for words in COMMANDS} | MODES
    found = {path.name.removesuffix(".schema.json") for path in FOLDER.glob("*.schema.json")}
    assert len(wanted) > 25
    assert found == wanted


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.name)
def test_every_schema_is_one_and_the_page_names_it(path: Path) -> None:
    schema = json.loads(path.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["title"].startswith("imgdata ")
    assert (FOLDER / "README.md").read_text("utf-8").count(f"({path.name})") == 1
    assert set(schema["required"]) == {"v", "ok", "command", "results"}
    if path.name != "help.schema.json":
        assert schema["properties"]["command"] == {"const": path.name.split(".")[0].split("-")[0]}
        error = schema["properties"]["error"]
        assert set(error["required"]) == {"kind", "problem", "cause", "remedy"}


# --- one life of a small project -----------------------------------------------------------------


def test_help_and_wrong_words(lab: Lab) -> None:
    for words in ((), ("status",), ("storage", "test")):
        assert "Usage" in told(lab, *words, "--help")[0]["text"]
    assert said(lab, "status", "--nonsense", status=2).error["kind"] == "usage"
    document = lab.imgdata("nonsense", "--json").document
    assert (document["command"], document["ok"], document["results"]) == ("nonsense", False, [])


def test_a_project_is_made_completed_and_adopted(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.project.mkdir()
    words = ("init", lab.project, "--template", "minimal", "--title", "Tiny")
    assert told(lab, *words, "--dry-run") == [{"root": str(lab.project), "template": "minimal"}]
    assert "imgdata.yaml" in told(lab, *words)[0]["written"]
    assert told(lab, "init") == [{"root": str(lab.project), "written": [], "kept": []}]
    change(lab, "levels:", "  # one more\n  mirror: {url: ../mirror}\nlevels:")
    (planned,) = told(lab, "init", "--dry-run")
    assert [one["path"] for one in planned["changes"]] == [".dvc/config"]
    assert "../mirror" not in str(told(lab, "init")[0]["kept"])
    assert said(lab, "init", "--storage", "raw", status=2).error["problem"]
    lab.git("rm", "--quiet", "--force", "imgdata.yaml", ".imgdata/imgdata.schema.json")
    (planned,) = told(lab, "init", "--title", "Again", "--dry-run")
    assert planned["written"] == []
    (refused,) = told(lab, "init", "--title", "Again", status=5)
    assert (refused["root"], refused["written"]) == (planned["root"], [])
    (done,) = told(lab, "init", "--title", "Again", "--yes")
    assert done["written"] == [one["path"] for one in planned["changes"]]
    assert told(lab, "status") == []


def test_a_repository_of_plain_dvc_answers_by_path(lab: Lab) -> None:
    lab.git("rm", "--quiet", "--force", "imgdata.yaml")
    shutil.rmtree(lab.file(".imgdata"))
    paths = {one["path"]: one for one in told(lab, "status")}
    assert set(paths) == {"data/raw/P1", "data/masks/P1", "data/counts/P1"}
    assert paths["data/raw/P1"]["rule"] is None
    asked = told(lab, "status", "--remote", "data/masks/P1")[0]["copies"][0]
    assert asked["present"] == asked["wanted"] == 5
    assert said(lab, "status", "--fail-on", "unstored", status=2).error["remedy"] == ""
    assert told(lab, "whereis", "data/raw", "--remote")
    (planned,) = told(lab, "push", "data/raw", "--dry-run")
    assert (planned["level"], planned["unit"]) == ("data/raw/P1", None)
    assert told(lab, "push", "data/counts")[0]["not_sent"]
    assert told(lab, "push", "data/raw")[0]["missing"] == []
    shutil.rmtree(lab.file("data/raw/P1"))
    assert told(lab, "pull", "data/raw", "--dry-run")[0]["bytes"]
    assert told(lab, "pull", "data/raw")[0]["placed"] == 4


def test_plates_come_in_and_go_through_the_pipeline(lab: Lab) -> None:
    source = lab.plate("P2")
    (planned,) = told(lab, "add", "raw", source, "--dry-run")
    assert (planned["plan"], planned["send_to"], planned["delete_source"]) == ("raw P2", [], False)
    assert len(told(lab, "add", "raw", source)[0]["new"]) == 4
    assert told(lab, "add", "raw", source)[0]["already"] == 4
    assert said(lab, "add", "raw", source / "none", status=2).error["cause"] is not None
    assert told(lab, "run", "--dry-run")[0]["reasons"]
    assert [one["ran"] for one in told(lab, "run", "masks")] == [True]
    assert told(lab, "run", "masks") == []
    assert told(lab, "status", "--fail-on", "unstored", status=1)
    change(lab, "set -e", "exit 3", "scripts/segment.sh")
    assert told(lab, "status", "masks", "--fail-on", "stale", status=1)[0]["stale"]
    failed = said(lab, "run", "masks", status=7)
    assert failed.results[-1] == {
        "stage": failed.results[-1]["stage"],
        "failed": failed.error["problem"],
    }
    assert said(lab, "run", "nothing", status=2).error["kind"] == "usage"


def test_a_stage_need_not_run_when_what_it_waits_for_comes_out_the_same(lab: Lab) -> None:
    assert told(lab, "run", "masks", "--prove", "--dry-run") == [{"stage": "segment@P1"}]
    change(lab, "set -e", "set -e  # as before", "scripts/segment.sh")
    assert [one["ran"] for one in told(lab, "run")] == [True, False]


def test_copies_are_sent_brought_back_and_given_up(lab: Lab) -> None:
    (raw, *_) = told(lab, "status", "--remote")
    assert raw["rule"] == {"copies": 1, "verify_every_days": 180}
    assert [copy["counts"] for copy in raw["copies"]] == [True]
    planned = told(lab, "push", "raw", "counts", "--dry-run")
    assert {one.get("name", one["unit"]) for one in planned} == {"P1"}
    assert planned[-1]["not_sent"]
    assert told(lab, "push", "raw", "--to", "mirror")[0]["sent"] == 5
    assert told(lab, "push", "raw", "--to", "mirror")[0]["sent"] == 0
    assert said(lab, "push", "raw", "--to", "nowhere", status=2).error["kind"] == "usage"
    assert told(lab, "drop", "--dry-run")
    assert told(lab, "drop", "raw", "--yes")[-1]["dropped"] == "raw P1"
    assert told(lab, "status", "raw")[0]["here"] == "absent"
    (planned,) = told(lab, "pull", "raw", "--dry-run", "--select", "channel=DNA")
    assert planned["files"] == 2
    assert told(lab, "pull", "raw")[0]["placed"] == 4
    shutil.rmtree(lab.file("data/counts/P1"))
    shutil.rmtree(lab.file(".dvc/cache"))
    (away,) = told(lab, "pull", "counts")
    assert (away["command"], bool(away["not_pulled"])) == ("imgdata run counts", True)
    assert told(lab, "verify", "--on", "archive")
    assert told(lab, "verify", "--stored")
    assert told(lab, "whereis", "raw")[0]["rule"]["copies"] == 1
    assert told(lab, "storage", "lost", "mirror", "--reason", "fell down", status=5) == []
    assert told(lab, "storage", "lost", "mirror", "--reason", "fell down", "--yes")


def test_failures_of_a_push_name_storage_unit_and_kind(lab: Lab) -> None:
    shutil.rmtree(lab.base / "mirror")
    (lab.base / "mirror").write_text("no folder")
    failed = said(lab, "push", "raw", "--to", "mirror", status=4)
    assert failed.results == [
        {"storage": "mirror", "error": failed.error["problem"], "kind": failed.error["kind"]}
    ]
    (victim,) = lab.file("data/raw/P1").glob("B02_1_DNA.tif")
    for path in lab.objects().values():
        if path.read_bytes() == victim.read_bytes():
            flip_byte(path)
    (lab.base / "mirror").unlink()
    (lab.base / "mirror").mkdir()
    said(lab, "push", "raw", "--to", "mirror", status=6)


def test_a_storage_that_is_away_is_not_taken_for_an_empty_one(lab: Lab) -> None:
    copy = told(lab, "status", "raw", "--remote")[0]["copies"][0]
    assert (copy["present"], copy["fault"]) == (5, "")
    lab.archive.rename(lab.base / "unplugged")
    copy = told(lab, "status", "raw", "--remote")[0]["copies"][0]
    assert (copy["storage"], copy["counts"], copy["wanted"]) == ("archive", False, 5)
    assert str(lab.archive) in copy["fault"]


def test_a_clone_without_a_file_list_and_a_restricted_plate(lab: Lab) -> None:
    lab.ok("add", "raw", lab.plate("P2"), "--origin", "partner")
    lab.commit()
    change(lab, "mirror: {url: ../mirror}", "mirror: {url: ../mirror, public: true}")
    sent = told(lab, "push", "raw", "--to", "mirror", status=5)
    assert [one["unit"] for one in sent if "restricted" in one] == ["P2"]
    assert "withheld" in told(lab, "storage", "move", "raw", "--to", "mirror", "--dry-run")[0]
    clone = lab.clone()
    shutil.rmtree(lab.archive)
    lab.archive.mkdir()
    (unlisted, *_) = told(clone, "push", "raw", status=6)
    assert (unlisted["unit"], unlisted["kind"]) == ("P1", "damaged")


def test_storages_are_tried_added_and_moved_to(lab: Lab) -> None:
    assert [one["storage"] for one in told(lab, "storage", "list")] == ["archive", "mirror"]
    assert [step["ok"] for step in told(lab, "storage", "test", "mirror")[0]["steps"]] == [True] * 4
    words = ("storage", "add", "second", "../second", "--level", "masks")
    assert {one["path"] for one in told(lab, *words, "--dry-run")} == {
        "imgdata.yaml",
        ".dvc/config",
    }
    trial, *changes = told(lab, *words)
    assert (trial["storage"], len(changes)) == ("second", 2)
    (only,) = told(lab, *words)
    assert only["steps"]
    assert said(lab, "storage", "add", "Second", "../second", status=2).error["remedy"]
    assert told(lab, "storage", "apply") == []
    change(lab, "url: ../second", "url: ../third")
    assert told(lab, "storage", "apply", "--dry-run") == told(lab, "storage", "apply", status=5)
    assert "third" in told(lab, "storage", "apply", "--yes")[0]["diff"]
    (lab.base / "third").write_text("no folder")
    tried = told(lab, "storage", "test", status=4)
    assert [one["storage"] for one in tried if "error" in one] == ["second"]
    assert told(lab, "storage", "move", "masks", "--from", "archive", "--to", "mirror", "--dry-run")
    move = ("storage", "move", "masks", "--from", "archive", "--to", "mirror", "--yes")
    assert told(lab, *move)[-1]["dropped"] == "masks P1"
    assert said(lab, "storage", "move", status=2).error["kind"] == "usage"


def test_a_token_goes_into_the_keyring(lab: Lab) -> None:
    assert told(lab, "storage", "login", "nobody", status=2) == []
    assert told(lab, "storage", "login", "archive", status=2) == []
    keeps = Lab(lab.base, lab.name, {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"})
    done = keeps.call("sh", "-c", f"echo token | {PROGRAMS}/imgdata storage login archive --json")
    validator("storage-login").validate(done.document)
    assert done.results == [{"name": "archive"}]


def test_levels_are_added_and_renamed(lab: Lab) -> None:
    other = lab.clone()
    other.ok("pull", "masks")
    add = ("level", "add", "outlines", "--from", "masks")
    (planned,) = told(lab, *add, "--dry-run")
    assert planned["path"] == "imgdata.yaml"
    assert "+  outlines:" in planned["diff"]
    assert told(lab, *add)[0] == planned
    assert said(lab, *add, status=2).error["problem"]
    lab.commit()
    words = ("level", "mv", "masks", "nuclei")
    (planned,) = told(lab, *words, "--dry-run")
    assert planned["to_path"] == "data/nuclei"
    assert told(lab, *words, status=5) == [planned]
    assert told(lab, *words, "--yes") == [planned]
    lab.commit()
    assert told(lab, *words) == [], "nothing is left to rename here"
    assert said(lab, "level", "mv", "nothing", "more", status=2).error["kind"] == "usage"
    other.git("pull", "--quiet")
    assert told(other, *words) == [{"from": "data/masks/P1", "to": "data/nuclei/P1"}]
    other.file("data/masks/P1").mkdir(parents=True)
    assert [one["stays"] for one in told(other, *words)] == ["data/masks/P1"]


def test_a_renaming_that_was_interrupted_is_completed(lab: Lab) -> None:
    begin_renaming(lab, "masks", "nuclei")
    words = ("level", "mv", "masks", "nuclei")
    told_so = {"level": "masks", "to": "nuclei"}
    assert told(lab, *words, "--dry-run") == [{**told_so, "completed": False}]
    assert said(lab, "level", "mv", "raw", "images", status=5).error["remedy"]
    assert told(lab, *words) == [{**told_so, "completed": True}]


def test_questions_and_decisions(lab: Lab) -> None:
    assert told(lab, "lineage", "data/raw/P1/B02_1_DNA.tif")[0]["status"] == "recorded"
    assert told(lab, "lineage", "./none.tif", status=1)[0]["status"] == "untracked"
    assert told(lab, "check", "raw", status=1)[0]["findings"]
    assert said(lab, "check", "--fail-on", "x", status=2).error["kind"] == "usage"
    prints = told(lab, "fingerprint", "raw")
    assert {one["root"] for one in prints} == {str(lab.file("data/raw"))}
    image = write_image(lab.microscope / "one.tif")
    (one,) = told(lab, "fingerprint", image)
    assert (one["root"], one["shape"]) == (str(lab.microscope), [3, 2])
    assert said(lab, "fingerprint", "./none", status=1).error["problem"]
    assert told(lab, "describe")[0]["written"] is None
    given = told(lab, "describe", "--answer", "study.title=Tiny")[0]
    assert lab.file(given["written"]).is_file()
    assert said(lab, "describe", "--answer", "nothing", status=2).error["cause"]
    assert told(lab, "audit", status=1)
    where = ("--select", "well=B02", "--reason", "out of focus")
    assert told(lab, "exclude", "raw", *where, "--dry-run")[0]["written"] is False
    assert told(lab, "exclude", "raw", *where)[0]["written"] is True
    assert told(lab, "exclude", "--list")[0]["reason"] == "out of focus"
    assert said(lab, "exclude", "raw", *where[:2], status=2).error["kind"] == "usage"
    assert told(lab, "note", "params.yaml", "--reason", "lowered", "--dry-run")
    assert told(lab, "note", "params.yaml", "--reason", "lowered")[0]["written"] is True
    assert said(lab, "note", "none.txt", "--reason", "x", status=2).error["problem"]
    assert said(lab, "import", status=2).error["kind"] == "usage"
