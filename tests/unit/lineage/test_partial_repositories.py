"""Clones that lack something, and files that are elsewhere: where to ask, what to fetch."""

from pathlib import Path

import pytest

from imgdata.errors import MachineError
from imgdata.workflows.lineage import Question
from imgdata.workflows.lineage_arguments import ask
from tests.unit.lineage.repository_builder import Repository, entry, lock, stage

A, B = "a" * 32, "b" * 32


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def grown(repository: Repository) -> Repository:
    """A repository with two versions of an out, a source in a folder, and a moved file."""
    for digest, command in ((A, "make"), (B, "make better")):
        repository.save(
            {
                "dvc.yaml": {"stages": {"make": stage("make", ["raw/in.txt"], ["out"])}},
                "dvc.lock": lock(make=entry(command, {"raw/in.txt": A}, {"out": digest})),
                "raw/in.txt.dvc": {"outs": [{"md5": A, "path": "in.txt"}]},
                ".gitignore": "/out\n",
            }
        )
    return repository


def clone(source: Repository, *options: str) -> Repository:
    """Clone over git's own protocol, so that filters and depths count."""
    source.git("config", "uploadpack.allowFilter", "true")
    place = source.root.parent / "clone"
    source.git("clone", "-q", *options, f"file://{source.root}", str(place))
    return Repository(place)


def test_a_partial_clone_answers_with_what_it_has(grown: Repository) -> None:
    answer = clone(grown, "--filter=blob:none").ask("out", history=True)
    assert answer.producer == "dvc.lock::make"
    assert answer.out is not None
    assert answer.out.md5 == B
    assert any("not in this clone" in gap and "--refetch" in gap for gap in answer.gaps)


def test_a_clone_without_the_folders_of_the_past_says_what_to_fetch(grown: Repository) -> None:
    with pytest.raises(MachineError) as caught:
        clone(grown, "--filter=tree:0").ask("out", history=True)
    assert "--refetch" in str(caught.value.remedy)


def test_what_a_sparse_checkout_leaves_out_still_counts(grown: Repository) -> None:
    sparse = clone(grown)
    sparse.git("sparse-checkout", "set", "elsewhere")
    assert not (sparse.root / "raw").exists()
    answer = sparse.ask("out")
    assert answer.edges[0].producer == "raw/in.txt.dvc"
    assert answer.gaps == ()


def test_files_that_are_not_checked_out_are_said_to_be_in_the_last_commit(
    grown: Repository,
) -> None:
    answer = clone(grown, "--no-checkout").ask("out")
    assert answer.status == "untracked"
    assert "--rev HEAD" in answer.gaps[0]


def test_a_file_that_is_recorded_no_more_names_the_last_version(grown: Repository) -> None:
    recorded = grown.git("rev-parse", "--short=7", "HEAD~1")
    grown.git("mv", "raw/in.txt.dvc", "raw/else.txt.dvc")
    grown.save({"raw/else.txt.dvc": {"outs": [{"md5": A, "path": "else.txt"}]}})
    (gap,) = grown.ask("raw/in.txt").gaps
    assert f"--rev {recorded}" in gap
    assert grown.ask("raw/in.txt", revision=recorded).producer == "raw/in.txt.dvc"


def test_a_file_that_git_has_no_more_names_the_commit_before(grown: Repository) -> None:
    grown.save({"note.txt": "x"})
    grown.save({"note.txt": None})
    (gap,) = grown.ask("note.txt").gaps
    assert f"--rev {grown.git('rev-parse', '--short=7', 'HEAD')}^" in gap


def test_a_file_of_a_submodule_is_not_looked_for_by_content(grown: Repository) -> None:
    """A copy of it may be anywhere, also among what was made from it."""
    below = Repository(grown.root.parent / "below")
    below.save({"result.txt": "result"})
    grown.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(below.root), "sub")
    grown.save({"copy.txt": "result"})
    with grown.opened() as opened:
        found = [next(ask(opened, grown.root, [name], Question())) for name in
                 ("sub/result.txt", "sub")]  # fmt: skip
    assert [one.status for one in found] == ["untracked", "untracked"]
    assert "it lies in the submodule sub" in found[0].gaps[0]
    assert "it is the submodule sub" in found[1].gaps[0]


def test_a_stage_that_never_ran_names_the_command_of_the_repository(
    repository: Repository,
) -> None:
    repository.save({"dvc.yaml": {"stages": {"make": stage("make", [], ["out"])}}})
    assert repository.ask("out").gaps[0].endswith("dvc repro")
    repository.save({"imgdata.yaml": "version: 1\n"})
    assert repository.ask("out").gaps[0].endswith("imgdata run")
