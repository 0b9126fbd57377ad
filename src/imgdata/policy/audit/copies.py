"""Rules about copies: enough of them, checked, undamaged, at different places."""

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from imgdata.policy.audit.facts import AuditFacts, ObjectsFact, StorageFact, VersionFact
from imgdata.policy.audit.remarks import Remark
from imgdata.policy.evidence import CLOCK_SLACK, WHY_NOT, CopyFact, Rule, tally
from imgdata.policy.ledger import Evidence, NotThere, Unknown

WRONG_BYTES = frozenset({"damaged", "missing"})
SHORT = 8
FORMER = "has its copies only on a storage that imgdata.yaml does not name any more"


def too_few_copies(facts: AuditFacts) -> Iterator[Remark]:
    """Find versions with fewer copies than their level asks.

    A copy that is damaged, or was not checked for too long, is another rule's business: here it
    counts as one.
    """
    purged = frozenset(one.name for one in facts.storages if one.purged)
    for version in facts.versions:
        for (held, reasons), files in _short(version, facts, purged).items():
            where = "; ".join(f"{storage}: {why}" for storage, why in reasons)
            asked = "1 copy" if version.rule.copies == 1 else f"{version.rule.copies} copies"
            what = f"{held} of {asked}" + (f" ({where})" if where else "")
            if not held and not version.is_here:
                what = f"no copy, and not here either{f' ({where})' if where else ''}"
                what = FORMER if version.way_back else what
            step = _store(version, reasons, purged, held=held)
            yield Remark(
                "broken", version.title, what, step, version.level, version.unit, "", files
            )


_Shortage = tuple[int, tuple[tuple[str, str], ...]]


def _short(
    version: VersionFact, facts: AuditFacts, purged: frozenset[str]
) -> dict[_Shortage, tuple[str, ...]]:
    """Return the files that are short by how many copies they have, and why not more."""
    found: dict[_Shortage, tuple[str, ...]] = {}
    for group in version.objects:
        lenient = [_leniently(one, facts, purged) for one in group.facts]
        counted = tally(lenient, version.rule, facts.now)
        if len(counted.counted) < version.rule.copies:
            key = (len(counted.counted), counted.against)
            found[key] = (*found.get(key, ()), *group.files)
    return found


def _leniently(fact: CopyFact, facts: AuditFacts, purged: frozenset[str]) -> CopyFact:
    """Return a copy as if it were checked now, where something is or should be there."""
    never = fact.never if fact.storage in purged else ""
    is_wrong = isinstance(fact.belief, NotThere) and fact.belief.why in WRONG_BYTES
    if not (isinstance(fact.belief, Evidence | Unknown) or is_wrong):
        return replace(fact, never=never)
    presence = fact.presence if fact.presence == "offline" else "present"
    return replace(fact, belief=Evidence(facts.now, "read"), presence=presence, never=never)


def _store(
    version: VersionFact,
    reasons: Iterable[tuple[str, str]],
    purged: frozenset[str],
    *,
    held: int,
) -> str:
    """Return the command that makes a copy that is owed."""
    level = version.level
    if not held and not version.is_here:
        if version.way_back:
            return version.way_back
        if version.is_made:
            return f"imgdata run {level}"
        return f"in the clone where it was added: imgdata push {level}"
    open_places = [
        storage
        for storage, why in reasons
        if storage not in purged and not why.startswith(("the same place", "is this clone's"))
    ]
    if any(storage in version.storages for storage in open_places):
        return f"imgdata push {level}"
    if open_places:
        return f"imgdata push {level} --to {open_places[0]}"
    return f"edit imgdata.yaml: give {level} a storage at another place"


def damaged_copies(facts: AuditFacts) -> Iterator[Remark]:
    """Find copies that are known to be damaged or missing, or about which clones disagree."""
    for version in facts.versions:
        for (storage, why), files in _by_reason(version.objects, _fault).items():
            cure = "" if why.startswith(("unknown", "written")) else " --repair"
            yield Remark(
                "broken",
                version.title,
                f"{storage}: {_count(files)} {why}",
                f"imgdata verify {version.level} --on {storage}{cure}",
                version.level,
                version.unit,
                storage,
                files,
            )


def _fault(fact: CopyFact) -> str:
    if isinstance(fact.belief, NotThere) and fact.belief.why in WRONG_BYTES:
        return fact.belief.why
    if isinstance(fact.belief, Unknown):
        return "unknown: clones disagree"
    if isinstance(fact.belief, Evidence):
        return WHY_NOT.get(fact.presence, "")
    return ""


