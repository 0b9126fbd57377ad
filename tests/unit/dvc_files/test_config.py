"""DVC's configuration: merged as DVC merges it, edited without touching the rest."""

from pathlib import Path

import pytest

from imgdata.dvc_files.config import Setting, edited_config, read_config, remote_section
from imgdata.errors import Exit, InvalidProjectError
from imgdata.testing.lab import Lab, make_lab


@pytest.fixture
def dvc_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `.dvc` folder on a machine without other configuration."""
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "user"))
    folder = tmp_path / "project" / ".dvc"
    folder.mkdir(parents=True)
    return folder


def test_without_a_file_the_defaults_are_dvcs(dvc_dir: Path) -> None:
    found = read_config(dvc_dir)
    assert found.cache_dir == dvc_dir / "cache"
    assert found.cache_types == ("reflink", "copy")
    assert (found.remotes, found.default_remote) == ({}, None)


def test_the_nearer_file_wins_option_by_option(dvc_dir: Path) -> None:
    for folder, text in (
        (dvc_dir.parents[1] / "system", "[core]\nremote = s\n[cache]\ntype = copy\n"),
        (dvc_dir.parents[1] / "user", "[core]\nremote = u\nsite_cache_dir = /site\n"),
    ):
        folder.mkdir()
        (folder / "config").write_text(text)
    (dvc_dir / "config").write_text("[core]\n    remote = p\n")
    (dvc_dir / "config.local").write_text("[cache]\n    type = hardlink,nonsense, copy\n")
    found = read_config(dvc_dir)
    assert found.default_remote == "p"
    assert found.cache_types == ("hardlink", "copy")
    assert found.site_cache_dir == Path("/site")


def test_local_paths_are_relative_to_the_file_that_names_them(dvc_dir: Path) -> None:
    (dvc_dir / "config").write_text(
        "['remote \"near\"']\n    url = ../../archive\n"
        "['remote \"far\"']\n    url = s3://bucket/x\n    profile = lab\n"
        "[cache]\n    dir = ../../shared\n"
    )
    found = read_config(dvc_dir)
    assert found.remotes["near"]["url"] == str(dvc_dir.parents[1] / "archive")
    assert found.remotes["far"] == {"url": "s3://bucket/x", "profile": "lab"}
    assert found.cache_dir == dvc_dir.parents[1] / "shared"


@pytest.mark.dvc
def test_what_dvc_writes_is_read(tmp_path: Path) -> None:
    lab: Lab = make_lab(tmp_path / "lab")
    for words in (
        ("remote", "add", "-d", "big", "s3://bucket/a b"),
        ("remote", "modify", "big", "endpointurl", "https://x:9000"),
        ("cache", "dir", "../other"),
        ("config", "cache.type", "symlink,copy"),
    ):
        assert lab.dvc(*words).status == 0
    found = read_config(lab.project / ".dvc")
    assert found.remotes["big"] == {"url": "s3://bucket/a b", "endpointurl": "https://x:9000"}
    assert found.default_remote == "big"
    assert found.cache_dir == tmp_path / "lab" / "other"
    assert found.cache_types == ("symlink", "copy")


@pytest.mark.parametrize("data", [b"[core\nremote = a\n", b"no section\n= 3", b"\xff\xfe[core]"])
def test_a_broken_file_is_a_sentence(dvc_dir: Path, data: bytes) -> None:
    (dvc_dir / "config").write_bytes(data)
    with pytest.raises(InvalidProjectError) as caught:
        read_config(dvc_dir)
    assert caught.value.exit_status is Exit.USAGE
    assert str(dvc_dir / "config") in caught.value.problem


def test_an_edit_keeps_comments_and_other_sections(tmp_path: Path) -> None:
    path = tmp_path / "config"
    text = "# ours\n[core]\n    remote = a  # why\n['remote \"a\"']\n    url = /x\n"
    path.write_text(text)
    section = remote_section("b")
    before, after = edited_config(path, [Setting(section, "url", "/größe y")])
    assert before == text
    assert after.startswith("# ours\n")
    assert "# why" in after
    path.write_text(after)
    assert read_config(tmp_path).remotes["b"]["url"] == "/größe y"
    again = edited_config(path, [Setting(section, "url", "/größe y")])
    assert again[0] == again[1]
    removed = edited_config(path, [Setting(section, "url", None)])[1]
    assert section not in removed
