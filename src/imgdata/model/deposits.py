"""Deposits in data repositories: what is described, sent, remembered and limited."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path

from msgspec import Struct, field

REMBI = "metadata/rembi.yaml"
"""Where answers lie that `imgdata describe` asks for."""


class Creator(Struct, frozen=True):
    """A person or organisation to be cited.

    Attributes:
        name: `Family, Given` for a person; an organisation's name as it stands.
        orcid: 16 digits as `0000-0002-1825-0097`, or empty.
        affiliation: Name of the institution, or empty.
        is_person: False for an organisation.
    """

    name: str
    orcid: str = ""
    affiliation: str = ""
    is_person: bool = True

    @property
    def family(self) -> str:
        """The part of the name a bibliography sorts by."""
        return self.name.partition(",")[0].strip()

    @property
    def given(self) -> str:
        """The other names, or empty."""
        return self.name.partition(",")[2].strip()


class Related(Struct, frozen=True):
    """Another work this deposit stands in relation to.

    Attributes:
        identifier: A DOI (`10.x/...`) or an https URL.
        relation: DataCite's relationType, as `IsDerivedFrom`.
    """

    identifier: str
    relation: str

    @property
    def scheme(self) -> str:
        """`doi` or `url`."""
        return "doi" if self.identifier.startswith("10.") else "url"


class DepositMetadata(Struct, frozen=True):
    """The description of a deposit, after DataCite 4.5; every repository's form is made from it.

    Attributes:
        title: Three characters or more.
        creators: In the order of citation.
        description: Plain text, paragraphs separated by an empty line.
        license: SPDX id, as `CC-BY-4.0`.
        published: The date of publication, UTC.
        publisher: The repository's name.
        keywords: Free subjects.
        version: Of the data, as `v1.2`; may be empty.
        related: Papers, sources, code.
        answers: REMBI and MIFA answers by dotted name, as `specimen.organism`.

    Source: DataCite Metadata Schema 4.5, https://doi.org/10.14454/g8e5-6293.
    """

    title: str
    creators: tuple[Creator, ...]
    description: str
    license: str
    published: date
    publisher: str = ""
    keywords: tuple[str, ...] = ()
    version: str = ""
    related: tuple[Related, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()

    def answer(self, name: str) -> str:
        """Return the answer of that dotted name, or an empty text."""
        return dict(self.answers).get(name, "")


class Visibility(StrEnum):
    """Who may read the files of a published deposit. Its description is always public."""

    OPEN = "open"
    EMBARGOED = "embargoed"
    RESTRICTED = "restricted"


class Access(Struct, frozen=True):
    """Who may read the files, and until when not.

    Attributes:
        visibility: Open, embargoed or restricted.
        until: The first day on which embargoed files are open; None unless embargoed.
    """

    visibility: Visibility = Visibility.OPEN
    until: date | None = None

    def __post_init__(self) -> None:
        if (self.visibility is Visibility.EMBARGOED) != (self.until is not None):
            msg = "an embargo has an end date, and only an embargo has one"
            raise ValueError(msg)


OPEN = Access()


class Description(Struct, frozen=True):
    """What a repository says of a deposit, read back: as imgdata or a person wrote it there.

    Attributes:
        title: Of the deposit.
        creators: Names, in the order of citation.
        license: As the repository names it.
        access: Who may read the files.
        version: Of the data; empty where it states none.
        fields: A digest of every field of the repository's own form by its name, so that what a
            person changed there is noticed, also in fields imgdata does not know.
    """

    title: str = ""
    creators: tuple[str, ...] = ()
    license: str = ""
    access: Access = OPEN
    version: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    def changed_since(self, before: "Description") -> tuple[str, ...]:
        """Return the names of the fields that differ; none where nothing was known before."""
        if not before.fields:
            return ()
        now, then = dict(self.fields), dict(before.fields)
        return tuple(name for name in sorted({*now, *then}) if now.get(name) != then.get(name))


UNTOLD = Description()


class DepositLimits(Struct, frozen=True):
    """What one record of a repository can hold. Bytes; None: no published limit.

    Attributes:
        files: Number of files.
        total: Bytes of all files together.
        file: Bytes of one file.
        note: Where the limit comes from, and what to do beyond it.
    """

    files: int | None
    total: int | None
    file: int | None
    note: str = ""


class LevelFile(Struct, frozen=True):
    """One file of a level, as the project has it.

    Attributes:
        level: Level's name.
        unit: Unit's name; empty for a level tracked as a whole.
        path: Relative to the project, `/` between parts.
        local: Absolute path of bytes to read (workspace or cache); empty where they are not here.
        size: Bytes; a share of the unit's where the file is not here.
        md5: As recorded; what is read must agree with it.
    """

    level: str
    unit: str
    path: str
    local: str
    size: int
    md5: str


class ListedFile(Struct, frozen=True):
    """A file of a level and what its name means, as `{"well": "B07", "channel": "DAPI"}`."""

    file: LevelFile
    fields: Mapping[str, str]


class PackFormat(StrEnum):
    """What a pack is: a zip, a tar, or a zip that is one OME-Zarr hierarchy."""

    ZIP = "zip"
    TAR = "tar"
    OZX = "ozx"


class Packing(StrEnum):
    """How a level's files travel: each unit packed, nothing packed, or folders as they are."""

    ZIP = "zip"
    TAR = "tar"
    NONE = "none"
    FOLDERS = "folders"


