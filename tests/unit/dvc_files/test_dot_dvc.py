"""`.dvc` files of every age."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.dvc_files.dot_dvc import DotDvc, read_dot_dvc
from imgdata.dvc_files.recorded import RecordedHash

MD5 = "0123456789abcdef0123456789abcdef"
COMMIT = "59dc74dcfbb4e0abea2d41ae59be4c8c8b1c0d88"


def read(text: str) -> DotDvc:
    return read_dot_dvc(text.encode(), "data/x.dvc")


def test_added_data_of_dvc_3() -> None:
    file = read(
        f"outs:\n- md5: {MD5}.dir\n  size: 300\n  nfiles: 3\n  hash: md5\n  path: P1\n"
        "  remote: lab\n  push: false\n"
        "  meta:\n    imgdata: {origin: own, added: '2026-01-01T00:00:00Z'}\n"
    )
    (out,) = file.outs
    assert out.recorded.hash == RecordedHash("md5", f"{MD5}.dir")
    assert (out.recorded.size, out.recorded.nfiles) == (300, 3)
    assert (out.flags.remote, out.flags.push, out.flags.cache) == ("lab", False, True)
    assert out.flags.meta["imgdata"]["origin"] == "own"
    assert file.problems == ()


def test_added_data_of_dvc_0_and_1() -> None:
    file = read(
        f"md5: {MD5}\nwdir: .\nouts:\n- md5: {MD5}\n  path: a.csv\n  cache: true\n"
        "  metric: false\n  persist: false\nlocked: true\n"
    )
    assert file.outs[0].recorded.hash == RecordedHash("md5-dos2unix", MD5)
    assert (file.wdir, file.md5, file.frozen) == (".", MD5, True)


def test_a_stage_from_before_dvc_1_has_a_command() -> None:
    file = read(
        f"md5: {MD5}\ncmd: python train.py\nwdir: ../src\ndeps:\n- md5: {MD5}\n  path: in\n"
        "- path: params.yaml\n  params:\n    lr: 0.1\n    net.depth: 3\n"
        f"outs:\n- md5: {MD5}\n  path: m.json\n  cache: false\n  metric: true\n"
        "always_changed: true\n"
    )
    assert (file.cmd, file.wdir, file.always_changed) == ("python train.py", "../src", True)
    data, params = file.deps
    assert data.recorded is not None
    assert data.recorded.path == "in"
    assert params.params == {"lr": 0.1, "net.depth": 3}
    assert (file.outs[0].flags.kind, file.outs[0].flags.cache) == ("metric", False)
    assert file.problems == ()


@pytest.mark.parametrize("rev", ["", "    rev: v1.2\n"])
def test_an_import_names_the_other_repository(rev: str) -> None:
    file = read(
        "frozen: true\ndeps:\n- path: models/m.pt\n  repo:\n    url: git@example.org:lab/m.git\n"
        f"{rev}    rev_lock: {COMMIT}\nouts:\n- md5: {MD5}\n  path: m.pt\n"
    )
    (dep,) = file.deps
    assert dep.repo is not None
    assert (dep.repo.url, dep.repo.rev_lock) == ("git@example.org:lab/m.git", COMMIT)
    assert dep.repo.rev == rev.strip().removeprefix("rev: ")
    assert (file.frozen, file.problems) == (True, ())


def test_a_commit_id_of_digits_is_text() -> None:
    file = read(
        "deps:\n- path: a\n  repo:\n    url: /repo\n    rev: 1234567\n"
        "    rev_lock: 1234567890123456789012345678901234567890\nouts:\n- path: a\n"
    )
    assert file.deps[0].repo is not None
    assert file.deps[0].repo.rev == "1234567"
    assert file.deps[0].repo.rev_lock == "1234567890123456789012345678901234567890"


def test_an_import_from_a_url_records_its_etag_and_version() -> None:
    file = read(
        "deps:\n- etag: AbC-1\n  size: 5\n  version_id: v7\n  path: s3://bucket/a\n"
        f"  hash: md5\nouts:\n- md5: {MD5}\n  hash: md5\n  path: a\n"
    )
    recorded = file.deps[0].recorded
    assert recorded is not None
    assert recorded.hash == RecordedHash("etag", "AbC-1")
    assert recorded.cloud is not None
    assert recorded.cloud.version_id == "v7"


def test_an_import_from_a_database_has_no_path() -> None:
    file = read(
        "deps:\n- db:\n    connection: lab\n    query: select 1\n    file_format: csv\n"
        f"outs:\n- md5: {MD5}\n  hash: md5\n  path: q.csv\n"
    )
    database = file.deps[0].database
    assert database is not None
    assert (database.connection, database.query, database.table) == ("lab", "select 1", "")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("outs: [", "valid YAML"),
        ("[]", "it holds no mapping"),
        ("outs: a", "it is not a list"),
        ("outs: [a]", "an entry is not a mapping"),
        (f"outs:\n- md5: {MD5}\n", "an entry has no path"),
        (f"outs:\n- path: a\n  hash: xxh\n  xxh: {MD5}\n", "the unknown hash kind 'xxh'"),
        (f"<<<<<<< HEAD\nouts:\n- md5: {MD5}\n=======\nouts: []\n>>>>>>> x\n", "conflict"),
        ("outs:\n- md5: \xff\n  path: [a]\n", "a path is a list"),
    ],
)
def test_what_is_wrong_is_named(text: str, named: str) -> None:
    (problem, *_) = read(text).problems
    assert named in problem.sentence
    assert problem.file == "data/x.dvc"


@pytest.mark.parametrize("text", ["", "{}", "# nothing\n", "outs:\n", "outs:\n- path: planned\n"])
def test_a_file_without_records_is_no_problem(text: str) -> None:
    assert read(text).problems == ()


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail(data: bytes) -> None:
    read_dot_dvc(data, "x.dvc")
    read_dot_dvc(b"outs:\n- path: a\n  md5: " + data, "x.dvc")
