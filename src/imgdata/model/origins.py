"""Where raw data came from, and what that allows."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class OriginKind(StrEnum):
    """Who made the data."""

    OWN = "own"
    ACADEMIC_COLLABORATOR = "academic-collaborator"
    INDUSTRY_COLLABORATOR = "industry-collaborator"
    PUBLIC = "public"


class StatedAccess(StrEnum):
    """What an origin says about access."""

    OPEN = "open"
    RESTRICTED = "restricted"
    UNSTATED = "unstated"


@dataclass(frozen=True, slots=True)
class Origin:
    """One origin of imgdata.yaml.

    Attributes:
        name: Its name there.
        kind: Who made the data.
        access: What is stated; unstated counts as restricted for a collaborator's data.
        license: SPDX id, or empty.
        release_on: The first day on which the data are open; None: no date is stated.
        may_leave: Levels a written rule lets go earlier.
        source: Where it came from: an address or a DOI, or empty.
    """

    name: str
    kind: OriginKind
    access: StatedAccess = StatedAccess.UNSTATED
    license: str = ""
    release_on: date | None = None
    may_leave: frozenset[str] = frozenset()
    source: str = ""
