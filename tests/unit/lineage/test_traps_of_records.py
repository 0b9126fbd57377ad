"""Records that are broken, old, imported, uncommitted or merged, one made by hand for each."""

from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    "broken",
    [
        b"schema: '2.0'\nstages:\n  make:\n   - {[",
        b"\xff\xfe\x00bad",
        b"",
        b"<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> other\n",
        b"just text",
        b"- a\n- list\n",
    ],
)
def test_a_broken_version_in_history_is_skipped_not_the_file(
    repository: Repository, broken: bytes
) -> None:
    good = {
        "dvc.yaml": {"stages": {"make": stage("make", [], ["out"])}},
        "dvc.lock": lock(make=entry("make", {}, {"out": A})),
    }
    first = repository.save(good)
    repository.save({"dvc.lock": broken})
    repository.save(good)
    answer = repository.ask("out", history=True)
    assert answer.first_recorded is not None
    assert answer.first_recorded.id == first
    assert answer.history


@pytest.mark.parametrize(
    "broken",
    [b"stages: [", b"\xff\xfe", b"", b"stages:\n  make: 3\n", b"stages:\n  make:\n    cmd: ${x}\n"],
)
def test_a_broken_pipeline_is_named_and_its_lock_still_answers(
    repository: Repository, broken: bytes
) -> None:
    repository.save({"dvc.yaml": broken, "dvc.lock": lock(make=entry("make", {}, {"out": A}))})
    answer = repository.ask("out")
    assert answer.producer == "dvc.lock::make"
    assert answer.gaps


def test_conflict_markers_in_the_lock_leave_the_other_entries_readable(
    repository: Repository,
) -> None:
    repository.save(
        {
            "dvc.yaml": {"stages": {"a": stage("a", [], ["one"]), "b": stage("b", [], ["two"])}},
            "dvc.lock": (
                "schema: '2.0'\nstages:\n  a:\n    cmd: a\n    outs:\n    - path: one\n"
                f"      hash: md5\n      md5: {A}\n<<<<<<< HEAD\n  b:\n    cmd: b\n    outs:\n"
                f"    - path: two\n      md5: {B}\n=======\n  b:\n    cmd: b2\n    outs:\n"
                f"    - path: two\n      md5: {C}\n>>>>>>> other\n"
            ),
        }
    )
    answer = repository.ask("one")
    assert answer.producer == "dvc.lock::a"
    assert repository.ask("two").gaps


def test_entries_without_path_or_hash_are_left_out_one_by_one(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {"stages": {"a": stage("a", [], ["one", "two"])}},
            "dvc.lock": {
                "schema": "2.0",
                "stages": {
                    "a": {
                        "cmd": "a",
                        "deps": [{"md5": A}, "text", None, {"path": "nohash.txt"}],
                        "outs": [{"path": "one"}, {"path": "two", "md5": B}, 7],
                    },
                    "b": None,
                },
            },
        }
    )
    answer = repository.ask("two")
    assert answer.producer == "dvc.lock::a"
    assert [edge.dep for edge in answer.edges] == ["nohash.txt"]
    assert any("no hash" in gap for gap in answer.gaps)
    assert repository.ask("one").producer == "dvc.lock::a"


def test_params_of_every_kind_are_kept_as_recorded(repository: Repository) -> None:
    params = {
        "params.yaml": {"a.b": 1, "whole": {"deep": [1, 2]}, "none": None},
        "conf.json": {"x": True},
        "conf.toml": {"y": 1.5},
        "conf.py": {"Z": "text"},
    }
    repository.save(
        {
            "dvc.yaml": {"stages": {"a": stage("a", [], ["one"])}},
            "dvc.lock": lock(a=entry("a", {}, {"one": A}, params=params)),
        }
    )
    assert repository.ask("one").nodes[0].params == params