class PlannedPack(Struct, frozen=True):
    """Files that travel as one.

    Attributes:
        name: The pack's file name in the deposit.
        level: Level's name.
        unit: Unit's name, empty when the pack holds several.
        files: What it holds, sorted by path.
        size: Bytes of the pack; exact.
        format: Zip, tar, or the zip of one OME-Zarr.
        root: The folder that members' names start below: an OME-Zarr's own; empty for paths of
            the project.
        ome_version: Of the OME-Zarr, for its zip.
    """

    name: str
    level: str
    unit: str
    files: tuple[LevelFile, ...]
    size: int
    format: PackFormat = PackFormat.ZIP
    root: str = ""
    ome_version: str = ""

    def inside(self, path: str) -> str:
        """Return a file's name in the pack."""
        return path[len(self.root) + 1 :] if self.root else path


class PlannedFile(Struct, frozen=True):
    """One file that travels as it is; `name` is its name in the deposit."""

    name: str
    file: LevelFile

    @property
    def size(self) -> int:
        """Bytes."""
        return self.file.size


PlannedItem = PlannedPack | PlannedFile


class HeldBack(Struct, frozen=True):
    """Files that may not leave.

    Attributes:
        level: Level's name.
        unit: Unit's name.
        files: Number of files.
        reason: In words, with the origin's name.
    """

    level: str
    unit: str
    files: int
    reason: str


class Question(Struct, frozen=True):
    """Something only a person can answer.

    Attributes:
        name: Dotted name, as `creators` or `specimen.organism`.
        text: The question.
        where: The file the answer belongs in.
        required: The repository refuses the deposit without it.
    """

    name: str
    text: str
    where: str
    required: bool


class Lacking(Struct, frozen=True):
    """Files that are to go and are not here: brought from a copy before they are sent.

    Attributes:
        level: Level's name.
        unit: Unit's name.
        files: Number of files.
        size: Bytes; a share of the unit's where a part of it is here.
        places: Storages and repositories to ask, in this order.
        is_listed: Whether their names are known here.
    """

    level: str
    unit: str
    files: int
    size: int
    places: tuple[str, ...]
    is_listed: bool


class DepositPlan(Struct, frozen=True):
    """What one deposit would hold, decided without network and token.

    Attributes:
        repository: Its name in imgdata.yaml.
        levels: In the order asked for.
        items: What would be sent of the levels.
        documents: Names of the metadata files that go along.
        held: What stays, and why.
        questions: What is missing; the required ones stop the deposit.
        over: Limits that are exceeded, one sentence each; they stop it too.
        limits: The repository's.
        access: Of the files.
        metadata: As it would be written.
        lacking: What is not here and fetched first.
        is_access_kept: Whether the access is the one the deposit has there already.
    """

    repository: str
    levels: tuple[str, ...]
    items: tuple[PlannedItem, ...]
    documents: tuple[str, ...]
    held: tuple[HeldBack, ...]
    questions: tuple[Question, ...]
    over: tuple[str, ...]
    limits: DepositLimits
    access: Access
    metadata: DepositMetadata
    lacking: tuple[Lacking, ...] = ()
    is_access_kept: bool = False

    @property
    def size(self) -> int:
        """Bytes of the levels' items; the metadata files add a few kilobytes."""
        return sum(item.size for item in self.items)

    @property
    def files(self) -> int:
        """Number of files in the deposit."""
        return len(self.items) + len(self.documents)

    @property
    def missing(self) -> tuple[Question, ...]:
        """The questions that stop the deposit."""
        return tuple(question for question in self.questions if question.required)


