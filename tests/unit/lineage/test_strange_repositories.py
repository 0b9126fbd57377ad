"""Repositories in every state git allows: an answer or a sentence, never a traceback."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from imgdata.errors import NoProjectError, UsageError
from imgdata.testing.small_project import call
from imgdata.tracking.git_lineage import lineage
from imgdata.workflows.lineage import Question
from tests.unit.lineage.repository_builder import Repository, entry, lock, run_message, stage

A, B = "a" * 32, "b" * 32
PIPELINE = {"stages": {"make": stage("make", ["make.py"], ["out"])}}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def two_versions(repository: Repository) -> tuple[str, str]:
    files = {"dvc.yaml": PIPELINE, "make.py": "print()\n"}
    first = repository.save(
        {**files, "dvc.lock": lock(make=entry("make", {"make.py": A}, {"out": A}))}
    )
    second = repository.save({"dvc.lock": lock(make=entry("make", {"make.py": A}, {"out": B}))})
    return first, second


def imgdata(root: Path, *args: str, **environment: str) -> tuple[int, Any, str]:
    line = ("imgdata", "lineage", *args, "--json")
    done = call(root, *line, check=False, env={**os.environ, **environment})
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_no_repository_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoProjectError):
        lineage(["x"], path=tmp_path)
    status, document, _ = imgdata(tmp_path, "x")
    assert status == 3
    assert document["error"]["remedy"]


def test_no_commit_yet_is_a_gap(repository: Repository) -> None:
    repository.write(
        {"dvc.yaml": PIPELINE, "dvc.lock": lock(make=entry("make", {"make.py": A}, {"out": A}))}
    )
    answer = repository.ask("out")
    assert answer.producer == "dvc.lock::make"
    assert answer.commit is None
    assert any("no commit yet" in gap for gap in answer.gaps)
    assert repository.ask("nothing").status == "untracked"
    with pytest.raises(UsageError):
        repository.ask("out", revision="HEAD")


def test_a_shallow_clone_says_that_history_is_cut(repository: Repository, tmp_path: Path) -> None:
    _, second = two_versions(repository)
    clone = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "-q", "--depth", "1", f"file://{repository.root}", str(clone)], check=True
    )
    (answer,) = lineage(["out"], path=clone)
    assert answer.first_recorded is not None
    assert answer.first_recorded.id == second
    assert any("shallow" in gap for gap in answer.gaps)


def test_a_bare_repository_answers_at_its_head(repository: Repository, tmp_path: Path) -> None:
    first, second = two_versions(repository)
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(repository.root), str(bare)], check=True)
    (answer,) = lineage(["out"], path=bare)
    assert (answer.commit, answer.producer) == (second, "dvc.lock::make")
    (old,) = lineage(["out"], path=bare, question=Question(revision=first))
    assert old.out is not None
    assert old.out.md5 == A


def test_a_detached_head_and_a_tag_are_answered(repository: Repository) -> None:
    first, _ = two_versions(repository)
    repository.git("tag", "-a", "v1", "-m", "first", first)
    repository.git("checkout", "-q", first)
    assert repository.ask("out").commit == first
    tagged = repository.ask("out", revision="v1")
    assert tagged.commit == first


@pytest.mark.parametrize("revision", ["nope", "--all", "-1", "HEAD:dvc.yaml", "a b", "", "HEAD~99",
                                      "HEAD..HEAD", "^HEAD"])  # fmt: skip
def test_a_revision_that_does_not_exist_is_a_sentence(
    repository: Repository, revision: str
) -> None:
    two_versions(repository)
    with pytest.raises(UsageError):
        repository.ask("out", revision=revision)
    with pytest.raises(UsageError):
        repository.ask("out", diff=revision)


def test_git_missing_is_a_sentence(repository: Repository, tmp_path: Path) -> None:
    two_versions(repository)
    empty = tmp_path / "empty"
    empty.mkdir()
    status, document, _ = imgdata(repository.root, "out", PATH=str(empty))
    assert status == 8
    assert "git" in document["error"]["problem"]


def test_nothing_of_the_repository_is_run(repository: Repository, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\ntouch {trap}\ncat\n")
    script.chmod(0o755)
    two_versions(repository)
    repository.save(
        {
            ".gitattributes": "* filter=evil diff=evil\n",
            "params.py": f"open({str(trap)!r}, 'w')\n",
            ".dvc/config": f"[core]\n    analytics = true\n['remote \"x\"']\n    url = {script}\n",
            "dvc.yaml": {
                "vars": ["params.py"],
                "stages": {
                    "make": stage("make", ["make.py"], ["out"], params=[{"params.py": ["X"]}])
                },
            },
        }
    )
    for key in (
        "filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "diff.evil.command",
        "core.fsmonitor", "diff.external", "core.pager", "gpg.program", "core.sshCommand",
    ):  # fmt: skip
        repository.git("config", key, str(script))
    hooks = repository.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"):
        (hooks / name).write_text(script.read_text())
        (hooks / name).chmod(0o755)
    trap.unlink(missing_ok=True)
    repository.ask("out", history=True, down=True, verify=True, diff="HEAD~1")
    repository.ask("make.py", history=True)
    assert not trap.exists()


def test_reading_changes_nothing(repository: Repository) -> None:
    two_versions(repository)
    before = {
        path: path.stat().st_mtime_ns for path in repository.root.rglob("*") if path.is_file()
    }
    repository.ask("out", history=True, down=True, verify=True)
    after = {path: path.stat().st_mtime_ns for path in repository.root.rglob("*") if path.is_file()}
    assert before == after


@pytest.mark.parametrize(
    "name",
    ["with blank", "Größe µm", "quote\"'`$(x)", "new\nline", "-dash", "#hash", "<b>", "tab\there"],
)
def test_strange_names_are_answered(repository: Repository, name: str) -> None:
    repository.save({"in.txt": "1"})
    repository.write({name: "1"})
    run = repository.commit(run_message(inputs=["in.txt"]))
    answer = repository.ask(name, history=True)
    assert answer.producer == f"datalad-run:{run}"
    repository.save(
        {
            "dvc.yaml": {"stages": {"make": stage("make", [name], ["out"])}},
            "dvc.lock": lock(make=entry("make", {name: A}, {"out": B})),
        }
    )
    edges = [edge for edge in repository.ask("out").edges if edge.consumer == "dvc.lock::make"]
    assert [(edge.dep, edge.relation) for edge in edges] == [(name, "source")]


def test_names_that_are_no_utf8_become_valid_json(repository: Repository) -> None:
    raw = os.fsencode(repository.root) + b"/b\xe9b\xe9.txt"
    Path(os.fsdecode(raw)).write_text("1")
    repository.commit("Add")
    (answer,) = lineage([os.fsdecode(b"b\xe9b\xe9.txt")], path=repository.root)
    assert answer.in_git is not None
    status, document, _ = imgdata(repository.root, os.fsdecode(b"b\xe9b\xe9.txt"))
    assert status == 0
    assert document["results"][0]["file"] == "b\ufffdb\ufffd.txt"


def test_paths_are_relative_to_where_one_stands(repository: Repository) -> None:
    two_versions(repository)
    (repository.root / "sub").mkdir()
    (answer,) = lineage(["../out"], path=repository.root / "sub")
    assert answer.file == "out"
    (full,) = lineage([repository.root / "out"], path=repository.root / "sub")
    assert full.file == "out"


def test_a_dvc_file_stands_for_its_data_and_a_folder_for_what_is_in_it(
    repository: Repository,
) -> None:
    repository.save(
        {
            "data/a.tif.dvc": {"outs": [{"md5": A, "path": "a.tif"}]},
            "data/b.tif.dvc": {"outs": [{"md5": B, "path": "b.tif"}]},
        }
    )
    assert [one.file for one in lineage(["data/a.tif.dvc"], path=repository.root)] == ["data/a.tif"]
    found = lineage(["data"], path=repository.root)
    assert [one.file for one in found] == ["data/a.tif", "data/b.tif"]
    assert len(lineage(path=repository.root)) == 2


def test_an_untracked_file_is_exit_status_1(repository: Repository) -> None:
    two_versions(repository)
    status, document, _ = imgdata(repository.root, "nothing")
    assert status == 1
    assert document["results"][0]["status"] == "untracked"
    assert document["results"][0]["gaps"]


def test_a_stage_that_never_ran_is_named(repository: Repository) -> None:
    repository.save({"dvc.yaml": PIPELINE})
    answer = repository.ask("out")
    assert answer.status == "untracked"
    assert "has not run yet" in answer.gaps[0]


def test_a_file_that_was_downloaded_is_found_by_its_content(
    repository: Repository, tmp_path: Path
) -> None:
    data = "the content of a figure\n"
    import hashlib

    digest = hashlib.md5(data.encode(), usedforsecurity=False).hexdigest()
    first = repository.save(
        {
            "dvc.yaml": PIPELINE,
            "make.py": "x",
            "dvc.lock": lock(make=entry("make", {"make.py": A}, {"out": digest})),
        }
    )
    repository.save({"dvc.lock": lock(make=entry("make", {"make.py": A}, {"out": B}))})
    download = tmp_path / "figure (1).png"
    download.write_text(data)
    (answer,) = lineage([download], path=repository.root)
    assert (answer.commit, answer.producer) == (first, "dvc.lock::make")
    assert "found by its content" in answer.gaps[0]
    other = tmp_path / "other.png"
    other.write_text("never recorded")
    status, document, _ = imgdata(repository.root, str(other))
    assert status == 1
    assert document["error"]["kind"] == "nothing-found"
