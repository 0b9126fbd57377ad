"""What a restriction means for push; the ways around it are in tests/attackers."""

import pytest

from imgdata.errors import ImgdataError, RefusedError
from imgdata.workflows.leaving import Withheld
from imgdata.workflows.push import Pushed, PushOutcome, summary_error
from tests.copies.conftest import Lab

RESTRICTED = (
    "  lab: {kind: own, access: open}\n"
    "  partner: {kind: academic-collaborator, access: restricted, release_on: 2999-01-01,\n"
    "            may_leave: [tables]}\n"
)


@pytest.fixture
def leaky(lab: Lab) -> Lab:
    """Raw data of a partner, committed rules, and a public storage."""
    lab.edit_config("  lab: {kind: own, access: open}\n", RESTRICTED)
    lab.edit_config("origin: lab", "origin: partner")
    lab.edit_config('second"}', f'second"}}\n  world: {{url: "{lab.base}/world", public: true}}')
    (lab.base / "world").mkdir()
    project = lab.open()
    project.apply(project.plan_apply())
    lab.share()
    lab.add("P1", count=2)
    lab.commit()
    return lab


def reaches_the_world(lab: Lab) -> set[bytes]:
    folder = lab.base / "world" / "files"
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def try_push(lab: Lab, *levels: str, to: str = "world") -> list[PushOutcome] | ImgdataError:
    try:
        return list(lab.push(*levels, to=(to,)))
    except ImgdataError as error:
        return error


def sent(outcome: list[PushOutcome] | ImgdataError) -> list[PushOutcome]:
    assert isinstance(outcome, list)
    return outcome


def secrets(lab: Lab) -> set[bytes]:
    return {path.read_bytes() for path in (lab.base / "microscope").rglob("*") if path.is_file()}


def test_the_refusal_names_origin_rule_date_and_what_may_leave(leaky: Lab) -> None:
    error = summary_error(sent(try_push(leaky, "raw")))
    assert isinstance(error, RefusedError)
    assert error.exit_status == 5
    assert "origin 'partner', restricted until 2999-01-01" in error.cause
    assert "what may leave: tables" in error.cause
    assert reaches_the_world(leaky) == set()
    assert not (leaky.base / "world" / "imgdata-project.json").exists()


def test_a_private_storage_takes_it(leaky: Lab) -> None:
    assert all(isinstance(one, Pushed) for one in sent(try_push(leaky, "raw", to="second")))


def test_open_data_of_the_lab_may_go_once_its_rule_is_committed(leaky: Lab) -> None:
    source = leaky.base / "own" / "P9"
    source.mkdir(parents=True)
    (source / "B01_1.tif").write_bytes(b"our own")
    project = leaky.open()
    list(project.add(project.plan_add("raw", [source], origin="lab")))
    outcomes = {one.target.unit.name: one for one in sent(try_push(leaky, "raw"))
                if isinstance(one, Pushed)}  # fmt: skip
    assert set(outcomes) == {"P9"}
    assert reaches_the_world(leaky) & secrets(leaky) == set()


def test_an_edited_origin_of_the_unit_does_not_open_it(leaky: Lab) -> None:
    record = leaky.root / "data/raw/P1.dvc"
    record.write_text(record.read_text().replace("partner", "lab"))
    try_push(leaky, "raw")
    leaky.commit()
    try_push(leaky, "raw")
    assert reaches_the_world(leaky) & secrets(leaky) == set()


def test_selecting_a_part_or_repairing_sends_nothing_either(leaky: Lab) -> None:
    from imgdata.model.selection import parse_selection
    from imgdata.workflows.push_plan import PushOptions

    for options in (
        PushOptions(("world",), parse_selection(["well=B01"])),
        PushOptions(("world",), repair=True),
    ):
        outcomes = list(leaky.open().push(["raw"], options))
        assert all(isinstance(one, Withheld) for one in outcomes)
    assert reaches_the_world(leaky) == set()


@pytest.mark.dvc
def test_what_is_made_from_it_stays_too_unless_a_written_rule_lets_it_go(leaky: Lab) -> None:
    leaky.run()
    leaky.commit()
    outcomes = sent(try_push(leaky, "masks", "tables"))
    held = [one.unit.level for one in outcomes if isinstance(one, Withheld)]
    gone = [one.target.unit.level for one in outcomes if isinstance(one, Pushed)]
    assert (held, gone) == (["masks"], ["tables"])


def rename(lab: Lab, level: str, to: str) -> None:
    project = lab.open()
    project.level_changes.move(project.level_changes.plan_move(level, to))
    lab.commit()


def test_a_renamed_level_and_a_renamed_unit_stay(leaky: Lab) -> None:
    rename(leaky, "raw", "pictures")
    assert all(isinstance(one, Withheld) for one in sent(try_push(leaky, "pictures")))
    tracker = leaky.root / "data" / "pictures" / "P1.dvc"
    renamed = tracker.with_name("Q9.dvc")
    renamed.write_text(
        tracker.read_text().replace("path: P1", "path: Q9").replace("partner", "lab")
    )
    tracker.unlink()
    (leaky.root / "data" / "pictures" / "P1").rename(leaky.root / "data" / "pictures" / "Q9")
    leaky.share()
    assert all(isinstance(one, Withheld) for one in sent(try_push(leaky, "pictures")))
    assert not reaches_the_world(leaky) & secrets(leaky)


def test_a_level_renamed_by_hand_does_not_open_its_content(leaky: Lab) -> None:
    """Without a word in the log: the old folder is on no level, the origin another."""
    text = (leaky.root / "imgdata.yaml").read_text()
    (leaky.root / "imgdata.yaml").write_text(
        text.replace("  raw:\n    path: data/raw", "  photos:\n    path: data/photos").replace(
            "origin: partner", "origin: lab"
        )
    )
    pipeline = leaky.root / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("data/raw", "data/photos"))
    (leaky.root / "data" / "raw").rename(leaky.root / "data" / "photos")
    tracker = leaky.root / "data" / "photos" / "P1.dvc"
    tracker.write_text(tracker.read_text().replace("partner", "lab"))
    leaky.share()
    assert all(isinstance(one, Withheld) for one in sent(try_push(leaky, "photos")))
    assert not reaches_the_world(leaky) & secrets(leaky)


@pytest.mark.dvc
def test_a_written_rule_follows_a_renamed_level_once_it_is_committed(leaky: Lab) -> None:
    leaky.run()
    leaky.share()
    rename(leaky, "tables", "numbers")
    assert "may_leave: [numbers]" in (leaky.root / "imgdata.yaml").read_text()
    assert all(isinstance(one, Withheld) for one in sent(try_push(leaky, "numbers")))
    leaky.share()
    assert all(isinstance(one, Pushed) for one in sent(try_push(leaky, "numbers")))
