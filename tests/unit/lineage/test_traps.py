"""What breaks a naive tool in real repositories, one made by hand for each (DVC)."""

from pathlib import Path

import pytest

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.lineage.answer import Answer, Edge
from tests.unit.lineage.repository_builder import Repository, entry, lock, md5, record, stage

A, B, C, D = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def edge_of(answer: Answer, dep: str) -> Edge:
    found = [edge for edge in answer.edges if edge.dep == dep]
    assert len(found) == 1, answer.edges
    return found[0]


def test_the_live_entry_wins_over_a_dead_one_and_the_dead_one_is_reported(
    repository: Repository,
) -> None:
    repository.save(
        {
            "dvc.yaml": {"stages": {"new": stage("new", [], ["out.csv"])}},
            "dvc.lock": lock(
                old=entry("old", {}, {"out.csv": A}), new=entry("new", {}, {"out.csv": B})
            ),
        }
    )
    answer = repository.ask("out.csv")
    assert answer.producer == "dvc.lock::new"
    assert answer.other_lock_entries == ("dvc.lock::old",)
    assert answer.out is not None
    assert answer.out.md5 == B


@pytest.mark.parametrize("dead_name", ["train", "train@x"])
def test_an_entry_is_dead_when_its_stage_became_a_group_or_stopped_being_one(
    repository: Repository, dead_name: str
) -> None:
    group = {"foreach": ["a"], "do": stage("t ${item}", [], ["m/${item}"])}
    single = stage("t", [], ["m/a"])
    live_name = "train@a" if dead_name == "train" else "train"
    repository.save(
        {
            "dvc.yaml": {"stages": {"train": group if dead_name == "train" else single}},
            "dvc.lock": {
                "schema": "2.0",
                "stages": {
                    dead_name: entry("t", {}, {"m/a": A}),
                    live_name: entry("t", {}, {"m/a": B}),
                },
            },
        }
    )
    answer = repository.ask("m/a")
    assert answer.producer == f"dvc.lock::{live_name}"
    assert answer.other_lock_entries == (f"dvc.lock::{dead_name}",)


def test_a_file_that_only_a_dead_entry_knows_is_an_orphan(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {"stages": {"other": stage("o", [], ["other"])}},
            "dvc.lock": lock(gone=entry("make", {"in.csv": A}, {"lost.csv": B})),
            "in.csv": "x",
        }
    )
    answer = repository.ask("lost.csv")
    assert answer.status == "orphan"
    assert answer.producer == "dvc.lock::gone"
    assert answer.nodes[0].flags == {"orphan": True}


def test_a_dead_entry_is_placed_by_the_wdir_it_had(repository: Repository) -> None:
    inner = {"wdir": "sub", **stage("make", [], ["lost.csv"])}
    repository.save(
        {
            "dvc.yaml": {"stages": {"gone": inner, "kept": stage("k", [], ["kept"])}},
            "dvc.lock": lock(gone=entry("make", {}, {"lost.csv": B})),
        }
    )
    repository.save({"dvc.yaml": {"stages": {"kept": stage("k", [], ["kept"])}}})
    assert repository.ask("sub/lost.csv").status == "orphan"
    assert repository.ask("lost.csv").status == "untracked"


def test_the_stage_that_still_names_the_out_wins_among_live_ones(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {
                "stages": {"a": stage("a", [], ["else"]), "b": stage("b", [], ["out.csv"])}
            },
            "dvc.lock": lock(a=entry("a", {}, {"out.csv": A}), b=entry("b", {}, {"out.csv": B})),
        }
    )
    answer = repository.ask("out.csv")
    assert answer.producer == "dvc.lock::b"
    assert answer.other_lock_entries == ("dvc.lock::a",)


def test_lock_paths_are_relative_to_a_wdir_from_vars_and_may_climb(repository: Repository) -> None:
    repository.save(
        {
            "pipe/dvc.yaml": {
                "vars": [{"ROOT": ".."}],
                "stages": {
                    "top": {"wdir": "${ROOT}", **stage("t", ["pipe/made.txt"], ["final.txt"])},
                    "here": stage("h", [], ["made.txt"]),
                },
            },
            "pipe/dvc.lock": lock(
                top=entry("t", {"pipe/made.txt": A}, {"final.txt": B}),
                here=entry("h", {}, {"made.txt": A}),
            ),
        }
    )
    answer = repository.ask("final.txt")
    assert answer.producer == "pipe/dvc.lock::top"
    assert answer.nodes[0].wdir == "."
    edge = edge_of(answer, "pipe/made.txt")
    assert (edge.relation, edge.producer, edge.match) == ("exact", "pipe/dvc.lock::here", True)
    assert answer.nodes[1].wdir == "pipe"


