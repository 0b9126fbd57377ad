"""`imgdata run`: safe before anything runs, and every run is noted."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from imgdata.project.log import read_events
from imgdata.testing.lab import Lab, make_lab
from imgdata.testing.programs import PROGRAMS

pytestmark = pytest.mark.dvc
MASK = "data/masks/P1/B02_1_DNA.tif"


def rewrite(path: Path, data: bytes) -> None:
    """Replace a file, as an editor does: hard links keep their content."""
    path.unlink()
    path.write_bytes(data)


def runs(lab: Lab) -> list[dict[str, object]]:
    return [dict(event.details) for event in read_events(lab.project)[0] if event.event == "run"]


def entry_hash(lab: Lab, stage: str) -> str:
    import hashlib

    import yaml

    entry = yaml.safe_load(lab.file("dvc.lock").read_text())["stages"][stage]
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_runs_are_joined_by_the_hash_of_their_entry(lab: Lab) -> None:
    found = {str(run["stage"]).rpartition("::")[2]: run for run in runs(lab)}
    assert set(found) == {"segment@P1", "count@P1"}
    for stage, run in found.items():
        assert run["entry"] == entry_hash(lab, stage)
        assert run["rc"] == 0
        assert run["code_commit"] == lab.git("rev-list", "--max-parents=0", "HEAD").strip()


def test_nothing_stale_is_nothing_to_do(lab: Lab) -> None:
    assert "nothing to do: 2 stages are up to date" in lab.ok("run").out
    assert len(runs(lab)) == 2


def test_a_run_goes_on_after_a_dvc_was_killed_while_it_wrote_its_locks(lab: Lab) -> None:
    lab.file(".dvc/tmp/rwlock").write_bytes(b"")
    lab.file("params.yaml").write_text("threshold: 4\n")
    lab.ok("run")
    assert len(runs(lab)) == 4


def test_records_of_other_stages_survive_a_dvc_killed_while_it_wrote_them(lab: Lab) -> None:
    before = lab.file("dvc.lock").read_bytes()
    script = lab.file("scripts/segment.sh")
    good = script.read_text()
    script.write_text(f"head -c 40 dvc.lock > torn; cat torn > dvc.lock; kill -9 0\n{good}")
    killed = subprocess.run(
        [PROGRAMS / "imgdata", "run"],
        cwd=lab.project,
        env=lab.environment,
        start_new_session=True,
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert lab.file("dvc.lock").read_bytes() == before[:40]
    script.write_text(good)
    lab.ok("run")
    assert lab.file("dvc.lock").read_bytes() == before, "both stages were right as recorded"
    lab.file("params.yaml").write_text("threshold: 4\n")
    lab.ok("run")
    assert "up to date" in lab.dvc("status").out


def test_a_pipeline_that_cannot_be_read_is_not_up_to_date(lab: Lab) -> None:
    lab.file("plates.yaml").unlink()
    done = lab.imgdata("run")
    assert done.status == 2
    assert "'plates.yaml' does not exist" in done.err
    assert lab.dvc("status").status != 0


def test_a_record_that_lost_its_end_is_taken_back_from_git_as_told(lab: Lab) -> None:
    before = lab.file("dvc.lock").read_bytes()
    lab.file("dvc.lock").write_bytes(before[:100])
    done = lab.imgdata("run")
    assert done.status == 2
    assert "git restore dvc.lock" in done.err
    lab.git("restore", "dvc.lock")
    assert "nothing to do" in lab.ok("run").out
    assert lab.file("dvc.lock").read_bytes() == before


def test_a_changed_original_stops_the_run(lab: Lab) -> None:
    rewrite(lab.file("data/raw/P1/B02_1_DNA.tif"), b"other")
    lab.file("params.yaml").write_text("threshold: 4\n")
    answer = lab.imgdata("run")
    assert (answer.status, "changed: data/raw/P1/B02_1_DNA.tif" in answer.err) == (5, True)
    assert len(runs(lab)) == 2
    assert lab.file(MASK).read_bytes().startswith(b"mask threshold: 3")


def test_hand_edits_and_unrecorded_files_stop_the_run(lab: Lab) -> None:
    rewrite(lab.file(MASK), b"by hand")
    lab.file("data/masks/P1/notes.txt").write_text("mine")
    lab.file("params.yaml").write_text("threshold: 4\n")
    answer = lab.imgdata("run")
    assert answer.status == 5
    assert f"edited by hand: {MASK}" in answer.err
    assert "not recorded: data/masks/P1/notes.txt" in answer.err
    assert lab.file(MASK).read_bytes() == b"by hand"
    lab.file("data/masks/P1").rename(lab.file("data/masks/P1.kept"))
    assert lab.ok("run", "masks").status == 0
    assert lab.file(MASK).read_bytes().startswith(b"mask threshold: 4")


def test_an_input_that_is_not_here_is_damage(lab: Lab) -> None:
    clone = lab.clone()
    clone.file("params.yaml").write_text("threshold: 4\n")
    answer = clone.imgdata("run", "masks")
    assert (answer.status, "imgdata pull raw" in answer.err) == (6, True)


def test_a_failing_stage_is_told_and_runs_again_after_the_fix(lab: Lab) -> None:
    script = lab.file("scripts/segment.sh")
    good = script.read_text()
    script.write_text(f"{good}\necho it broke here >&2\nexit 3\n")
    before = lab.file("dvc.lock").read_text()
    answer = lab.imgdata("run", "--json")
    assert (answer.status, answer.error["kind"]) == (7, "stage-failed")
    assert "it broke here" in answer.error["cause"]
    assert "data/masks/P1" in answer.error["cause"]
    assert lab.file("dvc.lock").read_text() == before
    failed = runs(lab)[-1]
    assert (failed["entry"], failed["rc"]) == (None, 1)
    script.write_text(good.replace("mask", "new mask"))
    lab.ok("run")
    assert lab.file(MASK).read_bytes().startswith(b"new mask")
    assert runs(lab)[-1]["rc"] == 0


def test_the_environment_is_that_of_the_stages_python(lab: Lab) -> None:
    stub = lab.base / "bin" / "python"
    stub.parent.mkdir()
    stub.write_text(
        "#!/bin/sh\n"
        'case "$1" in -c) echo "python 9.9 stub";; *) mkdir -p data/counts/P1;'
        " echo 1 > data/counts/P1/names.txt;; esac\n"
    )
    stub.chmod(0o755)
    text = lab.file("dvc.yaml").read_text()
    start = text.index("      cmd: mkdir")
    end = text.index("\n", start)
    lab.file("dvc.yaml").write_text(
        f"{text[:start]}      cmd: python count.py ${{item}}{text[end:]}"
    )
    path = f"{stub.parent}{os.pathsep}{os.environ['PATH']}"
    other = Lab(lab.base, lab.name, {"PATH": path})
    other.ok("run", "counts")
    environment = runs(lab)[-1]["environment"]
    assert isinstance(environment, dict)
    assert environment["source"] == "path-python"
    kept = lab.file(f".imgdata/environments/{environment['hash']}.txt").read_text()
    assert kept == "python 9.9 stub\n"


def test_a_proof_with_unknown_programs_says_that_it_counts_for_nothing(lab: Lab) -> None:
    lab.commit()
    said = lab.ok("run", "segment@P1", "--prove").out
    assert "segment@P1: identical" in said
    assert "counts for nothing yet: the versions of its programs are unknown" in said
    assert "uv run" in said
    (result,) = lab.ok("--json", "run", "segment@P1", "--prove").results
    assert result["fault"] == "the versions of its programs are unknown"

    pipeline = lab.file("dvc.yaml")
    text = pipeline.read_text()
    named = text.replace("cmd: sh", f"cmd: {PROGRAMS / 'python'} wrap.py sh")
    assert named != text
    pipeline.write_text(named)
    lab.file("wrap.py").write_text("import subprocess, sys\nsubprocess.check_call(sys.argv[1:])\n")
    lab.ok("run", "segment@P1")
    lab.commit()
    assert "counts for nothing" not in lab.ok("run", "segment@P1", "--prove").out


def test_what_dvc_writes_by_itself_is_no_uncommitted_code(tmp_path: Path) -> None:
    """The first run makes a .gitignore in each level, while the stages after it still wait."""
    lab = make_lab(tmp_path)
    lab.ok("add", "raw", lab.plate("P1"))
    lab.commit()
    lab.ok("run")
    assert [one["dirty_paths"] for one in runs(lab)] == [[], []]


def test_nothing_that_ran_is_nothing_proven(lab: Lab) -> None:
    lab.file("dvc.lock").unlink()
    lab.commit("Nothing ran")
    for words in (["masks"], [], ["masks", "--dry-run"]):
        answer = lab.imgdata("run", "--prove", *words)
        assert (answer.status, "no stage has run yet" in answer.err) == (1, True), answer.out


def test_a_dry_run_names_the_sample_that_would_be_proven(lab: Lab) -> None:
    answer = lab.ok("run", "--prove", "--sample", "1", "--dry-run")
    assert len(answer.out.splitlines()) == 1
    assert answer.out.startswith("would make again: ")


def test_what_stages_made_is_no_uncommitted_code_in_a_folder_of_a_repository(lab: Lab) -> None:
    repository = lab.base / "repository"
    inside = Lab(repository, "analysis", lab.environment)
    inside.project.mkdir(parents=True)
    inside.git("init", "--quiet", str(repository))
    inside.ok("init", "--template", "minimal", "--yes")
    inside.file("seed.txt").write_text("1")
    inside.file("dvc.yaml").write_text(
        "stages:\n"
        "  count: {cmd: cp seed.txt n.txt, deps: [seed.txt], outs: [{n.txt: {cache: false}}]}\n"
        "  report: {cmd: cp n.txt r.txt, deps: [n.txt], outs: [{r.txt: {cache: false}}]}\n"
    )
    inside.ok("run")
    inside.commit()
    inside.file("seed.txt").write_text("2")
    inside.ok("run")
    dirty = [run["dirty_paths"] for run in runs(inside)[-2:]]
    assert dirty == [["analysis/seed.txt"], ["analysis/seed.txt"]]


def test_what_git_lacks_of_the_recipe_is_named_beside_the_commit(lab: Lab) -> None:
    """A commit of the records alone is stale for everybody who gets it."""
    lab.file("params.yaml").write_text("threshold: 7\n")
    lab.file("notes.txt").write_text("read by no stage")
    said = lab.ok("run").out
    line = next(row for row in said.splitlines() if "git add" in row)
    assert line.endswith("git add params.yaml")
    lab.git(*line.rpartition("git ")[2].split())
    lab.git("commit", "-qm", "Run the pipeline")
    clone = lab.clone()
    assert "stale" not in clone.ok("status").out
    lab.file("scripts/segment.sh").write_text(lab.file("scripts/segment.sh").read_text() + "true\n")
    lab.git("add", "scripts/segment.sh")
    assert "git add" not in lab.ok("run").out
