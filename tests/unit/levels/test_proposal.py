"""Which levels a repository without imgdata.yaml seems to have."""

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from imgdata.levels.proposal import MANY, DataPath, propose_levels


def folder(path: str, **rest: object) -> DataPath:
    return DataPath(path, is_folder=True, **rest)  # type: ignore[arg-type] # a test's shorthand


def file(path: str, **rest: object) -> DataPath:
    return DataPath(path, is_folder=False, **rest)  # type: ignore[arg-type] # a test's shorthand


def proposed(*data: DataPath) -> dict[str, tuple[str, str | None]]:
    return {level.name: (level.path, level.unit) for level in propose_levels(data)}


def test_plates_side_by_side_are_units_of_the_folder_they_lie_in() -> None:
    assert proposed(folder("data/raw/P1"), folder("data/raw/P2")) == {"raw": ("data/raw", "plate")}


def test_folders_with_names_of_their_own_are_levels_of_their_own() -> None:
    assert proposed(folder("data/raw"), folder("data/masks")) == {
        "raw": ("data/raw", None),
        "masks": ("data/masks", None),
    }


def test_a_foreach_of_one_plate_is_a_level_with_units_already() -> None:
    assert proposed(folder("data/masks/Pilot", group="segment")) == {
        "masks": ("data/masks", "plate")
    }


def test_files_side_by_side_are_units_too_and_one_alone_belongs_to_its_folder() -> None:
    found = proposed(file("models/a.pkl"), file("models/b.pkl"), file("out/x.csv"), file("m.pkl"))
    assert found == {"models": ("models", "file"), "out": ("out", "file"), "m": ("m.pkl", None)}


def test_units_may_lie_one_folder_deeper() -> None:
    data = [folder(f"work/P{n}/masks", group="segment") for n in range(3)]
    assert proposed(*data) == {"work": ("work", "plate")}


def test_a_folder_that_holds_another_level_is_taken_apart() -> None:
    found = proposed(file("data/a.csv"), file("data/b.csv"), folder("data/raw"))
    assert {path for path, _ in found.values()} == {"data/a.csv", "data/b.csv", "data/raw"}


def test_what_plain_dvc_keeps_at_different_places_is_not_one_level() -> None:
    found = proposed(folder("raw/P1", place="s3"), folder("raw/P2", place=None))
    assert {path for path, _ in found.values()} == {"raw/P1", "raw/P2"}


def test_names_are_made_to_fit_and_stay_apart() -> None:
    found = proposed(folder("A/2nd Run!"), folder("B/2nd Run!"), folder("C/none"), folder("2nd"))
    assert set(found) == {"a_2nd-run", "b_2nd-run", "data", "l-2nd"}


def test_paths_that_end_alike_are_all_named_by_what_tells_them_apart() -> None:
    found = proposed(folder("sim/fine/out"), folder("sim/coarse/out"), folder("plots/out"))
    assert set(found) == {"fine_out", "coarse_out", "plots_out"}


def test_names_that_cannot_be_told_apart_are_numbered() -> None:
    assert set(proposed(folder("a b"), folder("a-b"), folder("a=b"))) == {"a-b", "a-b-2", "a-b-3"}


def test_levels_come_after_what_they_are_made_from() -> None:
    levels = propose_levels(
        [
            folder("a/profiles", deps=("b/masks", "src/code.py")),
            folder("b/masks", deps=("c/raw/P1",)),
            folder("c/raw/P1"),
            folder("c/raw/P2"),
        ]
    )
    assert [(level.name, level.sources) for level in levels] == [
        ("raw", ()),
        ("masks", ("raw",)),
        ("profiles", ("masks",)),
    ]


def test_a_deep_tree_gives_a_list_a_person_can_read() -> None:
    data = [file(f"in/year={y}/state={s}/x.csv") for y in range(30) for s in range(30)]
    assert proposed(*data) == {"in": ("in", "plate")}


PATHS = st.lists(
    st.sampled_from(["a", "b", "P1", "P2", "x.csv", ".z", "1", "Ü"]), min_size=1, max_size=4
).map("/".join)


@given(st.lists(st.builds(DataPath, PATHS, st.booleans(), st.sampled_from(["", "g", "h"]))))
def test_every_path_is_on_exactly_one_level_and_levels_are_apart(data: list[DataPath]) -> None:
    kept: list[DataPath] = []
    for one in data:  # outs of DVC never overlap
        pure = PurePosixPath(one.path)
        others = [PurePosixPath(other.path) for other in kept]
        if not any(pure.is_relative_to(o) or o.is_relative_to(pure) for o in others):
            kept.append(one)
    levels = propose_levels(kept)
    assert len({level.name for level in levels}) == len(levels)
    assert len(levels) <= max(MANY, len({one.path.split("/")[0] for one in kept}))
    for one in kept:
        homes = [level for level in levels if PurePosixPath(one.path).is_relative_to(level.path)]
        assert len(homes) == 1
        assert one in homes[0].data
