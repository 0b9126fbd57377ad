"""`imgdata exclude`: who left what out and why, what that makes stale, and how it is taken back."""

import json
from pathlib import Path

import jsonschema
import pytest

from imgdata.testing.lab import Lab

SCHEMA = Path(__file__).resolve().parents[2] / "docs/reference/json/exclude.schema.json"
LIST = "metadata/excluded/P1.csv"
SKIPPING = """\
set -e
mkdir -p "$2"
for image in "$1"/*.tif; do
  name=$(basename "$image")
  grep -q "^raw,$name," "$3" && continue
  { printf 'mask of '; cat "$image"; } > "$2/$name"
done
"""


@pytest.fixture(scope="module")
def heeding_lab(finished_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The small lab with a pipeline that reads the lists of excluded files; not to be changed."""
    lab = finished_lab.copy_to(tmp_path_factory.mktemp("heeding") / "lab")
    lab.file("scripts/segment.sh").write_text(SKIPPING)
    pipeline = lab.file("dvc.yaml")
    text = pipeline.read_text("utf-8")
    first, cmd, rest = text.partition("data/raw/${item} data/masks/${item}")
    rest = rest.replace(
        "        - data/raw/${item}\n",
        "        - data/raw/${item}\n        - metadata/excluded/${item}.csv\n",
    )
    pipeline.write_text(f"{first}{cmd} metadata/excluded/${{item}}.csv{rest}", "utf-8")
    lab.ok("run")
    lab.commit("Heed exclusions")
    return lab


@pytest.fixture
def heeding(heeding_lab: Lab, tmp_path: Path) -> Lab:
    return heeding_lab.copy_to(tmp_path / "lab")


def masks(lab: Lab, plate: str = "P1") -> set[str]:
    return {path.name for path in lab.file(f"data/masks/{plate}").iterdir()}


def stale(lab: Lab) -> list[str]:
    return [str(one["stage"]) for one in lab.ok("run", "--dry-run", "--json").results]


def test_a_run_makes_the_lists_that_stages_ask_for(heeding: Lab) -> None:
    lab = heeding

    assert lab.file(LIST).read_text() == "level,file,reason,by,at\n"
    assert LIST in lab.git("ls-files")
    assert stale(lab) == []


def test_an_excluded_well_is_left_out_and_comes_back(heeding: Lab) -> None:
    lab = heeding
    lab.ok("add", "raw", lab.plate("P2"))
    lab.ok("run")
    lab.commit("Two plates")
    before = lab.file("dvc.lock").read_bytes()
    answer = lab.ok(
        "exclude", "raw", "--select", "well=B3", "--select", "plate=P1", "--reason", "out of focus"
    )
    assert "raw P1: 2 of 4 files excluded: out of focus" in answer.out
    assert "next: imgdata run" in answer.out
    assert 'git commit -m "Exclude files of raw: out of focus"' in answer.out
    staged = lab.git("diff", "--cached", "--name-only").split()
    assert LIST in staged
    assert ".gitattributes" in staged
    assert any(name.startswith(".imgdata/log/") for name in staged)

    assert stale(lab) == ["segment@P1", "count@P1"]
    lab.ok("run")
    assert masks(lab) == {"B02_1_AGP.tif", "B02_1_DNA.tif"}
    assert len(masks(lab, "P2")) == 4
    assert len(list(lab.file("data/raw/P1").iterdir())) == 4
    assert lab.ok("status", "raw", "--json").results[0]["here"] == "complete"

    lab.ok("exclude", "raw", "--undo", "--select", "well=B03")
    lab.ok("run")
    assert len(masks(lab)) == 4
    assert lab.file("dvc.lock").read_bytes() == before


def test_the_log_says_who_when_why_and_what(lab: Lab) -> None:
    lab.ok("exclude", "raw", "--select", "channel=DNA", "--reason", "lamp off")
    lab.ok("exclude", "raw", "--select", "well=B02", "--undo", "--reason", "was on")
    logs = sorted(lab.file(".imgdata/log").rglob("*.jsonl"))[-2:]
    one, two = (json.loads(path.read_text()) for path in logs)

    assert (one["event"], one["action"], one["reason"]) == ("excluded", "excluded", "lamp off")
    assert one["by"] == "Ada Lovelace <ada@lab.example>"
    assert (one["level"], one["unit"], one["n"]) == ("raw", "P1", 2)
    assert one["files"] == ["B02_1_DNA.tif", "B03_1_DNA.tif"]
    assert (two["action"], two["files"], two["reason"]) == ("restored", ["B02_1_DNA.tif"], "was on")


def test_a_project_whose_stages_do_not_heed_the_list_is_told(lab: Lab) -> None:
    answer = lab.ok("exclude", "raw", "--select", "well=B02", "--reason", "blurred")

    assert f"no stage of dvc.yaml that reads raw P1 heeds {LIST}" in answer.err
    assert "'deps' of the stage" in answer.err
    assert "next: imgdata run" not in answer.out


def test_a_list_that_is_read_before_the_level_is_made_does_not_heed_it(heeding: Lab) -> None:
    lab = heeding
    one = lab.ok("exclude", "masks", "--select", "well=B02", "--reason", "x", "--dry-run", "--json")
    two = lab.ok("exclude", "raw", "--select", "well=B02", "--reason", "x", "--dry-run", "--json")

    assert one.results[0]["read_by"] == []
    assert two.results[0]["read_by"] == ["segment@P1"]


def test_every_answer_fits_its_schema(lab: Lab) -> None:
    schema = json.loads(SCHEMA.read_text())
    for words in (
        ("raw", "--select", "well=B02", "--reason", "x", "--dry-run"),
        ("raw", "--select", "well=B02", "--reason", "x"),
        ("raw", "--select", "well=B02..B03", "--reason", "y"),
        ("--list",),
        ("raw", "--undo", "--select", "well=B03"),
    ):
        document = lab.ok("exclude", *words, "--json").document
        jsonschema.validate(document, schema)
        assert document["results"]
    jsonschema.validate(lab.imgdata("exclude", "raw", "--json").document, schema)


def test_a_dry_run_writes_nothing(lab: Lab) -> None:
    answer = lab.ok("exclude", "raw", "--select", "well=B02", "--reason", "x", "--dry-run")

    assert "2 of 4 files would be excluded" in answer.out
    assert lab.git("status", "--porcelain") == ""
    assert not lab.file(LIST).exists()


def test_the_same_decision_twice_is_one(lab: Lab) -> None:
    words = ("exclude", "raw", "--select", "well=B02", "--reason", "x")
    lab.ok(*words)
    text = lab.file(LIST).read_text()
    answer = lab.ok(*words)

    assert "2 were so already" in answer.out
    assert lab.file(LIST).read_text() == text
    listed = lab.ok("exclude", "--list")
    assert "raw P1: 2 files: x (Ada Lovelace, 20" in listed.out


NONSENSE = (
    (("raw", "--select", "well=B7", "--reason", "x"), 2, "nearest: B02, B03"),
    (("raw", "--select", "wel=B02", "--reason", "x"), 2, "known fields: channel, plate, site"),
    (("raw", "--select", "plate=P9", "--reason", "x"), 2, "nearest: P1"),
    (("raw", "--reason", "x"), 2, "say which files"),
    (("raw", "--select", "well=B02"), 2, "say why"),
    (("raw", "--select", "well=B02", "--reason", " \n"), 2, "say why"),
    ((), 2, "say of which level"),
    (("raw", "masks", "--select", "well=B02", "--reason", "x"), 2, "takes one level"),
    (("row", "--select", "well=B02", "--reason", "x"), 2, "is not a level"),
    (("raw", "--undo", "--select", "well=B02"), 1, "nothing of raw is excluded"),
)


def test_what_makes_no_sense_is_a_sentence(lab: Lab) -> None:
    for words, status, said in NONSENSE:
        answer = lab.imgdata("exclude", *words)
        assert (answer.status, said in answer.err) == (status, True), answer.err
    assert lab.git("status", "--porcelain") == ""


def test_a_list_by_hand_counts_and_a_broken_one_is_named(heeding: Lab) -> None:
    lab = heeding
    lab.file(LIST).write_text("level,file,reason,by,at\nraw,B02_1_DNA.tif,by hand,,\n")
    assert lab.ok("exclude", "--list", "--json").results[0]["by"] is None
    lab.ok("run")
    assert len(masks(lab)) == 3

    lab.file(LIST).write_text("raw,B02_1_DNA.tif,by hand,,\n")
    answer = lab.imgdata("exclude", "--list")
    assert answer.status == 2
    assert f"{LIST} is no list of excluded files" in answer.err


def test_what_two_clones_exclude_is_merged_and_what_one_took_back_stays_back(heeding: Lab) -> None:
    lab = heeding
    lab.ok("exclude", "raw", "--select", "well=B02", "--select", "channel=DNA", "--reason", "one")
    lab.commit("Exclude")
    other = lab.clone("other")
    lab.ok("exclude", "raw", "--undo", "--select", "well=B02")
    lab.ok("exclude", "raw", "--select", "well=B03", "--select", "channel=DNA", "--reason", "two")
    lab.commit("Ours")
    other.ok("pull", "raw")
    other.ok(
        "exclude", "raw", "--select", "channel=AGP", "--select", "well=B3", "--reason", "three"
    )
    other.commit("Theirs")
    lab.git("pull", "--quiet", "--no-rebase", "--no-edit", str(other.project), "main")

    assert "B02_1_DNA.tif" in lab.file(LIST).read_text()  # so does a union merge
    listed = lab.ok("exclude", "--list", "--json").results
    assert {one["file"] for one in listed} == {"B03_1_DNA.tif", "B03_1_AGP.tif"}
    lab.ok("run")
    assert masks(lab) == {"B02_1_AGP.tif", "B02_1_DNA.tif"}
    assert "B02_1_DNA.tif" not in lab.file(LIST).read_text()
    assert stale(lab) == []


def exclusions(lab: Lab, path: str, *more: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (
        lab.ok("lineage", path, "--json", *more).results[0].get("exclusions", [])
    )
    return found


def test_lineage_tells_what_was_left_out_and_what_not_yet(heeding: Lab) -> None:
    lab = heeding
    lab.ok("exclude", "raw", "--select", "well=B03", "--reason", "out of focus")
    (one,) = exclusions(lab, "data/counts/P1")
    assert one["state"] == "not left out yet"
    lab.commit("Exclude")
    lab.ok("run")
    lab.commit("Run")
    (one,) = exclusions(lab, "data/counts/P1")
    assert one == {
        "level": "raw",
        "unit": "P1",
        "files": ["data/raw/P1/B03_1_AGP.tif", "data/raw/P1/B03_1_DNA.tif"],
        "reason": "out of focus",
        "list": LIST,
        "state": "left out",
        "by": "Ada Lovelace <ada@lab.example>",
        "at": one["at"],
    }
    tree = lab.ok("lineage", "data/masks/P1").out
    assert "  2 files of raw P1 excluded: out of focus, Ada Lovelace, 20" in tree
    assert "\n  excluded: out of focus, Ada Lovelace, 20" in (
        lab.ok("lineage", "data/raw/P1/B03_1_DNA.tif").out
    )
    assert exclusions(lab, "data/raw/P1/B02_1_DNA.tif") == []

    lab.ok("exclude", "raw", "--undo", "--select", "well=B03")
    (one,) = exclusions(lab, "data/counts/P1")
    assert one["state"] == "taken back since"
    (one,) = exclusions(lab, "data/counts/P1", "--rev", "HEAD")
    assert one["state"] == "left out"
    assert exclusions(lab, "data/counts/P1", "--rev", "HEAD~2") == []


def test_a_public_lineage_names_nobody(heeding: Lab) -> None:
    lab = heeding
    lab.ok("exclude", "raw", "--select", "well=B03", "--reason", "ask bob@lab.example")
    lab.ok("run")
    lab.commit("Run")
    for form in ("tree", "mermaid", "rocrate"):
        whole = lab.ok("lineage", "data/masks/P1", "--format", form).out
        assert "Lovelace" in whole
        assert "ask bob@lab.example" in whole
    for form in ("tree", "json", "mermaid", "prov", "rocrate", "html"):
        public = lab.ok("lineage", "data/masks/P1", "--format", form, "--public").out
        assert "2 files of raw P1 excluded: ask" in public or form == "json"
        assert "Lovelace" not in public
        assert "bob@" not in public
