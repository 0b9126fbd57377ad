"""A colleague's plate is in git already, and its bytes are on no storage yet."""

import pytest

from imgdata.testing.lab import Lab

REMEDY = "where it is: imgdata push"


@pytest.fixture
def unsent(lab: Lab) -> Lab:
    """A clone that knows of plate P9, which nobody has pushed; all else is on the archive."""
    lab.ok("push")
    lab.commit()
    lab.ok("add", "raw", lab.plate("P9", wells=("D05",)))
    lab.ok("run")
    lab.commit()
    return lab.clone("unsent")


def test_it_keeps_nothing_else_from_being_pulled(unsent: Lab) -> None:
    answer = unsent.imgdata("pull", "--json")
    assert answer.status == 6
    brought = {(one["level"], one["unit"]) for one in answer.results if one.get("placed")}
    assert {("raw", "P1"), ("masks", "P1")} <= brought


def test_the_remedy_is_for_the_one_who_has_it(unsent: Lab) -> None:
    for words in (("pull", "raw"), ("pull", "masks"), ("push", "masks")):
        answer = unsent.imgdata(*words)
        assert (answer.status, REMEDY in answer.err) == (6, True), answer.err


def test_status_does_not_tell_a_clone_to_push_what_it_has_not(unsent: Lab) -> None:
    results = unsent.ok("status", "--json").results
    steps = {(one["level"], one["unit"]): one["next"] for one in results}
    assert steps["raw", "P9"] == "where it is: imgdata push raw"
    assert steps["masks", "P9"] == "where it is: imgdata push masks"
    assert steps["raw", "P1"] == "imgdata pull raw"


def test_what_is_not_stored_is_told_with_lines_that_git_takes(unsent: Lab) -> None:
    answer = unsent.imgdata("verify", "--stored")
    line = next(row for row in answer.err.splitlines() if "git push --all" in row)
    for part in line.partition("try:")[2].split("&&")[1:]:
        unsent.git(*part.split()[1:])


def test_a_storage_that_is_away_keeps_nothing_from_the_others(lab: Lab) -> None:
    lab.ok("push")
    lab.ok("storage", "add", "shelf", str(lab.base / "shelf"))
    config = lab.file("imgdata.yaml")
    config.write_text(config.read_text().replace("storage: [archive]", "storage: [shelf]", 1))
    lab.ok("storage", "apply", "--yes")
    lab.ok("add", "raw", lab.plate("P0", wells=("D05",)))
    lab.ok("push", "raw", "--to", "shelf")
    lab.commit()
    clone = lab.clone("reader")
    (lab.base / "shelf").rename(lab.base / "drawer")
    answer = clone.imgdata("pull", "--json")
    assert answer.status == 4, answer.err
    brought = {(one["level"], one["unit"]) for one in answer.results if one.get("placed")}
    assert ("masks", "P1") in brought
    assert ("raw", "P0") not in brought
    (lab.base / "drawer").rename(lab.base / "shelf")
    clone.ok("pull")
