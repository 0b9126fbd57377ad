"""A plate larger than the laptop's disk goes from the microscope to S3, and leaves it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from imgdata.backends import open_storage
from imgdata.ports import CanErase
from imgdata.testing.servers import S3Server
from imgdata.testing.small_project import SmallProject, make_small_project, write_random_plate
from tests.journeys.conftest import contents

pytestmark = [pytest.mark.dvc, pytest.mark.server]
FILES = 12
LARGE = 20_000_000


@pytest.fixture
def url(moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of the server that nobody uses."""
    for name, value in moto_s3.environment.items():
        monkeypatch.setenv(name, value)
    return moto_s3.fresh_url()


@pytest.fixture
def project(url: str, moto_s3: S3Server, tmp_path: Path) -> SmallProject:
    """A project whose raw level is kept on S3."""
    made = make_small_project(tmp_path / "p")
    option = f"endpoint_url={moto_s3.endpoint}"
    made.imgdata("storage", "add", "lab", url, "--option", option)
    settings = made.root / "imgdata.yaml"
    settings.write_text(settings.read_text().replace("storage: [archive]", "storage: [lab]"))
    made.imgdata("storage", "apply", "--yes")
    made.commit("Keep everything on S3")
    return made


def results(project: SmallProject, *words: str | Path) -> Any:
    return json.loads(project.imgdata(*words, "--json").stdout)["results"]


def test_a_plate_is_streamed_resumed_pulled_and_moved(
    project: SmallProject, url: str, moto_s3: S3Server, tmp_path: Path
) -> None:
    source = write_random_plate(tmp_path / "microscope" / "P1", files=FILES)
    (source / "B03_1_DNA.ome.tif").write_bytes(bytes(range(250)) * (LARGE // 250))
    wanted = contents(source)
    sent, added = results(project, "add", "raw", source, "--to", "lab")
    assert (sent["sent"], added["nfiles"]) == (FILES + 2, FILES + 1)
    cached = list((project.root / ".dvc/cache/files/md5").glob("??/*"))
    assert [path.suffix for path in cached] == [".dir"]

    # As if it had been killed just before the end: one object and all memory of it are gone.
    project.git("reset", "--quiet", "--hard")
    project.git("clean", "--quiet", "--force", "-d")
    shutil.rmtree(project.root / ".dvc" / "cache")
    storage = open_storage("lab", url, {"endpoint_url": moto_s3.endpoint}, Path("/"))
    assert isinstance(storage, CanErase)
    large = next(one for one in storage.list("files/md5") if one.size == LARGE)
    storage.erase(large.key)
    assert not (project.root / "data" / "raw" / "P1.dvc").exists()
    again, _, moved = results(project, "add", "raw", source, "--to", "lab", "--move", "--yes")
    assert again["sent"] == 1
    assert again["checked"] + again["present"] == FILES + 1
    assert (moved["files"], moved["copies"]) == (FILES + 1, ["lab"])
    assert not source.exists()

    project.commit("Add P1")
    clone = project.clone(tmp_path / "clone")
    clone.dvc("pull", "data/raw/P1.dvc")
    assert contents(clone.root / "data" / "raw" / "P1") == wanted
    project.imgdata("pull", "raw")
    assert contents(project.root / "data" / "raw" / "P1") == wanted
