"""What history records of a project is read once, however often it was committed."""

import hashlib
import time

from imgdata.api import open_project
from imgdata.testing.lab import Lab
from imgdata.workflows.history import History

STAGES = 600
LOCK = "schema: '2.0'\nstages:\n"


def entry(number: int, mark: str) -> str:
    md5 = hashlib.md5(f"{number} {mark}".encode()).hexdigest()
    return (
        f"  masks@P{number}:\n    cmd: make P{number}\n    deps:\n"
        f"    - path: data/raw/P{number}\n      hash: md5\n      md5: {md5[::-1]}.dir\n"
        f"    outs:\n    - path: data/masks/P{number}\n      hash: md5\n      md5: {md5}.dir\n"
    )


def commit(lab: Lab, text: str) -> None:
    lab.file("dvc.lock").write_text(text)
    lab.commit("Run")


def seconds(lab: Lab) -> float:
    clone = open_project(lab.project).clone
    began = time.process_time()
    assert len(History(clone).ever) > STAGES
    return time.process_time() - began


def test_a_stage_that_did_not_change_is_read_in_one_commit_only(lab: Lab) -> None:
    entries = [entry(number, "first") for number in range(STAGES)]
    commit(lab, LOCK + "".join(entries))
    once = seconds(lab)
    for number in range(24):
        entries[number] = entry(number, "again")
        commit(lab, LOCK + "".join(entries))
    assert seconds(lab) < 8 * once, "it took 25 times as long when each commit was read anew"
