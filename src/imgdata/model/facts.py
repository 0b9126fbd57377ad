"""What an image file says about itself: facts with their source, and how its pixels are packed."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

FactValue = str | int | float | tuple[str | int | float, ...]


class Source(StrEnum):
    """Who says so, from the most to the least trusted."""

    PERSON = "person"
    SIDECAR = "sidecar"
    FILE = "file"
    NAME = "name"
    INFERRED = "inferred"


class Fact(Struct, frozen=True):
    """One value with its unit and where it was read.

    Attributes:
        value: A number, a text, or one of them per channel.
        unit: `um`, `ms`, `px`, or empty for a count or a text.
        source: Who says so.
        detail: The tag, element or key it was read from, as its vendor spells it.
    """

    value: FactValue
    unit: str = ""
    source: Source = Source.FILE
    detail: str = ""


class Packing(StrEnum):
    """Whether the stored pixels are exactly the ones that were written."""

    LOSSLESS = "lossless"
    LOSSY = "lossy"
    UNKNOWN = "unknown"


class Compression(Struct, frozen=True):
    """The verdict on a file's compression with the reason for it."""

    packing: Packing
    reason: str

    def worse(self, other: "Compression") -> "Compression":
        """Return the verdict that is further from proved lossless."""
        order = (Packing.LOSSLESS, Packing.UNKNOWN, Packing.LOSSY)
        return self if order.index(self.packing) >= order.index(other.packing) else other


class Symptom(Struct, frozen=True):
    """Something a reader or a rule noticed about one file; rules turn it into a finding.

    Attributes:
        rule: Id of the rule it breaks, as `IMG-101`.
        found: What is there.
        expected: What should be there.
        weight: The least severity above which this case never goes (`note`, `warning`), or
            empty when the rule alone decides.
    """

    rule: str
    found: str
    expected: str = ""
    weight: str = ""


class Reading(Struct, frozen=True):
    """Everything one reader learned about one file without decoding its pixels.

    Attributes:
        format: Short name of the format (`ome-tiff`, `tiff`, `nd2`, ...).
        reader: What read it.
        checked: False when no reader for this format is installed.
        facts: Name to fact; what cannot be known is absent.
        compression: The verdict, or None where nothing could be said (not checked, unreadable).
        symptoms: What is wrong with the file itself.
        siblings: Files that must lie beside this one for it to be whole.
        flavour: Who wrote it, in short (`metaseries`, `phenix`, `imagej`), or empty.
        sample_hash: Hash of the first, middle and last kilobytes, to find likely twins.
    """

    format: str
    reader: str
    checked: bool = True
    facts: Mapping[str, Fact] = field(default_factory=dict)
    compression: Compression | None = None
    symptoms: tuple[Symptom, ...] = ()
    siblings: tuple[str, ...] = ()
    flavour: str = ""
    sample_hash: str = ""


def number(facts: Mapping[str, Fact], name: str) -> float | None:
    """Return one fact as a number, or None if it is absent or no number."""
    fact = facts.get(name)
    if fact is None or isinstance(fact.value, str | tuple):
        return None
    return float(fact.value)


def text(facts: Mapping[str, Fact], name: str) -> str:
    """Return one fact as a text, empty if it is absent."""
    fact = facts.get(name)
    return fact.value if fact is not None and isinstance(fact.value, str) else ""


class PixelFacts(Struct, frozen=True):
    """What the pixels themselves show; read plane by plane.

    Attributes:
        planes: Planes that were decoded.
        dtype: Their type.
        levels: Distinct values seen, counted up to 65,537.
        step: Greatest common divisor of the values; 0 for floating point or a blank image.
        low: Smallest value.
        high: Largest value.
        mean: Mean of all pixels.
        saturated: Share of pixels at the type's (or the data's) ceiling.
        focus: Variance of the Laplacian over the squared mean; higher is sharper.
        blockiness: Jumps at every eighth pixel against those between; about 1 when untouched.
        labels: Distinct values above zero, for masks.
        error: Why the pixels could not be decoded, or empty.
    """

    planes: int = 0
    dtype: str = ""
    levels: int = 0
    step: int = 0
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    saturated: float = 0.0
    focus: float = 0.0
    blockiness: float = 1.0
    labels: int = 0
    error: str = ""


class ExpectedImage(Struct, frozen=True):
    """An image a sidecar lists, by name or by a part of it.

    Attributes:
        name: Path below the sidecar's folder, or a name's beginning when `exact` is false.
        exact: Whether the name is whole.
        folder: A folder name that must be on the path, or empty.
    """

    name: str
    exact: bool = True
    folder: str = ""


class Sidecar(Struct, frozen=True):
    """What a microscope's index file says about the images beside it.

    Attributes:
        path: The sidecar's path, `/` between parts.
        kind: `harmony`, `yokogawa`, `imagexpress`.
        facts: Facts of all its images.
        facts_by_name: Facts of single images by path below its folder, lower case.
        expected: The images it lists.
        symptoms: What is wrong with the sidecar itself.
    """

    path: str
    kind: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    facts_by_name: Mapping[str, Mapping[str, Fact]] = field(default_factory=dict)
    expected: tuple[ExpectedImage, ...] = ()
    symptoms: tuple[Symptom, ...] = ()