def test_a_folder_dep_is_joined_to_the_outs_it_contains(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {
                "stages": {
                    "one": stage("1", [], ["figures/1.png"]),
                    "two": stage("2", [], ["figures/deep/2.png"]),
                    "paper": stage("p", ["figures"], ["paper.pdf"]),
                    "near": stage("n", [], ["figures2/n.png"]),
                }
            },
            "dvc.lock": lock(
                paper=entry("p", {"figures": f"{A}.dir"}, {"paper.pdf": B}),
                two=entry("2", {}, {"figures/deep/2.png": D}),
                one=entry("1", {}, {"figures/1.png": C}),
                near=entry("n", {}, {"figures2/n.png": C}),
            ),
            "figures/readme.txt": "x",
        }
    )
    answer = repository.ask("paper.pdf")
    found = [(edge.relation, edge.producer, edge.producer_path) for edge in answer.edges]
    assert found == [
        ("contains", "dvc.lock::two", "figures/deep/2.png"),
        ("contains", "dvc.lock::one", "figures/1.png"),
    ]


def test_a_dep_inside_a_tracked_folder_is_joined_to_it(repository: Repository) -> None:
    repository.save(
        {
            "raw.dvc": {"outs": [record("raw", f"{A}.dir", size=2, nfiles=1)]},
            "dvc.yaml": {"stages": {"use": stage("u", ["raw/x/a.tif"], ["out"])}},
            "dvc.lock": lock(use=entry("u", {"raw/x/a.tif": B}, {"out": C})),
        }
    )
    edge = edge_of(repository.ask("out"), "raw/x/a.tif")
    assert (edge.relation, edge.producer, edge.producer_path) == ("inside", "raw.dvc", "raw")
    assert edge.match is None


def test_a_member_of_a_tracked_folder_is_answered_by_its_folder(repository: Repository) -> None:
    repository.save({"raw.dvc": {"outs": [record("raw", f"{A}.dir", nfiles=1)]}})
    answer = repository.ask("raw/x/a.tif")
    assert (answer.producer, answer.member) == ("raw.dvc", "x/a.tif")
    assert any("list of files of raw" in gap for gap in answer.gaps)


def test_a_stale_edge_names_the_commit_that_had_the_recorded_hash(repository: Repository) -> None:
    pipeline = {
        "stages": {"first": stage("f", [], ["mid"]), "second": stage("s", ["mid"], ["out"])}
    }
    second = entry("s", {"mid": A}, {"out": C})
    first = repository.save(
        {"dvc.yaml": pipeline, "dvc.lock": lock(first=entry("f", {}, {"mid": A}), second=second)}
    )
    repository.save({"dvc.lock": lock(first=entry("f", {}, {"mid": B}), second=second)})
    edge = edge_of(repository.ask("out"), "mid")
    assert (edge.match, edge.producer_hash, edge.recorded, edge.at) == (False, B, A, first)


def test_a_stale_edge_whose_version_is_in_no_commit_is_a_gap(repository: Repository) -> None:
    pipeline = {
        "stages": {"first": stage("f", [], ["mid"]), "second": stage("s", ["mid"], ["out"])}
    }
    repository.save(
        {
            "dvc.yaml": pipeline,
            "dvc.lock": lock(
                first=entry("f", {}, {"mid": B}), second=entry("s", {"mid": A}, {"out": C})
            ),
        }
    )
    answer = repository.ask("out")
    assert edge_of(answer, "mid").at is None
    assert any(A in gap for gap in answer.gaps)


def test_the_three_answers_to_which_commit_recorded_it(repository: Repository) -> None:
    def version(digest: str, command: str = "make") -> dict[str, object]:
        return {
            "dvc.yaml": {"stages": {"make": stage("make", [], ["out"])}},
            "dvc.lock": lock(make=entry(command, {}, {"out": digest})),
        }

    first = repository.save(version(A))
    repository.save(version(B))
    again = repository.save(version(A))
    other = repository.save(version(A, "make --fast"))
    answer = repository.ask("out")
    assert answer.first_recorded is not None
    assert answer.first_recorded.id == first
    assert answer.current_streak_since is not None
    assert answer.current_streak_since.id == again
    assert answer.entry_last_changed is not None
    assert answer.entry_last_changed.id == again
    assert answer.stage_last_changed is not None
    assert answer.stage_last_changed.id == other