def test_imports_are_leaves_whatever_their_age_and_url(repository: Repository) -> None:
    repository.save(
        {
            "lib/model.h5.dvc": {
                "locked": True,
                "deps": [
                    {
                        "path": "models/model.h5",
                        "repo": {"url": "git@host:lab/models.git", "rev_lock": "e" * 40},
                    }
                ],
                "outs": [{"md5": A, "path": "model.h5"}],
            },
            "web.csv.dvc": {
                "frozen": True,
                "deps": [{"path": "https://host/web.csv", "etag": '"33a64df5"'}],
                "outs": [{"md5": B, "path": "web.csv"}],
            },
            "hf.bin.dvc": {
                "frozen": True,
                "deps": [{"path": "hf://org/model/file.bin", "checksum": "abc", "size": 3}],
                "outs": [record("hf.bin", C)],
            },
        }
    )
    imported = repository.ask("lib/model.h5")
    assert (imported.nodes[0].kind, imported.nodes[0].flags) == ("import", {"frozen": True})
    assert imported.edges[0].relation == "import"
    assert imported.edges[0].recorded == "e" * 40
    assert imported.edges[0].dep == "models/model.h5"
    assert imported.edges[0].url == "git@host:lab/models.git"
    web = repository.ask("web.csv")
    assert (web.nodes[0].kind, web.edges[0].relation) == ("import-url", "url")
    assert web.edges[0].recorded == '"33a64df5"'
    assert repository.ask("hf.bin").edges[0].relation == "url"


def test_a_stage_from_before_dvc_1_is_a_stage(repository: Repository) -> None:
    repository.save(
        {
            "in.csv.dvc": {"md5": D, "outs": [{"md5": A, "path": "in.csv", "cache": True}]},
            "out.csv.dvc": {
                "cmd": "python make.py",
                "wdir": ".",
                "deps": [{"md5": A, "path": "in.csv"}, {"md5": C, "path": "make.py"}],
                "outs": [{"md5": B, "path": "out.csv", "cache": True}],
            },
            "make.py": "print()",
        }
    )
    answer = repository.ask("out.csv")
    assert (answer.producer, answer.nodes[0].kind) == ("out.csv.dvc", "stage")
    assert answer.nodes[0].cmd == "python make.py"
    assert edge_of(answer, "in.csv").producer == "in.csv.dvc"
    assert edge_of(answer, "make.py").relation == "source"


def test_a_lock_of_dvc_1_without_schema_is_read(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {"stages": {"make": stage("m", [], ["out"])}},
            "dvc.lock": {"make": {"cmd": "m", "outs": [{"path": "out", "md5": A}]}},
        }
    )
    answer = repository.ask("out")
    assert answer.producer == "dvc.lock::make"
    assert answer.out is not None
    assert answer.out.hash is None


def test_a_cloud_versioned_folder_knows_its_members(repository: Repository) -> None:
    repository.save(
        {
            "raw.dvc": {
                "outs": [
                    {
                        "path": "raw",
                        "hash": "md5",
                        "files": [
                            {"relpath": "a.tif", "md5": A, "size": 1, "version_id": "v1",
                             "remote": "s3"},
                        ],
                    }
                ]
            }
        }
    )  # fmt: skip
    answer = repository.ask("raw/a.tif")
    assert (answer.producer, answer.member, answer.member_hash) == ("raw.dvc", "a.tif", A)


def test_nested_dvc_roots_are_both_read(repository: Repository) -> None:
    repository.save(
        {
            ".dvc/config": "",
            "inner/.dvc/config": "",
            "inner/dvc.yaml": {"stages": {"a": stage("a", [], ["made"])}},
            "inner/dvc.lock": lock(a=entry("a", {}, {"made": A})),
            "dvc.yaml": {"stages": {"b": stage("b", ["inner/made"], ["out"])}},
            "dvc.lock": lock(b=entry("b", {"inner/made": A}, {"out": B})),
        }
    )
    assert edge_of(repository.ask("out"), "inner/made").producer == "inner/dvc.lock::a"


def test_a_cycle_ends_where_it_closes(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {
                "stages": {"a": stage("a", ["two"], ["one"]), "b": stage("b", ["one"], ["two"])}
            },
            "dvc.lock": lock(
                a=entry("a", {"two": B}, {"one": A}), b=entry("b", {"one": A}, {"two": B})
            ),
        }
    )
    answer = repository.ask("one", down=True)
    assert len(answer.nodes) == 2
    assert len(answer.edges) == 2


def test_code_is_joined_to_the_blob_it_was_and_the_commit_that_brought_it(
    repository: Repository,
) -> None:
    old, new = "print(1)\n", "print(2)\n"
    files = {
        "dvc.yaml": {"stages": {"a": stage("a", ["make.py"], ["out"])}},
        "dvc.lock": lock(a=entry("a", {"make.py": md5(old)}, {"out": A})),
        "make.py": old,
    }
    first = repository.save(files)
    blob = repository.git("rev-parse", "HEAD:make.py")
    edge = edge_of(repository.ask("out"), "make.py")
    assert (edge.relation, edge.match, edge.git) == ("source", True, f"blob {blob}")
    assert edge.introduced is not None
    assert edge.introduced.id == first
    repository.save({"make.py": new})
    edge = edge_of(repository.ask("out"), "make.py")
    assert (edge.match, edge.git, edge.at) == (False, f"blob {blob}", first)


