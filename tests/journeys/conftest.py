"""Journeys: whole stories through the installed command, as a person types them."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from imgdata.testing.servers import S3Server
from imgdata.testing.small_project import SmallProject, make_small_project

Command = Callable[..., subprocess.CompletedProcess[str]]
OnS3 = Callable[..., SmallProject]
PROGRAMS = Path(sys.executable).parent


def run_in(home: Path) -> Command:
    """Return a function that runs a command line in a folder, with a home of its own."""
    environment = {
        **os.environ,
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "NO_COLOR": "1",
    }
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text("[user]\nname = Ada Lovelace\nemail = ada@lab.example\n")

    def run(line: str, folder: Path, *, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            line,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    run.env = environment  # type: ignore[attr-defined] # tests may add credentials
    return run


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".gitignore" and path.suffix != ".dvc"
    }


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Run a command line in a folder and expect an exit status."""
    return run_in(tmp_path_factory.mktemp("home"))


@pytest.fixture
def on_s3(tmp_path: Path, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> OnS3:
    """Makes a project whose raw level is kept at an S3 url; more words are those of storage add."""
    for name, value in moto_s3.environment.items():
        monkeypatch.setenv(name, value)

    def make(url: str, endpoint: str, *words: str) -> SmallProject:
        project = make_small_project(tmp_path / "p")
        server = ("--option", f"endpoint_url={endpoint}")
        project.imgdata("storage", "add", "lab", url, *server, *words)
        settings = project.root / "imgdata.yaml"
        settings.write_text(settings.read_text().replace("storage: [archive]", "storage: [lab]"))
        project.imgdata("storage", "apply", "--yes")
        project.commit("Keep everything on S3")
        return project

    return make
