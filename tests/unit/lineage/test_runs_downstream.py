"""What DataLad runs made from a file, and runs that another dataset recorded here."""

from pathlib import Path

import pytest

from imgdata.lineage.answer import Answer
from tests.unit.lineage.repository_builder import Repository, entry, lock, run_message, stage

A, B = "a" * 32, "b" * 32


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "dataset")


def made(answer: Answer) -> list[tuple[str, str, bool]]:
    assert answer.down is not None
    return [(one.path, one.via, one.current) for one in answer.down]


def test_what_runs_made_from_a_file_is_found_run_by_run(repository: Repository) -> None:
    repository.save({"in/a.txt": "a", "in/b.txt": "b", "other.txt": "o"})
    repository.save({"mid/one": "1"}, run_message(inputs=["in/*.txt"]))
    repository.save({"mid/two": "2"}, run_message(inputs=["other.txt"]))
    climbing = run_message(inputs=["../mid"], pwd="code")  # noqa: S106 - the folder it ran in
    run = repository.save({"out": "3"}, climbing)
    answer = repository.ask("in/a.txt", down=True)
    assert made(answer) == [("mid/one", "in/a.txt", True), ("out", "mid", True)]
    assert answer.down is not None
    assert answer.down[1].producer == f"datalad-run:{run}"
    assert made(repository.ask("out", down=True)) == []


def test_a_run_that_read_an_older_version_is_said_to_have(repository: Repository) -> None:
    repository.save({"in.txt": "old"})
    repository.save({"out": "1"}, run_message(inputs=["in.txt"]))
    repository.save({"in.txt": "new"})
    assert made(repository.ask("in.txt", down=True)) == [("out", "in.txt", False)]


def test_what_another_run_has_made_since_is_not_listed(repository: Repository) -> None:
    repository.save({"in.txt": "in", "else.txt": "else"})
    repository.save({"out": "1"}, run_message(inputs=["in.txt"]))
    repository.save({"out": "2"}, run_message(inputs=["else.txt"]))
    assert made(repository.ask("in.txt", down=True)) == []


def test_stages_of_dvc_and_runs_are_followed_in_turn(repository: Repository) -> None:
    repository.save({"raw.txt": "0"})
    repository.save({"clean.txt": "1"}, run_message(inputs=["raw.txt"]))
    repository.save(
        {
            "dvc.yaml": {"stages": {"fit": stage("fit", ["clean.txt"], ["model"])}},
            "dvc.lock": lock(fit=entry("fit", {"clean.txt": A}, {"model": B})),
            ".gitignore": "/model\n",
        }
    )
    repository.save({"figure": "1"}, run_message(inputs=["model"]))
    answer = repository.ask("raw.txt", down=True)
    assert [path for path, _, _ in made(answer)] == ["clean.txt", "model", "figure"]


def test_a_run_of_the_dataset_above_has_no_inputs_here(repository: Repository) -> None:
    """`datalad run` writes one record into each dataset it changed, with paths of the first."""
    config = '[datalad "dataset"]\n\tid = {}\n'
    repository.save({".datalad/config": config.format("below"), "in.txt": "another file"})
    run = repository.save({"out": "1"}, run_message(inputs=["in.txt"], dsid="above"))
    answer = repository.ask("out")
    assert answer.producer == f"datalad-run:{run}"
    assert [edge.relation for edge in answer.edges] == ["missing"]
    assert any("another dataset" in gap for gap in answer.gaps)
    assert made(repository.ask("in.txt", down=True)) == []
