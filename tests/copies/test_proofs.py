"""A real recomputation proves or fails: each tolerance, one pixel, label, value flipped, holes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imgdata.policy.recoverable import METHOD_VERSION
from imgdata.workflows.prove import NotProved, Proved
from tests.copies.conftest import Lab

pytestmark = pytest.mark.dvc

LEVELS = {
    "plain": "",
    "pixels": "equal pixels",
    "labels": "equal labels",
    "numbers": "numbers within 1e-6",
}
MAKE = """\
import pathlib, sys, time
import numpy as np, tifffile
source, flips, *folders = map(pathlib.Path, sys.argv[1:])
flip = flips.read_text() if flips.exists() else ""
noise = time.time_ns() % 1000
size = len(list(source.iterdir()))
plain, pixels, labels, numbers = folders
for folder in folders:
    folder.mkdir(parents=True, exist_ok=True)
(plain / "a.bin").write_bytes(bytes([size, flip == "plain"]))
image = np.arange(64, dtype=np.uint16).reshape(8, 8)
image[3, 3] += flip == "pixels"
tifffile.imwrite(pixels / "a.tif", image, description=str(time.time_ns()), metadata=None)
objects = np.zeros((8, 8), np.uint16)
objects[1:3, 1:3], objects[4:7, 4:7] = 5 + noise, 3
objects[6, 6] = (5 + noise) if flip == "labels" else 3
tifffile.imwrite(labels / "a.tif", objects, metadata=None)
area = 100.0 * (1 + noise * 1e-12) + (flip == "numbers")
(numbers / "a.csv").write_text(f"well,area\\nB02,{area!r}\\nB03,{2 * area!r}\\n")
"""
PIPELINE = """\
stages:
  make:
    cmd: python make.py data/raw/P1 {flips} {outs}
    deps: [make.py, data/raw/P1]
    outs: [{listed}]
"""


@pytest.fixture
def proving(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A stage with an output on four levels: one for each tolerance, one without."""
    programs = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", programs, prepend=os.pathsep)
    outs = [f"data/{name}/P1" for name in LEVELS]
    listed = ", ".join(f"{{{out}: {{push: false}}}}" for out in outs)
    text = PIPELINE.format(flips=lab.base / "flips", outs=" ".join(outs), listed=listed)
    (lab.root / "dvc.yaml").write_text(text)
    (lab.root / "make.py").write_text(MAKE)
    config = (lab.root / "imgdata.yaml").read_text().partition("  masks:")[0]
    for name, tolerance in LEVELS.items():
        config += f"  {name}: {{path: data/{name}, storage: none"
        config += f", tolerance: {tolerance}}}\n" if tolerance else "}\n"
    (lab.root / "imgdata.yaml").write_text(config)
    project = lab.open()
    project.apply(project.plan_apply())
    lab.add()
    lab.push("raw")
    lab.share()
    lab.run()
    lab.share()
    return lab


def prove(lab: Lab) -> Proved:
    (outcome,) = lab.open().prove()
    assert isinstance(outcome, Proved), outcome
    lab.share()
    return outcome


def own_verdicts(outcome: Proved) -> dict[str, str]:
    outs = json.loads(outcome.certificate.read_text())["outs"]
    return {Path(one["path"]).parts[1]: one["verdict"] for one in outs}


def test_each_level_has_its_own_verdict_and_within_is_never_identical(proving: Lab) -> None:
    outcome = prove(proving)

    assert own_verdicts(outcome) == {
        "plain": "identical",
        "pixels": "equal within 'equal pixels'",
        "labels": "equal within 'equal labels'",
        "numbers": "equal within 'numbers within 1e-6'",
    }
    assert outcome.verdict.startswith("equal within")
    certificate = json.loads(outcome.certificate.read_text())
    assert certificate["method_version"] == METHOD_VERSION
    assert certificate["environment"]["source"] == "path-python"
    assert [one["path"] for one in certificate["inputs"]] == ["data/raw/P1"]
    assert certificate["seconds"] > 0
    plan = proving.plan_drop(*LEVELS)
    assert plan.unsafe == ()
    why = {one.version.level: one.safe[0].why for one in plan.versions}
    assert "proven identical on" in why["plain"]
    assert "proven equal within 'equal labels' on" in why["labels"]

    # the owner takes the tolerance back: what was equal within it is no proof any more
    proving.edit_config(", tolerance: equal labels", "")
    (bad,) = proving.plan_drop("labels").unsafe
    assert "made again, it was equal within 'equal labels'" in bad.why
    assert proving.plan_drop("pixels").unsafe == ()


