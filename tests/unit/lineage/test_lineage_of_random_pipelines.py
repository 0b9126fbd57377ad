"""A random pipeline, run by real dvc over several edits and commits: the truth is known."""

import random
from pathlib import Path

import pytest
from msgspec import Struct, field

from imgdata.testing.small_project import call
from tests.unit.lineage.repository_builder import Repository, md5, stage

pytestmark = pytest.mark.dvc


class Truth(Struct):
    """What really happened: file contents, and what each stage read when it last ran."""

    inputs: dict[str, list[str]]
    contents: dict[str, str] = field(default_factory=dict)
    read: dict[str, dict[str, str]] = field(default_factory=dict)
    made_at: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def run(self, name: str) -> None:
        """Do what the stage's command does."""
        now = {path: self.contents[path] for path in self.inputs[name]}
        self.read[name] = now
        self.contents[f"{name}.txt"] = "".join(now.values()) + f"{name}\n"

    def upstream(self, name: str) -> set[str]:
        """Return the stages behind a stage, itself included."""
        found = {name}
        waiting = [name]
        while waiting:
            for path in self.inputs[waiting.pop()]:
                other = path.removesuffix(".txt")
                if other in self.inputs and other not in found:
                    found.add(other)
                    waiting.append(other)
        return found


def dvc(repository: Repository, *args: str) -> None:
    call(repository.root, "dvc", *args)


def make_pipeline(repository: Repository, chance: random.Random) -> Truth:
    names = [f"s{number}" for number in range(chance.randint(3, 5))]
    sources = ["a.src", "b.src"]
    inputs: dict[str, list[str]] = {}
    for place, name in enumerate(names):
        available = [*sources, *(f"{one}.txt" for one in names[:place])]
        inputs[name] = sorted(chance.sample(available, chance.randint(1, min(3, len(available)))))
    truth = Truth(inputs, {name: f"{name} 0\n" for name in sources})
    stages = {
        name: stage(f"cat {' '.join(deps)} > {name}.txt && echo {name} >> {name}.txt", deps,
                    [f"{name}.txt"])
        for name, deps in inputs.items()
    }  # fmt: skip
    dvc(repository, "init", "-q")
    repository.write({**truth.contents, "dvc.yaml": {"stages": stages}})
    return truth


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lineage_equals_what_really_happened(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a repeatable pipeline, no secret
    repository = Repository(tmp_path / "project")
    truth = make_pipeline(repository, chance)
    dvc(repository, "repro", "-q")
    for name in truth.inputs:
        truth.run(name)
    note(truth, repository.commit("Run all"))
    for edit in range(2):
        source = chance.choice(["a.src", "b.src"])
        truth.contents[source] = f"{source} {edit + 1}\n"
        repository.write({source: truth.contents[source]})
        chosen = chance.choice(list(truth.inputs))
        dvc(repository, "repro", "-q", "--single-item", "--force", chosen)
        truth.run(chosen)
        note(truth, repository.commit(f"Change {source}, run {chosen} alone"))
    for name in truth.inputs:
        check(repository, truth, name)


def note(truth: Truth, commit: str) -> None:
    for path, content in truth.contents.items():
        truth.made_at.setdefault((path, md5(content)), []).append(commit)


def check(repository: Repository, truth: Truth, name: str) -> None:
    answer = repository.ask(f"{name}.txt")
    content = truth.contents[f"{name}.txt"]
    assert answer.producer == f"dvc.lock::{name}"
    assert answer.out is not None
    assert answer.out.md5 == md5(content)
    assert answer.status == "recorded"
    assert answer.first_recorded is not None
    assert answer.first_recorded.id == truth.made_at[f"{name}.txt", md5(content)][0]
    assert {node.id for node in answer.nodes} == {
        f"dvc.lock::{one}" for one in truth.upstream(name)
    }
    for edge in answer.edges:
        consumer = edge.consumer.removeprefix("dvc.lock::")
        then = truth.read[consumer][edge.dep]
        assert edge.recorded == md5(then)
        assert edge.match is (then == truth.contents[edge.dep])
        if edge.match is False:
            assert edge.at in truth.made_at[edge.dep, md5(then)]
        if edge.relation == "source":
            assert edge.git is not None
