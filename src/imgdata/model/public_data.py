"""Public data to bring in: a record of a repository, a folder on the web, a plate in a bucket."""

import hashlib

from msgspec import Struct


class PublicFile(Struct, frozen=True):
    """One file of a public record.

    Attributes:
        name: Relative path, `/` between parts; not yet known to be safe.
        url: Where its bytes are read.
        size: Bytes; None where the source does not say.
        checksum: `md5:<hex>` or `sha256:<hex>`; empty where the source gives none.
        stamp: What else changes when the content does, as an ETag; empty where there is none.
        fields: What the source says of the image, as `(("well", "B03"),)`.
        describes_all: It describes the record as a whole, as a plate's load_data does; it comes
            along with whatever part of the images is selected.
    """

    name: str
    url: str
    size: int | None
    checksum: str = ""
    stamp: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    describes_all: bool = False


class PublicRecord(Struct, frozen=True):
    """What one reference names, pinned to a version.

    Attributes:
        reference: The pinned reference, as `zenodo:1234567`; never a concept id.
        source: The page a person opens, or the DOI as a URL.
        title: Plain text.
        doi: Of this version, or empty.
        concept: The id all versions share, or empty.
        version: As the source calls it, or empty.
        license: SPDX id, or the source's own words; empty when it states none.
        citation: How to cite it, one line; may be empty.
        files: Sorted by name.
        remarks: What a person should know, one sentence each.
        has_versions: Whether the reference names one version for ever; else what the place lists
            may change.
    """

    reference: str
    source: str
    title: str
    doi: str
    concept: str
    version: str
    license: str
    citation: str
    files: tuple[PublicFile, ...]
    remarks: tuple[str, ...] = ()
    has_versions: bool = True

    @property
    def size(self) -> int | None:
        """Bytes of all files; None when one of them is not known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def listing(self) -> str:
        """A digest of names, sizes and checksums: it changes when what the place has changes."""
        lines = [
            f"{file.name}\0{file.size}\0{file.checksum}\0{file.stamp}\n" for file in self.files
        ]
        text = "".join([self.reference, "\n", *lines])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Fetched(Struct, frozen=True):
    """The file was brought here.

    Attributes:
        file: What was asked for.
        md5: Of the bytes on disk.
        sha256: Of the bytes on disk.
        size: Bytes.
        checked: True when the source's own checksum agrees; False when the checksum is trusted
            on first use.
    """

    file: PublicFile
    md5: str
    sha256: str
    size: int
    checked: bool


class NotFetched(Struct, frozen=True):
    """The file could not be brought here; `problem` and `cause` say why.

    Attributes:
        file: What was asked for.
        problem: One sentence.
        cause: Why, or empty.
        remedy: What to do, or empty.
        needs_account: The source gives it to accounts only.
    """

    file: PublicFile
    problem: str
    cause: str = ""
    remedy: str = ""
    needs_account: bool = False


FetchOutcome = Fetched | NotFetched


class Newest(Struct, frozen=True):
    """There is no newer version, or the place lists what it listed then."""

    level: str
    unit: str
    reference: str


class Newer(Struct, frozen=True):
    """There is a newer version, with its pinned reference."""

    level: str
    unit: str
    reference: str
    newest: str


class ChangedThere(Struct, frozen=True):
    """A place without versions lists other files now; `changes` says which, one a line."""

    level: str
    unit: str
    reference: str
    changes: tuple[str, ...]


class NotAsked(Struct, frozen=True):
    """The source could not be asked; `problem` says why."""

    level: str
    unit: str
    reference: str
    problem: str


Update = Newest | Newer | ChangedThere | NotAsked
