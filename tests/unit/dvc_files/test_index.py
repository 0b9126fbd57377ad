"""The index of a DVC project, from files written by hand."""

from pathlib import Path

import pytest

from imgdata.dvc_files.collecting import dvc_roots
from imgdata.dvc_files.index import read_index
from imgdata.dvc_files.places import Place, Where, resolve
from imgdata.system.folder_tree import FolderTree
from imgdata.testing.memory_tree import MemoryTree


def write(root: Path, files: dict[str, str]) -> FolderTree:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return FolderTree(root)


LOCK = """\
schema: '2.0'
stages:
  segment@P1:
    cmd: python segment.py P1
    deps:
    - path: data/raw/P1
      hash: md5
      md5: 8a1b0c7d6e5f40312233445566778899.dir
      size: 3000
      nfiles: 30
    params:
      params.yaml:
        diameter: 30
    outs:
    - path: data/masks/P1
      hash: md5
      md5: 0a1b0c7d6e5f40312233445566778899.dir
      size: 300
      nfiles: 10
  segment:
    cmd: python segment.py
    outs:
    - path: data/masks
      md5: 1a1b0c7d6e5f40312233445566778899.dir
"""
PIPELINE = """\
stages:
  segment:
    foreach: [P1, P2]
    do:
      cmd: python segment.py ${item} --diameter ${diameter}
      deps: ["data/raw/${item}"]
      params: [diameter]
      outs:
        - data/masks/${item}: {persist: true, push: false}
"""


@pytest.fixture
def tree(tmp_path: Path) -> FolderTree:
    return write(
        tmp_path,
        {
            ".dvc/config": "",
            "dvc.yaml": PIPELINE,
            "dvc.lock": LOCK,
            "params.yaml": "diameter: 31\n",
            "data/raw/P1.dvc": "outs:\n- md5: 8a1b0c7d6e5f40312233445566778899.dir\n  size: 3000\n"
            "  nfiles: 30\n  hash: md5\n  path: P1\n",
        },
    )


def test_a_stage_joins_what_is_defined_with_what_is_recorded(tree: FolderTree) -> None:
    stage = read_index(tree).by_address["dvc.lock::segment@P1"]
    assert stage.cmd == "python segment.py P1"
    assert stage.defined_cmd == "python segment.py P1 --diameter 31"
    assert (stage.group, stage.item) == ("segment", "P1")
    (dep,), (out,) = stage.deps, stage.outs
    assert dep.path == "data/raw/P1"
    assert dep.recorded is not None
    assert dep.recorded.hash is not None
    assert dep.recorded.hash.value == "8a1b0c7d6e5f40312233445566778899.dir"
    assert (out.flags.persist, out.flags.push, out.flags.cache) == (True, False, True)
    assert dict(stage.params["params.yaml"]) == {"diameter": 30}


def test_a_stage_that_never_ran_has_nothing_recorded(tree: FolderTree) -> None:
    stage = read_index(tree).by_address["dvc.lock::segment@P2"]
    assert (stage.cmd, stage.entry, stage.outs[0].recorded) == ("", None, None)


def test_an_entry_whose_stage_became_a_group_is_an_orphan(tree: FolderTree) -> None:
    (orphan,) = read_index(tree).orphans
    assert orphan.address == "dvc.lock::segment"
    assert "foreach" in orphan.reason


def test_added_data_are_a_stage_of_their_own(tree: FolderTree) -> None:
    stage = read_index(tree).by_address["data/raw/P1.dvc"]
    assert (stage.kind, stage.dvc_name, stage.outs[0].path) == (
        "add",
        "data/raw/P1.dvc",
        "data/raw/P1",
    )


MD5 = "0123456789abcdef0123456789abcdef"


def entry(name: str, out: str, *deps: str) -> str:
    """Lines of a lock entry as DVC writes it."""
    lines = [f"  {name}:", f"    cmd: run {name}"]
    for key, paths in (("deps", deps), ("outs", (out,))):
        if paths:
            lines.append(f"    {key}:")
        for path in paths:
            lines += [f"    - path: {path}", "      hash: md5", f"      md5: {MD5}"]
    return "\n".join(lines) + "\n"