class DepositState(StrEnum):
    """How far a deposit has come; removed: the repository took a published record away."""

    OPENING = "opening"
    DRAFT = "draft"
    VERIFIED = "verified"
    PUBLISHING = "publishing"
    IN_REVIEW = "in-review"
    PUBLISHED = "published"
    DISCARDED = "discarded"
    REMOVED = "removed"


class DepositedFile(Struct, frozen=True):
    """A file as the repository describes it.

    Attributes:
        name: Its name in the deposit.
        size: Bytes.
        md5: The repository's own checksum; empty while the file is not complete.
    """

    name: str
    size: int
    md5: str


class Deposit(Struct, frozen=True):
    """A draft or published record, as the repository describes it now.

    Attributes:
        identifier: The repository's id of this version.
        concept: The id all versions share; empty where there is none.
        doi: Reserved or minted; empty before.
        url: The page a person opens.
        state: Draft, in review or published.
        files: Sorted by name.
        complaints: What the repository finds wrong with the description, one line each.
        description: What it says of itself.
    """

    identifier: str
    concept: str
    doi: str
    url: str
    state: DepositState
    files: tuple[DepositedFile, ...] = ()
    complaints: tuple[str, ...] = ()
    description: Description = UNTOLD


class DepositRecord(Struct, frozen=True):
    """One `deposit` event of the project's log.

    Attributes:
        repository: Its name in imgdata.yaml.
        address: The service's address, so that sandbox and production are never confused.
        marker: Random text written into the draft's description, to find it again when the
            answer to its creation was lost.
        state: What happened.
        identifier: The repository's id; empty while opening.
        concept: The id all versions share, or empty.
        doi: Or empty.
        url: The page a person opens, or empty.
        levels: What the deposit is made of.
        files: Verified files with the repository's checksums.
        contents: Versions the deposit is a copy of: (level, unit, version).
        parts: Versions it holds a part of, in the same form.
        origins: Where the data come from: (level, origin).
        description: What the repository said when imgdata last wrote or read it.
        asked: A digest of what imgdata last asked it to say.
    """

    repository: str
    address: str
    marker: str
    state: DepositState
    identifier: str = ""
    concept: str = ""
    doi: str = ""
    url: str = ""
    levels: tuple[str, ...] = ()
    files: tuple[DepositedFile, ...] = ()
    contents: tuple[tuple[str, str, str], ...] = field(default=())
    parts: tuple[tuple[str, str, str], ...] = ()
    origins: tuple[tuple[str, str], ...] = ()
    description: Description = UNTOLD
    asked: str = ""

    @property
    def page(self) -> str:
        """The DOI as an address, or the repository's page."""
        return f"https://doi.org/{self.doi}" if self.doi else self.url


class Package(Struct, frozen=True):
    """What a person submits: the study's words, its levels, and its files.

    Attributes:
        metadata: What the deposit says of itself.
        levels: Whose file lists are in the folder.
        files: Files of the levels.
        folder: Where study and file lists were written.
    """

    metadata: DepositMetadata
    levels: tuple[str, ...]
    files: tuple[ListedFile, ...]
    folder: Path


class PackageDraft(Struct, frozen=True):
    """A package in an account's space: the draft's key, and how many files went there.

    Attributes:
        key: The repository's id of the draft.
        url: Where a person goes on.
        sent: Files that were sent now.
        already: Files that were there with our size.
    """

    key: str
    url: str
    sent: int
    already: int


class Uploaded(Struct, frozen=True):
    """The file was sent, and the repository's checksum of it is ours."""

    file: DepositedFile


class AlreadyDeposited(Struct, frozen=True):
    """The repository has the file with our checksum; nothing was sent."""

    file: DepositedFile


class Removed(Struct, frozen=True):
    """The draft had a file that is no longer part of the deposit."""

    name: str


UploadOutcome = Uploaded | AlreadyDeposited | Removed
