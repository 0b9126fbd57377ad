"""`imgdata storage move`: copied and checked there, then dropped here, by the same evidence."""

import shutil

import pytest

from imgdata.errors import RefusedError, UsageError
from imgdata.model.selection import parse_selection
from imgdata.workflows.leaving import Withheld
from imgdata.workflows.move_storage import MoveOptions, MoveOutcome, Stays
from tests.copies.conftest import Lab
from tests.copies.test_audit import said
from tests.copies.test_commands import answer, type_


@pytest.fixture
def stored(lab: Lab) -> Lab:
    """Two plates on their working storage; the level's next place is `second`."""
    lab.edit_config("storage: archive\n  masks", "storage: archive\n    then: second\n  masks")
    for name in ("P1", "P2"):
        lab.add(name)
    lab.push("raw")
    lab.share()
    return lab


def move(lab: Lab, *levels: str, **options: object) -> list[MoveOutcome]:
    project = lab.open()
    chosen = MoveOptions(**options)  # type: ignore[arg-type]  # by name
    found: list[MoveOutcome] = []
    for leg in project.plan_move(levels, chosen):
        found += project.move(leg, chosen)
    return found


def bytes_on(lab: Lab, storage: str) -> dict[str, bytes]:
    return {path.parent.name + path.name: path.read_bytes() for path in lab.objects(storage)}


def test_a_level_moves_to_its_next_storage_and_comes_back_from_there(stored: Lab) -> None:
    before = bytes_on(stored, "archive")
    originals = {p.name: p.read_bytes() for p in (stored.root / "data/raw/P1").iterdir()}
    move(stored, "raw")
    assert bytes_on(stored, "second") == before
    assert stored.objects("archive") == []
    shutil.rmtree(stored.root / "data/raw/P1")
    shutil.rmtree(stored.root / ".dvc/cache")
    list(stored.open().pull(["raw"]))
    assert {p.name: p.read_bytes() for p in (stored.root / "data/raw/P1").iterdir()} == originals


def test_push_does_not_send_back_what_has_moved_on(stored: Lab) -> None:
    move(stored, "raw")
    stored.add("P3")
    done = type_(stored, "push", "raw")
    assert "raw P1: not sent (moved on from archive to second)" in done.stdout
    assert "raw P3 -> archive: 5 objects sent" in done.stdout
    stored.share()
    assert said(stored) == {}


def test_moving_again_finds_nothing_to_do(stored: Lab) -> None:
    move(stored, "raw")
    assert stored.open().plan_move(["raw"], MoveOptions()) == ()
    assert type_(stored, "storage", "move", "raw", "--yes").stdout == "nothing to move\n"


def test_a_move_that_was_cut_off_goes_on(stored: Lab) -> None:
    project = stored.open()
    (leg,) = project.plan_move(["raw"], MoveOptions())
    moving = project.move(leg, MoveOptions())
    next(moving)  # the first plate has arrived, the second has not
    del moving
    assert len(stored.objects("archive")) == 10
    move(stored, "raw")
    assert stored.objects("archive") == []
    assert len(stored.objects("second")) == 10


def test_a_drop_that_was_killed_half_way_is_finished(stored: Lab) -> None:
    kept = {path: path.read_bytes() for path in stored.objects("archive")[:3]}
    move(stored, "raw")
    for path, data in kept.items():  # the log was written first, these were not deleted yet
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    move(stored, "raw")
    assert stored.objects("archive") == []
    assert stored.open().plan_move(["raw"], MoveOptions()) == ()


def test_a_unit_that_did_not_arrive_keeps_its_copy_whatever_else_it_has(
    stored: Lab,
) -> None:
    third = stored.base / "third"
    third.mkdir()
    stored.edit_config('second"}', f'second"}}\n  third: {{url: "{third}"}}')
    project = stored.open()
    project.apply(project.plan_apply())
    stored.push("raw", to=("third",))
    (stored.base / "second").rename(stored.base / "gone")
    outcomes = move(stored, "raw")
    assert [type(one).__name__ for one in outcomes] == ["StorageFailed"]
    assert len(stored.objects("archive")) == 10


def test_a_damaged_file_stays_where_it_is_and_nothing_damaged_arrives(stored: Lab) -> None:
    shutil.rmtree(stored.root / "data/raw/P1")
    for path in (stored.root / ".dvc/cache/files/md5").glob("??/*"):
        if path.suffix != ".dir":
            path.unlink()
    victim = next(path for path in stored.objects("archive") if path.suffix != ".dir")
    victim.chmod(0o644)
    victim.write_bytes(b"rot")
    move(stored, "raw")
    assert victim.exists()
    assert len([p for p in stored.objects("archive") if p.suffix != ".dir"]) == 4
    assert all(path.read_bytes() != b"rot" for path in stored.objects("second"))


