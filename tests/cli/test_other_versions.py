"""After `git pull` or `git switch` the files here are those of another recorded version.

They are no edits by hand: `imgdata pull` puts the recorded ones in their place, and nothing says
that they are the only copy.
"""

from pathlib import Path

import pytest

from imgdata.testing.lab import Lab

MASK = "data/masks/P1/B02_1_DNA.tif"
GONE = "data/masks/P1/B03_1_DNA.tif"
FEWER = 'rm -f "$2"/B03_1_DNA.tif\n'


@pytest.fixture(scope="module")
def rerun_once(finished_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A project whose newest commit was made elsewhere, with other masks and one file less.

    In the workspace are the masks of the commit before, as they are after `git pull`.
    """
    lab = finished_lab.copy_to(tmp_path_factory.mktemp("rerun") / "lab")
    colleague = lab.clone("colleague")
    colleague.ok("pull", "raw", "masks")
    colleague.file("params.yaml").write_text("threshold: 40\n")
    script = colleague.file("scripts/segment.sh")
    script.write_text(script.read_text() + FEWER)
    colleague.ok("run", "masks")
    colleague.ok("push")
    colleague.commit("Another model")
    lab.git("pull", "--quiet", colleague.project, "main")
    return lab


@pytest.fixture
def rerun(rerun_once: Lab, tmp_path: Path) -> Lab:
    """A copy of that project to work on."""
    return rerun_once.copy_to(tmp_path / "lab")


def masks(lab: Lab) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in lab.file("data/masks/P1").iterdir()}


def test_pull_replaces_them_and_takes_out_what_is_recorded_no_more(rerun: Lab) -> None:
    answer = rerun.ok("pull", "masks")
    assert "4 of another version replaced or taken out" in answer.out
    assert masks(rerun)["B02_1_DNA.tif"].startswith(b"mask threshold: 40")
    assert not rerun.file(GONE).exists()
    assert "data/masks" not in rerun.dvc("status", "segment@P1").out
    assert rerun.ok("pull", "masks", "--json").results[0]["replaced"] == 0


def test_the_way_back_is_the_same(rerun: Lab) -> None:
    before = masks(rerun)
    rerun.ok("pull", "masks")
    rerun.git("switch", "--quiet", "--detach", "HEAD~2")
    rerun.ok("pull", "masks")
    assert masks(rerun) == before


def test_an_edit_by_hand_among_them_stops_the_pull_and_only_it_is_named(rerun: Lab) -> None:
    path = rerun.file(MASK)
    path.unlink()
    path.write_bytes(b"mine")
    answer = rerun.imgdata("pull", "masks")
    assert (answer.status, MASK in answer.err, "AGP" in answer.err) == (5, True, False)
    assert path.read_bytes() == b"mine"


def test_a_file_that_no_record_knows_stays(rerun: Lab) -> None:
    rerun.file("data/masks/P1/notes.txt").write_text("mine")
    rerun.ok("pull", "masks")
    assert (rerun.file("data/masks/P1/notes.txt").read_text(), rerun.file(GONE).exists()) == (
        "mine",
        False,
    )


def test_they_stop_the_pull_where_the_cache_has_them_no_more(rerun: Lab) -> None:
    for path in rerun.objects().values():
        if path.suffix != ".dir" and path.read_bytes().startswith(b"mask threshold: 3"):
            path.unlink()
    assert rerun.imgdata("pull", "masks").status == 5
    assert masks(rerun)["B02_1_DNA.tif"].startswith(b"mask threshold: 3")


def test_damage_in_the_cache_is_no_safe_place_for_them(rerun: Lab) -> None:
    for path in rerun.objects().values():
        data = path.read_bytes()
        if data.startswith(b"mask threshold: 3"):
            path.unlink()  # its link in the workspace stays good
            path.write_bytes(data[:-1])
    assert rerun.imgdata("pull", "masks").status == 5
    assert masks(rerun)["B02_1_DNA.tif"].startswith(b"mask threshold: 3")


def test_status_says_pull_and_a_drop_calls_them_what_they_are(rerun: Lab) -> None:
    rerun.ok("pull", "masks", "--select", "well=B03")  # the list is here now, part of it too
    (line,) = [one for one in rerun.ok("status", "masks").out.split("\n") if "P1" in one]
    assert line.endswith("imgdata pull masks")
    answer = rerun.imgdata("drop", "masks", "--yes")
    assert (answer.status, "hand-edited" in answer.out) == (5, False)
    assert "of another version than the one recorded now" in answer.out
    assert answer.out.count("-> imgdata pull masks") == 1
    rerun.ok("pull", "masks")
    rerun.ok("verify", "masks")
    rerun.ok("drop", "masks", "--yes")


def test_an_audit_has_nothing_against_them(rerun: Lab) -> None:
    rerun.ok("pull", "masks", "--select", "well=B03")
    found = {one["rule"]: one["findings"] for one in rerun.imgdata("audit", "--json").results}
    assert found["outputs"] == []
    rewritten = rerun.file(MASK)
    rewritten.unlink()
    rewritten.write_bytes(b"mine")
    found = {one["rule"]: one["findings"] for one in rerun.imgdata("audit", "--json").results}
    assert len(found["outputs"]) == 1


def test_a_run_deletes_them_and_sends_one_that_reads_them_to_pull(rerun: Lab) -> None:
    rerun.ok("pull", "masks", "--select", "well=B03")
    rerun.file("plates.yaml").write_text("plates: [P1]\n")
    answer = rerun.imgdata("run", "counts", "--force")
    assert (answer.status, "imgdata pull masks" in answer.err) == (5, True)
    assert "move" not in answer.err
    rerun.ok("run", "masks", "--force")
    assert masks(rerun)["B02_1_DNA.tif"].startswith(b"mask threshold: 40")


def test_many_edits_by_hand_are_one_line_with_one_way_to_keep_them(lab: Lab) -> None:
    lab.ok("verify", "masks")
    for path in lab.file("data/masks/P1").iterdir():
        path.unlink()
        path.write_bytes(b"mine")
    answer = lab.imgdata("drop", "masks", "--yes")
    assert answer.status == 5
    assert answer.out.count("hand-edited, the only copy") == 1
    command = "mv data/masks/P1 data/masks/P1.kept"
    assert f"-> {command}" in answer.out
    assert lab.call("sh", "-c", command).status == 0
    lab.ok("drop", "masks", "--yes")
    assert lab.file("data/masks/P1.kept/B02_1_DNA.tif").read_bytes() == b"mine"
