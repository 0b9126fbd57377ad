"""`imgdata storage add|list|test|apply` through the installed command, with the real dvc."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from imgdata.testing import programs
from imgdata.testing.servers import S3Server, free_port


class Lab(Struct, frozen=True):
    """A project and a person at its terminal."""

    root: Path
    environment: Mapping[str, str]

    def imgdata(self, *words: str, status: int = 0) -> str:
        return self._run("imgdata", words, status)

    def dvc(self, *words: str, status: int = 0) -> str:
        return self._run("dvc", words, status)

    def answer(self, *words: str, status: int = 0) -> dict[str, Any]:
        told = self.imgdata("--json", *words, status=status)
        document: dict[str, Any] = json.loads(told[told.index("{") :])
        return document

    def _run(self, program: str, words: tuple[str, ...], status: int) -> str:
        env = {**os.environ, **self.environment}
        done = programs.run(program, *words, cwd=self.root, env=env)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == status, f"{done.returncode}: {said}"
        return said

    def text(self, name: str) -> str:
        return (self.root / name).read_text()


@pytest.fixture(scope="session")
def made_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh project, made once; tests work in copies."""
    folder = tmp_path_factory.mktemp("made")
    Lab(folder, {"HOME": str(folder)}).imgdata("init", "nf1", "--template", "minimal")
    return folder / "nf1"


@pytest.fixture
def lab(made_project: Path, tmp_path: Path) -> Lab:
    (tmp_path / "nf1-archive").mkdir()
    return Lab(shutil.copytree(made_project, tmp_path / "nf1", symlinks=True), {})


@pytest.fixture
def on_s3(lab: Lab, moto_s3: S3Server) -> Lab:
    return Lab(lab.root, moto_s3.environment)


def add_words(server: S3Server, url: str, name: str = "lab-s3") -> tuple[str, ...]:
    return ("storage", "add", name, url, "--option", f"endpoint_url={server.endpoint}")


@pytest.mark.server
def test_a_storage_that_works_is_written_down_for_imgdata_and_dvc(
    on_s3: Lab, moto_s3: S3Server
) -> None:
    with (on_s3.root / "imgdata.yaml").open("a") as config:
        config.write("# a remark of ours\n")
    url = moto_s3.fresh_url()
    told = on_s3.imgdata(*add_words(moto_s3, url), "--level", "raw")
    for words in ("writes an object", "gives it back", "lists it", "erases it"):
        assert f"lab-s3: {words}" in told
    config_text = on_s3.text("imgdata.yaml")
    assert f"lab-s3:\n    url: {url}\n    endpoint_url: {moto_s3.endpoint}\n" in config_text
    assert "# a remark of ours" in config_text
    assert "storage: [archive, lab-s3]" in config_text
    assert url in on_s3.dvc("remote", "list").split()
    on_s3.dvc("status")
    listed = on_s3.answer("storage", "list")["results"]
    assert [one["levels"] for one in listed if one["storage"] == "lab-s3"] == [["raw"]]
    tried = on_s3.answer("storage", "test", "lab-s3")["results"]
    assert [step["step"] for step in tried[0]["steps"]] == ["write", "read", "list", "erase"]
    assert all(step["ok"] for step in tried[0]["steps"])


@pytest.mark.server
def test_adding_it_again_changes_nothing(on_s3: Lab, moto_s3: S3Server) -> None:
    words = add_words(moto_s3, moto_s3.fresh_url())
    on_s3.imgdata(*words)
    before = on_s3.text("imgdata.yaml"), on_s3.text(".dvc/config")
    on_s3.imgdata(*words)
    assert (on_s3.text("imgdata.yaml"), on_s3.text(".dvc/config")) == before
    on_s3.imgdata(*add_words(moto_s3, moto_s3.fresh_url()), status=2)


@pytest.mark.server
@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "the-wrong-SECRET"}, "credentials are refused"),
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODYKNOWSTHIS1"}, "credentials are refused"),
        ({"AWS_PROFILE": "nobody"}, "no profile 'nobody'"),
    ],
)
def test_refused_credentials_end_with_4_and_change_nothing(
    lab: Lab, moto_s3: S3Server, wrong: dict[str, str], word: str
) -> None:
    person = Lab(lab.root, {**moto_s3.environment, **wrong})
    before = person.text("imgdata.yaml"), person.text(".dvc/config")
    told = person.imgdata("--debug", *add_words(moto_s3, moto_s3.fresh_url()), status=4)
    assert word in told
    assert "the-wrong-SECRET" not in told
    assert moto_s3.secret_key not in told
    assert (person.text("imgdata.yaml"), person.text(".dvc/config")) == before


@pytest.mark.server
def test_a_bucket_one_may_only_read_is_told_before_anything_is_written_down(
    lab: Lab, moto_s3: S3Server
) -> None:
    reader = {
        "AWS_ACCESS_KEY_ID": moto_s3.reader_key,
        "AWS_SECRET_ACCESS_KEY": moto_s3.reader_secret,
    }
    told = Lab(lab.root, reader).imgdata(*add_words(moto_s3, moto_s3.fresh_url()), status=4)
    assert "permission denied" in told
    assert "lab-s3" not in lab.text("imgdata.yaml")


