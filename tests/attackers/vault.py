"""A project with a partner's restricted plate, the lab's own plate as its twin, and a public place.

Both plates went through the same pipeline. An attack on P1 must fail for the reason of its rule;
the same attack on P9 must get through, so that the attack itself is known to work.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from imgdata.api import Project, open_project
from imgdata.cli.main import main
from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.model.objects import object_key

SECRET, TWIN = "P1", "P9"
ORIGIN = {SECRET: "partner", TWIN: "lab"}
WITHDRAWN = {"P0": "partner", "P8": "lab"}
"""Plates that were taken out again: only history knows them."""
OLD = {SECRET: "P0", TWIN: "P8"}
RULE = "origin 'partner', restricted until 2999-01-01"
PARTNER = """\
  partner:
    kind: academic-collaborator
    access: restricted
    release_on: 2999-01-01
    may_leave: [tables]
"""
CONFIG = f"""\
version: 1
id: "0123456789abcdef0123456789abcdef"
title: A vault
description: Two plates.
license: CC-BY-4.0
creators: [{{name: "Lovelace, Ada"}}]
commit: never
release_branch: main
origins:
  lab: {{kind: own, access: open}}
{PARTNER}storages:
  archive: {{url: "../archive"}}
  second: {{url: "../second"}}
  world: {{url: "../world", public: true}}
repositories:
  shelf: {{url: "zenodo:sandbox"}}
levels:
  raw:
    path: data/raw
    origin: partner
    key: "{{plate}}/{{well}}_{{site}}.tif"
    storage: archive
  extra:
    path: data/extra
    key: "{{plate}}/{{name}}"
    storage: archive
  masks:
    path: data/masks
    key: "{{plate}}/{{well}}_{{site}}.tif"
    storage: archive
  pooled:
    path: data/pooled
    unit: none
    storage: archive
  tables:
    path: data/tables
    key: "{{plate}}.csv"
    storage: archive
