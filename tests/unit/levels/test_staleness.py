"""Why a stage would run again: each reason is named as what it is."""

import hashlib
import time
from pathlib import Path

import pytest

from imgdata.dvc_files.index import read_index
from imgdata.dvc_files.state import State
from imgdata.errors import InvalidProjectError
from imgdata.levels.changes import Workspace
from imgdata.levels.staleness import Freshness, in_order, upstream_of
from imgdata.system.files import file_md5
from imgdata.system.folder_tree import FolderTree
from imgdata.testing.memory_tree import MemoryTree

RAW = f"{'a' * 32}.dir"
MASKS = f"{'b' * 32}.dir"
PIPELINE = """\
stages:
  segment:
    cmd: python segment.py
    deps: [segment.py, data/raw/P1]
    params: [threshold, model]
    outs: [data/masks/P1]
  count:
    cmd: wc data/masks/P1
    deps: [data/masks/P1]
    outs: [counts.csv]
"""
LOCK = """\
schema: '2.0'
stages:
  segment:
    cmd: python segment.py
    deps:
    - {{path: data/raw/P1, hash: md5, md5: {raw}, size: 1, nfiles: 1}}
    - {{path: segment.py, hash: md5, md5: {script}, size: 1}}
    params:
      params.yaml: {{threshold: 3, model: {{name: a, size: 2}}}}
    outs:
    - {{path: data/masks/P1, hash: md5, md5: {masks}, size: 1, nfiles: 1}}
  count:
    cmd: wc data/masks/P1
    deps:
    - {{path: data/masks/P1, hash: md5, md5: {masks}, size: 1, nfiles: 1}}
    outs:
    - {{path: counts.csv, hash: md5, md5: {counts}, size: 1}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose two stages are up to date; no data is here."""
    folder = tmp_path / "project"
    (folder / "data/raw").mkdir(parents=True)
    (folder / "segment.py").write_text("print(1)\n")
    (folder / "params.yaml").write_text("threshold: 3\nmodel: {name: a, size: 2}\nother: 1\n")
    (folder / "data/raw/P1.dvc").write_text(
        f"outs:\n- {{path: P1, hash: md5, md5: {RAW}, size: 1, nfiles: 1}}\n"
    )
    (folder / "dvc.yaml").write_text(PIPELINE)
    script = file_md5(folder / "segment.py")
    (folder / "dvc.lock").write_text(
        LOCK.format(raw=RAW, masks=MASKS, script=script, counts="c" * 32)
    )
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def reasons(root: Path, stage: str = "segment") -> tuple[str, ...]:
    tree = FolderTree(root)
    index = read_index(tree)
    found = next(one for one in index.stages if one.name == stage)
    workspace = Workspace(root, State(root, root.parent / "site"))
    return Freshness(tree, index, workspace).reasons(found)


def test_what_did_not_change_is_up_to_date(root: Path) -> None:
    assert reasons(root) == ()
    assert reasons(root, "count") == ()


def test_a_changed_raw_version_is_named(root: Path) -> None:
    edit(root / "data/raw/P1.dvc", RAW, f"{'d' * 32}.dir")
    assert reasons(root) == ("data/raw/P1 changed",)
    assert reasons(root, "count") == ()


def test_a_changed_script_is_named(root: Path) -> None:
    (root / "segment.py").write_text("print(2)\n")
    assert reasons(root) == ("segment.py changed",)


def test_a_missing_script_is_named(root: Path) -> None:
    (root / "segment.py").unlink()
    assert reasons(root) == ("segment.py is missing",)


def test_a_changed_command_is_named(root: Path) -> None:
    edit(root / "dvc.yaml", "cmd: python segment.py", "cmd: python segment.py --fast")
    assert reasons(root) == ("its command changed",)


def test_a_changed_parameter_is_named_with_both_values(root: Path) -> None:
    edit(root / "params.yaml", "threshold: 3", "threshold: 4")
    assert reasons(root) == ("parameter threshold changed: 3 -> 4",)


def test_a_change_inside_a_parameter_is_named_alone(root: Path) -> None:
    edit(root / "params.yaml", "{name: a, size: 2}", "{name: b, size: 2, deep: true}")
    assert reasons(root) == ("parameter model changed: deep absent -> True, name a -> b",)


def test_a_parameter_that_nobody_uses_does_not_matter(root: Path) -> None:
    edit(root / "params.yaml", "other: 1", "other: 2")
    assert reasons(root) == ()


