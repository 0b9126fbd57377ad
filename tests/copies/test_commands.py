"""The commands as typed: exit statuses, tables, JSON that fits its schema."""

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from imgdata.testing.small_project import call
from tests.copies.conftest import Lab

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json"

LONG_NAMES = {
    ("storage", "move"): "storage-move",
    ("storage", "lost"): "storage-lost",
    ("run",): "run-prove",
}


def type_(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    return call(lab.root, "imgdata", *words, check=False)


def answer(lab: Lab, *words: str) -> Any:
    done = type_(lab, *words, "--json")
    document = json.loads(done.stdout)
    name = next(
        (one for start, one in LONG_NAMES.items() if words[: len(start)] == start), words[0]
    )
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    jsonschema.validate(document, schema)
    return document


def test_every_answer_fits_its_schema(lab: Lab) -> None:
    lab.add()
    assert answer(lab, "drop", "raw", "--yes")["error"]["kind"] == "refused"
    lab.push("raw")
    answer(lab, "whereis")
    answer(lab, "whereis", "raw", "--remote", "--all-versions")
    answer(lab, "verify")
    answer(lab, "verify", "--stored", "--all-versions")
    answer(lab, "verify", "--source", str(lab.base / "microscope"))
    assert answer(lab, "drop", "raw", "--yes")["results"][-1]["dropped"] == "raw P1"


@pytest.mark.dvc
def test_a_proof_and_a_loss_fit_their_schemas(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    lab.share()
    lab.run("segment")
    assert answer(lab, "run", "segment", "--prove")["results"][0]["not_proven"]
    lab.share()
    proof = answer(lab, "run", "segment", "--prove")["results"][0]
    assert (proof["verdict"], proof["fault"]) == ("identical", "")
    lost = answer(lab, "storage", "lost", "archive", "--reason", "fell down", "--yes")
    assert lost["results"] == [{"storage": "archive", "lost": 1, "below_rule": ["raw P1"]}]


def test_whereis_names_a_file_and_refuses_what_no_record_knows(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    done = type_(lab, "whereis", "data/raw/P1/B01_1.tif")
    assert done.returncode == 0
    assert "data/raw/P1/B01_1.tif" in done.stdout
    assert "today, read back" in done.stdout
    assert type_(lab, "whereis", "./data/raw/P1/none.tif").returncode == 1
    assert type_(lab, "whereis", "nonsense").returncode == 2


@pytest.mark.parametrize("yes", [[], ["--yes"]])
def test_drop_refuses_with_exit_5_and_the_command_to_type(lab: Lab, yes: list[str]) -> None:
    lab.add()
    done = type_(lab, "drop", "raw", *yes)
    assert done.returncode == 5
    assert "imgdata push raw --to archive" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_exits_1_on_damage_and_0_after_repair(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    victim = next(path for path in lab.objects("archive") if path.suffix != ".dir")
    victim.chmod(0o644)
    victim.write_bytes(b"x")
    assert type_(lab, "verify").returncode == 1
    assert type_(lab, "verify", "--repair").returncode == 0
    assert type_(lab, "verify").returncode == 0


def test_a_lost_storage_needs_a_yes_and_lists_what_is_below_its_rule(lab: Lab) -> None:
    lab.add()
    lab.push("raw")
    assert type_(lab, "storage", "lost", "archive", "--reason", "fell").returncode == 5
    done = type_(lab, "storage", "lost", "archive", "--reason", "fell", "--yes")
    assert "below its rule now: raw P1" in done.stdout
    assert "lost since" in type_(lab, "whereis", "raw").stdout


@pytest.mark.dvc
def test_a_copy_that_no_rule_asks_for_is_counted_in_words(lab: Lab) -> None:
    lab.add()
    lab.run("masks")
    assert "none by rule" in type_(lab, "status", "masks").stdout
    lab.push("masks", to=("archive",))
    assert "1 though none by rule" in type_(lab, "status", "masks").stdout
    (lab.root / ".imgdata/log").rename(lab.base / "log")  # nothing is known of it any more
    assert "  none by rule" in type_(lab, "status", "masks").stdout