def test_code_recorded_before_dvc_3_is_compared_with_unix_line_ends(
    repository: Repository,
) -> None:
    repository.write({".gitattributes": "* -text\n"})
    repository.save(
        {
            "dvc.yaml": {"stages": {"a": stage("a", ["make.py"], ["out"])}},
            "dvc.lock": {
                "schema": "2.0",
                "stages": {
                    "a": {
                        "cmd": "a",
                        "deps": [{"path": "make.py", "md5": md5("print()\n")}],
                        "outs": [{"path": "out", "md5": A}],
                    }
                },
            },
            "make.py": b"print()\r\n",
        }
    )
    assert edge_of(repository.ask("out"), "make.py").match is True


def test_an_uncommitted_lock_is_answered_and_said_to_be_uncommitted(
    repository: Repository,
) -> None:
    pipeline = {"stages": {"a": stage("a", [], ["out"])}}
    repository.save({"dvc.yaml": pipeline, "dvc.lock": lock(a=entry("a", {}, {"out": A}))})
    repository.write({"dvc.lock": lock(a=entry("a", {}, {"out": B}))})
    answer = repository.ask("out")
    assert answer.out is not None
    assert answer.out.md5 == B
    assert answer.first_recorded is None
    assert any("yet" in gap for gap in answer.gaps)
    assert repository.ask("out", revision="HEAD").out.md5 == A  # type: ignore[union-attr] # is there


def test_a_merge_does_not_count_as_recording(repository: Repository) -> None:
    pipeline = {"stages": {"a": stage("a", [], ["out"]), "b": stage("b", [], ["two"])}}
    base = lock(a=entry("a", {}, {"out": A}), b=entry("b", {}, {"two": A}))
    repository.save({"dvc.yaml": pipeline, "dvc.lock": base, "x": "1"})
    repository.git("checkout", "-q", "-b", "side")
    side = repository.save(
        {"dvc.lock": lock(a=entry("a", {}, {"out": B}), b=entry("b", {}, {"two": A}))}
    )
    repository.git("checkout", "-q", "main")
    repository.save({"x": "2"})
    repository.git("merge", "-q", "--no-ff", "-m", "join", "side")
    answer = repository.ask("out")
    assert answer.first_recorded is not None
    assert answer.first_recorded.id == side
    assert answer.stage_last_changed is not None
    assert answer.stage_last_changed.id == side


def test_an_input_whose_entry_lies_in_a_conflict_names_the_conflict(
    repository: Repository,
) -> None:
    """While a merge or rebase is not finished, the entry that made an input cannot be read."""
    side = "  b:\n    cmd: {}\n    outs:\n    - path: two\n      md5: {}\n"
    repository.save(
        {
            "dvc.yaml": {
                "stages": {"a": stage("a", ["two"], ["one"]), "b": stage("b", [], ["two"])}
            },
            "dvc.lock": (
                "schema: '2.0'\nstages:\n  a:\n    cmd: a\n    deps:\n    - path: two\n"
                f"      hash: md5\n      md5: {B}\n    outs:\n    - path: one\n"
                f"      hash: md5\n      md5: {A}\n<<<<<<< HEAD\n{side.format('b', B)}=======\n"
                f"{side.format('b2', C)}>>>>>>> other\n"
            ),
        }
    )
    gaps = repository.ask("one").gaps
    assert any("dvc.lock, b" in gap and "merge conflict" in gap for gap in gaps)


def test_a_pipeline_that_cannot_be_read_is_said_to_be(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": "stages:\n<<<<<<< HEAD\n  a: 1\n=======\n",
            "dvc.lock": lock(a=entry("a", {}, {"one": A})),
        }
    )
    assert any(gap.startswith("dvc.yaml: ") for gap in repository.ask("one").gaps)


def test_a_broken_file_elsewhere_is_no_gap(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {"stages": {"a": stage("a", [], ["one"])}},
            "dvc.lock": lock(a=entry("a", {}, {"one": A})),
            "other/dvc.yaml": "stages: [",
        }
    )
    assert repository.ask("one").gaps == ()