def lock(*entries: str) -> str:
    return "schema: '2.0'\nstages:\n" + "".join(entries)


@pytest.mark.parametrize(
    ("written", "wdir", "place"),
    [
        ("./x", "", Place("x", Where.INSIDE)),
        ("x/", "a", Place("a/x", Where.INSIDE)),
        ("a//b", "", Place("a/b", Where.INSIDE)),
        ("a\\b\\c.tif", "w", Place("w/a/b/c.tif", Where.INSIDE)),
        ("../x", "a/b", Place("a/x", Where.INSIDE)),
        ("..\\x", "a", Place("x", Where.INSIDE)),
        ("../../x", "a", Place("../x", Where.OUTSIDE)),
        ("../..", "a", Place("..", Where.OUTSIDE)),
        ("..", "a", Place(".", Where.INSIDE)),
        (".", "", Place(".", Where.INSIDE)),
        ("..x", "", Place("..x", Where.INSIDE)),
        ("/data/x/", "a", Place("/data/x", Where.OUTSIDE)),
        ("/home/lab/p/x", "a", Place("x", Where.INSIDE)),
        ("/home/lab/project2/x", "a", Place("/home/lab/project2/x", Where.OUTSIDE)),
        ("../../p/x", "a", Place("x", Where.INSIDE)),
        ("C:\\data\\x", "a", Place("C:/data/x", Where.OUTSIDE)),
        ("s3://bucket//x/", "a", Place("s3://bucket//x/", Where.URL)),
        ("remote://store/x", "", Place("remote://store/x", Where.URL)),
        ("year=2002/a b/ü.tif", "", Place("year=2002/a b/ü.tif", Where.INSIDE)),
    ],
)
def test_every_form_of_a_path_comes_out_as_one(written: str, wdir: str, place: Place) -> None:
    assert resolve(written, wdir, "/home/lab/p") == place


def test_paths_are_joined_by_place_where_their_form_changed() -> None:
    tree = MemoryTree(
        {
            "dvc.yaml": "stages:\n  s:\n    cmd: x\n    deps: [in/]\n    outs: [./out]\n",
            "dvc.lock": lock(entry("s", "out", "./in")),
        }
    )
    (stage,) = read_index(tree).stages
    assert stage.deps[0].recorded is not None
    assert stage.outs[0].recorded is not None


def test_what_the_lock_recorded_is_kept_beside_what_is_defined_now() -> None:
    tree = MemoryTree(
        {
            "p/dvc.yaml": "stages:\n  s: {wdir: .., cmd: y, deps: [new], outs: [o]}\n",
            "p/dvc.lock": lock(entry("s", "old_out", "old")),
        }
    )
    (stage,) = read_index(tree).stages
    assert (stage.cmd, stage.defined_cmd, stage.wdir) == ("run s", "y", "")
    assert [(dep.path, dep.recorded) for dep in stage.deps] == [("new", None)]
    assert [dep.path for dep in stage.recorded_deps] == ["old"]
    assert [out.path for out in stage.recorded_outs] == ["old_out"]


@pytest.mark.parametrize(
    ("definition", "name", "reason"),
    [
        ("s:\n    cmd: x", "gone", "dvc.yaml has no stage 'gone'"),
        ("s:\n    foreach: [a]\n    do: {cmd: x}", "s", "'s' is a foreach or matrix now"),
        ("s:\n    matrix: {m: [a]}\n    cmd: x", "s@b", "'s' has no such item now"),
        ("s:\n    cmd: x", "s@b", "'s' is a single stage now"),
    ],
)
def test_lock_entries_without_a_stage_are_orphans(definition: str, name: str, reason: str) -> None:
    tree = MemoryTree(
        {"dvc.yaml": f"stages:\n  {definition}\n", "dvc.lock": lock(entry(name, "out", "in"))}
    )
    index = read_index(tree)
    (orphan,) = index.orphans
    assert (orphan.address, orphan.reason) == (f"dvc.lock::{name}", reason)
    assert [out.path for out in orphan.recorded_outs] == ["out"]
    assert orphan.address not in index.by_address


