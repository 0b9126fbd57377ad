"""What all tests share: real data beside the repository, a git that knows nobody, no colours."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from imgdata.testing.inveniordm import RealInvenio, serve_inveniordm
from imgdata.testing.lab import Lab, make_lab

pytest_plugins = ["imgdata.testing.servers"]

# On a busy machine any example may take longer than hypothesis allows it by default.
_PROFILE = settings.get_profile(settings.get_current_profile_name())
settings.register_profile("untimed", _PROFILE, deadline=None)
settings.load_profile("untimed")

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("IMGDATA_SHARED", REPOSITORY.parent / "shared"))


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"no {folder} beside the repository")
    return folder


@pytest.fixture(scope="session")
def samples() -> Path:
    """The real images; a test that asks for them is marked `samples`."""
    return _shared("samples")


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The real repositories with known lineage; marker `corpora`."""
    return _shared("corpora")


@pytest.fixture(scope="session")
def specs() -> Path:
    """The API descriptions of repositories; marker `specs`."""
    return _shared("specs")


@pytest.fixture(scope="session")
def inveniordm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealInvenio]:
    """A real InvenioRDM; tests that use it share the group `inveniordm`, and so the server."""
    uv = shutil.which("uv") or str(REPOSITORY / ".uv" / "bin" / "uv")
    instance = tmp_path_factory.mktemp("inveniordm")
    small = ("--max-files", "20", "--quota-bytes", "2000000")
    with serve_inveniordm(_shared("tools/inveniordm"), instance, uv, *small) as served:
        yield served


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test its own home: no user configuration, no credentials, a known git person."""
    home = tmp_path / ".home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.delenv("COLUMNS", raising=False)  # parallel runs set it to 80
    for name in [name for name in os.environ if name.startswith(("AWS_", "IMGDATA_"))]:
        if name != "IMGDATA_SHARED":
            monkeypatch.delenv(name)
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada Lovelace\n\temail = ada@lab.example\n[init]\n\tdefaultBranch = main\n"
    )


@pytest.fixture(scope="session")
def finished_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A small project with plate P1 added, run, pushed and committed; not to be changed."""
    lab = make_lab(tmp_path_factory.mktemp("finished") / "lab")
    lab.ok("add", "raw", lab.plate("P1"))
    lab.ok("run")
    lab.ok("push")
    lab.commit("One plate")
    return lab


@pytest.fixture
def lab(finished_lab: Lab, tmp_path: Path) -> Lab:
    """A copy of the small project to work on and to spoil."""
    return finished_lab.copy_to(tmp_path / "lab")


RUNS_STAGES = {"finished_lab"}
"""Fixtures that run a pipeline: tests that use them need the dvc program."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests whose fixtures run stages, so that `-m "not dvc"` leaves them out.

    The slow ones come first: a worker with a long test at the end keeps the other one waiting.
    """
    for item in items:
        if RUNS_STAGES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.dvc)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
