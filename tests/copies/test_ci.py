"""The hooks and the workflow that the documentation offers do what they say."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.copies.conftest import Lab
from tests.copies.test_commands import type_

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "how-to" / "audit-in-ci.md"


def hooks() -> dict[str, str]:
    listed = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text("utf-8"))
    return {hook["id"]: hook["entry"] for hook in listed}


def yaml_blocks() -> list[Any]:
    parts = PAGE.read_text("utf-8").split("```yaml\n")[1:]
    return [yaml.safe_load(part.split("```")[0]) for part in parts]


def run(lab: Lab, line: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        line, shell=True, cwd=lab.root, env={**os.environ, "PATH": path},
        check=False, capture_output=True, text=True,
    )  # fmt: skip


def push_with_hooks(lab: Lab) -> subprocess.CompletedProcess[str]:
    """Push as git does where pre-commit installed the project's hooks."""
    script = lab.root / ".git" / "hooks" / "pre-push"
    script.write_text("#!/bin/sh\nset -e\n" + "\n".join(hooks().values()) + "\n")
    script.chmod(0o755)
    return run(lab, "git push --quiet origin main")


def test_the_hooks_stop_a_push_whose_data_nobody_else_has(lab: Lab) -> None:
    lab.add()
    lab.commit()
    stopped = push_with_hooks(lab)
    assert stopped.returncode != 0
    assert "-> imgdata push raw" in stopped.stdout + stopped.stderr
    lab.push("raw")
    lab.edit_config("title: small", "title: smaller")  # the release branch cannot have this yet
    lab.commit()
    passed = push_with_hooks(lab)
    assert passed.returncode == 0, passed.stdout + passed.stderr


def test_the_workflow_passes_for_a_sound_project_and_fails_for_another(lab: Lab) -> None:
    workflow, _ = yaml_blocks()
    steps = [one["run"] for one in workflow["jobs"]["audit"]["steps"] if "run" in one]
    mine = [line for line in steps if line.startswith("imgdata ")]
    assert mine == ["imgdata verify --stored", "imgdata audit --remote"]
    lab.add()
    lab.push("raw")
    lab.share()
    clone = Lab(lab.base / "runner", lab.base)
    lab.git("clone", "--quiet", str(lab.base / "remote.git"), str(clone.root))
    assert [run(clone, line).returncode for line in mine] == [0, 0]
    next(path for path in lab.objects("archive") if path.suffix != ".dir").unlink()
    assert [run(clone, line).returncode for line in mine] == [1, 1]


def test_the_pre_commit_example_names_hooks_that_exist() -> None:
    _, example = yaml_blocks()
    named = [hook["id"] for hook in example["repos"][0]["hooks"]]
    assert named == list(hooks())


@pytest.mark.parametrize(("rule", "status"), [("copies", 0), ("nonsense", 2)])
def test_a_rule_is_left_out_only_by_its_name(lab: Lab, rule: str, status: int) -> None:
    lab.add()
    lab.share()
    done = type_(lab, "audit", "--skip", rule)
    assert done.returncode == status
    if status == 0:
        assert "left out: copies" in done.stdout
