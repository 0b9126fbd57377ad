"""A small project with one derived level, made in a second: for tests of what can go wrong.

Raw plates hold a few files of random bytes; the level `sums` lists their checksums, made by a
stage a plate. Everything is done through the installed commands.
"""

import os
import random
import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from imgdata.testing import programs
from imgdata.testing.programs import PROGRAMS

SUMS_LEVEL = """\
  sums:
    path: data/sums
    unit: plate
    from: [{level: raw}]
    storage: [archive]
"""
PIPELINE = """\
vars: [plates.yaml]
stages:
  sum:
    foreach: ${plates}
    do:
      cmd: >-
        mkdir -p "data/sums/${item}" &&
        (cd "data/raw/${item}" && md5sum *) > "data/sums/${item}/sums.txt"
      deps:
        - data/raw/${item}
      outs:
        - data/sums/${item}:
            remote: archive
"""
PLATES = "plates: [\n]\n"


def environment() -> dict[str, str]:
    """Return this process's environment with the programs of its installation first on PATH."""
    return {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}"}


def call(
    folder: Path, *words: str | Path, check: bool = True, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program (`imgdata`, `dvc`, `git`) in a folder; say what it printed when it fails."""
    env = environment() if env is None else dict(env)
    line = [str(word) for word in words]
    if line[0] in programs.ENTRIES:
        said = programs.run(*line, cwd=folder, env=env)
        streams = (data.decode().replace("\r\n", "\n") for data in (said.stdout, said.stderr))
        done = subprocess.CompletedProcess(line, said.returncode, *streams)
    else:
        done = subprocess.run(
            line, cwd=folder, env=env, capture_output=True, text=True, check=False
        )
    if check:
        assert done.returncode == 0, f"{words} in {folder}\n{done.stdout}{done.stderr}"
    return done


def write_random_plate(folder: Path, *, files: int = 3, size: int = 2_000, seed: int = 1) -> Path:
    """Write files of random bytes with the names of images; the same seed gives the same bytes."""
    chance = random.Random(seed)  # noqa: S311 - test data
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        (folder / f"B02_{number + 1}_DNA.ome.tif").write_bytes(chance.randbytes(size))
    return folder


class SmallProject(Struct, frozen=True):
    """A project's folder, the storage of its two levels, and the commands in it."""

    root: Path
    archive: Path

    def imgdata(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run imgdata here."""
        return call(self.root, "imgdata", *words, check=check)

    def dvc(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run plain dvc here."""
        return call(self.root, "dvc", *words, check=check)

    def git(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run plain git here."""
        return call(self.root, "git", *words, check=check)

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)

    def clone(self, folder: Path) -> "SmallProject":
        """Clone into a new folder."""
        call(folder.parent, "git", "clone", "--quiet", self.root, folder)
        return SmallProject(folder, self.archive)


def make_small_project(folder: Path) -> SmallProject:
    """Make the project, committed, without data yet."""
    call(folder.parent, "imgdata", "init", folder, "--template", "minimal")
    project = SmallProject(folder, folder.with_name(f"{folder.name}-archive"))
    settings = folder / "imgdata.yaml"
    settings.write_text(settings.read_text() + SUMS_LEVEL)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "plates.yaml").write_text(PLATES)
    attributes = folder / ".gitattributes"
    attributes.write_text(attributes.read_text() + "plates.yaml merge=union\n")
    project.imgdata("storage", "apply", "--yes")
    project.commit("Start the project")
    return project
