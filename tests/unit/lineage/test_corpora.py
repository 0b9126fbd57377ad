"""Six real repositories whose lineage was worked out by hand: every field must agree."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imgdata.lineage.json_form import answer_json
from imgdata.tracking.git_lineage import open_repository
from imgdata.workflows.lineage import Question, Repository
from imgdata.workflows.lineage_questions import answer

pytestmark = pytest.mark.corpora

CASES = (
    "calkit/example-basic",
    "iterative/demo-bank-customer-churn",
    "dringtech/social-value-data-explorer",
    "petebachant/boundary-layer-turbulence-modeling",
    "mitchellhenke/lodes",
    "psychoinformatics-de/fairly-big-processing-workflow-tutorial",
)
COUNTED = {"n_nodes", "n_edges", "stale_edges", "missing_deps"}
ABOUT_THE_CASE = {"id", "kind", "repo", "source_commit", "notes"}


def _expected(corpora: Path, name: str) -> list[dict[str, Any]]:
    triples = json.loads((corpora / "expected.json").read_text())["triples"]
    return [one for one in triples if one["repo"] == name]


def _clone(corpora: Path, name: str, target: Path) -> Path:
    bundle = corpora / f"{name.replace('/', '__')}.bundle"
    subprocess.run(["git", "clone", "-q", str(bundle), str(target)], check=True)
    return target


def _source(repository: Repository, named: str) -> str:
    """Return the object a source file had upstream: the bundle holds a line that names it."""
    kind, _, blob = named.rpartition(" ")
    data = repository.objects.read_blob(blob) or b""
    if data.startswith(b"STUB original-git-blob "):
        blob = data.split()[-1].decode()
    return f"{kind} {blob}".strip()


def _without_source(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if key != "source_commit"}
    return value


def _compare_node(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for key, wanted in expected.items():
        if key == "param_keys":
            assert {file: sorted(one) for file, one in found["params"].items()} == wanted
        elif key in {"frozen", "always_changed"}:
            assert found["flags"][key] == wanted
        else:
            assert found[key] == wanted


def _compare_edge(
    repository: Repository, found: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    for key, wanted in expected.items():
        got = _source(repository, found[key]) if key == "git" else found[key]
        assert got == wanted


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("at_revision", [False, True])
def test_every_field_of_the_expected_answer_agrees(
    corpora: Path, tmp_path: Path, name: str, *, at_revision: bool
) -> None:
    root = _clone(corpora, name, tmp_path / "repository")
    cases = _expected(corpora, name)
    assert cases
    with open_repository(root) as repository:
        for case in cases:
            question = Question(revision=case["commit"] if at_revision else None)
            found: Any = answer_json(answer(repository, case["file"], question))
            for key in case.keys() - COUNTED - ABOUT_THE_CASE - {"nodes", "edges"}:
                if key == "source_blob":
                    assert found["blob"] == case[key]
                else:
                    assert found[key] == _without_source(case[key]), key
            if case["kind"] != "dvc":
                continue
            assert len(found["nodes"]) == case["n_nodes"]
            assert len(found["edges"]) == case["n_edges"]
            stale = [edge for edge in found["edges"] if edge.get("match") is False]
            assert len(stale) == case["stale_edges"]
            missing = [edge["dep"] for edge in found["edges"] if edge["relation"] == "missing"]
            assert missing == case["missing_deps"]
            for one, wanted in zip(found["nodes"], case["nodes"], strict=True):
                _compare_node(one, wanted)
            for one, wanted in zip(found["edges"], case["edges"], strict=True):
                _compare_edge(repository, one, wanted)


@pytest.mark.parametrize("name", CASES[:5])
def test_every_file_of_every_lock_gets_an_answer(corpora: Path, tmp_path: Path, name: str) -> None:
    root = _clone(corpora, name, tmp_path / "repository")
    with open_repository(root) as repository:
        index = repository.snapshot(None).index
        paths = index.live_paths[:20]
        assert paths
        for path in paths:
            found = answer(repository, path, Question())
            assert found.producer is not None
            assert found.first_recorded is not None
            ids = {node.id for node in found.nodes}
            assert {edge.consumer for edge in found.edges} <= ids
            assert {edge.producer for edge in found.edges if edge.producer} <= ids
