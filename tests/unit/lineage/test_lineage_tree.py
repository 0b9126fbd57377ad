"""The tree a person reads: what it says of each kind of file, and that names forge no lines."""

from pathlib import Path
from typing import Any

import pytest

from imgdata.cli.lineage_tree import tree_lines
from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.workflows.lineage import Question
from imgdata.workflows.lineage_arguments import ask
from tests.unit.lineage.repository_builder import Repository, entry, lock, md5, run_message, stage

A, B, C = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "dataset")


def tree(repository: Repository, path: str, **question: Any) -> list[str]:
    return list(tree_lines(repository.ask(path, **question)))


def annexed(repository: Repository, path: str, text: str) -> None:
    key = f"MD5E-s{len(text)}--{md5(text)}.txt"
    place = repository.root / path
    place.unlink(missing_ok=True)
    place.symlink_to(f".git/annex/objects/aa/bb/{key}/{key}")


def test_annexed_content_is_named_by_its_checksum(repository: Repository) -> None:
    annexed(repository, "in.txt", "in")
    repository.commit("Add")
    annexed(repository, "out.txt", "out")
    repository.commit(run_message(inputs=["in.txt"]))
    lines = tree(repository, "out.txt", history=True)
    assert any(line.startswith(f"  └─ in.txt   {md5('in')[:8]}") for line in lines)
    assert any(line.startswith(f"    {md5('out')[:8]}   ") for line in lines)


def test_a_command_of_several_lines_keeps_them(repository: Repository) -> None:
    command = "set -e\n# then\npython make.py\n"
    repository.save(
        {
            "dvc.yaml": {"stages": {"make": stage(command, [], ["out"])}},
            "dvc.lock": lock(make=entry(command, {}, {"out": A})),
        }
    )
    lines = tree(repository, "out")
    start = lines.index("    $ set -e")
    assert lines[start : start + 3] == ["    $ set -e", "      # then", "      python make.py"]


def test_the_folder_a_command_ran_in_is_said_where_it_is_not_that_of_its_file(
    repository: Repository,
) -> None:
    repository.save(
        {
            "pipe/dvc.yaml": {"stages": {
                "away": stage("make", [], ["out"], wdir="../code"),
                "here": stage("make", ["../code/out"], ["end"]),
            }},
            "pipe/dvc.lock": lock(
                away=entry("make", {}, {"out": A}), here=entry("make", {"../code/out": A},
                {"end": B}),
            ),
        }
    )  # fmt: skip
    lines = tree(repository, "pipe/end")
    assert any(line.endswith("pipe/dvc.lock::away   in code") for line in lines)
    assert "  pipe/dvc.lock::here" in lines


def test_the_folder_of_a_datalad_run_is_said(repository: Repository) -> None:
    repository.save({"out": "1"}, run_message(pwd="code/deep"))  # noqa: S106 - a folder
    assert any("in code/deep" in line for line in tree(repository, "out"))


def test_a_file_in_a_tracked_folder_is_told_from_its_folder(repository: Repository) -> None:
    data, folder = write_folder([FolderEntry(md5("1"), "one")])
    place = repository.root / ".dvc/cache/files/md5" / folder[:2] / folder[2:]
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    tracked = {"outs": [{"md5": folder, "hash": "md5", "path": "plate"}]}
    repository.save({"raw/plate.dvc": tracked, ".dvc/config": "", ".gitignore": "/raw/plate\n"})
    inside, first, *_ = tree(repository, "raw/plate/one")[1:]
    assert inside == f"  inside raw/plate ({folder})"
    assert first.startswith("  that version of raw/plate first recorded")
    assert folder[:8] not in tree(repository, "raw/plate/two")[0]
    copy = repository.root.parent / "copy.tif"
    copy.write_text("1")
    with repository.opened() as opened:
        (found,) = ask(opened, repository.root, [str(copy)], Question())
    assert list(tree_lines(found))[1] == inside


def test_a_link_is_answered_by_what_it_leads_to(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {"stages": {"make": stage("make", [], ["out"])}},
            "dvc.lock": lock(make=entry("make", {}, {"out": A})),
        }
    )
    (repository.root / "latest").symlink_to("out")
    with repository.opened() as opened:
        (found,) = ask(opened, repository.root, ["latest"], Question())
    assert (found.file, found.producer) == ("out", "dvc.lock::make")
    assert found.gaps[0] == "latest is a link that leads to out"
    repository.commit("Add the link")
    assert repository.ask("latest").gaps[0].startswith("latest is a link to out: ")


def test_names_forge_no_lines(repository: Repository) -> None:
    repository.save({"a\nb: recorded by nobody.txt": "x"})
    lines = tree(repository, "a\nb: recorded by nobody.txt")
    assert lines[0].startswith("a\\nb: recorded by nobody.txt")
    assert not any("\n" in line for line in lines)


def test_a_hand_edit_names_the_run_before_it(repository: Repository) -> None:
    run = repository.save({"out": "1"}, run_message())
    repository.save({"out": "edited"}, "Correct by hand")
    lines = tree(repository, "out")
    assert f"  an earlier version was made by the run {run[:7]}: --rev {run[:7]}" in lines


def test_a_moved_file_is_not_called_restored(repository: Repository) -> None:
    repository.save({"out": "1"}, run_message())
    repository.git("mv", "out", "moved")
    move = repository.commit("Move")
    lines = tree(repository, "moved")
    assert not any("restored" in line for line in lines)
    assert any(f"as out; {move[:7]} moved or copied it here" in line for line in lines)


def test_the_current_version_is_marked_whatever_is_newest(repository: Repository) -> None:
    def recorded(digest: str) -> dict[str, Any]:
        return {"dvc.lock": lock(make=entry("make", {}, {"out": digest}))}

    repository.save({"dvc.yaml": {"stages": {"make": stage("make", [], ["out"])}}, **recorded(A)})
    repository.git("checkout", "-q", "-b", "side")
    taken = repository.save(recorded(B))
    repository.git("checkout", "-q", "main")
    repository.save(recorded(C))
    repository.git("merge", "-q", "-X", "theirs", "-m", "Take theirs", "side")
    marked = [line for line in tree(repository, "out", history=True) if line.endswith("   current")]
    assert len(marked) == 1
    assert marked[0].startswith(f"    {B[:8]}   ")
    assert taken[:7] in marked[0]