def overdue_checks(facts: AuditFacts) -> Iterator[Remark]:
    """Find copies that were not read back or checksummed within the level's time."""
    away = {one.name for one in facts.storages if one.is_unplugged or one.marker == "offline"}
    for version in facts.versions:
        late = _by_reason(version.objects, partial(_lateness, rule=version.rule, now=facts.now))
        for (storage, why), files in late.items():
            plug = ", plug it in first" if storage in away else ""
            yield Remark(
                "broken",
                version.title,
                f"{storage}: {why} (asked: every {version.rule.verify_every.days} days{plug})",
                f"imgdata verify {version.level} --on {storage}",
                version.level,
                version.unit,
                storage,
                files,
            )


def _lateness(fact: CopyFact, rule: Rule, now: datetime) -> str:
    if not isinstance(fact.belief, Evidence) or _fault(fact) or not fact.place:
        return ""
    if not fact.belief.is_verified:
        return "only its size was checked"
    age = now - fact.belief.at
    if age < -CLOCK_SLACK:
        return "checked at a time that is yet to come"
    return f"last checked {age.days} days ago" if age > rule.verify_every else ""


def _by_reason(
    objects: Iterable[ObjectsFact], reason: Callable[[CopyFact], str]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return files by storage and reason, for the copies that have one."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for group in objects:
        for fact in group.facts:
            if why := reason(fact):
                found[fact.storage, why] += group.files
    return {key: tuple(sorted(files)) for key, files in sorted(found.items())}


def _count(files: Sequence[str]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files):,} files"


def unstored_versions(facts: AuditFacts) -> Iterator[Remark]:
    """Find versions that branches, tags and stashes record, and no storage has.

    What the working tree records is counted by the rule about copies.
    """
    for old in facts.old:
        there, back = f"git checkout {shlex.quote(old.where)}", "git checkout -"
        if old.is_checked_out:
            there, back = "git stash", "git stash pop"
        where = FORMER if old.way_back else "is on no storage"
        level = old.level_there or old.level
        elsewhere = "" if old.is_here else "in a clone that still has it: "
        yield Remark(
            "broken",
            old.title,
            f"version {old.version[:SHORT]} of {old.where} {where}",
            old.way_back or f"{elsewhere}{there} && imgdata push {level} && {back}",
            old.level,
            old.unit,
        )
    for unit in facts.legacy:
        yield Remark(
            "broken",
            unit.title,
            f"recorded as {unit.kind} by DVC before 3, which no storage keeps",
            "dvc cache migrate --dvc-files",
            unit.level,
            unit.unit,
        )


def one_place_each(facts: AuditFacts) -> Iterator[Remark]:
    """Find storages of one level that are the same place: two names for the same bytes."""
    for storage in facts.storages:
        if not storage.levels:
            continue
        same = _same_place(storage, facts.storages)
        if same:
            yield Remark(
                "broken",
                storage.name,
                f"{same}, so its bytes count {'once' if storage.place else 'for nothing'}",
                f"edit imgdata.yaml: give {storage.name} a place of its own",
                storage=storage.name,
            )


def _same_place(storage: StorageFact, others: Iterable[StorageFact]) -> str:
    if not storage.place:
        return "lies in this clone's own cache"
    for other in others:
        if (
            other.name == storage.place != storage.name
            and set(other.levels) & set(storage.levels)
        ):  # fmt: skip
            return f"is the same place as {other.name}"
    return ""


def own_markers(facts: AuditFacts) -> Iterator[Remark]:
    """Find storages whose marker is absent or names another project."""
    for one in facts.storages:
        if one.marker == "foreign":
            what = f"its marker names another project, '{one.detail}': nothing on it counts"
            step = f"edit imgdata.yaml: give {one.name} a folder or prefix of its own"
            yield Remark("broken", one.name, what, step, storage=one.name)
        elif one.marker == "absent" and one.holds:
            what = f"should hold {', '.join(one.holds)}, but has no marker of this project"
            step = f"imgdata push {one.holds[0]} --to {one.name}"
            yield Remark("broken", one.name, what, step, storage=one.name)


def storages_answer(facts: AuditFacts) -> Iterator[Remark]:
    """Find storages that levels need and that do not answer; a drive in a drawer is only told."""
    for one in facts.storages:
        if one.marker == "unreachable" and (one.levels or one.holds):
            step = f"imgdata storage test {one.name}"
            yield Remark("broken", one.name, one.detail, step, storage=one.name)
        elif one.marker == "offline":
            what = "is not plugged in: its copies count beside one that can be asked"
            yield Remark("note", one.name, what, "", storage=one.name)


def recoverable_without_storage(facts: AuditFacts) -> Iterator[Remark]:
    """Find versions that are stored nowhere by rule and cannot be made again for sure."""
    for one in facts.unproven:
        yield Remark("broken", one.title, one.why, one.remedy, one.level, one.unit)