def test_one_flipped_byte_pixel_label_or_value_fails_the_proof(proving: Lab) -> None:
    for name, differs in {
        "plain": "data/plain/P1/a.bin: other bytes",
        "pixels": "data/pixels/P1/a.tif: 1 of 64 pixels differ",
        "labels": "data/labels/P1/a.tif: other objects",
        "numbers": "data/numbers/P1/a.csv: column area differs by more than 1e-06",
    }.items():
        (proving.base / "flips").write_text(name)
        outcome = prove(proving)
        assert outcome.verdict == "different"
        (line,) = outcome.differences
        assert line.startswith(differs)
        assert own_verdicts(outcome)[name] == "different"
        for bad in proving.plan_drop(*LEVELS).unsafe:
            assert "made again, it was different" in bad.why
        assert len(proving.plan_drop(*LEVELS).unsafe) == len(LEVELS)


def test_made_here_is_not_made_again(proving: Lab) -> None:
    plan = proving.plan_drop(*LEVELS)

    assert {bad.why.rpartition("; ")[2] for bad in plan.unsafe} == {
        "never proven by making it again"
    }
    assert plan.files == 0


def masks_proven(lab: Lab) -> Lab:
    lab.add()
    lab.push("raw")
    lab.run("masks")
    lab.share()
    list(lab.open().prove(["masks"]))
    lab.share()
    assert lab.plan_drop("masks").unsafe == ()
    return lab


@pytest.mark.parametrize(
    ("flag", "why"),
    [("frozen: true", "its stage is frozen"), ("always_changed: true", "its stage always runs")],
)
def test_a_frozen_or_always_changed_stage_is_no_way_back(lab: Lab, flag: str, why: str) -> None:
    masks_proven(lab)
    pipeline = lab.root / "dvc.yaml"
    text = pipeline.read_text().replace("    do:\n", f"    do:\n      {flag}\n", 1)
    pipeline.write_text(text)
    lab.share()

    (bad,) = lab.plan_drop("masks").unsafe
    assert why in bad.why
    assert lab.drop("masks").files == 0
    assert len(list((lab.root / "data/masks/P1").iterdir())) == 4


def test_a_hand_edited_output_is_no_way_back_even_when_dvc_recorded_it(lab: Lab) -> None:
    masks_proven(lab)
    path = lab.root / "data/masks/P1/B01_1.tif"
    path.unlink()
    path.write_text("drawn by hand")
    assert "hand-edited, the only copy" in lab.plan_drop("masks").unsafe[0].why
    project = lab.open()
    project.note(project.plan_note(["data/masks/P1/B01_1.tif"], "split two nuclei"))
    commit = [sys.executable, "-m", "dvc", "commit", "-q", "-f", "segment@P1"]
    subprocess.run(commit, cwd=lab.root, check=True)
    lab.share()
    (bad,) = lab.plan_drop("masks").unsafe
    assert "one file was edited by hand (split two nuclei)" in bad.why
    assert "never proven by making it again" in bad.why
    (outcome,) = lab.open().prove(["masks"])
    assert isinstance(outcome, Proved)
    assert outcome.verdict == "different"
    lab.drop("masks")
    assert path.read_text() == "drawn by hand"


def test_an_input_that_nobody_declared_makes_the_proof_fail(lab: Lab) -> None:
    """The scratch checkout has the recorded inputs and what is committed, nothing else."""
    script = lab.root / "segment.py"
    script.write_text(script.read_text() + "pathlib.Path('model.bin').read_bytes()\n")
    (lab.root / "model.bin").write_bytes(b"weights")
    (lab.root / ".gitignore").write_text("/model.bin\n")
    lab.add()
    lab.push("raw")
    lab.run("masks")
    lab.share()

    (outcome,) = lab.open().prove(["masks"])
    assert isinstance(outcome, NotProved)
    assert "did not run again from commit" in outcome.error.problem
    assert "model.bin" in outcome.error.cause
    assert "never proven" in lab.plan_drop("masks").unsafe[0].why


def test_a_result_of_an_uncommitted_script_is_not_proven(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.share()
    script = lab.root / "segment.py"
    committed = script.read_text()
    script.write_text(committed.replace("[::-1]", ""))
    lab.run("masks")
    script.write_text(committed)
    lab.share()

    (outcome,) = lab.open().prove(["masks"])
    assert isinstance(outcome, NotProved)
    assert "segment.py changed" in outcome.error.cause


def test_a_damaged_original_is_named_and_proves_nothing(proving: Lab) -> None:
    recorded = proving.open().clone.units.find("pixels", "P1")
    assert recorded is not None
    entries = proving.open().clone.folder_list(recorded)
    assert entries is not None
    md5 = entries[0].md5
    path = proving.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    data = bytearray(path.read_bytes())
    path.chmod(0o644)
    data[-1] ^= 1
    path.write_bytes(data)

    (outcome,) = proving.open().prove()
    assert isinstance(outcome, NotProved)
    assert "data/pixels/P1/a.tif is damaged in the local cache" in outcome.error.problem
