"""Two people on one S3 storage at once, and a server that asks everyone to slow down."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from imgdata.backends import open_storage
from imgdata.errors import Exit
from imgdata.ports import CanErase
from imgdata.testing.faulty_proxy import SLOWLY, Fault, Request, every, faulty_proxy
from imgdata.testing.servers import S3Server
from imgdata.testing.small_project import SmallProject, call, environment, write_random_plate
from tests.journeys.conftest import OnS3

pytestmark = [pytest.mark.dvc, pytest.mark.server]
FILES = 40


def stored(server: S3Server, url: str) -> dict[str, int]:
    """Return the size of every stored object by its key."""
    storage = open_storage("lab", url, {"endpoint_url": server.endpoint}, Path("/"))
    return {found.key: found.size for found in storage.list("files/md5")}


def cached(project: SmallProject) -> dict[str, int]:
    folder = project.root / ".dvc" / "cache"
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in (folder / "files" / "md5").glob("??/*")
    }


def test_two_clones_push_the_same_and_other_units_to_one_bucket(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    url = moto_s3.fresh_url()
    project = on_s3(url, moto_s3.endpoint)
    shared = write_random_plate(tmp_path / "new" / "P0", files=FILES, seed=1)
    project.imgdata("add", "raw", shared)
    project.commit("Add P0")
    other = project.clone(tmp_path / "other")
    shutil.copytree(project.root / ".dvc" / "cache", other.root / ".dvc" / "cache")
    for seed, (one, name) in enumerate(((project, "P1"), (other, "P2")), 2):
        source = write_random_plate(tmp_path / "new" / name, files=FILES, seed=seed)
        one.imgdata("add", "raw", source)
    running = [
        subprocess.Popen(
            ["imgdata", "push", "raw"],
            cwd=one.root,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for one in (project, other)
    ]
    for process in running:
        said = process.communicate(timeout=200)[0]
        assert process.returncode == 0, said
    assert stored(moto_s3, url) == {**cached(project), **cached(other)}
    for one in (project, other):
        one.commit("Push")
    other.git("pull", "--quiet", "--no-rebase", "--no-edit", "origin", "main")
    other.imgdata("pull", "raw")
    for name in ("P0", "P1", "P2"):
        call(tmp_path, "diff", "-r", tmp_path / "new" / name, other.root / "data" / "raw" / name)
    assert "in sync" in other.dvc("status", "-c", "-R", "data/raw").stdout
    again = other.imgdata("push", "raw").stdout
    assert again.count(f"{FILES + 1} were there") == 3, "what both clones noted counts together"
    assert "sent" not in again


def test_a_server_that_asks_to_slow_down_gets_pauses_and_everything_arrives(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    """Every twentieth request is answered 503 SlowDown with `Retry-After: 1` (ADR 0073)."""
    url = moto_s3.fresh_url()
    with faulty_proxy(moto_s3.port) as proxy:
        project = on_s3(url, proxy.endpoint)
        source = write_random_plate(tmp_path / "new" / "P1", files=FILES, seed=1)
        project.imgdata("add", "raw", source)
        slowed: list[Request] = []
        throttle = every(20, SLOWLY)

        def watched(request: Request) -> Fault | None:
            fault = throttle(request)
            slowed.extend([request] if fault else [])
            return fault

        proxy.rule = watched
        project.imgdata("push", "raw")
        assert slowed, "the push was throttled"
        assert stored(moto_s3, url).items() >= cached(project).items()
        project.commit("Push")
        pushed = len(slowed)
        clone = project.clone(tmp_path / "clone")
        clone.imgdata("pull", "raw")
        assert len(slowed) > pushed, "the pull was throttled"
    call(tmp_path, "diff", "-r", source, clone.root / "data" / "raw" / "P1")


def test_a_pull_asks_for_each_object_once_and_lists_nothing(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    with faulty_proxy(moto_s3.port) as proxy:
        project = on_s3(moto_s3.fresh_url(), proxy.endpoint)
        source = write_random_plate(tmp_path / "new" / "P1", files=FILES, seed=1)
        project.imgdata("add", "raw", source)
        project.imgdata("push", "raw")
        project.commit("Push")
        before = len(proxy.requests)
        clone = project.clone(tmp_path / "clone")
        clone.imgdata("pull", "raw")
        asked = proxy.requests[before:]
    call(tmp_path, "diff", "-r", source, clone.root / "data" / "raw" / "P1")
    assert [one.method for one in asked].count("GET") == FILES + 1
    assert len(asked) <= FILES + 3, "one look for the file list"
    assert not [one.path for one in asked if "list-type" in one.path]


def test_a_push_of_many_units_lists_the_bucket_once(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    with faulty_proxy(moto_s3.port) as proxy:
        project = on_s3(moto_s3.fresh_url(), proxy.endpoint)
        asked = []
        for name in ("P1", "P2", "P3", "P4"):
            plate = write_random_plate(tmp_path / "new" / name, files=FILES, seed=int(name[1]))
            project.imgdata("add", "raw", plate)
            if name in ("P1", "P4"):
                project.imgdata("push", "raw")
                before = len(proxy.requests)
                assert "sent" not in project.imgdata("push", "raw").stdout
                asked.append(len(proxy.requests) - before)
    assert asked[1] <= asked[0], "no more requests for four units than for one"


def test_a_drop_erases_several_objects_at_once_and_the_list_of_files_last(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    erased: list[str] = []
    together = threading.Barrier(2, timeout=20)

    def watched(request: Request) -> None:
        if request.method == "DELETE" and "/files/md5/" in request.path:
            erased.append(request.path)
            if len(erased) <= 2:
                together.wait()

    with faulty_proxy(moto_s3.port) as proxy:
        project = on_s3(moto_s3.fresh_url(), proxy.endpoint)
        plate = write_random_plate(tmp_path / "new" / "P1", files=4)
        project.imgdata("add", "raw", plate)
        project.imgdata("push", "raw", "--to", "lab", "--to", "archive")
        before = len(proxy.requests)
        project.imgdata("whereis", "raw", "--remote")
        asked = [one.method for one in proxy.requests[before:]]
        assert asked == ["GET", *["HEAD"] * 5], "the marker is asked for once"
        proxy.rule = watched
        project.imgdata("drop", "raw", "--from", "lab", "--yes")
    assert len(erased) == 5
    assert [path.endswith(".dir") for path in erased] == [False] * 4 + [True]


def test_what_is_missing_beside_its_file_list_is_named_and_the_rest_comes(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path
) -> None:
    url = moto_s3.fresh_url()
    project = on_s3(url, moto_s3.endpoint)
    source = write_random_plate(tmp_path / "new" / "P1", files=FILES, seed=1)
    project.imgdata("add", "raw", source)
    project.imgdata("push", "raw")
    project.commit("Push")
    storage = open_storage("lab", url, {"endpoint_url": moto_s3.endpoint}, Path("/"))
    gone = next(key for key in stored(moto_s3, url) if not key.endswith(".dir"))
    assert isinstance(storage, CanErase)
    storage.erase(gone)
    clone = project.clone(tmp_path / "clone")
    failed = clone.imgdata("pull", "raw", check=False)
    assert failed.returncode == Exit.DAMAGED
    assert "missing on lab" in failed.stderr
    assert len(list((clone.root / "data" / "raw" / "P1").iterdir())) == FILES - 1
