"""A cache that a group shares: `imgdata init --cache DIR`."""

import shutil
import stat
from pathlib import Path

import pytest

from imgdata.testing.lab import Answer, Lab
from imgdata.testing.programs import PROGRAMS


def in_private(lab: Lab, *words: str | Path) -> Answer:
    """Run imgdata as somebody whose umask lets nobody else in."""
    line = ["sh", "-c", 'umask 077; exec "$@"', "sh", PROGRAMS / "imgdata", *words]
    answer = lab.call(*line)
    assert answer.status == 0, answer.err + answer.out
    return answer


@pytest.fixture
def cache(lab: Lab) -> Path:
    """A shared cache that the project was given by the path as it was typed."""
    lab.ok("init", "--cache", "../shared/cache")
    return lab.base / "shared" / "cache"


def test_the_cache_is_made_for_the_group_where_it_was_named(lab: Lab, cache: Path) -> None:
    assert stat.S_IMODE(cache.stat().st_mode) == 0o2775
    assert lab.dvc("config", "cache.dir").out.strip() == str(cache)
    assert not lab.file("shared").exists()


def test_everybody_of_the_group_can_add_to_what_others_added(lab: Lab, cache: Path) -> None:
    in_private(lab, "add", "raw", lab.plate("P2"))
    in_private(lab, "add", "raw", lab.plate("P3").rename(lab.file("data/raw/P3")))
    folders = [path for path in cache.rglob("*") if path.is_dir()]
    assert len(folders) > 3
    for folder in folders:
        assert stat.S_IMODE(folder.stat().st_mode) & 0o2070 == 0o2070, folder
    assert lab.objects(cache)
    for path in lab.objects(cache).values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o444, path


def test_nothing_is_added_while_the_disk_of_the_cache_is_not_mounted(lab: Lab, cache: Path) -> None:
    shutil.rmtree(cache.parent)
    refused = lab.imgdata("add", "raw", lab.plate("P2"))
    assert refused.status == 8
    assert f"DVC's cache {cache} is not there" in refused.err
    assert not cache.parent.exists()
    assert not lab.file("data/raw/P2").exists()
