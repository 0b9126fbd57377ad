import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct

from imgdata.testing.faulty_proxy import Rule, Say, Truncate, every, faulty_proxy
from imgdata.testing.servers import BUCKET, S3Server
from tests.journeys.conftest import contents, replace

Command = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = [
    pytest.mark.samples,
    pytest.mark.dvc,
    pytest.mark.server,
    pytest.mark.xdist_group("nf1-s3"),
]


class Lab(Struct, frozen=True):
    """A project with raw on S3 and all else on disk, and the server."""

    project: Path
    server: S3Server
    prefix: str


@pytest.fixture(scope="module")
def lab(
    samples: Path,
    rclone_s3: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
    shell: Command,
) -> Lab:
    folder = tmp_path_factory.mktemp("nf1-s3")
    url = rclone_s3.fresh_url()
    shell.env.update(rclone_s3.environment)  # type: ignore[attr-defined] # set by the fixture
    shell(f"imgdata init pilot --yes --storage raw={url}", folder)
    project = folder / "pilot"
    replace(project / "imgdata.yaml", '"{plate}/{well}_{site}_{channel}.ome.tif"', "nf1")
    replace(
        project / "imgdata.yaml",
        f"    url: {url}",
        f"    url: {url}\n    endpoint_url: {rclone_s3.endpoint}",
    )
    replace(project / "params.yaml", "channel: DNA", "channel: DAPI")
    shell("imgdata storage apply --yes && git add -A && git commit -qm start", project)
    shell(f"imgdata add raw {samples}/nf1_plate2/images --unit Plate_2", project)
    shell("imgdata run single_cell_profiles && imgdata push && git commit -qm pushed", project)
    return Lab(project, rclone_s3, url.removeprefix(f"s3://{BUCKET}/"))


def test_the_server_holds_exactly_the_raw_level(lab: Lab) -> None:
    assert lab.server.folder is not None
    stored = [p for p in (lab.server.folder / lab.prefix).rglob("*") if p.is_file()]
    objects = [path for path in stored if path.parent.parent.name == "md5"]
    assert len(objects) == 15 + 1
    assert {path.name for path in stored if path not in objects} == {"imgdata-project.json"}


def test_a_fresh_clone_pulls_the_same_bytes(lab: Lab, tmp_path: Path, shell: Command) -> None:
    shell(f"git clone -q {lab.project} fresh", tmp_path)
    shell("imgdata pull", tmp_path / "fresh")
    for level in ("raw", "corrected", "masks", "single_cell_profiles"):
        assert contents(tmp_path / "fresh/data" / level) == contents(lab.project / "data" / level)


def test_plain_dvc_pulls_the_same_bytes(lab: Lab, tmp_path: Path, shell: Command) -> None:
    shell(f"git clone -q {lab.project} fresh", tmp_path)
    shell("dvc pull -q -R data/raw", tmp_path / "fresh")
    assert contents(tmp_path / "fresh/data/raw") == contents(lab.project / "data/raw")


def test_a_second_push_finds_everything_there(lab: Lab, shell: Command) -> None:
    said = json.loads(shell("imgdata push raw --json", lab.project).stdout)
    assert [(one["sent"], one["checked"], one["present"]) for one in said["results"]] == [
        (0, 0, 16)
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrongwrongwrong"}, "refuse"),
        ({"AWS_ACCESS_KEY_ID": "nobodynobody"}, "refuse"),
    ],
)
def test_a_wrong_key_is_a_sentence_and_exit_4(
    lab: Lab, tmp_path: Path, shell: Command, change: dict[str, str], words: str
) -> None:
    shell(f"git clone -q {lab.project} fresh", tmp_path)
    assignments = " ".join(f"{name}={value}" for name, value in change.items())
    said = shell(f"env {assignments} imgdata pull raw", tmp_path / "fresh", status=4)
    assert words in said.stderr
    for secret in (lab.server.secret_key, *change.values()):
        assert secret not in said.stdout + said.stderr


def test_no_secret_is_in_any_file_of_the_project(lab: Lab) -> None:
    secret = lab.server.secret_key.encode()
    found = [
        path for path in lab.project.rglob("*") if path.is_file() and secret in path.read_bytes()
    ]
    assert not found


@pytest.mark.parametrize(
    "rule",
    [
        every(20, Say(503, b"<Error><Code>SlowDown</Code></Error>", (("Retry-After", "1"),))),
        every(7, Truncate(1000), "GET"),
    ],
    ids=["slow down", "cut bodies"],
)
def test_a_bad_network_is_overcome(lab: Lab, tmp_path: Path, shell: Command, rule: Rule) -> None:
    shell(f"git clone -q {lab.project} fresh", tmp_path)
    fresh = tmp_path / "fresh"
    with faulty_proxy(lab.server.port, rule) as proxy:
        replace(fresh / "imgdata.yaml", lab.server.endpoint, proxy.endpoint)
        shell("imgdata pull raw", fresh)
    assert contents(fresh / "data/raw") == contents(lab.project / "data/raw")


def test_an_unreachable_server_is_a_sentence_and_a_rerun_goes_on(
    lab: Lab, tmp_path: Path, shell: Command
) -> None:
    shell(f"git clone -q {lab.project} fresh", tmp_path)
    fresh = tmp_path / "fresh"
    replace(fresh / "imgdata.yaml", lab.server.endpoint, "http://127.0.0.1:9")
    said = shell("imgdata pull raw", fresh, status=4).stderr
    assert "127.0.0.1:9" in said
    shell("git checkout -q imgdata.yaml && imgdata pull raw", fresh)
    assert contents(fresh / "data/raw") == contents(lab.project / "data/raw")
