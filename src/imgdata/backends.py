"""The one table of backends: what exists, where its code is, what it needs.

Reading the table imports no backend. Others add rows through the entry point group
`imgdata.backends`, whose entries are `Backend` values.
"""

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from imgdata.errors import ImgdataError, InvalidProjectError, MachineError, UsageError
from imgdata.model.nearest import nearest
from imgdata.ports import CanReadBack, DepositService, PublicSource, Storage
from imgdata.system.installing import install_line

if TYPE_CHECKING:
    from imgdata.model.deposits import DepositRecord

Kind = Literal["storage", "repository", "source", "image", "report", "executor"]
ENTRY_POINTS = "imgdata.backends"


class Backend(Struct, frozen=True):
    """One row of the table.

    Attributes:
        kind: What it is a backend of.
        name: The url scheme or format name that chooses it.
        target: `module:function` that opens it; imported only then.
        summary: What it is, in a few words, for tables and messages.
        extra: The extra of imgdata that installs what it needs; None when nothing is needed.
        modules: The modules that must be importable for it.
        example: How its url is written.
    """

    kind: Kind
    name: str
    target: str
    summary: str
    extra: str | None = None
    modules: tuple[str, ...] = ()
    example: str = ""


def _source(name: str, target: str, summary: str, example: str) -> Backend:
    """Return a row of a place public data are read from."""
    return Backend(
        "source",
        name,
        f"imgdata.deposits.{target}",
        summary,
        extra="deposits",
        modules=("httpx",),
        example=example,
    )


def _web(scheme: str) -> Backend:
    """Return a row of web servers, which are only read."""
    return Backend(
        "storage",
        scheme,
        "imgdata.storage.web:open_web",
        "a web server that serves a DVC remote, read only",
        extra="deposits",
        modules=("httpx",),
        example=f"{scheme}://host/folder",
    )


BACKENDS: tuple[Backend, ...] = (
    Backend(
        "storage",
        "file",
        "imgdata.storage.local:open_local",
        "a folder or disk",
        example="/mnt/archive/nf1",
    ),
    Backend(
        "storage",
        "drive",
        "imgdata.storage.drive:open_drive",
        "an external drive, known by its label",
        example="drive:RED-07/nf1",
    ),
    Backend(
        "storage",
        "s3",
        "imgdata.storage.s3:open_s3",
        "Amazon S3 and what speaks like it",
        extra="s3",
        modules=("obstore",),
        example="s3://bucket/nf1",
    ),
    Backend(
        "storage",
        "ssh",
        "imgdata.storage.ssh:open_ssh",
        "a folder on another computer",
        extra="ssh",
        modules=("asyncssh",),
        example="ssh://cluster/scratch/nf1",
    ),
    _web("https"),
    _web("http"),
    Backend(
        "repository",
        "zenodo",
        "imgdata.deposits.invenio:open_zenodo",
        "Zenodo, or its sandbox",
        extra="deposits",
        modules=("httpx",),
        example="zenodo:sandbox",
    ),
    Backend(
        "repository",
        "invenio",
        "imgdata.deposits.invenio:open_invenio",
        "any InvenioRDM",
        extra="deposits",
        modules=("httpx",),
        example="invenio:https://data.university.example",
    ),
    Backend(
        "repository",
        "figshare",
        "imgdata.deposits.figshare:open_figshare",
        "Figshare and Figshare+",
        extra="deposits",
        modules=("httpx",),
        example="figshare:",
    ),
    Backend(
        "repository",
        "bia",
        "imgdata.deposits.bia:open_bia",
        "the BioImage Archive: a complete package and a checklist",
        example="bia:",
    ),
    _source(
        "zenodo", "public_records:open_zenodo_records", "public records of Zenodo", "zenodo:1234567"
    ),
    _source(
        "zenodo-sandbox",
        "public_records:open_zenodo_records",
        "public records of Zenodo's sandbox",
        "zenodo-sandbox:1234567",
    ),
    _source(
        "invenio",
        "public_records:open_invenio_records",
        "public records of any InvenioRDM",
        "invenio:https://HOST/records/ID",
    ),
    _source(
        "figshare",
        "public_records:open_figshare_records",
        "public articles of Figshare",
        "figshare:22233700",
    ),
    _source(
        "dryad",
        "dryad_records:open_dryad_records",
        "public datasets of Dryad",
        "dryad:10.5061/dryad.x",
    ),
    _source("bia", "bia_studies:open_bia", "studies of the BioImage Archive", "bia:S-BIAD634"),
    _source("idr", "idr:open_idr", "studies of the Image Data Resource", "idr:idr0033"),
    _source(
        "bbbc",
        "web_folders:open_bbbc",
        "sets of the Broad Bioimage Benchmark Collection",
        "bbbc:BBBC021",
    ),
    _source(
        "cpg",
        "gallery:open_gallery",
        "the Cell Painting Gallery",
        "cpg:cpg0016/source_4/BATCH/PLATE",
    ),
    _source("s3", "public_s3:open_s3", "public S3 buckets", "s3://bucket/folder"),
    _source(
        "https", "web_folders:open_web", "files and folders on the web", "https://HOST/folder/"
    ),
    _source("http", "web_folders:open_web", "files and folders on the web", "http://HOST/folder/"),
)