"""
PIPELINE = """\
vars: [plates.yaml]
stages:
  segment:
    foreach: ${plates}
    do:
      cmd: mkdir -p data/masks && cp -r data/raw/${item} data/masks/${item} &&
        for f in data/masks/${item}/*.tif; do chmod u+w $f; echo mask >> $f; done
      deps: ["data/raw/${item}"]
      outs: ["data/masks/${item}"]
  pool:
    cmd: mkdir -p data/pooled && cat data/masks/*/*.tif > data/pooled/all.tif
    deps: [data/masks/P1, data/masks/P9]
    outs: [data/pooled]
  measure:
    foreach: ${plates}
    do:
      cmd: mkdir -p data/tables && wc -c data/masks/${item}/*.tif > data/tables/${item}.csv
      deps: ["data/masks/${item}"]
      outs: ["data/tables/${item}.csv"]
"""


class Answer(Struct, frozen=True):
    """How a command ended, and all it said."""

    status: int
    said: str


class Vault(Struct, frozen=True):
    """The folder with `project`, `archive`, `second`, `world`, `microscope` and `remote.git`."""

    base: Path
    name: str = "project"

    @property
    def root(self) -> Path:
        return self.base / self.name

    @property
    def config(self) -> Path:
        return self.root / "imgdata.yaml"

    @property
    def world(self) -> Path:
        return self.base / "world"

    def project(self) -> Project:
        return open_project(self.root, writing=True)

    def imgdata(self, *words: str | Path) -> Answer:
        """Run a command as typed, in this process."""
        said = io.StringIO()
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            pytest.raises(SystemExit) as end,
        ):
            main(["--project", str(self.root), *map(str, words)])
        status = int(end.value.code or 0)
        assert status != 70, said.getvalue()
        assert "Traceback" not in said.getvalue()
        return Answer(status, said.getvalue())

    def ok(self, *words: str | Path) -> Answer:
        answer = self.imgdata(*words)
        assert answer.status == 0, answer.said
        return answer

    def git(self, *words: str | Path) -> str:
        done = subprocess.run(
            ["git", *map(str, words)], cwd=self.root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "State")

    def share(self) -> None:
        self.commit()
        self.git("push", "--quiet", "origin", "HEAD:main")

    def edit(self, before: str, after: str, path: str = "imgdata.yaml") -> None:
        file = self.root / path
        text = file.read_text()
        assert before in text, (before, text)
        file.chmod(0o644)
        file.write_text(text.replace(before, after))

    def apply(self) -> None:
        self.ok("storage", "apply", "--yes")

    def images(self, plate: str, level: str = "raw") -> list[Path]:
        return sorted((self.root / "data" / level / plate).glob("*.tif"))

    def source(self, name: str) -> Path:
        """Return a new folder outside the project for a unit called `name`."""
        folder = self.base / "stick" / name
        folder.mkdir(parents=True)
        return folder

    def in_the_world(self) -> set[str]:
        """Return the md5s of everything that is at the public place, by reading it."""
        return {md5(path) for path in self.world.rglob("*")
                if path.is_file() and path.name != "imgdata-project.json"}  # fmt: skip

    def secrets(self) -> set[str]:
        """Return the md5s of the restricted files, as noted when the vault was made."""
        return set(json.loads((self.base / "secrets.json").read_text()))

    def innocent(self) -> set[str]:
        """Return the md5s of what may be public: the twin's files, both tables, their lists."""
        return set(json.loads((self.base / "innocent.json").read_text()))

    def escaped(self) -> set[str]:
        """Return the md5s of what is at the public place and may not be."""
        return self.in_the_world() - self.innocent()

    def copy_to(self, base: Path) -> "Vault":
        """Copy everything; absolute paths in DVC's files follow."""
        subprocess.run(["cp", "-a", self.base, base], check=True)
        for name in (".dvc/config", ".dvc/config.local"):
            path = base / self.name / name
            if path.is_file():
                path.write_text(path.read_text().replace(str(self.base), str(base)))
        return Vault(base, self.name)

    def clone(self, *options: str) -> "Vault":
        """Return a fresh git clone beside this one: no cache, no workspace files."""
        url = (self.base / "remote.git").as_uri()
        target = self.base / "fresh"
        line = ["git", "clone", "--quiet", *options, url, str(target)]
        subprocess.run(line, check=True, capture_output=True)
        fresh = Vault(self.base, "fresh")
        fresh.ok("init", str(fresh.root), "--yes")
        return fresh


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def make_vault(base: Path) -> Vault:
    """Make the project with both plates, run, archived, committed and shared."""
    vault = Vault(base)
    for name in ("project", "archive", "second", "world", "stick"):
        (base / name).mkdir(parents=True)
    vault.git("init", "--quiet", "--initial-branch=main")
    vault.config.write_text(CONFIG)
    (vault.root / ".dvc").mkdir()
    (vault.root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (vault.root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (vault.root / "plates.yaml").write_text("plates: [P1, P9]\n")
    (vault.root / "dvc.yaml").write_text(PIPELINE)
    vault.git("init", "--quiet", "--bare", "--initial-branch=main", base / "remote.git")
    vault.git("remote", "add", "origin", "../remote.git")
    vault.apply()
    vault.share()
    for plate, origin in {**WITHDRAWN, **ORIGIN}.items():
        folder = base / "microscope" / plate
        folder.mkdir(parents=True)
        for well in ("B02", "B03", "B04"):
            (folder / f"{well}_1.tif").write_bytes(f"{plate} {well} {os.urandom(8).hex()}".encode())
        vault.ok("add", "raw", folder, "--origin", origin)
    vault.ok("push")
    vault.share()
    for plate in WITHDRAWN:  # in history only; somebody still has the files on a stick
        shutil.copytree(vault.root / "data/raw" / plate, base / "usb" / plate)
        forget(vault.root / "data/raw" / plate)
        vault.git("rm", "--quiet", f"data/raw/{plate}.dvc")
    (vault.root / "plates.yaml").write_text("plates: [P1, P9]\n")
    _run(vault)
    vault.ok("push")
    vault.share()
    _note_what_is_secret(vault)
    return vault


def _note_what_is_secret(vault: Vault) -> None:
    data = vault.root / "data"
    held = [*_files(data / "raw" / SECRET), *_files(data / "masks" / SECRET),
            *_files(data / "pooled"), *_files(vault.base / "usb")]  # fmt: skip
    free = {md5(path) for path in (*_files(data / "raw" / TWIN), *_files(data / "masks" / TWIN),
                                   *_files(data / "tables"))}  # fmt: skip
    lists = {md5(path) for path in (vault.root / ".dvc/cache/files/md5").rglob("*.dir")
             if {one["md5"] for one in json.loads(path.read_text())} <= free}  # fmt: skip
    (vault.base / "secrets.json").write_text(json.dumps([md5(path) for path in held]))
    (vault.base / "innocent.json").write_text(json.dumps(sorted(free | lists)))


def _run(vault: Vault) -> None:
    """Do what the pipeline says and record it as DVC would: dvc itself takes seconds a stage."""
    entries = []
    for plate in ORIGIN:
        masks = vault.root / "data/masks" / plate
        masks.mkdir(parents=True)
        for image in vault.images(plate):
            (masks / image.name).write_bytes(image.read_bytes() + b"mask\n")
        entries.append((f"segment@{plate}", [f"data/raw/{plate}"], [f"data/masks/{plate}"]))
    pooled = vault.root / "data/pooled" / "all.tif"
    pooled.parent.mkdir()
    pooled.write_bytes(b"".join(p.read_bytes() for p in sorted(vault.root.glob("data/masks/*/*"))))
    entries.append(("pool", [f"data/masks/{plate}" for plate in ORIGIN], ["data/pooled"]))
    for plate in ORIGIN:
        table = vault.root / "data/tables" / f"{plate}.csv"
        table.parent.mkdir(exist_ok=True)
        table.write_text("".join(f"{p.stat().st_size} {p}\n" for p in vault.images(plate, "masks")))
        entries.append((f"measure@{plate}", [f"data/masks/{plate}"], [f"data/tables/{plate}.csv"]))
    record_runs(vault, entries)


