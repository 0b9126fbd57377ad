"""The demo's chapter on publishing: the bulk profiles get a DOI from a server on this machine."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from imgdata.testing import small_inveniordm
from imgdata.testing.inveniordm import make_environment, serve_inveniordm

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("IMGDATA_SHARED", REPOSITORY.parent / "shared"))
TOKEN_NAME = "IMGDATA_LOCAL_TOKEN"  # noqa: S105 - the variable's name
CREATORS = "creators:\n  - name: Demo Person\n"
STUDY = "study:\n  description: A plate drawn by a script, to show how data are published.\n"


class Server(Struct, frozen=True):
    """Where the demo publishes: the address, a token, and what kind of server it is."""

    address: str
    token: str
    kind: str


@contextmanager
def local_server() -> Iterator[Server]:
    """Start a real InvenioRDM where it can be had, else the small one of imgdata's own tests."""
    tool = SHARED / "tools" / "inveniordm"
    with ExitStack() as stack:
        uv = shutil.which("uv") or str(REPOSITORY / ".uv" / "bin" / "uv")
        try:
            make_environment(tool / "requirements.txt", uv)
        except (OSError, subprocess.CalledProcessError):
            small = stack.enter_context(small_inveniordm.serve())
            kind = "a small server of imgdata's tests that answers as InvenioRDM does"
            yield Server(small.base, small_inveniordm.TOKEN, kind)
        else:
            instance = Path(stack.enter_context(TemporaryDirectory()))
            real = stack.enter_context(serve_inveniordm(tool, instance, uv))
            yield Server(real.address, real.token, "a real InvenioRDM, the software of Zenodo")


def publish_bulk_profiles(
    project: Path, heading: Callable[[str], None], shell: Callable[[str], None]
) -> None:
    """Publish one level, show its DOI, and bring it back from there."""
    heading("the bulk profiles are published, with a DOI")
    with local_server() as server:
        print(f"published on {server.kind}, on this machine; its DOIs resolve nowhere")
        _name_repository(project, server.address)
        os.environ[TOKEN_NAME] = server.token
        try:
            shell("git add metadata && git commit -qam 'Name a repository and describe the study'")
            shell("imgdata publish bulk_profiles --to local --dry-run")
            shell("imgdata publish bulk_profiles --to local")
            shell("imgdata publish bulk_profiles --to local --publish --yes")
            shell("git commit -qm 'Note the deposit'")
            shell("head -3 README.md")
            shell("imgdata whereis bulk_profiles")
            heading("and come back from there when nothing else has them")
            shell("rm -rf data/bulk_profiles .dvc/cache")
            shell("imgdata pull bulk_profiles --from local")
        finally:
            del os.environ[TOKEN_NAME]


def _name_repository(project: Path, address: str) -> None:
    """Write what a person would: where to publish, who made the data, what was studied."""
    settings = project / "imgdata.yaml"
    text = settings.read_text()
    repository = f'repositories:\n  local: {{url: "invenio:{address}"}}\n'
    text = text.replace("creators: []\n", CREATORS)
    settings.write_text(text.replace("\nstorages:\n", f"\n{repository}\nstorages:\n", 1))
    (project / "metadata" / "rembi.yaml").write_text(STUDY)