def test_reordering_a_lock_changes_nothing(repository: Repository) -> None:
    one, two = entry("1", {}, {"one": A}), entry("2", {}, {"two": B})
    pipeline = {"stages": {"a": stage("1", [], ["one"]), "b": stage("2", [], ["two"])}}
    first = repository.save({"dvc.yaml": pipeline, "dvc.lock": lock(a=one, b=two)})
    repository.save({"dvc.lock": lock(b=two, a=one)})
    answer = repository.ask("one")
    assert answer.stage_last_changed is not None
    assert answer.stage_last_changed.id == first


def test_a_renamed_lock_and_stage_keep_their_first_sight(repository: Repository) -> None:
    first = repository.save(
        {
            "old/dvc.yaml": {"stages": {"make": {"wdir": "..", **stage("m", [], ["out"])}}},
            "old/dvc.lock": lock(make=entry("m", {}, {"out": A})),
        }
    )
    repository.git("mv", "old", "new")
    moved = repository.save(
        {
            "new/dvc.yaml": {"stages": {"build": {"wdir": "..", **stage("m", [], ["out"])}}},
            "new/dvc.lock": lock(build=entry("m", {}, {"out": A})),
        }
    )
    answer = repository.ask("out")
    assert answer.producer == "new/dvc.lock::build"
    assert answer.first_recorded is not None
    assert answer.first_recorded.id == moved
    assert answer.first_recorded_any_path is not None
    assert answer.first_recorded_any_path.id == first
    assert answer.historical_producers == ("old/dvc.lock::make",)


def test_the_lock_not_the_definition_holds_the_command_that_ran(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {"stages": {"make": stage("make --new", [], ["out"])}},
            "dvc.lock": lock(make=entry("make --old", {}, {"out": A})),
        }
    )
    assert repository.ask("out").nodes[0].cmd == "make --old"


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("./in/x", "in/x"),
        ("in//x", "in/x"),
        ("in\\x", "in/x"),
        ("in/x/", "in/x"),
        ("sub/../in/x", "in/x"),
        ("year=2002/a b.csv", "year=2002/a b.csv"),
        ("Daten/Größe µm.csv", "Daten/Größe µm.csv"),
        ("a very long folder name with blanks/" * 3 + "file.csv",) * 2,
    ],
)
def test_every_form_of_a_path_is_the_same_path(
    repository: Repository, written: str, path: str
) -> None:
    repository.save(
        {
            "dvc.yaml": {
                "stages": {"a": stage("a", [], [path]), "b": stage("b", [written], ["out"])}
            },
            "dvc.lock": lock(
                a=entry("a", {}, {written: A}), b=entry("b", {written: A}, {"out": B})
            ),
        }
    )
    edge = edge_of(repository.ask("out"), path)
    assert (edge.relation, edge.producer, edge.match) == ("exact", "dvc.lock::a", True)
    answer = repository.ask(path)
    assert answer.producer == "dvc.lock::a"
    assert answer.first_recorded is not None


def test_absolute_paths_below_the_repository_are_inside(repository: Repository) -> None:
    full = str(repository.root / "in.csv")
    repository.save(
        {
            "in.csv.dvc": {"outs": [record("in.csv", A)]},
            "dvc.yaml": {"stages": {"b": stage("b", [full, "/else/where.csv"], ["out"])}},
            "dvc.lock": lock(b=entry("b", {full: A, "/else/where.csv": C}, {"out": B})),
        }
    )
    answer = repository.ask("out")
    assert edge_of(answer, "in.csv").producer == "in.csv.dvc"
    outside = edge_of(answer, "/else/where.csv")
    assert outside.relation == "missing"
    assert any("outside the repository" in gap for gap in answer.gaps)


def test_an_uncached_out_in_git_is_exact_and_one_that_is_nowhere_is_missing_bytes(
    repository: Repository,
) -> None:
    data = "a,b\n"
    repository.save(
        {
            "dvc.yaml": {
                "stages": {
                    "a": stage("a", [], [{"in_git.csv": {"cache": False}}]),
                    "b": stage("b", ["in_git.csv"], ["out"]),
                }
            },
            "dvc.lock": lock(
                a=entry("a", {}, {"in_git.csv": md5(data)}),
                b=entry("b", {"in_git.csv": md5(data)}, {"out": B}),
            ),
            "in_git.csv": data,
        }
    )
    edge = edge_of(repository.ask("out"), "in_git.csv")
    assert (edge.relation, edge.producer) == ("exact", "dvc.lock::a")
    assert repository.ask("in_git.csv").status == "recorded"
    assert repository.ask("in_git.csv", revision="HEAD").status == "recorded"
    assert repository.ask("out").status == "missing"


