"""dvc.lock: the quick way and the YAML parser agree; what is broken is named, not raised."""

import io
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from imgdata.dvc_files.lazy_lock import LazyLock
from imgdata.dvc_files.lock import (
    read_lock,
    read_lock_by_yaml,
)
from imgdata.dvc_files.lock_text import IrregularError, LockText
from imgdata.dvc_files.recorded import RecordedHash

MD5 = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"

GOLDEN_1 = f"""\
train:
  cmd: python train.py
  deps:
  - path: data
    md5: {MD5}.dir
  params:
    params.yaml:
      lr: 0.1
  outs:
  - path: model.pt
    md5: {OTHER}
"""
GOLDEN_2 = f"""\
schema: '2.0'
stages:
  train:
    cmd: python train.py --with-a-long-command data/raw/plate-1 data/masks/plate-1
      --and-more
    deps:
    - path: data
      md5: {MD5}.dir
      size: 300
      nfiles: 3
    - path: train.py
      md5: {OTHER}
      size: 20
      isexec: true
    params:
      params.yaml:
        lr: 0.1
        name: unet
    outs:
    - path: model.pt
      md5: {OTHER}
      size: 4
"""
GOLDEN_3 = f"""\
schema: '2.0'
stages:
  train@P1:
    cmd:
    - python train.py
    - 'echo "done: it"'
    deps:
    - path: data
      hash: md5
      md5: {MD5}.dir
      size: 300
      nfiles: 3
    outs:
    - path: model.pt
      hash: md5
      md5: {OTHER}
      size: 4
  report:
    cmd: make report
"""


GOLDEN_3_67 = f"""\
schema: '2.0'
datasets:
- name: plates
  type: url
  url: https://example.org/plates
stages:
  train:
    cmd: python train.py
    deps:
    - path: ds://plates
      dataset:
        name: plates
        url: https://example.org/plates
    outs:
    - path: model.pt
      hash: md5
      md5: {OTHER}
      size: 4
"""


def lock_of(entry: str) -> bytes:
    """A lock whose one stage `s` has these lines, indented by four."""
    lines = "".join(f"    {line}\n" for line in entry.splitlines())
    return f"schema: '2.0'\nstages:\n  s:\n{lines}".encode()


def sentences(data: bytes) -> list[str]:
    return [problem.sentence for problem in read_lock(data).problems]


def test_a_lock_of_dvc_1_has_its_stages_at_the_top() -> None:
    lock = read_lock(GOLDEN_1.encode())
    assert (lock.schema, list(lock.entries), lock.problems) == ("1.0", ["train"], ())
    assert lock.entries["train"].deps[0].hash == RecordedHash("md5-dos2unix", f"{MD5}.dir")
    assert dict(lock.entries["train"].params["params.yaml"]) == {"lr": 0.1}


def test_a_lock_of_dvc_2_records_md5_after_dos2unix() -> None:
    entry = read_lock(GOLDEN_2.encode()).entries["train"]
    assert entry.cmd == (
        "python train.py --with-a-long-command data/raw/plate-1 data/masks/plate-1 --and-more"
    )
    data, script = entry.deps
    assert (data.size, data.nfiles, data.isexec) == (300, 3, False)
    assert (script.isexec, script.hash) == (True, RecordedHash("md5-dos2unix", OTHER))
    assert dict(entry.params["params.yaml"]) == {"lr": 0.1, "name": "unet"}


def test_a_lock_of_dvc_3_names_the_hash() -> None:
    lock = read_lock(GOLDEN_3.encode())
    assert list(lock.entries) == ["train@P1", "report"]
    entry = lock.entries["train@P1"]
    assert entry.cmd == ("python train.py", 'echo "done: it"')
    assert entry.outs[0].hash == RecordedHash("md5", OTHER)
    assert entry.outs[0].hash.is_md5


def test_a_lock_of_dvc_3_67_may_hold_datasets() -> None:
    lock = read_lock(GOLDEN_3_67.encode())
    (dataset,) = lock.entries["train"].deps
    assert (dataset.path, dataset.hash, lock.problems) == ("ds://plates", None, ())


