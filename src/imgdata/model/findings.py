"""What a check finds: rules with stable ids, findings, and the report over many files."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from imgdata.model.facts import Reading


class Severity(StrEnum):
    """How much a finding matters; only errors make a command fail by default."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for a note, 2 for an error."""
        return (Severity.NOTE, Severity.WARNING, Severity.ERROR).index(self)

    def at_least(self, other: "Severity") -> bool:
        """Tell whether this matters as much as the other, or more."""
        return self.rank >= other.rank


class Rule(Struct, frozen=True):
    """One thing a check can find.

    Attributes:
        id: `IMG-` and three digits; never changes its meaning.
        title: What is wrong, in a few words.
        severity: How much it matters unless the level says otherwise.
        by_level: Severity on levels where it differs; `none` is a file on no level.
        why: Why it matters to a scientist.
        remedy: What to do.
        source: Standard, paper or measurement the rule rests on.
    """

    id: str
    title: str
    severity: Severity
    why: str
    remedy: str
    source: str
    by_level: Mapping[str, Severity] = field(default_factory=dict)


class SeverityChoice(Struct, frozen=True):
    """A severity the lab decided on in imgdata.yaml, with its reason."""

    severity: Severity
    reason: str


class Finding(Struct, frozen=True):
    """One finding about one file, or about several when they share the cause.

    Attributes:
        id: The rule's id.
        severity: After the level's and the lab's choices.
        paths: The files, at least one; a missing image is named by the path it should have.
        found: What is there.
        expected: What should be there; may be empty.
        message: A sentence that says it all.
        remedy: What to do.
        source: What the rule rests on.
        reason: Why the lab changed the severity, or empty.
    """

    id: str
    severity: Severity
    paths: tuple[str, ...]
    found: str
    expected: str
    message: str
    remedy: str
    source: str
    reason: str = ""


class FileCheck(Struct, frozen=True):
    """One file of a report: its path below the checked folder and what was read from it."""

    path: str
    size: int
    reading: Reading
    level: str = ""


class WellState(Struct, frozen=True):
    """One well of a plate in the report: how many images it has, lacks, and its worst finding."""

    plate: str
    well: str
    images: int
    missing: int
    worst: Severity | None


class Layout(Struct, frozen=True):
    """What the file names say about plates.

    Attributes:
        pattern: The key pattern, as imgdata.yaml would hold it.
        guessed: True when it was inferred from the names.
        explanation: Why it was guessed so, a line each.
        matched: Files it fits.
        values: Field to its distinct values, sorted.
        wells: One entry a well.
    """

    pattern: str
    guessed: bool
    explanation: tuple[str, ...]
    matched: int
    values: Mapping[str, tuple[str, ...]]
    wells: tuple[WellState, ...]


class CheckReport(Struct, frozen=True):
    """Everything one check learned.

    Attributes:
        root: The folder or file that was checked, as the user named it.
        level: The level it was judged as, or empty.
        files: Every image, mask and profile, sorted by path.
        findings: Most severe first.
        others: How many files are neither images nor profiles.
        layouts: What the names say, one entry a pattern.
        deep: Whether pixels were read.
    """

    root: str
    level: str
    files: tuple[FileCheck, ...]
    findings: tuple[Finding, ...]
    others: int = 0
    layouts: tuple[Layout, ...] = ()
    deep: bool = False

    def worst(self) -> Severity | None:
        """Return the highest severity found, or None if nothing was."""
        return max((f.severity for f in self.findings), key=lambda s: s.rank, default=None)
