"""Templates: plain folders that are filled in; nothing in them runs."""

from pathlib import Path

import pytest

from imgdata.errors import InvalidProjectError, UsageError
from imgdata.project.loader import parse_config
from imgdata.project.template import find_template, render_template, shipped_templates

VALUES = {
    "title": "Größe: 'on' & \"off\" #1",
    "id": "0123456789abcdef0123456789abcdef",
    "license": "CC-BY-4.0",
    "creators": [{"name": "Łukasz: #1", "orcid": "", "affiliation": 'Uni "A"'}],
    "archive_url": "/mnt/a: b #c",
    "imgdata_version": "1",
    "year": 2026,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    folder.mkdir()
    return folder


def test_only_jinja_files_are_filled_in(folder: Path) -> None:
    (folder / "a.txt.jinja").write_text("{{ title }}\n")
    (folder / "b.txt").write_text("{{ title }}\n")
    (folder / "image.tif").write_bytes(b"\xff\x00{{")
    assert render_template(folder, {"title": "Größe"}) == {
        "a.txt": "Größe\n".encode(),
        "b.txt": b"{{ title }}\n",
        "image.tif": b"\xff\x00{{",
    }


def test_git_and_caches_of_a_template_are_not_part_of_it(folder: Path) -> None:
    for name in (".git/config", "scripts/__pycache__/x.pyc", "scripts/x.py"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert list(render_template(folder, {})) == ["scripts/x.py"]


def test_a_value_that_does_not_exist_is_an_error(folder: Path) -> None:
    (folder / "a.jinja").write_text("{{ titel }}")
    with pytest.raises(InvalidProjectError, match=r"the template's a\.jinja") as caught:
        render_template(folder, {"title": "x"})
    assert "'titel' is undefined" in caught.value.cause


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ title.__init__.__globals__ }}",
        "{% for %}",
        "{{",
        "{% include '/etc/passwd' %}",
        "{{ title | nothing }}",
        "{{ 1 / 0 }}",
        "{{ title + 1 }}",
        "{{ range(1000000000) | list }}",
    ],
)
def test_a_template_cannot_break_out_or_break_down(folder: Path, text: str) -> None:
    (folder / "a.jinja").write_text(text)
    with pytest.raises(InvalidProjectError, match="cannot be filled in"):
        render_template(folder, {"title": "x"})


def test_a_template_that_is_no_text_is_a_sentence(folder: Path) -> None:
    (folder / "a.jinja").write_bytes(b"\xff")
    with pytest.raises(InvalidProjectError, match="cannot be filled in"):
        render_template(folder, {})


def test_a_link_out_of_a_template_is_not_followed(folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_text("key")
    (folder / "innocent.txt").symlink_to(secret)
    (folder / "inside.txt").write_text("x")
    (folder / "again.txt").symlink_to("inside.txt")
    assert render_template(folder, {}) == {"inside.txt": b"x", "again.txt": b"x"}


def test_shipped_templates_are_found_by_name() -> None:
    assert set(shipped_templates()) >= {"cell-painting", "minimal"}
    assert find_template("minimal").is_dir()


def test_a_folder_is_a_template(tmp_path: Path) -> None:
    assert find_template(str(tmp_path)) == tmp_path
    with pytest.raises(UsageError, match="'nowhere' is neither a template nor a folder") as caught:
        find_template("nowhere")
    assert "minimal" in caught.value.cause


@pytest.mark.parametrize("name", ["cell-painting", "minimal"])
def test_shipped_templates_are_valid_with_any_title(name: str) -> None:
    files = render_template(find_template(name), VALUES)
    config = parse_config(files["imgdata.yaml"].decode("utf-8"))
    assert config.title == VALUES["title"]
    assert config.creators[0].name == "Łukasz: #1"
    assert {storage.url for storage in config.storages.values()} == {VALUES["archive_url"]}