@pytest.mark.server
def test_another_projects_prefix_is_refused(tmp_path: Path, on_s3: Lab, moto_s3: S3Server) -> None:
    url = moto_s3.fresh_url()
    on_s3.imgdata(*add_words(moto_s3, url))
    Lab(tmp_path, {}).imgdata("init", "other", "--template", "minimal")
    other = Lab(tmp_path / "other", moto_s3.environment)
    told = other.imgdata(*add_words(moto_s3, url), status=5)
    assert "belongs to another project" in told
    assert "lab-s3" not in other.text("imgdata.yaml")


def test_a_server_that_is_not_there_is_told_and_a_dry_run_does_not_ask_it(lab: Lab) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    words = ("storage", "add", "far", "s3://b/x", "--option", f"endpoint_url={endpoint}")
    person = Lab(lab.root, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
    before = person.text("imgdata.yaml")
    planned = lab.imgdata(*words, "--dry-run")
    assert "+  far:" in planned
    assert person.text("imgdata.yaml") == before


@pytest.mark.dvc
def test_a_folder_becomes_a_storage_and_is_made(lab: Lab, tmp_path: Path) -> None:
    lab.imgdata("storage", "add", "disk", str(tmp_path / "disk"), "--level", "raw")
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["imgdata-project.json"]
    assert str(tmp_path / "disk") in lab.dvc("remote", "list")


@pytest.mark.parametrize("url", ["lab/nf1", "./inside", "data/raw/store"])
def test_a_folder_that_git_would_take_is_no_storage(lab: Lab, url: str) -> None:
    told = lab.imgdata("storage", "add", "disk", url, status=2)
    assert "lies in this project: git would take what is kept there" in told
    assert not (lab.root / url).exists()
    assert "disk:" not in lab.text("imgdata.yaml")


def test_a_folder_that_git_ignores_may_lie_in_the_project(lab: Lab) -> None:
    (lab.root / ".gitignore").write_text("/store/\n")
    lab.imgdata("storage", "add", "disk", "store")


@pytest.mark.dvc
def test_a_drive_never_enters_dvcs_configuration(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "drives" / "RED-07").mkdir(parents=True)
    person = Lab(lab.root, {"IMGDATA_DRIVES": str(tmp_path / "drives")})
    person.imgdata("storage", "add", "red-07", "drive:RED-07/nf1")
    assert "red-07" not in lab.text(".dvc/config")
    lab.dvc("status")
    told = lab.imgdata("storage", "test", "red-07", status=4)
    assert "drive RED-07 is not mounted" in told


def test_each_storage_that_fails_is_named(lab: Lab) -> None:
    text = lab.text("imgdata.yaml").replace(
        "storages:\n", "storages:\n  one: {url: /nowhere/one}\n  two: {url: /nowhere/two}\n", 1
    )
    (lab.root / "imgdata.yaml").write_text(text)
    told = lab.imgdata("storage", "test", status=4)
    assert "one: FAILED: the folder /nowhere/one is not there" in told
    assert "two: FAILED: the folder /nowhere/two is not there" in told


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("add", "Lab", "/x"), 2, "cannot be the name"),
        (("add", "none", "/x"), 2, "cannot be the name"),
        (("add", "lab", "s4://x/y"), 2, "did you mean 's3'"),
        (("add", "lab", "s3://x/y", "--option", "regin=a"), 2, "region"),
        (("add", "lab", "s3://x/y", "--option", "region"), 2, "KEY=VALUE"),
        (("add", "lab", "/x", "--level", "rao"), 2, "rao"),
        (("test", "nowhere"), 2, "'nowhere' is not a storage"),
    ],
)
def test_what_is_not_understood_ends_with_2(
    lab: Lab, words: tuple[str, ...], status: int, told: str
) -> None:
    before = lab.text("imgdata.yaml")
    assert told in lab.imgdata("storage", *words, status=status)
    assert lab.text("imgdata.yaml") == before


@pytest.mark.dvc
def test_leftovers_of_another_remote_that_break_dvc_are_taken_out(lab: Lab) -> None:
    """A remote that was ssh, one that is gone, and a storage DVC cannot speak to."""
    name = lab.answer("storage", "list")["results"][0]["storage"]
    local = lab.root / ".dvc" / "config.local"
    local.write_text(
        local.read_text()
        + f"['remote \"{name}\"']\n    password = HUSH\n    keyfile = /k\n"
        + "['remote \"gone\"']\n    secret_access_key = HUSH\n"
    )
    assert "configuration error" in lab.dvc("status", status=251)
    told = lab.imgdata("storage", "apply", "--yes")
    assert "password = ***" in told
    assert "HUSH" not in told
    lab.dvc("status")
    assert "HUSH" not in local.read_text()
    assert "site_cache_dir" in local.read_text()