@pytest.mark.parametrize("text", [GOLDEN_2, GOLDEN_3])
def test_what_dvc_writes_is_read_without_a_yaml_parser(text: str) -> None:
    assert LockText(text.encode()).names == tuple(read_lock_by_yaml(text.encode()).entries)


@pytest.mark.parametrize("data", [b"", b"\n", b"---\n", b"{}", b"# nothing\n", b"null\n"])
def test_an_empty_lock_has_no_entries_and_no_problems(data: bytes) -> None:
    lock = read_lock(data)
    assert (dict(lock.entries), lock.problems) == ({}, ())


@pytest.mark.parametrize("data", [b"[]", b"text", b"3", b"schema: '2.0'\nstages: []\n"])
def test_a_lock_that_is_no_mapping_is_named(data: bytes) -> None:
    assert (dict(read_lock(data).entries), len(sentences(data))) == ({}, 1)


def test_an_unknown_schema_is_named_and_its_entries_read() -> None:
    data = GOLDEN_3.replace("'2.0'", "'3.0'").encode()
    assert list(read_lock(data).entries) == ["train@P1", "report"]
    assert sentences(data) == [
        "dvc.lock: it has the unknown schema '3.0'; DVC itself expects '2.0'"
    ]


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (f"- md5: {MD5}", "an entry has no path"),
        ("- path: a", "'a' has no checksum"),
        ("- path: a\n  md5: {a: 1}", "the md5 of 'a' is a mapping instead of text"),
        ("- path: a\n  md5: short", "the md5 of 'a' is not one: 'short'"),
        (f"- path: [a]\n  md5: {MD5}", "a path is a list"),
        (f"- path: a\n  md5: {MD5}\n  size: many", "the size of 'a' is text instead of a count"),
        (f"- path: a\n  md5: {MD5}\n  size: -1", "the size of 'a' is the number -1"),
        (f"- path: a\n  hash: sha256\n  sha256: {MD5}", "'a' has the unknown hash kind 'sha256'"),
        ("- just text", "an entry is text instead of a mapping"),
    ],
)
def test_one_bad_record_is_named_and_the_others_are_read(lines: str, named: str) -> None:
    body = "\n".join(f"{line}" for line in lines.splitlines())
    data = lock_of(f"cmd: x\nouts:\n{body}\n- path: good\n  hash: md5\n  md5: {OTHER}")
    entry = read_lock(data).entries["s"]
    assert entry.outs[-1].path == "good"
    assert any(named in sentence and "s.outs" in sentence for sentence in sentences(data))


def test_an_unknown_hash_is_kept_as_written() -> None:
    data = lock_of("cmd: x\nouts:\n- path: a\n  hash: blake3\n  blake3: abcdef")
    assert read_lock(data).entries["s"].outs[0].hash == RecordedHash("blake3", "abcdef")


@pytest.mark.parametrize(
    "value",
    ["12345678901234567890123456789012", "00000000000000000000000000000012",
     "1234567890123456789012345678e901", "0x345678901234567890123456789012"],
)  # fmt: skip
def test_a_hash_that_looks_like_a_number_is_read_as_text(value: str) -> None:
    data = lock_of(f"cmd: x\nouts:\n- path: a\n  md5: {value}\n  hash: md5")
    assert read_lock(data).entries["s"].outs[0].hash == RecordedHash("md5", value)


def test_things_outside_are_recorded_by_etag_or_checksum() -> None:
    data = lock_of(
        "cmd: x\ndeps:\n- path: s3://bucket/a\n  hash: md5\n  etag: '\"AbC\"'\n"
        "- path: hdfs://host/b\n  checksum: 00AA\n- path: remote://r/c\n  etag: e-2\n"
    )
    hashes = [dep.hash for dep in read_lock(data).entries["s"].deps]
    assert hashes == [
        RecordedHash("etag", '"AbC"'),
        RecordedHash("checksum", "00aa"),
        RecordedHash("etag", "e-2"),
    ]


