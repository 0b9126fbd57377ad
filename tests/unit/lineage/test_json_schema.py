"""What `--json` prints is what its JSON Schema in the reference says."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from imgdata.lineage.answer import Answer
from imgdata.lineage.json_form import answer_json
from tests.unit.lineage.repository_builder import Repository, entry, lock, run_message, stage
from tests.unit.lineage.test_questions import build

SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "json" / "lineage.schema.json"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema: Any = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def document(*answers: Answer) -> dict[str, Any]:
    results = [answer_json(one) for one in answers]
    return {"v": 1, "ok": True, "command": "lineage", "results": results}


def test_answers_of_an_imgdata_project(validator: Draft202012Validator, tmp_path: Path) -> None:
    project = build(tmp_path / "project")
    validator.validate(
        document(
            project.ask("data/bulk/P1.csv", row=1, history=True, diff="HEAD", verify=True),
            project.ask("data/raw/P1/B02_1_DNA.tif", down=True),
            project.ask("data/masks/P1/B02_1.tif", public=True),
            project.ask("nothing"),
        )
    )


def test_answers_of_a_repository_with_everything(
    validator: Draft202012Validator, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "repository")
    repository.save({"raw": "0"})
    repository.write({"clean": "1"})
    repository.commit(run_message(inputs=["raw"], exit=1))
    lists = {"cmd": ["one", "two"], "outs": [{"path": "out", "md5": "b" * 32}]}
    repository.save(
        {
            "dvc.yaml": {"stages": {"a": stage("a", ["clean"], ["mid"])}},
            "dvc.lock": lock(a=entry("a", {"clean": "a" * 32}, {"mid": "c" * 32}), dead=lists),
            "web.dvc": {
                "deps": [{"path": "https://host/x", "etag": "1"}],
                "outs": [{"path": "web", "md5": "d" * 32}],
            },
        }
    )
    asked = ("clean", "mid", "out", "web", "dvc.yaml")
    validator.validate(document(*(repository.ask(one, history=True) for one in asked)))
