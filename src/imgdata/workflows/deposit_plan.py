"""What a deposit would hold: decided from what is known here, without network and token."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby

from msgspec import Struct, field

from imgdata.model.deposits import (
    REMBI,
    Access,
    DepositLimits,
    DepositMetadata,
    DepositPlan,
    HeldBack,
    Lacking,
    LevelFile,
    Packing,
    PlannedItem,
    Question,
)
from imgdata.model.sizes import format_size
from imgdata.policy import licenses
from imgdata.policy.restrictions import MayLeave, Restricted, Source, Verdict, may_leave
from imgdata.project.config import Origin
from imgdata.workflows.deposit_layout import Layout, lay_out

Unit = tuple[str, str]
_ORCID = re.compile(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]")
_SHORTEST_TITLE = 3
DOCUMENTS = (
    "README.md",
    "LICENSE.txt",
    "CITATION.cff",
    "ro-crate-metadata.json",
    "manifest.csv",
    "croissant.json",
    "workflow.zip",
)


class DepositRequest(Struct, frozen=True):
    """All that a plan is made from.

    Attributes:
        repository: Its name in imgdata.yaml.
        levels: In the order asked for.
        files: Every file of those levels.
        sources: Raw units upstream of each (level, unit).
        rules: Origins by name, as the release branch and as the working tree state them.
        metadata: The description.
        access: Who may read the files.
        limits: The repository's.
        today: UTC.
        pack: By level: how it travels; absent: decided by count.
        zarrs: The version of OME-Zarr of every folder that is one, by its path; empty for one
            that is not of Zarr 3.
        asked: What the repository asks beyond the description, already judged.
        documents: Names of the metadata files that go along.
        withheld: By unit, why its content or its origin in history keeps it here.
        places: By unit that is not here: where its files are fetched from.
        unlisted: Of those, the units whose files cannot be named here.
    """

    repository: str
    levels: tuple[str, ...]
    files: tuple[LevelFile, ...]
    sources: Mapping[Unit, tuple[Source, ...]]
    rules: Sequence[Mapping[str, Origin]]
    metadata: DepositMetadata
    access: Access
    limits: DepositLimits
    today: date
    pack: Mapping[str, Packing]
    zarrs: Mapping[str, str] = field(default_factory=dict)
    asked: tuple[Question, ...] = ()
    documents: tuple[str, ...] = DOCUMENTS
    withheld: Mapping[Unit, tuple[str, ...]] = field(default_factory=dict)
    places: Mapping[Unit, tuple[str, ...]] = field(default_factory=dict)
    unlisted: frozenset[Unit] = frozenset()


def plan_deposit(request: DepositRequest) -> DepositPlan:
    """Decide what goes, in which packs, what stays, and what is missing."""
    held, going = _split_restricted(request)
    wanted = Layout(request.pack, request.zarrs, request.documents)
    items = lay_out(going, request.limits, wanted)
    # What the repository itself asks for replaces our own advice on it.
    theirs = {question.name for question in request.asked}
    questions = (
        *(one for one in _questions(request.metadata) if one.name not in theirs),
        *_access_questions(request.access, request.today),
        *_license_questions(request, {(file.level, file.unit) for file in going}),
        *request.asked,
    )
    return DepositPlan(
        repository=request.repository,
        levels=request.levels,
        items=items,
        documents=request.documents,
        held=held,
        questions=questions,
        over=_over(items, len(request.documents), request.limits),
        limits=request.limits,
        access=request.access,
        metadata=request.metadata,
        lacking=tuple(_lacking(request, going)),
    )


def _lacking(request: DepositRequest, going: Iterable[LevelFile]) -> Iterable[Lacking]:
    """Yield what of the files that may go is not here."""
    for unit, group in _by_unit(file for file in going if not file.local):
        size = sum(file.size for file in group)
        is_listed = unit not in request.unlisted
        yield Lacking(*unit, len(group), size, request.places.get(unit, ()), is_listed)


def _split_restricted(
    request: DepositRequest,
) -> tuple[tuple[HeldBack, ...], tuple[LevelFile, ...]]:
    """Return what the restrictions hold back, and the files that may go."""
    held: list[HeldBack] = []
    going: list[LevelFile] = []
    for (level, unit), group in _by_unit(request.files):
        sources = request.sources.get((level, unit), ())
        reasons = request.withheld.get((level, unit), ())
        verdict: Verdict = (
            Restricted(reasons)
            if reasons
            else may_leave(level, sources, request.rules, request.today)
        )
        match verdict:
            case Restricted(why):
                held.append(HeldBack(level, unit, len(group), "; ".join(why)))
            case MayLeave():
                going.extend(group)
    return tuple(held), tuple(going)


def _by_unit(files: Iterable[LevelFile]) -> list[tuple[Unit, tuple[LevelFile, ...]]]:
    ordered = sorted(files, key=lambda file: (file.level, file.unit, file.path))
    return [(unit, tuple(group)) for unit, group in groupby(ordered, lambda f: (f.level, f.unit))]


def _over(items: Sequence[PlannedItem], documents: int, limits: DepositLimits) -> tuple[str, ...]:
    """Say which limits the layout exceeds."""
    found: list[str] = []
    count, size = len(items) + documents, sum(item.size for item in items)
    if limits.files is not None and count > limits.files:
        found.append(f"{count} files, a record takes {limits.files}")
    if limits.total is not None and size > limits.total:
        found.append(f"{_exact(size)}, a record takes {format_size(limits.total)}")
    found.extend(
        f"{item.name} has {_exact(item.size)}, a file may have {format_size(limits.file)}"
        for item in items
        if limits.file is not None and item.size > limits.file
    )
    return tuple(found)


def _exact(size: int) -> str:
    return f"{format_size(size)} ({size:,} bytes)"


def _questions(metadata: DepositMetadata) -> Iterable[Question]:
    """Ask for what every DOI needs, then for what makes data findable."""
    where = "imgdata.yaml"
    if len(metadata.title.strip()) < _SHORTEST_TITLE:
        yield Question("title", "What is the data set called?", where, required=True)
    if not metadata.creators:
        yield Question("creators", "Who made the data, in order of citation?", where, required=True)
    yield from _deposit_license_questions(metadata.license)
    if not metadata.description.strip():
        yield Question("study.description", "What was studied and how?", REMBI, required=True)
    for creator in metadata.creators:
        if creator.orcid and not valid_orcid(creator.orcid):
            text = f"{creator.orcid} of {creator.name} is no ORCID; which one is right?"
            yield Question("creators.orcid", text, where, required=True)
    if not metadata.keywords:
        yield Question("study.keywords", "Under which keywords?", REMBI, required=False)


def _deposit_license_questions(stated: str) -> Iterable[Question]:
    if not stated:
        yield Question(
            "license", "Under which licence, as CC-BY-4.0?", "imgdata.yaml", required=True
        )
    elif licenses.spdx_id(stated) is None:
        text = (
            f"'{stated}' is no licence of the SPDX list, which repositories go by; "
            "which one is right, as CC-BY-4.0 or CC0-1.0?"
        )
        yield Question("license", text, "imgdata.yaml", required=True)


def valid_orcid(text: str) -> bool:
    """Tell whether an ORCID is well formed and its check digit right.

    Source: ISO/IEC 7064, MOD 11-2, as ORCID's structure of the identifier says.
    """
    if not _ORCID.fullmatch(text):
        return False
    digits = text.replace("-", "")
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    return digits[-1] == ("X" if check == 10 else str(check))  # noqa: PLR2004 - MOD 11-2


def _access_questions(access: Access, today: date) -> Iterable[Question]:
    if access.until is not None and access.until <= today:
        text = f"The embargo ends {access.until.isoformat()}, which is not in the future; when?"
        yield Question("embargo", text, "--embargo", required=True)


def _license_questions(request: DepositRequest, units: set[Unit]) -> Iterable[Question]:
    """Ask about every origin whose licence does not fit the deposit's."""
    used = {s.origin for unit in units for s in request.sources.get(unit, ())}
    asked: set[tuple[str, str]] = set()
    for origins in request.rules:
        for name in sorted(used & origins.keys()):
            found = _license_question(request.metadata.license, origins[name])
            if found is not None and (name, found.text) not in asked:
                asked.add((name, found.text))
                yield found


def _license_question(deposit: str, origin: Origin) -> Question | None:
    name = f"origins.{origin.name}.license"
    if not origin.license:
        if origin.kind == "own":
            return None
        text = f"Which licence allows data of origin '{origin.name}' to be published?"
        return Question(name, text, "imgdata.yaml", required=True)
    reason = licenses.conflict(deposit, origin.license) if deposit else None
    if reason is None:
        return None
    text = f"Origin '{origin.name}': {reason}; which licence is right?"
    return Question(name, text, "imgdata.yaml", required=True)
