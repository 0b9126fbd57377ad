"""Edited YAML keeps what people wrote."""

from imgdata.project.editor import dump_edited, load_editable

TEXT = """\
# The project.
version: 1   # of the format

levels:
  raw: {path: data/raw, storage: [archive]}   # as the microscope wrote them
  masks:
    path: "data/masks"
    from:
      - raw
    note: 'one'
title: on
"""


def test_nothing_edited_is_nothing_changed() -> None:
    assert dump_edited(load_editable(TEXT), TEXT) == TEXT


def test_an_edit_keeps_comments_quotes_and_order() -> None:
    value = load_editable(TEXT)
    value["levels"]["masks"]["path"] = "data/m"
    assert dump_edited(value, TEXT) == TEXT.replace("data/masks", "data/m")


def test_lists_are_indented_as_before() -> None:
    flush = "outs:\n- a\n- b: {push: false}\n"
    assert dump_edited(load_editable(flush), flush) == flush
    indented = "outs:\n  - a\n  - b\n"
    value = load_editable(indented)
    value["outs"].append("c")
    assert dump_edited(value, indented) == indented + "  - c\n"


def test_long_lines_are_not_broken() -> None:
    text = f"cmd: {'word ' * 100}end\n"
    assert dump_edited(load_editable(text), text) == text
