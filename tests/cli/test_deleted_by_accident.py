"""Somebody deletes what the project goes by, or the cache: each command says how it comes back."""

import shlex
import shutil

import pytest

from imgdata.testing.lab import Lab


def follow(lab: Lab, told: str) -> None:
    """Type what a remedy says, word by word."""
    for command in told.split(" && "):
        program, *words = shlex.split(command)
        answer = {"imgdata": lab.imgdata, "dvc": lab.dvc}[program](*words)
        assert answer.status == 0, answer.err


@pytest.mark.parametrize("command", ["status", "push", "pull", "run", "audit", "init", "whereis"])
def test_without_imgdata_yaml_nothing_works_by_path_instead(lab: Lab, command: str) -> None:
    """By path there are no rules: a push would go by none of them, and init would start anew."""
    lab.file("imgdata.yaml").unlink()
    answer = lab.imgdata(command)
    assert answer.status == 3
    assert "git restore imgdata.yaml" in answer.err
    lab.git("restore", "imgdata.yaml")
    lab.ok("status")


def test_without_dvc_lock_nothing_is_made_again(lab: Lab) -> None:
    before = lab.file("dvc.lock").read_bytes()
    lab.file("dvc.lock").unlink()
    assert "git restore dvc.lock" in lab.ok("status").out
    answer = lab.imgdata("run")
    assert answer.status == 2
    assert "git restore dvc.lock" in answer.err
    lab.git("restore", "dvc.lock")
    assert lab.file("dvc.lock").read_bytes() == before
    assert "nothing to do" in lab.ok("run").out


def test_a_record_of_a_plate_that_was_deleted_is_named(lab: Lab) -> None:
    lab.file("data/raw/P1.dvc").unlink()
    assert "git restore data/raw/P1.dvc" in lab.ok("status").out


@pytest.mark.dvc
@pytest.mark.parametrize("level", ["raw", "masks"])
def test_without_the_cache_what_lies_here_is_taken_in_again(lab: Lab, level: str) -> None:
    lab.ok("add", "raw", lab.plate("P9", wells=("D05",)))
    lab.ok("run")
    lab.commit()
    shutil.rmtree(lab.file(".dvc/cache"))
    step = lab.ok("status", level, "--json").results[-1]["next"]
    assert lab.imgdata("push", level).err.rstrip().endswith(f"try:   {step}")
    follow(lab, step)
    assert lab.ok("status", level, "--fail-on", "unstored").status == 0
