"""The index of a DVC project, from files written by hand."""

from pathlib import Path

import pytest

from imgdata.dvc_files.index import read_index
from imgdata.system.folder_tree import FolderTree


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
