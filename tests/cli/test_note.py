"""`imgdata note`: a hand edit is told by lineage and status, and never becomes recoverable."""

import json
from pathlib import Path

import jsonschema
import pytest

from imgdata.testing.lab import Lab

SCHEMA = Path(__file__).resolve().parents[2] / "docs/reference/json/note.schema.json"
MASK = "data/masks/P1/B02_1_DNA.tif"


def edited(lab: Lab, text: str = "better") -> Lab:
    """Edit a mask by hand, as a program for drawing does: a new file in its place."""
    lab.file(MASK).unlink()
    lab.file(MASK).write_text(text)
    return lab


def notes(lab: Lab, path: str, *more: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (
        lab.ok("lineage", path, "--json", *more).results[0].get("notes", [])
    )
    return found


def test_a_hand_edit_is_noted_with_its_content(lab: Lab) -> None:
    edited(lab)
    answer = lab.ok("note", MASK, "--reason", "split two nuclei")

    assert "noted as edited by hand: split two nuclei" in answer.out
    assert "dvc commit segment@P1" in answer.out
    (log,) = lab.git("diff", "--cached", "--name-only").split()
    line = json.loads(lab.file(log).read_text())
    assert (line["event"], line["path"], line["reason"]) == ("note", MASK, "split two nuclei")
    assert line["md5"] != line["recorded"]
    assert (line["level"], line["unit"]) == ("masks", "P1")


def test_status_and_lineage_tell_it_for_this_content_only(lab: Lab) -> None:
    edited(lab)
    assert "CHANGED" in lab.ok("status", "masks").out
    lab.ok("note", MASK, "--reason", "split two nuclei")
    assert "hand-edited (noted)" in lab.ok("status", "masks").out
    assert "\n  edited by hand: split two nuclei, Ada Lovelace, 20" in lab.ok("lineage", MASK).out
    (note,) = notes(lab, "data/masks/P1")
    assert (note["path"], note["is_current"]) == (MASK, True)

    edited(lab, "another content")
    assert "CHANGED" in lab.ok("status", "masks").out
    (note,) = notes(lab, MASK)
    assert note["is_current"] is False
    assert "edited by hand (on another content, md5 " in lab.ok("lineage", MASK).out
    assert notes(lab, "data/masks/P1") == []


@pytest.mark.dvc
def test_a_recorded_hand_edit_follows_what_is_made_from_it(lab: Lab) -> None:
    edited(lab)
    lab.ok("note", "data/masks/P1", "--reason", "split two nuclei")
    assert lab.dvc("commit", "-f", "segment@P1").status == 0
    lab.ok("run")
    lab.commit("Hand edits")

    (note,) = notes(lab, "data/counts/P1/names.txt")
    assert (note["path"], note["hand_edited"], note["is_current"]) == (MASK, True, True)
    assert notes(lab, "data/counts/P1", "--rev", "HEAD~1") == []
    (note,) = notes(lab, "data/counts/P1", "--public")
    assert "by" not in note
    for form in ("mermaid", "prov", "rocrate", "html"):
        assert "split two nuclei" in lab.ok("lineage", "data/counts/P1", "--format", form).out


@pytest.mark.dvc
@pytest.mark.parametrize("recorded", [False, True])
def test_a_noted_hand_edit_is_still_not_dropped(lab: Lab, recorded: bool) -> None:
    edited(lab)
    lab.ok("note", MASK, "--reason", "split two nuclei")
    if recorded:
        assert lab.dvc("commit", "-f", "segment@P1").status == 0
    lab.commit("Hand edits")
    answer = lab.imgdata("drop", "masks", "--yes")

    assert answer.status == 5
    assert MASK in answer.out
    assert (
        "edited by hand (split two nuclei)" if recorded else "hand-edited, the only copy"
    ) in answer.out
    assert lab.file(MASK).read_text() == "better"


def test_any_file_of_the_project_can_have_a_note(lab: Lab) -> None:
    answer = lab.ok("note", "params.yaml", "--reason", "tuned on P1", "--json")
    jsonschema.validate(answer.document, json.loads(SCHEMA.read_text()))

    assert answer.results[0]["hand_edited"] is False
    assert "\n  note: tuned on P1, Ada Lovelace, 20" in lab.ok("lineage", "params.yaml").out
    (note,) = notes(lab, "params.yaml")
    assert note["is_current"] is True


def test_a_dry_run_notes_nothing(lab: Lab) -> None:
    edited(lab)
    answer = lab.ok("note", MASK, "--reason", "x", "--dry-run", "--json")
    jsonschema.validate(answer.document, json.loads(SCHEMA.read_text()))

    assert answer.results[0]["written"] is False
    assert lab.git("diff", "--cached", "--name-only") == ""


NONSENSE = (
    ((MASK,), 2, "say what was done"),
    ((MASK, "--reason", " "), 2, "say what was done"),
    (("nothing.tif", "--reason", "x"), 2, "is not a file of this project"),
    (("../archive", "--reason", "x"), 2, "is not a file of this project"),
    (("data/masks/P1", "--reason", "x"), 1, "all are as recorded"),
    ((), 2, "Missing argument"),
)


def test_what_makes_no_sense_is_a_sentence(lab: Lab) -> None:
    for words, status, said in NONSENSE:
        answer = lab.imgdata("note", *words)
        assert (answer.status, said in answer.err) == (status, True), answer.err
    assert lab.git("status", "--porcelain") == ""
