"""What a key may look like."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.errors import InvalidProjectError
from imgdata.storage.keys import check_folder, check_key, key_fault


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("/a", "absolute"),
        ("a/../b", "'..'"),
        ("..", "'..'"),
        ("a//b", "empty part"),
        ("a\\b", "backslash"),
        ("a\0", "control character"),
        ("\udc80", "Unicode"),
        ("ä" * 128, "longer than 255"),
        ("a/" * 460, "longer than 900"),
        ("a/.tmp-imgdata-1", "unfinished"),
    ],
)
def test_a_refused_key_comes_with_the_reason(key: str, reason: str) -> None:
    assert reason in key_fault(key)
    with pytest.raises(InvalidProjectError, match="cannot be the key"):
        check_key(key)


@given(st.text())
def test_an_accepted_key_stays_inside_any_root(key: str) -> None:
    if key_fault(key):
        return
    inside = PurePosixPath("/root") / key
    assert inside.is_relative_to("/root")
    assert ".." not in inside.parts
    assert str(inside) == f"/root/{key}"


def test_a_folder_may_end_with_a_slash_and_be_everything() -> None:
    assert check_folder("") == ""
    assert check_folder("a/b/") == "a/b"
    with pytest.raises(InvalidProjectError):
        check_folder("/")
