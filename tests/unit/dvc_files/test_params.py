"""Parameter files of all four formats; Python is parsed, never run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.dvc_files.params import ParamsError, parse_params, read_params
from imgdata.testing.memory_tree import MemoryTree

PYTHON = """\
import os
LR: float = 0.1
NAMES = ["a", "b"]
BOTH = {"x": (1, 2), 3: None}
A = B = 1
COMPUTED = 2 * 3
os.environ["HOME"] = "x"
raise SystemExit("this file was run")

class Net:
    depth = 3
    def __init__(self):
        self.width = -4
        local = 5
        other.name = 6

def function():
    inner = 7
"""


def test_a_python_file_is_read_without_being_run() -> None:
    assert parse_params(PYTHON.encode(), "p.py") == {
        "LR": 0.1,
        "NAMES": ["a", "b"],
        "BOTH": {"x": (1, 2), 3: None},
        "Net": {"depth": 3, "width": -4},
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("p.yaml", "a: {b: [1, 2]}\n"),
        ("p.yml", "{a: {b: [1, 2]}}"),
        ("p", "a:\n  b: [1, 2]\n"),
        ("p.json", '{"a": {"b": [1, 2]}}'),
        ("p.TOML", "[a]\nb = [1, 2]\n"),
        ("p.py", "a = {'b': [1, 2]}\n"),
    ],
)
def test_values_are_found_by_dotted_keys(path: str, text: str) -> None:
    tree = MemoryTree({path: text})
    assert read_params(tree, path, ["a.b", "a.b.1", "no", "a.b.7"]) == {"a.b": [1, 2], "a.b.1": 2}
    assert read_params(tree, path, ["a.*"]) == {"a.b": [1, 2]}
    assert read_params(tree, path) == {"a": {"b": [1, 2]}}


@pytest.mark.parametrize("path", ["p.yaml", "p.json", "p.toml", "p.py"])
def test_an_empty_file_has_no_values(path: str) -> None:
    assert read_params(MemoryTree({path: ""}), path, ["a"]) == {}


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        ("p.yaml", "a: [", "not valid YAML"),
        ("p.yaml", "[1]", "list instead of a mapping"),
        ("p.json", "{", "not valid JSON"),
        ("p.toml", "a = ", "not valid TOML"),
        ("p.toml", b"a = '\xff'", "not valid TOML"),
        ("p.py", "def", "not valid PY"),
        ("p.py", b"\xff\0", "not valid PY"),
        ("p.json", "[" * 100_000, "not valid JSON"),
    ],
)
def test_a_broken_file_is_an_error_in_words(path: str, text: str | bytes, named: str) -> None:
    with pytest.raises(ParamsError, match=named):
        read_params(MemoryTree({path: text}), path)


def test_a_missing_file_is_an_error_in_words() -> None:
    tree = MemoryTree({"folder/x": ""})
    with pytest.raises(ParamsError, match=r"'p\.yaml' does not exist"):
        read_params(tree, "p.yaml")
    with pytest.raises(ParamsError, match="'folder' is a folder"):
        read_params(tree, "folder")


@given(st.sampled_from(["p.yaml", "p.json", "p.toml", "p.py"]), st.binary(max_size=100))
def test_no_bytes_make_the_reader_fail_otherwise(path: str, data: bytes) -> None:
    try:
        parse_params(data, path)
    except ParamsError as error:
        assert path in str(error)
