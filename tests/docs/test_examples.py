"""Every command of the documentation is run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    if BLOCK.search(page.read_text("utf-8"))
]
STATUS = re.compile(r"\s+# exit ([0-9]+)$")


def commands(page: Path) -> list[tuple[str, int]]:
    """Return the command lines of a page in order, each with the exit status it should have."""
    found = []
    for block in BLOCK.findall(page.read_text("utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                status = STATUS.search(line)
                found.append((STATUS.sub("", line[2:]), int(status[1]) if status else 0))
    return found


@pytest.mark.dvc
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_command_of_a_page_works_as_it_stands_there(page: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    folder = tmp_path
    for line, status in commands(page):
        if line.startswith("cd "):
            folder = (folder / line[3:]).resolve()
            continue
        done = subprocess.run(
            line,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{page.name}: {line}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    link = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    dead = [
        f"{page.relative_to(REPOSITORY)}: {target}"
        for page in pages
        for target in link.findall(page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not dead, dead
