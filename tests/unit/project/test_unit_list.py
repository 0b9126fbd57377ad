"""The list of plates: a line each, so that two people may each add one."""

import subprocess
from pathlib import Path

import pytest

from imgdata.project.unit_list import add_to_unit_list, example_lists
from imgdata.project.yaml_lines import load_with_lines

EMPTY = "# The plates.\nplates: [\n]\n"


def plates(path: Path) -> list[object]:
    found: list[object] = load_with_lines(path.read_text("utf-8"))[0]["plates"]
    return found


def test_a_plate_becomes_a_line_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "plates.yaml"
    path.write_text(EMPTY)
    assert add_to_unit_list(tmp_path, "plate", "P1") == path
    assert add_to_unit_list(tmp_path, "plate", "P2") == path
    assert path.read_text() == '# The plates.\nplates: [\n  "P1",\n  "P2",\n]\n'


def test_a_plate_that_is_there_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plates.yaml"
    path.write_text('plates: [\n  "P1",\n]\n')
    assert add_to_unit_list(tmp_path, "plate", "P1") is None


@pytest.mark.parametrize(
    "name", ["007", "on", "1e3", "a b", "größe", 'quo"te', "x: y", "#x", "- x", "~", "2024-01-01"]
)
@pytest.mark.parametrize("text", [EMPTY, "plates: []\n", "plates:\n- P0\n", "plates: [P0]\n"])
def test_any_name_stays_the_text_it_is(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "plates.yaml"
    path.write_text(text)
    add_to_unit_list(tmp_path, "plate", name)
    assert plates(path)[-1] == name
    assert add_to_unit_list(tmp_path, "plate", name) is None


def test_a_list_in_params_keeps_its_surroundings(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("# top\nthreshold: 3  # why\nplates:\n  - P1\nlast: on\n")
    add_to_unit_list(tmp_path, "plate", "P2")
    text = path.read_text()
    assert plates(path) == ["P1", "P2"]
    assert "threshold: 3  # why" in text
    assert text.startswith("# top\n")
    assert "last: on" in text


def test_other_units_have_lists_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "wells.yaml").write_text("wells: [\n]\n")
    assert add_to_unit_list(tmp_path, "plate", "P1") is None
    assert add_to_unit_list(tmp_path, "well", "B02") == tmp_path / "wells.yaml"


@pytest.mark.parametrize("text", ["", "plates: {a: 1}\n", "plates: P1\n", "- P1\n", "other: []\n"])
def test_a_project_without_a_list_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    assert add_to_unit_list(tmp_path, "plate", "P1") is None
    assert (tmp_path / "params.yaml").read_text() == text


def test_an_empty_list_can_be_imagined_with_one_unit(tmp_path: Path) -> None:
    (tmp_path / "plates.yaml").write_text(EMPTY)
    files = example_lists(tmp_path, "plate")
    assert load_with_lines(files["plates.yaml"].decode())[0] == {"plates": ["unit"]}
    (tmp_path / "plates.yaml").write_text('plates: [\n  "P1",\n]\n')
    assert example_lists(tmp_path, "plate") == {}


def test_two_people_who_each_add_a_plate_merge_with_git(tmp_path: Path) -> None:
    texts = {}
    for name in ("P1", "P2"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "plates.yaml").write_text(EMPTY)
        add_to_unit_list(folder, "plate", name)
        texts[name] = folder / "plates.yaml"
    base = tmp_path / "base.yaml"
    base.write_text(EMPTY)
    merged = subprocess.run(
        ["git", "merge-file", "-p", "--union", texts["P1"], base, texts["P2"]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert load_with_lines(merged)[0] == {"plates": ["P1", "P2"]}
