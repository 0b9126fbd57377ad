"""A small real project: raw images on two storages, masks stored nowhere, tables on one."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct

from imgdata.api import Project, open_project
from imgdata.workflows.drop_plan import DropOptions, DropPlan
from imgdata.workflows.push import PushOutcome

CONFIG = """\
version: 1
id: "0123456789abcdef0123456789abcdef"
title: small
commit: never
origins:
  lab: {{kind: own, access: open}}
storages:
  archive: {{url: "{base}/archive", price_per_tb_month: 20}}
  second: {{url: "{base}/second"}}
levels:
  raw:
    path: data/raw
    origin: lab
    key: "{{plate}}/{{well}}_{{site}}.tif"
    storage: archive
  masks:
    path: data/masks
    key: "{{plate}}/{{well}}_{{site}}.tif"
    storage: none
  tables:
    path: data/tables
    key: "{{plate}}.csv"
    storage: archive
"""
PIPELINE = """\
stages:
  segment:
    foreach: [P1]
    do:
      cmd: python segment.py data/raw/${item} data/masks/${item}
      deps: [segment.py, "data/raw/${item}"]
      outs:
        - data/masks/${item}:
            push: false
  measure:
    foreach: [P1]
    do:
      cmd: python measure.py data/masks/${item} data/tables/${item}.csv
      deps: [measure.py, "data/masks/${item}"]
      outs:
        - data/tables/${item}.csv:
            remote: archive
"""
SEGMENT = """\
import pathlib, sys
source, target = map(pathlib.Path, sys.argv[1:])
target.mkdir(parents=True, exist_ok=True)
for path in source.iterdir():
    (target / path.name).write_bytes(path.read_bytes()[::-1])
"""
MEASURE = """\
import pathlib, sys
source, target = map(pathlib.Path, sys.argv[1:])
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text("".join(f"{p.name},{sum(p.read_bytes())}\\n" for p in sorted(source.iterdir())))
"""


class Lab(Struct):
    """A project in a folder, with the commands that tests type."""

    root: Path
    base: Path

    def open(self) -> Project:
        return open_project(self.root, writing=True)

    def git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "State")

    def share(self) -> None:
        """Commit everything and push it to the git remote."""
        self.commit()
        self.git("push", "--quiet", "origin", "main")

    def add(self, name: str = "P1", count: int = 4, mark: str = "") -> None:
        source = self.base / "microscope" / f"{name}{mark}" / name
        source.mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            (source / f"B{number:02d}_1.tif").write_bytes(f"{name} {mark} {number}".encode() * 50)
        project = self.open()
        list(project.add(project.plan_add("raw", [source])))

    def push(self, *levels: str, to: tuple[str, ...] = ()) -> list[PushOutcome]:
        from imgdata.workflows.push_plan import PushOptions

        return list(self.open().push(levels, PushOptions(to=to)))

    def run(self, *names: str) -> None:
        project = self.open()
        list(project.run(project.plan_run(names)))

    def plan_drop(
        self, *levels: str, source: str = "", old: bool = False, used: bool = False
    ) -> DropPlan:
        options = DropOptions(source, old_versions=old, used=used)
        return self.open().plan_drop(levels, options)

    def drop(
        self, *levels: str, source: str = "", old: bool = False, used: bool = False
    ) -> DropPlan:
        options = DropOptions(source, old_versions=old, used=used)
        project = self.open()
        plan = project.plan_drop(levels, options)
        list(project.drop(levels, options, plan))
        return plan

    def objects(self, storage: str) -> list[Path]:
        return sorted((self.base / storage / "files" / "md5").glob("??/*"))

    def edit_config(self, before: str, after: str) -> None:
        path = self.root / "imgdata.yaml"
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))


MakeLab = Callable[[], Lab]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A project with nothing added yet; its git remote is a bare repository beside it."""
    made = Lab(tmp_path / "project", tmp_path)
    made.root.mkdir()
    made.git("init", "--quiet", "--initial-branch=main")
    (made.root / "imgdata.yaml").write_text(CONFIG.format(base=tmp_path))
    (made.root / ".dvc").mkdir()
    (made.root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (made.root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (made.root / "dvc.yaml").write_text(PIPELINE)
    (made.root / "segment.py").write_text(SEGMENT)
    (made.root / "measure.py").write_text(MEASURE)
    (tmp_path / "archive").mkdir()
    (tmp_path / "second").mkdir()
    project = made.open()
    project.apply(project.plan_apply())
    made.git("init", "--quiet", "--bare", str(tmp_path / "remote.git"))
    made.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    made.commit()
    return made