def test_an_orphan_of_a_group_has_the_groups_wdir() -> None:
    definition = "stages:\n  g:\n    foreach: [a]\n    do: {cmd: x, wdir: sub}\n"
    tree = MemoryTree({"d/dvc.yaml": definition, "d/dvc.lock": lock(entry("g@b", "out"))})
    (orphan,) = read_index(tree).orphans
    assert [out.path for out in orphan.recorded_outs] == ["d/sub/out"]


def test_a_lock_whose_dvc_yaml_is_gone_has_only_orphans() -> None:
    index = read_index(MemoryTree({"old/dvc.lock": lock(entry("s", "out"))}))
    assert [orphan.address for orphan in index.orphans] == ["old/dvc.lock::s"]
    assert (index.stages, index.problems) == ((), ())


@pytest.mark.parametrize(
    "pipeline",
    ["stages: [", "stages:\n  s:\n    cmd: ${gone}\n    outs: [out]\n"],
)
def test_an_entry_whose_definition_cannot_be_resolved_is_live(pipeline: str) -> None:
    index = read_index(MemoryTree({"dvc.yaml": pipeline, "dvc.lock": lock(entry("s", "out"))}))
    (stage,) = index.stages
    assert (stage.address, stage.resolved, stage.cmd) == ("dvc.lock::s", False, "run s")
    assert [out.path for out in stage.outs] == ["out"]
    assert index.orphans == ()
    assert len(index.problems) == 1


def test_projects_inside_a_project_are_their_own() -> None:
    added = f"outs:\n- md5: {MD5}\n  path: a\n"
    tree = MemoryTree(
        {
            ".dvc/config": "",
            "a.dvc": added,
            "inner/.dvc/config": "",
            "inner/a.dvc": added,
            "inner/deep/a.dvc": added,
        }
    )
    assert dvc_roots(tree) == ("", "inner")
    assert [stage.address for stage in read_index(tree).stages] == ["a.dvc"]
    inner = read_index(tree, "inner").stages
    assert [(stage.address, stage.dvc_name) for stage in inner] == [
        ("inner/a.dvc", "a.dvc"),
        ("inner/deep/a.dvc", "deep/a.dvc"),
    ]


def test_tracked_data_are_not_walked(tree: FolderTree) -> None:
    class Watched(FolderTree):
        seen: list[str] = []  # noqa: RUF012 - one per test

        def children(self, folder: str = "") -> tuple[frozenset[str], tuple[str, ...]]:
            self.seen.append(folder)
            return super().children(folder)

    for name in ("data/raw/P1/x/y.tif", "data/masks/P1/z.tif", "venv/lib/a.py"):
        write(tree.root, {name: ""})
    write(tree.root, {".gitignore": "/venv\n"})
    watched = Watched(tree.root)
    read_index(watched)
    assert set(watched.seen) == {"", ".home", "data", "data/raw", "data/masks"}


def test_absolute_paths_into_the_project_are_inside(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    pipeline = f"stages:\n  s:\n    cmd: x\n    deps: [{folder}/in, /elsewhere/in]\n"
    (stage,) = read_index(write(folder, {"dvc.yaml": pipeline})).stages
    assert [(dep.path, dep.is_inside) for dep in stage.deps] == [
        ("in", True),
        ("/elsewhere/in", False),
    ]


def test_problems_name_their_file_and_stage() -> None:
    tree = MemoryTree(
        {
            "dvc.yaml": "stages:\n  s:\n    cmd: ${no}\n",
            "sub/dvc.lock": "stages: 3\n",
            "bad.dvc": "outs: [",
        }
    )
    named = {(problem.file, problem.unit) for problem in read_index(tree).problems}
    assert {("dvc.yaml", "s"), ("bad.dvc", ""), ("sub/dvc.lock", "stages")} <= named
