"""A small lab on disk: a project with a pipeline of shell commands, an archive and a microscope.

Everything is real: the installed `imgdata`, dvc and git run as programs. The pipeline copies and
counts, so that a run costs what dvc costs and nothing else.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from imgdata.testing import programs

WELLS = ("B02", "B03")
CHANNELS = ("DNA", "AGP")

CONFIG = """\
version: 1
id: {{ id | tojson }}
title: {{ title | tojson }}
commit: never
origins:
  own: {kind: own, access: open}
  partner: {kind: academic-collaborator, access: restricted}
storages:
  archive: {url: ../archive}
levels:
  raw:
    path: data/raw
    unit: plate
    origin: own
    key: "{plate}/{well}_{site}_{channel}.tif"   # what a name means
    storage: [archive]
  masks:
    path: data/masks
    unit: plate
    key: "{plate}/{well}_{site}_{channel}.tif"
    from: [raw]
    storage: [archive]
  counts:
    path: data/counts
    unit: plate
    from: [masks]
    storage: none
"""
PIPELINE = """\
vars:
  - plates.yaml
stages:
  segment:
    foreach: ${plates}
    do:
      cmd: sh scripts/segment.sh data/raw/${item} data/masks/${item}
      deps:
        - scripts/segment.sh
        - data/raw/${item}
      outs:
        - data/masks/${item}:
            remote: archive
      params:
        - threshold
  count:
    foreach: ${plates}
    do:
      cmd: mkdir -p data/counts/${item} && ls data/masks/${item} > data/counts/${item}/names.txt
      deps:
        - data/masks/${item}
      outs:
        - data/counts/${item}:
            push: false
"""
SCRIPT = """\
set -e
mkdir -p "$2"
for image in "$1"/*.tif; do
  { printf 'mask %s of ' "$(cat params.yaml)"; cat "$image"; } > "$2/$(basename "$image")"
done
"""
TEMPLATE: Mapping[str, str] = {
    "imgdata.yaml.jinja": CONFIG,
    "dvc.yaml": PIPELINE,
    "plates.yaml": "plates: [\n]\n",
    ".gitattributes": "plates.yaml merge=union\n",
    "params.yaml": "threshold: 3\n",
    "scripts/segment.sh": SCRIPT,
}


class Answer(Struct, frozen=True):
    """What one command said."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document that is all of standard output."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results of the JSON document."""
        found: list[dict[str, Any]] = self.document["results"]
        return found

    @property
    def error(self) -> dict[str, str]:
        """The error of the JSON document."""
        found: dict[str, str] = self.document["error"]
        return found


class Lab(Struct, frozen=True):
    """A folder with `project`, `archive`, `mirror` and `microscope`."""

    base: Path
    name: str = "project"
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self.base / self.name

    @property
    def archive(self) -> Path:
        """The working storage."""
        return self.base / "archive"

    @property
    def microscope(self) -> Path:
        """Where plates come from."""
        return self.base / "microscope"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command: a home of its own, a git person, no colours."""
        home = self.base / "home"
        own = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "NO_COLOR": "1",
            "DVC_NO_ANALYTICS": "1",
            "PYTHONWARNINGS": "default",
        }
        return {**os.environ, **own, **self.variables}

    def call(self, *args: str | Path, cwd: Path | None = None) -> Answer:
        """Run any program."""
        done = subprocess.run(
            [os.fspath(arg) for arg in args],
            cwd=cwd or self.project,
            env=self.environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return _answer(done)

    def imgdata(self, *args: str | Path, cwd: Path | None = None) -> Answer:
        """Run the installed imgdata in the project; a traceback is never an answer."""
        answer = self._program("imgdata", *args, cwd=cwd)
        assert "Traceback" not in answer.err, answer.err
        assert answer.status != 70, answer.err + answer.out
        return answer

    def ok(self, *args: str | Path, cwd: Path | None = None) -> Answer:
        """Run imgdata, which must end well."""
        answer = self.imgdata(*args, cwd=cwd)
        assert answer.status == 0, answer.err + answer.out
        return answer

    def dvc(self, *args: str | Path) -> Answer:
        """Run plain dvc."""
        return self._program("dvc", *args)

    def _program(self, name: str, *args: str | Path, cwd: Path | None = None) -> Answer:
        return _answer(programs.run(name, *args, cwd=cwd or self.project, env=self.environment))

    def git(self, *args: str | Path) -> str:
        """Run git, which must end well; return what it printed."""
        answer = self.call("git", *args)
        assert answer.status == 0, answer.err
        return answer.out

    def commit(self, message: str = "Work") -> None:
        """Commit everything that git sees."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)

    def plate(self, name: str, wells: tuple[str, ...] = WELLS) -> Path:
        """Write a plate on the microscope: two channels a well, all contents different."""
        folder = self.microscope / name
        folder.mkdir(parents=True, exist_ok=True)
        for well in wells:
            for channel in CHANNELS:
                path = folder / f"{well}_1_{channel}.tif"
                path.write_bytes(f"{name} {well} {channel}".encode())
        return folder

    def file(self, path: str) -> Path:
        """Return a file of the project."""
        return self.project / path

    def objects(self, place: Path | None = None) -> dict[str, Path]:
        """Return the stored objects of a storage (or, without one, the cache) by their ids."""
        folder = (place or self.project / ".dvc" / "cache") / "files" / "md5"
        return {path.parent.name + path.name: path for path in folder.glob("??/*")}

    def clone(self, name: str = "clone") -> "Lab":
        """Return a fresh git clone of the committed project, beside it."""
        self.git("clone", "--quiet", self.project, self.base / name)
        return Lab(self.base, name, self.variables)

    def copy_to(self, base: Path) -> "Lab":
        """Copy the whole lab, hard links and times kept, and let its files name the new place."""
        base.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", self.base, base], check=True)
        for name in (".dvc/config", ".dvc/config.local"):
            path = base / self.name / name
            if path.is_file():
                path.write_text(path.read_text("utf-8").replace(str(self.base), str(base)), "utf-8")
        lab = Lab(base, self.name, self.variables)
        lab.git("commit", "--quiet", "--allow-empty", "-m", "Move the lab", "--", ".dvc/config")
        return lab


def _answer(done: subprocess.CompletedProcess[bytes]) -> Answer:
    decoded = (data.decode("utf-8", "backslashreplace") for data in (done.stdout, done.stderr))
    return Answer(done.returncode, *decoded)


def make_lab(base: Path) -> Lab:
    """Make a lab with a project that has no data yet."""
    lab = Lab(base)
    for folder in ("home", "archive", "mirror", "microscope"):
        (base / folder).mkdir(parents=True)
    (base / "home" / ".gitconfig").write_text(
        "[user]\n\tname = Ada Lovelace\n\temail = ada@lab.example\n[init]\n\tdefaultBranch = main\n"
    )
    template = base / "template"
    for name, text in TEMPLATE.items():
        path = template / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    lab.ok("init", lab.project, "--template", template, "--title", "Tiny", "--yes", cwd=base)
    shutil.rmtree(template)
    config = lab.file("imgdata.yaml")  # init takes out storages that no level names
    text = config.read_text("utf-8").replace(
        "\nlevels:", "\n  mirror: {url: ../mirror}\nlevels:", 1
    )
    config.write_text(text, "utf-8")
    lab.ok("storage", "apply", "--yes")
    lab.commit("Start")
    return lab


def flip_byte(path: Path) -> None:
    """Change one byte of a file and give it back its time and mode, as a bad disk would."""
    status = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    path.chmod(status.st_mode & 0o777)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