def test_a_parameter_that_is_gone_or_new_is_named(root: Path) -> None:
    edit(root / "params.yaml", "threshold: 3\n", "")
    assert reasons(root) == ("parameter threshold is gone (was 3)",)
    edit(root / "params.yaml", "other: 1", "other: 1\nthreshold: 3")
    edit(root / "dvc.yaml", "[threshold, model]", "[threshold, model, other]")
    assert reasons(root) == ("parameter other is new: 1",)


def test_broken_parameters_are_a_reason_not_an_end(root: Path) -> None:
    (root / "params.yaml").write_text("threshold: [\n")
    (told,) = reasons(root)
    assert told.startswith("parameters: ")


def test_new_and_dropped_inputs_and_new_outputs_are_named(root: Path) -> None:
    (root / "new.py").touch()
    edit(root / "dvc.yaml", "[segment.py, data/raw/P1]", "[new.py, data/raw/P1]")
    edit(root / "dvc.yaml", "[data/masks/P1]\n  count", "[data/masks/P1, log.txt]\n  count")
    assert reasons(root) == (
        "new.py is a new input",
        "segment.py is no input any more",
        "log.txt is a new output",
    )


def test_a_stage_without_a_record_never_ran(root: Path) -> None:
    (root / "dvc.lock").unlink()
    assert reasons(root) == ("never ran",)


def test_a_stage_that_always_runs_and_one_that_is_frozen(root: Path) -> None:
    edit(root / "dvc.yaml", "cmd: wc", "always_changed: true\n    cmd: wc")
    edit(root / "dvc.yaml", "cmd: python", "frozen: true\n    cmd: python")
    (root / "segment.py").write_text("print(2)\n")
    assert reasons(root, "count") == ("always runs",)
    assert reasons(root) == ()


def test_all_changes_are_told_together(root: Path) -> None:
    edit(root / "dvc.yaml", "cmd: python segment.py", "cmd: python segment.py --fast")
    edit(root / "params.yaml", "threshold: 3", "threshold: 4")
    (root / "segment.py").write_text("print(2)\n")
    edit(root / "data/raw/P1.dvc", RAW, f"{'d' * 32}.dir")
    assert set(reasons(root)) == {
        "its command changed",
        "parameter threshold changed: 3 -> 4",
        "segment.py changed",
        "data/raw/P1 changed",
    }


def test_line_endings_of_an_old_record_do_not_matter(root: Path) -> None:
    script = root / "segment.py"
    old = hashlib.md5(script.read_bytes(), usedforsecurity=False).hexdigest()
    edit(root / "dvc.lock", f"hash: md5, md5: {old}", f"md5: {old}")
    script.write_bytes(b"print(1)\r\n")
    assert reasons(root) == ()
    script.write_bytes(b"print(2)\r\n")
    assert reasons(root) == ("segment.py changed",)


def test_stages_come_after_those_they_need(root: Path) -> None:
    index = read_index(FolderTree(root))
    order = [stage.name for stage in in_order(index) if stage.kind == "stage"]
    assert order == ["segment", "count"]
    count = next(stage for stage in index.stages if stage.name == "count")
    assert {index.by_address[one].name for one in upstream_of(index)[count.address]} == {"segment"}


def test_a_folder_of_many_outs_needs_all_their_makers(root: Path) -> None:
    text = PIPELINE.replace("deps: [data/masks/P1]", "deps: [data/masks]")
    (root / "dvc.yaml").write_text(text)
    index = read_index(FolderTree(root))
    order = [stage.name for stage in in_order(index) if stage.kind == "stage"]
    assert order == ["segment", "count"]


def test_a_circle_is_a_sentence(root: Path) -> None:
    edit(root / "dvc.yaml", "deps: [segment.py, data/raw/P1]", "deps: [counts.csv]")
    with pytest.raises(InvalidProjectError, match="in a circle"):
        in_order(read_index(FolderTree(root)))


def test_the_order_of_ten_thousand_stages_takes_no_minutes() -> None:
    stages = "".join(
        f"  {name}{number}:\n"
        f"    cmd: python {name}.py\n"
        f"    deps: [{name}.py, data/{source}/P{number}]\n"
        f"    outs: [data/{name}/P{number}]\n"
        for number in range(5000)
        for name, source in (("masks", "raw"), ("counts", "masks"))
    )
    index = read_index(MemoryTree({"dvc.yaml": f"stages:\n{stages}"}))
    began = time.process_time()
    upstream = upstream_of(index)
    assert time.process_time() - began < 5, "it took 40 s when each dep was compared with each out"
    assert upstream["dvc.lock::counts7"] == {"dvc.lock::masks7"}
