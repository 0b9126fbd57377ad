"""A clone that has only its own plate pushes that, whatever of the others is not here."""

import shutil

from imgdata.testing.lab import Lab


def test_a_plate_that_only_others_have_here_is_no_hindrance(lab: Lab) -> None:
    lab.ok("push", "raw")
    lab.commit()
    clone = lab.clone()
    shutil.copytree(lab.base / "microscope" / "P1", lab.base / "microscope" / "P9")
    (lab.base / "microscope" / "P9" / "B02_1_DNA.tif").write_bytes(b"P9 is another plate")
    clone.ok("add", "raw", "../microscope/P9")
    results = clone.ok("push", "raw", "--json").results
    sent = {one["unit"]: one["sent"] for one in results}
    assert sent["P1"] == 0
    assert sent["P9"] > 0
    assert clone.ok("push", "raw", "--dry-run").status == 0


def test_what_is_nowhere_else_is_named_and_everything_else_is_sent(lab: Lab) -> None:
    for path in lab.objects(lab.archive).values():
        path.unlink()
    clone = lab.clone()
    shutil.copytree(lab.base / "microscope" / "P1", lab.base / "microscope" / "P9")
    (lab.base / "microscope" / "P9" / "B02_1_DNA.tif").write_bytes(b"P9 is another plate")
    clone.ok("add", "raw", "../microscope/P9")
    answer = clone.imgdata("push", "raw", "--json")
    assert answer.status == 6
    assert "raw P1" in answer.error["problem"]
    assert "imgdata push raw" in answer.error["remedy"]
    assert {one["unit"] for one in answer.results if one.get("sent")} == {"P9"}


def test_a_dry_run_without_the_list_says_so_and_plans_the_rest(lab: Lab) -> None:
    clone = lab.clone()
    answer = clone.ok("push", "raw", "--dry-run")
    assert "its file list is not here" in answer.out
