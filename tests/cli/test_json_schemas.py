"""What scripts and CI read of the commands typed most is as docs/reference/json says."""

import json
from pathlib import Path

import jsonschema
import pytest

from imgdata.testing.lab import Lab

SCHEMAS = Path(__file__).resolve().parents[2] / "docs/reference/json"


def check(lab: Lab, *words: str, status: int = 0) -> None:
    answer = lab.imgdata(*words, "--json")
    assert answer.status == status, answer.err
    schema = json.loads((SCHEMAS / f"{words[0]}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(answer.document)


@pytest.mark.dvc
def test_status_push_and_run_answer_as_their_schemas_say(lab: Lab) -> None:
    lab.ok("add", "raw", lab.plate("P2"))
    for words in (
        ("status",),
        ("status", "--remote"),
        ("push", "--dry-run"),
        ("push",),
        ("run", "--dry-run"),
        ("run",),
        ("run",),
    ):
        check(lab, *words)
    mask = next(lab.file("data/masks/P1").iterdir())
    mask.unlink()
    mask.write_bytes(b"drawn by hand")
    check(lab, "status")
    check(lab, "status", "nothing", status=2)
    for path in lab.objects(lab.archive).values():
        path.unlink()
    check(lab.clone(), "push", status=6)


def test_status_and_push_by_path_answer_in_the_same_form(lab: Lab) -> None:
    lab.git("rm", "-q", "--cached", "imgdata.yaml")
    lab.file("imgdata.yaml").unlink()
    for words in (("status",), ("status", "--remote"), ("push", "--dry-run"), ("push",)):
        check(lab, *words)


def test_a_dry_run_of_push_names_level_and_unit_as_the_push_does(lab: Lab) -> None:
    lab.ok("add", "raw", lab.plate("P2"))
    plans = lab.ok("push", "--dry-run", "--json").results
    sent = lab.ok("push", "--json").results
    assert [(one["level"], one["unit"]) for one in plans if one.get("files")] == [("raw", "P2")]
    assert {(one["level"], one["unit"]) for one in plans} == {
        (one["level"], one["unit"]) for one in sent
    }