def record_runs(vault: Vault, entries: list[tuple[str, list[str], list[str]]]) -> None:
    """Write dvc.lock with these stages (name, inputs, outputs), and the outputs into the cache."""
    lines = ["schema: '2.0'", "stages:"]
    for name, deps, outs in entries:
        lines += [f"  {name}:", "    cmd: 'true'", "    deps:"]
        lines += [line for path in deps for line in _record(vault, path)]
        lines += ["    outs:", *(line for path in outs for line in _record(vault, path))]
    (vault.root / "dvc.lock").write_text("\n".join(lines) + "\n")


def _record(vault: Vault, path: str) -> list[str]:
    """Put a file or folder into the cache; return its record in dvc.lock."""
    place = vault.root / path
    files = sorted(_files(place)) if place.is_dir() else [place]
    for file in files:
        _cache(vault, md5(file), file.read_bytes())
    size = sum(file.stat().st_size for file in files)
    if not place.is_dir():
        return [f"    - path: {path}", "      hash: md5", f"      md5: '{md5(place)}'",
                f"      size: {size}"]  # fmt: skip
    entries = [FolderEntry(md5(file), file.relative_to(place).as_posix()) for file in files]
    data, version = write_folder(entries)
    _cache(vault, str(version), data)
    return [f"    - path: {path}", "      hash: md5", f"      md5: '{version}'",
            f"      size: {size}", f"      nfiles: {len(files)}"]  # fmt: skip


def _cache(vault: Vault, object_id: str, data: bytes) -> None:
    target = vault.root / ".dvc/cache" / object_key(object_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        target.write_bytes(data)


def forget(folder: Path) -> None:
    """Delete a folder whose files may be read-only."""
    shutil.rmtree(folder)
