"""A project by another name: through a link, or by a path that goes up again."""

from pathlib import Path

import pytest

from imgdata.testing.lab import Lab


@pytest.fixture(params=["a link", "a link above", "a way up"])
def other_name(request: pytest.FixtureRequest, lab: Lab) -> Path:
    """Another name of the project's folder."""
    if request.param == "a way up":
        return lab.file("data/raw/../..")
    link = lab.base / "link"
    link.symlink_to(lab.project if request.param == "a link" else lab.base)
    return link if request.param == "a link" else link / lab.name


@pytest.mark.parametrize(
    "words",
    [
        ["push", "--dry-run"],
        ["whereis"],
        ["verify"],
        ["audit"],
        ["drop", "masks", "--dry-run", "--remote"],
        ["level", "mv", "masks", "labels", "--dry-run"],
        ["pull", "--rev", "HEAD"],
        ["storage", "apply"],
        ["check", "raw"],
    ],
)
def test_a_command_answers_as_in_the_folder_itself(
    lab: Lab, other_name: Path, words: list[str]
) -> None:
    here = lab.imgdata(*words)
    there = lab.imgdata("--project", other_name, *words, cwd=lab.base)
    assert (there.status, there.out) == (here.status, here.out), there.err


def test_a_repository_behind_a_link_is_adopted_and_not_made_anew(lab: Lab) -> None:
    repository = lab.base / "repository"
    repository.mkdir()
    lab.call("git", "init", "--quiet", repository)
    (repository / "analysis.py").write_text("print()\n")
    (lab.base / "link").symlink_to(repository)
    answer = lab.ok("init", lab.base / "link", "--dry-run", cwd=lab.base)
    assert "Proposed by imgdata init" in answer.out


def test_a_plate_is_checked_as_its_level_by_whatever_name(lab: Lab) -> None:
    (lab.base / "link").symlink_to(lab.file("data/raw"))
    inside = lab.imgdata("check", "data/raw/P1", "--json").results
    for name in ("../data/raw/P1", lab.base / "link" / "P1"):
        answer = lab.imgdata("check", name, "--json", cwd=lab.file("scripts"))
        assert answer.results == inside, name


def test_a_file_is_named_from_the_project_by_who_stands_elsewhere(lab: Lab) -> None:
    name = "data/raw/P1/B02_1_DNA.tif"
    (here,) = lab.ok("whereis", name, "--json").results
    for folder, word in ((lab.base, name), (lab.file("data"), "raw/P1/B02_1_DNA.tif")):
        answer = lab.ok("--project", lab.project, "whereis", word, "--json", cwd=folder)
        assert answer.results == [here]
