"""Every command line that a sentence of imgdata or of its documentation names can be typed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from imgdata.cli.main import application

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = REPOSITORY / "src/imgdata"
PAGES = [
    REPOSITORY / "README.md",
    *(path for path in (REPOSITORY / "docs").rglob("*.md") if "adr" not in path.parts),
    *(REPOSITORY / "templates").rglob("*.jinja"),
]
GLOBAL = {"--project", "--json", "--quiet", "--verbose", "--debug", "--help", "--version"}
LINE = re.compile(r"\bimgdata ([a-z][a-z-]+)((?: [^\s`;|&()]+)*)")
CODE = re.compile(r"^```(?:sh|console)\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    """Return the commands by name, those of groups with both words."""
    found: dict[str, Any] = {}
    root: Any = typer.main.get_command(application())
    for name, command in root.commands.items():
        found[name] = command
        for below, inner in getattr(command, "commands", {}).items():
            found[f"{name} {below}"] = inner
    return found


def wrong(text: str, commands: dict[str, Any]) -> Iterator[str]:
    """Yield what of the command lines in a text does not exist."""
    for name, rest in LINE.findall(text):
        words = rest.split()
        both = f"{name} {words[0]}" if words else name
        command = commands.get(both) or commands.get(name)
        if command is None:
            yield f"imgdata {name}"
            continue
        known = {option for one in command.params for option in one.opts} | GLOBAL
        for word in words:
            option = re.match(r"--[a-z][a-z-]*", word)
            if option and option[0] not in known:
                yield f"imgdata {both}: {option[0]}"


def strings(path: Path) -> Iterator[str]:
    """Yield the texts of a module that a person may read, values left out; no docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    plain = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (one.value if isinstance(one, ast.Constant) else "X" for one in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in plain:
            yield str(node.value)


def test_every_command_in_the_sentences_of_imgdata_exists(commands: dict[str, Any]) -> None:
    told = {
        f"{path.relative_to(SOURCES)}: {one}"
        for path in SOURCES.rglob("*.py")
        for text in strings(path)
        if not text.startswith("git ")
        for one in wrong(text, commands)
        if ": --" in one  # a sentence may begin with "imgdata keeps"
    }
    assert not told, "\n".join(sorted(told))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_command_in_the_documentation_exists(page: Path, commands: dict[str, Any]) -> None:
    code = ("".join(found) for found in CODE.findall(page.read_text("utf-8")))
    told = {one for text in code for one in wrong(text, commands)}
    assert not told, "\n".join(sorted(told))
