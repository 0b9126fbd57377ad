"""YAML 1.2 as DVC reads it, and bounds against hostile texts."""

import contextlib
import datetime as dt
import io
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from imgdata.dvc_files.yaml12 import YamlError, read_yaml
from imgdata.dvc_files.yaml_loader import load, load_by_constructor, resolves_to_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("yes", "yes"), ("n", "n"), ("True", True), ("tRUE", "tRUE"),
        ("1:30", "1:30"), ("1e3", 1000.0), ("1e-3", 0.001), ("0o17", 15), ("017", 17),
        ("0x1F", 31), ("0b11", 3), ("1_000", 1000), ("+7", 7), ("-7", -7), (".5", 0.5),
        ("-.inf", -math.inf), ("~", None), ("", None), ("Null", None), ("nULL", "nULL"),
        ("2020-01-31", dt.date(2020, 1, 31)), ("=", "="), ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_plain_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert read_yaml(f"k: {text}") == {"k": value}


def test_hashes_and_paths_keep_their_text() -> None:
    assert read_yaml("{md5: 012, path: 2020-01-01, size: 012}") == {
        "md5": "012",
        "path": "2020-01-01",
        "size": 12,
    }


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"a: 1\na: 2\n", "line 2: the key 'a' is there twice"),
        (b"a: [", "line"),
        (b"a: \xff", "not UTF-8 text: byte 0xff in line 1"),
        (b"a: 1\n---\nb: 2\n", "document"),
        (b"!!python/object:os.system x", "tag"),
        (b"[" * 100_000, "nested more than 200 levels"),
        (b"- " * 100_000, "nested more than 200 levels"),
        (b"a: &a [*a]", "refers to itself"),
        (b"<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", "merge conflict markers"),
        (b"a: 99999-99-99\nb: 2020-99-99", "cannot be read"),
    ],
)
def test_what_is_no_good_yaml_is_an_error_in_words(data: bytes, named: str) -> None:
    with pytest.raises(YamlError, match=named):
        read_yaml(data)


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(YamlError, match="5000000"):
        read_yaml("\n".join(lines))


@given(st.text(st.sampled_from("0123456789abcdefxoEe+-_.:tTrRuUnNlLyY~<="), max_size=8))
def test_plain_scalars_are_read_as_ruamel_reads_them(text: str) -> None:
    try:
        wanted = YAML(typ="safe").load(io.StringIO(f"k: {text}\n"))
    except (YAMLError, ValueError, TypeError, IndexError):
        return
    got = read_yaml(f"k: {text}\n")
    assert repr(got) == repr(wanted)
    if isinstance(wanted, dict) and isinstance(wanted["k"], str):
        assert not resolves_to_text(text) or wanted["k"] == text


@given(st.text(max_size=100))
def test_no_text_makes_the_parser_fail_otherwise(text: str) -> None:
    with contextlib.suppress(YamlError):
        read_yaml(text)


PIECES = st.sampled_from(
    ["a", "1", "1e3", "on", "~", "md5", "path", "true", "2020-01-01", "|\n", ">-\n", "\n", "  "]
) | st.sampled_from([": ", ":\n", "- ", "    ", "[", "]", "{", "}", ", ", "'", '"', "#", "? "])


@given(st.lists(PIECES, max_size=25).map("".join))
def test_texts_without_anchors_are_built_the_same_both_ways(text: str) -> None:
    try:
        wanted = load_by_constructor(text)
    except (YAMLError, yaml.YAMLError, ValueError, TypeError):
        with pytest.raises((yaml.YAMLError, ValueError, TypeError)):
            load(text)
        return
    assert repr(load(text)) == repr(wanted)