def test_a_stage_that_read_older_code_is_said_to_have(repository: Repository) -> None:
    files = {
        "dvc.yaml": {"stages": {"make": stage("make", ["make.py"], ["out"])}},
        "dvc.lock": lock(make=entry("make", {"make.py": md5("1")}, {"out": A})),
        "make.py": "1",
    }
    repository.save(files)
    found = repository.ask("make.py", down=True).down
    assert found is not None
    assert [one.current for one in found] == [True]
    repository.save({"make.py": "2"})
    found = repository.ask("make.py", down=True).down
    assert found is not None
    assert [one.current for one in found] == [False]


def test_an_input_that_is_tracked_no_more_names_who_recorded_it(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {"stages": {"make": stage("make", ["raw"], ["out"])}},
            "dvc.lock": lock(make=entry("make", {"raw": A}, {"out": B})),
            "raw.dvc": {"outs": [{"md5": A, "path": "raw"}]},
        }
    )
    commit = repository.git("rev-parse", "HEAD")[:7]
    repository.save({"raw.dvc": None})
    assert (
        f"raw was recorded by raw.dvc with that content in {commit}" in repository.ask("out").gaps
    )


def test_a_folder_whose_files_were_made_anew_since_it_was_read_is_told(
    repository: Repository,
) -> None:
    """DVC's md5 of a folder that several stages fill joins with none of them."""
    definition = {
        "stages": {
            "one": stage("1", [], ["figures/1.png"]),
            "two": stage("2", [], ["figures/2.png"]),
            "paper": stage("p", ["figures"], ["paper.pdf"]),
        }
    }
    entries = {
        "one": entry("1", {}, {"figures/1.png": A}),
        "two": entry("2", {}, {"figures/2.png": B}),
        "paper": entry("p", {"figures": f"{C}.dir"}, {"paper.pdf": D}),
    }
    repository.save({"dvc.yaml": definition, "dvc.lock": lock(**entries)})
    ran = repository.git("rev-parse", "HEAD")[:7]
    assert repository.ask("paper.pdf").gaps == ()
    entries["two"] = entry("2", {}, {"figures/2.png": D})
    repository.save({"dvc.lock": lock(**entries)})
    (gap,) = repository.ask("paper.pdf").gaps
    assert gap.startswith(
        f"dvc.lock::paper last ran in {ran}; in figures, which it read, figures/2.png was "
        "recorded anew since then"
    )
    entries["paper"] = entry("p", {"figures": f"{D}.dir"}, {"paper.pdf": A})
    repository.save({"dvc.lock": lock(**entries)})
    assert repository.ask("paper.pdf").gaps == ()


def test_a_folder_of_code_is_compared_with_the_files_git_had(repository: Repository) -> None:
    files = {"src/deep/a.py": "a", "src/b.py": "b"}
    folder = write_folder(FolderEntry(md5(text), name[4:]) for name, text in files.items())[1]
    first = repository.save(
        {
            "dvc.yaml": {"stages": {"make": stage("make", ["src"], ["out"])}},
            "dvc.lock": lock(make=entry("make", {"src": folder}, {"out": A})),
            **files,
        }
    )
    edge = edge_of(repository.ask("out"), "src")
    assert (edge.relation, edge.match) == ("source", True)
    repository.save({"src/b.py": "better"})
    edge = edge_of(repository.ask("out"), "src")
    assert (edge.match, edge.at) == (False, first)
    repository.save({"dvc.lock": lock(make=entry("make", {"src": f"{B}.dir"}, {"out": A}))})
    answer = repository.ask("out")
    assert edge_of(answer, "src").match is None
    assert any("whether src is still what" in gap for gap in answer.gaps)


def test_an_input_in_a_folder_that_was_recorded_anew_without_its_list_is_a_gap(
    repository: Repository,
) -> None:
    """In a fresh clone the lists of folders are not here."""
    repository.save(
        {
            "dvc.yaml": {"stages": {"make": stage("make", ["data/x"], ["out"])}},
            "dvc.lock": lock(make=entry("make", {"data/x": A}, {"out": B})),
            "data.dvc": {"outs": [{"md5": f"{C}.dir", "path": "data"}]},
        }
    )
    assert repository.ask("out").gaps == ()
    repository.save({"data.dvc": {"outs": [{"md5": f"{D}.dir", "path": "data"}]}})
    (gap,) = repository.ask("out").gaps
    assert "whether data/x is still what was read is not known" in gap
