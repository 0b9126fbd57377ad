"""Random dvc.yaml files: what DVC resolves, imgdata resolves alike; what it refuses, it names."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from imgdata.dvc_files.pipeline import DefinedStage, Pipeline, read_pipeline
from imgdata.system.folder_tree import FolderTree

pytestmark = pytest.mark.dvc
PROJECTS = 150
RESOLVE_WITH_DVC = """\
import json, os, sys
from dvc.repo import Repo
from dvc.parsing import DataResolver
from dvc.exceptions import DvcException
refusals = DvcException, TypeError, AttributeError, AssertionError
with Repo.init(no_scm=True, subdir=False) as repo:
    for name in sys.argv[1:]:
        folder = os.path.abspath(name)
        from dvc.utils.serialize import load_yaml
        found = {}
        try:
            resolver = DataResolver(repo, folder, load_yaml(os.path.join(folder, "dvc.yaml")))
        except refusals as error:
            print(json.dumps({"broken": repr(error)}))
            continue
        keys = []
        for group, definition in resolver.definitions.items():
            try:
                generated = getattr(definition, "get_generated_names", lambda: [group])
                keys += generated()
            except refusals as error:
                found[group] = repr(error)
        for key in keys:
            try:
                found[key] = resolver.resolve_one(key)[key]
            except refusals as error:
                found[key] = repr(error)
        print(json.dumps({"stages": found}, default=str))
"""

SCALARS: tuple[object, ...] = (
    1, 0, -3, 1.5, 1e-07, True, False, None, "a", "b c", "", "a'b", "1", "true", "é", "$HOME",
)  # fmt: skip
NAMES = ("a", "b", "c", "map", "list", "deep")
LIKELY = ("a", "b", "map.a", "map.b[0]", "map.b[1].a", "list[0]", "list[2]", "list.1")
KEYS = ("a", "b", "x.y", "item", "key", 1, True)


class Writer:
    """Writes random but plausible dvc.yaml documents."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - no secret

    def value(self, depth: int = 0) -> object:
        kind = self.random.random()
        if depth > 2 or kind < 0.5:
            return self.random.choice(SCALARS)
        if kind < 0.75:
            return [self.value(depth + 1) for _ in range(self.random.randrange(4))]
        keys = self.random.sample(KEYS, self.random.randrange(3))
        return {key: self.value(depth + 1) for key in keys}

    def variables(self) -> dict[str, object]:
        """Variables that `LIKELY` expressions find, and others at random."""
        plain = self.random.choice
        return {
            "a": plain(SCALARS),
            "b": plain(SCALARS),
            "map": {"a": plain(SCALARS), "b": [plain(SCALARS), {"a": plain(SCALARS)}]},
            "list": [plain(SCALARS), plain(SCALARS), plain(SCALARS)],
            "deep": self.value(),
        }

    def expression(self, extra: tuple[str, ...] = ()) -> str:
        if self.random.random() < 0.75:
            return "${" + self.random.choice((*LIKELY, *extra, *extra)) + "}"
        name = self.random.choice((*NAMES, *extra, *extra))
        for _ in range(self.random.choice((0, 0, 0, 1, 1, 2))):
            name += self.random.choice(
                (".a", ".b", "[0]", "[1]", "[-1]", ".0", ".x.y", "[a]", ". a")
            )
        return "${" + self.random.choice(("", "", " ")) + name + "}"

    def text(self, extra: tuple[str, ...] = ()) -> str:
        pieces = ("run", " --x ", "\\${esc}", "$", "}", "{", " é", "a/b", "${")
        parts = [
            self.expression(extra) if self.random.random() < 0.6 else self.random.choice(pieces)
            for _ in range(self.random.randrange(1, 4))
        ]
        return "".join(parts)

    def stage(self, extra: tuple[str, ...] = ()) -> dict[str, object]:
        stage: dict[str, object] = {"cmd": "run " + self.text(extra)}
        if self.random.random() < 0.3:
            stage["cmd"] = [self.text(extra), "ls"]
        if self.random.random() < 0.4:
            stage["desc"] = self.text(extra)
        if self.random.random() < 0.2:
            stage["vars"] = [{self.random.choice(("own", "a", "item")): self.value()}]
        if self.random.random() < 0.3:
            stage["meta"] = {"m": [self.text((*extra, "own"))]}
        return stage

    def items(self) -> object:
        kind = self.random.random()
        if kind < 0.4:
            return self.random.choice(("${list}", "${map}", "${deep}", "${map.b}"))
        if kind < 0.7:
            return [self.random.choice((self.value(1), self.expression())) for _ in range(3)]
        return {
            key: self.random.choice((self.value(1), self.expression()))
            for key in self.random.sample(KEYS, 2)
        }

    def definition(self) -> dict[str, object]:
        kind = self.random.random()
        if kind < 0.3:
            return self.stage()
        if kind < 0.65:
            return {"foreach": self.items(), "do": self.stage(("item", "key", "item.a"))}
        axes = {
            axis: self.random.choice(
                ("${list}", "${map.b}", [self.value(1), self.expression(), self.value(1)])
            )
            for axis in self.random.sample(("u", "v", "w"), 2)
        }
        return {"matrix": axes, **self.stage(("item.u", "item.v", "key"))}

    def document(self) -> dict[str, object]:
        stages = {f"s{number}": self.definition() for number in range(4)}
        return {"vars": [self.variables()], "stages": stages}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, dict[str, Any]]]:
    """Random projects, each with what DVC resolves."""
    top = tmp_path_factory.mktemp("random")
    names = [f"p{seed}" for seed in range(PROJECTS)]
    for seed, name in enumerate(names):
        writer = Writer(seed)
        (top / name).mkdir()
        files = {"dvc.yaml": writer.document(), "params.yaml": {"p": writer.value()}}
        for file, content in files.items():
            text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
            (top / name / file).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE_WITH_DVC, *names],
        cwd=top,
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return [(top / name, json.loads(line)) for name, line in zip(names, lines, strict=True)]


