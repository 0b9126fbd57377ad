"""What the command line says when it is asked for nothing, for help, or for a kind it lacks."""

import json
from pathlib import Path

import pytest

from imgdata.testing.small_project import call


@pytest.mark.parametrize("words", [(), ("storage",)])
def test_no_words_show_the_help_and_end_well(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = call(tmp_path, "imgdata", *words)
    assert done.stdout.startswith("Usage: imgdata")
    assert not done.stderr


@pytest.mark.parametrize("words", [(), ("status", "--help"), ("--version",)])
def test_with_json_a_text_is_one_document(tmp_path: Path, words: tuple[str, ...]) -> None:
    document = json.loads(call(tmp_path, "imgdata", *words, "--json").stdout)
    assert document["ok"]
    assert "imgdata" in document["results"][0]["text"]


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("gs://bucket/x", "dvc remote add cold gs://bucket/x"),
        ("azure://container/x", "dvc push -r cold"),
        ("webdavs://ada@host/x", "dvc remote add cold webdavs://"),
        ("rclone:onedrive:x", "rclone mount"),
    ],
)
def test_a_storage_without_a_backend_is_named_with_a_way_out(
    tmp_path: Path, url: str, remedy: str
) -> None:
    call(tmp_path, "imgdata", "init", "p", "--template", "minimal")
    done = call(tmp_path / "p", "imgdata", "storage", "add", "cold", url, check=False)
    assert done.returncode == 2
    assert "imgdata has no backend for" in done.stderr
    assert remedy in done.stderr


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        (("storage", "add", "--endpoint-url", "x"), "imgdata storage add --help"),
        (("push", "--nope"), "imgdata push --help"),
        (("sttus",), "imgdata --help"),
    ],
)
def test_a_word_that_is_not_understood_names_the_help_of_its_own_command(
    tmp_path: Path, words: tuple[str, ...], helps: str
) -> None:
    done = call(tmp_path, "imgdata", *words, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith(f"try:   {helps}\n")


@pytest.mark.parametrize("url", ["webdavs://ada:s3cret@host/x", "s3://AKIA:s3cret/x@bucket/x"])
def test_a_secret_in_the_url_of_a_storage_is_refused_and_told_to_nobody(
    tmp_path: Path, url: str
) -> None:
    call(tmp_path, "imgdata", "init", "p", "--template", "minimal")
    done = call(tmp_path / "p", "imgdata", "storage", "add", "cold", url, check=False)
    assert done.returncode == 2
    assert "does not belong in a url" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert "s3cret" not in (tmp_path / "p" / "imgdata.yaml").read_text()


def test_a_project_inside_another_git_repository_says_so(tmp_path: Path) -> None:
    """As in a clone of imgdata: `git clone pilot` fails there, for pilot is no repository."""
    call(tmp_path, "git", "init", "-q")
    inside = call(tmp_path, "imgdata", "init", "pilot", "--title", "x").stdout
    assert f"in the git repository {tmp_path}" in inside


def test_one_file_is_no_files(tmp_path: Path) -> None:
    (tmp_path / "b.tif").write_bytes(b"II*\0")
    said = call(tmp_path, "imgdata", "check", ".", check=False).stdout
    assert "1 file, 4 B, 1 other file\n" in said
