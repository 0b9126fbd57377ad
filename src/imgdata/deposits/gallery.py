"""Read the Cell Painting Gallery: `cpg:cpg0016[/source/batch/plate]` in its public bucket.

Source: documentation of broadinstitute/cellpainting-gallery (folder structure).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from msgspec.structs import replace

from imgdata.deposits import load_data
from imgdata.deposits.addresses import address_of
from imgdata.deposits.public_s3 import UnsignedS3
from imgdata.deposits.reading import by_name
from imgdata.deposits.web import PATIENT, Patience
from imgdata.errors import DamagedError, NothingFoundError, UsageError
from imgdata.model.public_data import PublicFile, PublicRecord

BUCKET = "cellpainting-gallery"
LICENSE = "CC0-1.0"
IMAGES, ILLUM, LOAD_DATA = "images", "illum", "load_data_csv"
SHOWN = 5
_PAGE = "https://registry.opendata.aws/cellpainting-gallery"


class Gallery:
    """The Cell Painting Gallery."""

    def __init__(self, endpoint: str = "", patience: Patience = PATIENT) -> None:
        self._s3 = UnsignedS3(endpoint, patience)

    def close(self) -> None:
        """Close the connections."""
        self._s3.close()

    def open(self, file: PublicFile, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """Open an object's bytes from an offset on."""
        return self._s3.open(file, start)

    def record(self, reference: str) -> PublicRecord:
        """Return one plate's images, illumination, load_data, metadata; less narrow, all below."""
        parts = reference.removeprefix("cpg:").strip("/").split("/")
        if not re.fullmatch(r"cpg\d{4}[a-z0-9_-]*", parts[0]) or "" in parts:
            msg = f"'{reference}' names no dataset of the Cell Painting Gallery"
            raise UsageError(msg, remedy="write it as cpg:cpg0016/source_4/BATCH/PLATE")
        dataset = self._one(self._s3.folders(BUCKET, parts[0]), parts[0], "")
        rest = parts[1:]
        remarks = ["cite the paper of this dataset too; its README names it"]
        if len(rest) < 3:  # noqa: PLR2004 - source, batch, plate
            below = "/".join([dataset.rstrip("/"), *rest])
            files = by_name(self._s3.below(BUCKET, f"{below}/"))
        else:
            files = by_name(self._plate(dataset, rest))
            files, noted = self._explained(files)
            remarks += noted
        if not files:
            msg = f"the gallery has nothing at {reference}"
            raise NothingFoundError(msg)
        name = dataset.rstrip("/")
        return PublicRecord(
            reference="cpg:" + "/".join([name, *rest]),
            source=f"s3://{BUCKET}/{'/'.join([name, *rest])}",
            title=f"Cell Painting Gallery {name} {'/'.join(rest)}".strip(),
            doi="",
            concept=name,
            version="",
            license=LICENSE,
            citation=f"Cell Painting Gallery, {name}. {_PAGE}",
            files=files,
            remarks=tuple(remarks),
            has_versions=False,
        )

    def _one(self, folders: list[str], wanted: str, above: str) -> str:
        """Return the folder that is called so, or whose name begins so and names a plate."""
        names = [folder[len(above) :].rstrip("/") for folder in folders]
        fits = [n for n in names if n == wanted] or [
            n for n in names if n.startswith((f"{wanted}-", f"{wanted}_"))
        ]
        if len(fits) != 1:
            many = f"{len(fits)} fit" if fits else "none fits"
            msg = f"'{wanted}' is not one folder of the gallery below '{above or BUCKET}': {many}"
            raise NothingFoundError(msg, cause="\n".join((fits or names)[:20]))
        return f"{above}{fits[0]}/"

    def _plate(self, dataset: str, rest: Sequence[str]) -> Iterator[PublicFile]:
        source, batch, plate = rest[:3]
        images = f"{dataset}{source}/images/{batch}/images/"
        folder = self._one(self._s3.folders(BUCKET, images), plate, images)
        yield from self._part(folder, IMAGES)
        workspace = f"{dataset}{source}/workspace"
        for where, name in (
            (f"{dataset}{source}/images/{batch}/illum/{plate}/", ILLUM),
            (f"{workspace}/load_data_csv/{batch}/{plate}/", LOAD_DATA),
            (f"{workspace}/metadata/{batch}/{plate}/", "metadata"),
            (f"{workspace}/metadata/platemaps/{batch}/", "metadata/platemaps"),
        ):
            for file in self._part(where, name):
                yield replace(file, describes_all=True)

    def _part(self, where: str, name: str) -> Iterator[PublicFile]:
        for file in self._s3.below(BUCKET, where):
            yield replace(file, name=f"{name}/{file.name}")

    def _explained(self, files: Sequence[PublicFile]) -> tuple[tuple[PublicFile, ...], list[str]]:
        """Return the files with what load_data says of them, and what it says that is not so."""
        table = load_data.choose(f for f in files if f.name.startswith(f"{LOAD_DATA}/"))
        if table is None:
            return tuple(files), ["the gallery has no load_data.csv of this plate"]
        try:
            with self._s3.open(table, 0) as chunks:
                said = load_data.read(chunks, packed=table.name.endswith(".gz"))
        except DamagedError as error:
            return tuple(files), [f"its load_data cannot be read: {error.problem}"]
        here = {file.name.rpartition("/")[2] for file in files}
        explained = tuple(
            replace(file, fields=said.fields.get(file.name.rpartition("/")[2], ()))
            for file in files
        )
        name = table.name.rpartition("/")[2]
        noted = [
            _missing(name, "images", said.fields.keys() - here),
            _missing(name, "illumination functions", said.illum - here),
        ]
        return explained, [text for text in noted if text]


def _missing(table: str, what: str, names: set[str] | frozenset[str]) -> str:
    if not names:
        return ""
    shown = sorted(name for name in names if name.isprintable())[:SHOWN]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{table} names {len(names)} {what} that are not there: {', '.join(shown)}{more}"


def open_gallery(_scheme: str, _reference: str) -> Gallery:
    """Return the Cell Painting Gallery, whatever S3 the lab itself has."""
    return Gallery(address_of("cpg", ""))