def shown(stage: DefinedStage) -> dict[str, object]:
    return {
        "cmd": list(stage.cmd) if isinstance(stage.cmd, tuple) else stage.cmd,
        "desc": stage.desc,
        "meta": stage.meta,
    }


def text_of(value: object) -> str:
    """A plain value as text, as `${...}` inside other text writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def expected(stage: dict[str, Any]) -> dict[str, object]:
    cmd, desc = stage["cmd"], stage.get("desc")
    return {
        "cmd": [text_of(part) for part in cmd] if isinstance(cmd, list) else cmd,
        "desc": "" if desc is None else text_of(desc),
        "meta": stage.get("meta"),
    }


def is_runnable(cmd: object) -> bool:
    """Whether DVC could run the command: one that is a mapping itself is resolved, never run."""
    return isinstance(cmd, str) or (
        isinstance(cmd, list) and not any(isinstance(part, dict | list) for part in cmd)
    )


def difference(pipeline: Pipeline, name: str, stage: dict[str, Any] | str) -> str:
    """Return in words what imgdata makes of a stage otherwise than DVC; empty for the same."""
    ours = pipeline.stages.get(name)
    if name.endswith("@"):
        return ""  # an empty item: DVC stops at an assertion of its own
    if isinstance(stage, str):
        named = any(problem.unit == name for problem in pipeline.problems)
        return "" if ours is None and named else f"{name}: DVC refuses ({stage}): {ours}"
    if not is_runnable(stage["cmd"]):
        return ""
    same = ours is not None and json.loads(json.dumps(shown(ours), default=str)) == expected(stage)
    return "" if same else f"{name}: {stage} is {ours}"


def test_random_pipelines_are_resolved_as_dvc_does(
    answers: list[tuple[Path, dict[str, Any]]],
) -> None:
    differences: list[str] = []
    resolved = 0
    for folder, answer in answers:
        pipeline = read_pipeline(FolderTree(folder), "dvc.yaml")
        resolved += len(pipeline.stages)
        stages = answer.get("stages", {}).items()
        differences += [
            found for name, stage in stages if (found := difference(pipeline, name, stage))
        ]
        if "broken" in answer and not pipeline.problems:
            differences.append(f"{folder.name}: DVC refuses: {answer['broken']}")
    assert differences == []
    assert resolved > PROJECTS