WITHOUT_BACKEND: Mapping[str, str] = {
    "gs": "Google Cloud",
    "azure": "Azure",
    "webdav": "WebDAV",
    "webdavs": "WebDAV",
    "gdrive": "Google Drive",
    "rclone": "rclone's remotes",
    "git": "git",
    "git-lfs": "Git LFS",
    "oss": "Alibaba's OSS",
    "hdfs": "Hadoop",
}
"""Kinds of storages that people name and that cannot be opened yet."""
DVC_SPEAKS = frozenset({"gs", "azure", "webdav", "webdavs", "gdrive", "oss", "hdfs"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def storage_scheme(url: str) -> str:
    """Return the scheme of a storage url; a plain path is `file`."""
    found = _SCHEME.match(url)
    return found.group(1).lower() if found else "file"


def backends(kind: Kind) -> dict[str, Backend]:
    """Return all backends of a kind by name, with those of other packages."""
    rows = [*BACKENDS, *_added()]
    return {row.name: row for row in reversed(rows) if row.kind == kind}


def open_storage(
    name: str,
    url: str,
    options: Mapping[str, object],
    project_root: Path,
    *,
    secrets: Mapping[str, str] | None = None,
) -> Storage:
    """Open a configured storage. No request is made.

    Args:
        name: Its name in imgdata.yaml, for messages.
        url: Where it is; the scheme chooses the backend.
        options: The other keys it has in imgdata.yaml.
        project_root: Where relative paths start.
        secrets: What DVC's configuration outside git holds for a remote, by DVC's names; only
            kinds that know such are given any.

    Raises:
        InvalidProjectError: The url or an option is not understood.
        MachineError: A part of imgdata that this storage needs is not installed.
        CredentialsError: No credentials were found.
    """
    more = {"secrets": secrets} if secrets else {}
    opened: Storage = load(_storage_backend(name, url))(name, url, options, project_root, **more)
    return opened


def open_repository(name: str, url: str) -> DepositService:
    """Open a configured data repository. No request is made and no token is needed.

    Args:
        name: Its name in imgdata.yaml, for messages.
        url: What and where it is; the scheme chooses the backend.

    Raises:
        InvalidProjectError: The url is not understood.
        MachineError: A part of imgdata that this repository needs is not installed.
    """
    scheme = url.partition(":")[0].lower()
    known = backends("repository")
    if scheme not in known:
        msg = f"repository '{name}': imgdata cannot deposit in '{scheme}:'"
        raise InvalidProjectError(msg, cause=f"known are {', '.join(sorted(known))}")
    opened: DepositService = load(known[scheme])(name, url)
    return opened


class ProjectDeposits(Struct, frozen=True):
    """Opens what a project has published.

    Attributes:
        scratch: Where a pack is kept while its server gives it as a whole only.
    """

    scratch: Path

    def address(self, name: str, url: str) -> str:
        """Return the service's address, or an empty text where its backend is not installed."""
        try:
            return open_repository(name, url).address
        except ImgdataError:
            return ""

    def open(self, name: str, url: str, records: "Sequence[DepositRecord]") -> Storage:
        """Return published deposits as a storage that only lets itself be read.

        The token is looked for only when the public may not read.

        Raises:
            UsageError: Nothing can be read back from this repository by program.
        """
        from imgdata.system.credentials import find_token  # noqa: PLC0415 - rarely needed
        from imgdata.transfer.deposit_copy import DepositStorage, Visit  # noqa: PLC0415 - as above

        service = open_repository(name, url)
        public = service.connect(None)
        if not isinstance(public, CanReadBack):
            msg = f"imgdata cannot read back what is published on '{name}'"
            raise UsageError(msg, remedy=f"see {records[-1].url}")

        @cache
        def account() -> CanReadBack | None:
            token = find_token(name)
            if token is None:
                return None
            found = service.connect(token)
            return found if isinstance(found, CanReadBack) else None

        return DepositStorage(name, records, Visit(public, account), self.scratch)


def open_source(reference: str) -> PublicSource:
    """Open the place a reference such as `zenodo:1234567` names. No request is made.

    Raises:
        UsageError: No place is called so.
        MachineError: A part of imgdata that this place needs is not installed.
    """
    scheme = reference.partition(":")[0].lower()
    known = backends("source")
    if scheme not in known:
        msg = f"'{reference}' names nothing imgdata can import"
        examples = "\n".join(row.example for row in known.values())
        raise UsageError(msg, cause=f"references look like\ndoi:10.5281/zenodo.1\n{examples}")
    opened: PublicSource = load(known[scheme])(scheme, reference)
    return opened


def load(backend: Backend) -> Callable[..., Any]:
    """Import a backend's function.

    Raises:
        MachineError: Its extra is not installed.
    """
    missing = [name for name in backend.modules if importlib.util.find_spec(name) is None]
    if missing:
        msg = f"{backend.summary} ('{backend.name}') needs a part of imgdata that is not installed"
        raise MachineError(
            msg,
            cause=f"missing: {', '.join(missing)}",
            remedy=install_line(f"imgdata[{backend.extra}]"),
        )
    module, _, attribute = backend.target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return function


def _storage_backend(name: str, url: str) -> Backend:
    scheme = storage_scheme(url)
    own = {row.name: row for row in BACKENDS if row.kind == "storage"}
    if scheme in own:
        return own[scheme]
    # Other packages are asked only for what imgdata itself does not know: it costs a search.
    known = backends("storage")
    if scheme in known:
        return known[scheme]
    if scheme in WITHOUT_BACKEND:
        raise _without_backend(name, url, scheme)
    near = nearest(scheme, known)
    hint = f"did you mean '{near[0]}', as in {known[near[0]].example}?" if near else ""
    msg = f"storage '{name}': imgdata knows no storage '{scheme}:'"
    raise InvalidProjectError(
        msg,
        cause=f"known are {', '.join(sorted(known))}, and plain paths",
        remedy=hint,
    )


def _without_backend(name: str, url: str, scheme: str) -> InvalidProjectError:
    """Say what to do with a kind of place that has no backend."""
    remedy = "mount it as a folder, for example with rclone mount, and give the folder's path"
    if scheme in DVC_SPEAKS:
        shown = url if "@" not in url else f"{scheme}://..."
        remedy += f"\nor leave it to plain DVC: dvc remote add {name} {shown}; dvc push -r {name}"
    return InvalidProjectError(
        f"storage '{name}': imgdata has no backend for {WITHOUT_BACKEND[scheme]} ('{scheme}:')",
        cause=f"it has backends for {', '.join(sorted(backends('storage')))}, and plain paths",
        remedy=remedy,
    )


def _added() -> list[Backend]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, rarely needed

    loaded = [entry.load() for entry in entry_points(group=ENTRY_POINTS)]
    return [row for row in loaded if isinstance(row, Backend)]
