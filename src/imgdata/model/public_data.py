"""Public data to bring in: a record of a repository, a folder on the web, a plate in a bucket."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublicFile:
    """One file of a public record.

    Attributes:
        name: Relative path, `/` between parts; already known to be safe below a folder.
        url: Where its bytes are read.
        size: Bytes; None where the source does not say.
        checksum: `md5:<hex>` or `sha256:<hex>`; empty where the source gives none.
    """

    name: str
    url: str
    size: int | None
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class PublicRecord:
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

    @property
    def size(self) -> int | None:
        """Bytes of all files; None when one of them is not known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


@dataclass(frozen=True, slots=True)
class Fetched:
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


@dataclass(frozen=True, slots=True)
class NotFetched:
    """The file could not be brought here; `problem` and `cause` say why."""

    file: PublicFile
    problem: str
    cause: str = ""


FetchOutcome = Fetched | NotFetched