def test_cloud_versions_are_read_with_the_folder_they_list() -> None:
    data = lock_of(
        "cmd: x\nouts:\n- path: d\n  hash: md5\n  files:\n"
        f"  - relpath: b.tif\n    md5: {MD5}\n    size: 2\n"
        "    cloud:\n      s3:\n        etag: e1\n        version_id: v1\n"
        f"  - relpath: a.tif\n    md5: {OTHER}\n    size: 3\n    version_id: v2\n"
    )
    (out,) = read_lock(data).entries["s"].outs
    assert (out.size, out.nfiles) == (5, 2)
    assert out.hash is not None
    assert out.hash.is_folder
    first, second = out.files
    assert first.cloud is not None
    assert second.cloud is not None
    assert (first.cloud.remote, first.cloud.version_id) == ("s3", "v1")
    assert (second.cloud.remote, second.cloud.version_id) == ("", "v2")


CONFLICT = f"""\
schema: '2.0'
stages:
  before:
    cmd: a
<<<<<<< HEAD
  ours:
    cmd: b
=======
  theirs:
    cmd: c
>>>>>>> branch
  inside:
    cmd: d
    outs:
    - path: x
      hash: md5
<<<<<<< HEAD
      md5: {MD5}
=======
      md5: {OTHER}
>>>>>>> branch
  after:
    cmd: e
    outs:
    - path: y
      hash: md5
      md5: {MD5}
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_merge_conflict_costs_only_the_entries_in_it(newline: str) -> None:
    data = CONFLICT.replace("\n", newline).encode()
    assert list(read_lock(data).entries) == ["before", "after"]
    named = {problem.unit for problem in read_lock(data).problems}
    assert named == {"", "ours", "theirs", "inside"}
    assert "merge conflict" in sentences(data)[0]


def test_a_byte_that_is_no_utf_8_costs_only_its_entry() -> None:
    data = GOLDEN_3.encode().replace(b"make report", b"make \xff")
    assert list(read_lock(data).entries) == ["train@P1"]
    assert any("dvc.lock, report" in line and "UTF-8" in line for line in sentences(data))


def test_an_entry_given_twice_is_left_out_and_named() -> None:
    data = (GOLDEN_3 + "  report:\n    cmd: other\n").encode()
    assert list(read_lock(data).entries) == ["train@P1"]
    assert any("more than once" in line for line in sentences(data))


def test_line_ends_of_windows_are_read_the_same() -> None:
    assert read_lock(GOLDEN_3.replace("\n", "\r\n").encode()) == read_lock(GOLDEN_3.encode())


def test_anchors_are_followed() -> None:
    data = (
        f"schema: '2.0'\nstages:\n  a:\n    cmd: x\n    deps: &d\n    - path: q\n      md5: {MD5}\n"
        "  b:\n    cmd: y\n    deps: *d\n"
    ).encode()
    lock = read_lock(data)
    assert lock.entries["b"].deps == lock.entries["a"].deps


def test_one_entry_is_found_without_reading_the_others() -> None:
    data = GOLDEN_3.encode()
    lock = LazyLock(data)
    assert lock.source("report") == b"  report:\n    cmd: make report\n"
    assert lock.source("train") is None
    assert lock.entry("train@P1") == read_lock(data).entries["train@P1"]
    assert lock.entry("train") is None


def test_entries_are_found_by_the_hash_or_path_they_mention() -> None:
    lock = LazyLock(GOLDEN_3.encode())
    assert lock.mentioning(OTHER) == ("train@P1",)
    assert lock.mentioning("model.pt") == ("train@P1",)
    assert lock.mentioning("nowhere") == ()
    assert LazyLock(CONFLICT.encode()).mentioning(MD5) == ("before", "after")


def written_by_dvc(stages: object) -> bytes:
    """The bytes DVC would write: ruamel.yaml, block style."""
    yaml = YAML()
    yaml.default_flow_style = False
    stream = io.StringIO()
    yaml.dump({"schema": "2.0", "stages": stages}, stream)
    return stream.getvalue().encode()


PLAIN = st.text(
    st.sampled_from("abz019_ -.:/#'\"&*!|>{}[]%@`,?~=+\\\n\téß日"), min_size=1, max_size=90
)
WORDS = st.sampled_from(
    ["true", "no", "1e5", "012", "null", "~", "2020-01-01", ".5", "<<", "-", "a: b", "x #y"]
)
TEXT = PLAIN | WORDS
HEX = st.text(st.sampled_from("0123456789e"), min_size=32, max_size=32) | st.text(
    st.sampled_from("0123456789abcdef"), min_size=32, max_size=32
)
RECORD = st.fixed_dictionaries(
    {"path": TEXT},
    optional={
        "hash": st.just("md5"),
        "md5": HEX | HEX.map("{}.dir".format),
        "size": st.integers(0, 2**60),
        "nfiles": st.integers(0, 10**6),
        "isexec": st.just(True),
    },
)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUE = SCALAR | st.lists(SCALAR, max_size=3) | st.dictionaries(TEXT, SCALAR, max_size=3)
ENTRY = st.fixed_dictionaries(
    {"cmd": TEXT | st.lists(TEXT, min_size=1, max_size=3)},
    optional={
        "deps": st.lists(RECORD, min_size=1, max_size=3),
        "params": st.dictionaries(TEXT, st.dictionaries(TEXT, VALUE, max_size=3), max_size=2),
        "outs": st.lists(RECORD, min_size=1, max_size=3),
    },
)


@given(st.dictionaries(TEXT, ENTRY, max_size=4))
def test_any_lock_dvc_can_write_is_read_the_same_both_ways(stages: dict[str, object]) -> None:
    data = written_by_dvc(stages)
    by_yaml = read_lock_by_yaml(data)
    assert read_lock(data) == by_yaml
    assert list(by_yaml.entries) == list(stages)
    lock = LazyLock(data)
    for name, entry in by_yaml.entries.items():
        assert lock.entry(name) == entry
        for record in (*entry.deps, *entry.outs):
            if record.hash is not None:
                assert name in lock.mentioning(record.hash.value)


@given(
    st.lists(
        st.sampled_from(
            GOLDEN_3.splitlines()
            + CONFLICT.splitlines()
            + ['"', "  - &a", '    cmd: "x', "  x: {", "\t"]
        ),
        max_size=30,
    ).map("\n".join)
)
def test_any_mixture_of_lines_is_read_the_same_both_ways(text: str) -> None:
    data = f"schema: '2.0'\nstages:\n{text}\n".encode()
    assert dict(read_lock(data).entries) == dict(read_lock_by_yaml(data).entries)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail(data: bytes) -> None:
    read_lock(data)
    read_lock(b"schema: '2.0'\nstages:\n  a:\n" + data)


@pytest.mark.corpora
def test_every_lock_of_every_commit_is_read_the_same_both_ways(
    corpora: Path, tmp_path: Path
) -> None:
    quick = entries = 0
    for bundle in sorted(corpora.glob("*.bundle")):
        folder = tmp_path / bundle.stem
        git("clone", "-q", "--bare", str(bundle), str(folder), cwd=tmp_path)
        objects = git("rev-list", "--all", "--objects", cwd=folder).decode()
        blobs = sorted(set(re.findall(r"^(\w+) (?:.*/)?dvc\.lock$", objects, re.MULTILINE)))
        for blob in blobs:
            data = git("cat-file", "blob", blob, cwd=folder)
            by_yaml = read_lock_by_yaml(data)
            assert read_lock(data) == by_yaml
            entries += len(by_yaml.entries)
            try:
                quick += len(LockText(data).names)
            except IrregularError:
                continue
    assert entries > 10_000
    assert quick == entries


def git(*args: str, cwd: Path) -> bytes:
    return subprocess.run(["git", *args], cwd=cwd, check=True, capture_output=True).stdout
