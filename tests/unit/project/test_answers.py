"""What a person answered means the same to `describe`, `check` and `publish`."""

from pathlib import Path

import pytest

from imgdata.errors import InvalidProjectError
from imgdata.model.rembi import BY_NAME
from imgdata.project.answers import read_answers, rembi_answers
from imgdata.system.folder_tree import FolderTree
from imgdata.workflows.describe_project import write_answers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "metadata").mkdir()
    return tmp_path / "metadata"


def test_what_describe_writes_is_read_back_as_it_was_written(folder: Path) -> None:
    said = {name: field.example for name, field in BY_NAME.items()}
    said["specimen.sample_preparation"] = 'no: fixed, "stained" # twice\nand washed'
    said["study.title"] = "1.10"
    write_answers(folder.parent, said)
    assert (
        read_answers(FolderTree(folder.parent)) == said == rembi_answers(FolderTree(folder.parent))
    )


def test_open_questions_are_no_answers(folder: Path) -> None:
    write_answers(folder.parent, {"biosample.taxon": "9606"})
    assert read_answers(FolderTree(folder.parent)) == {"biosample.taxon": "9606"}
    (folder / "rembi.yaml").write_text("version: 1\nbiosample:\n  taxon: ~\n  organism: null\n")
    assert read_answers(FolderTree(folder.parent)) == {}


def test_dotted_names_and_sections_are_the_same_answer(folder: Path) -> None:
    (folder / "rembi.yaml").write_text(
        'biosample.organism: "Homo sapiens"\nacquisition: {model: X}\n'
    )
    assert rembi_answers(FolderTree(folder.parent)) == {
        "biosample.organism": "Homo sapiens",
        "acquisition.model": "X",
    }


def test_other_files_answer_with_their_name_before(folder: Path) -> None:
    (folder / "study.yaml").write_text("keywords: [NF1, Cell Painting]\n")
    (folder / "figshare.yaml").write_text("categories: Cell Biology\n")
    (folder / "list.yaml").write_text("- a\n")
    assert read_answers(FolderTree(folder.parent)) == {
        "study.keywords": "NF1, Cell Painting",
        "figshare.categories": "Cell Biology",
    }
    assert set(rembi_answers(FolderTree(folder.parent))) == {"study.keywords"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("biosample: {organsm: x}\n", "biosample.organsm"),
        ("- a list\n", "must hold sections"),
        ("a: [b\n", "not valid YAML"),
        ("a: " + "[" * 5000, "not valid YAML"),
    ],
)
def test_a_mistake_in_rembi_yaml_is_a_sentence(folder: Path, text: str, said: str) -> None:
    (folder / "rembi.yaml").write_text(text)
    with pytest.raises(InvalidProjectError, match=said):
        read_answers(FolderTree(folder.parent))


def test_a_misspelt_field_is_told_the_nearest(folder: Path) -> None:
    (folder / "rembi.yaml").write_text("biosample: {organsm: x}\n")
    with pytest.raises(InvalidProjectError) as caught:
        rembi_answers(FolderTree(folder.parent))
    assert caught.value.remedy == "did you mean biosample.organism?"