def test_a_copy_the_rule_still_asks_for_is_not_dropped(stored: Lab) -> None:
    stored.edit_config("    then: second\n", "    copies: 2\n    then: third\n")
    stored.edit_config("storage: archive\n    copies", "storage: [archive, second]\n    copies")
    third = stored.base / "third"
    third.mkdir()
    stored.edit_config('second"}', f'second"}}\n  third: {{url: "{third}"}}')
    project = stored.open()
    project.apply(project.plan_apply())
    stored.push("raw")
    move(stored, "raw")
    assert stored.objects("archive") == []
    outcomes = move(stored, "raw", source="second")
    stays = [one for one in outcomes if isinstance(one, Stays)]
    assert "1 of 2 copies (third)" in stays[0].plan.unsafe[0].why
    assert len(stored.objects("second")) == 10


def test_a_part_can_move(stored: Lab) -> None:
    move(stored, "raw", selection=parse_selection(["well=B01,B02"]))
    assert len([p for p in stored.objects("second") if p.suffix != ".dir"]) == 4
    assert len([p for p in stored.objects("archive") if p.suffix != ".dir"]) == 4


def test_a_clone_that_has_nothing_here_can_move_it(stored: Lab) -> None:
    clone = Lab(stored.base / "clone", stored.base)
    stored.git("clone", "--quiet", str(stored.base / "remote.git"), str(clone.root))
    before = bytes_on(stored, "archive")
    move(clone, "raw")
    assert bytes_on(stored, "second") == before
    assert stored.objects("archive") == []


def test_nothing_restricted_moves_to_a_public_storage(lab: Lab) -> None:
    lab.edit_config("{kind: own, access: open}", "{kind: own, access: restricted}")
    lab.edit_config('second"}', f'second"}}\n  world: {{url: "{lab.base}/world", public: true}}')
    (lab.base / "world").mkdir()
    project = lab.open()
    project.apply(project.plan_apply())
    lab.share()
    lab.add()
    lab.push("raw")
    said = type_(lab, "storage", "move", "raw", "--to", "world", "--dry-run").stdout
    assert "0 B to copy" in said
    assert "raw P1 stays: restricted, and world is public (public: true): raw P1 is of" in said
    said = type_(lab, "push", "raw", "--to", "world", "--dry-run").stdout
    assert said.startswith(
        "raw P1: not sent (restricted, and world is public (public: true): raw P1"
    )
    outcomes = move(lab, "raw", target="world")
    assert [type(one) for one in outcomes] == [Withheld]
    assert len(lab.objects("archive")) == 5
    assert list((lab.base / "world").rglob("*")) == []


def test_what_cannot_be_meant_is_said_before_anything_moves(stored: Lab) -> None:
    project = stored.open()
    with pytest.raises(UsageError, match="does not say where tables goes next"):
        project.plan_move(["tables"], MoveOptions())
    with pytest.raises(UsageError, match="'nowhere' is not a storage"):
        project.plan_move(["raw"], MoveOptions(target="nowhere"))
    with pytest.raises(RefusedError, match="same place"):
        project.plan_move(["raw"], MoveOptions(source="archive", target="archive"))


@pytest.mark.dvc
def test_audit_names_what_should_move_once_nobody_reads_it_any_more(stored: Lab) -> None:
    assert said(stored, remote=False) == {}
    stored.run()
    stored.push()
    stored.share()
    (found,) = said(stored, remote=False)["then"]
    assert found.subject == "raw P1"  # P2 has no stage that reads it
    assert found.next_step == "imgdata storage move raw --due --from archive --to second"
    command = found.next_step.split()[1:]
    shown = type_(stored, *command, "--dry-run")
    assert shown.stdout == "raw: 1 unit from archive to second; 1.0 kB to copy (as remembered)\n"
    assert type_(stored, *command).returncode == 5  # nobody could be asked
    assert type_(stored, *command, "--yes").returncode == 0
    assert "then" not in said(stored, remote=False)
    assert len(stored.objects("second")) == 5


def test_the_json_fits_its_schema(stored: Lab) -> None:
    document = answer(stored, "storage", "move", "raw", "--yes")
    assert document["results"][0]["units"] == ["P1", "P2"]
    assert document["results"][-1]["dropped"] == "raw P2"
