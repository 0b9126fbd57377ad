"""Rules about the project itself: its files agree, and what is due is done."""

from collections.abc import Iterator, Mapping, Sequence

from imgdata.model.excerpts import first_names
from imgdata.model.sizes import format_size
from imgdata.policy.audit.facts import AuditFacts, CommitState, UnitHere
from imgdata.policy.audit.remarks import Remark
from imgdata.policy.evidence import CLOCK_SLACK

NAMED = 3


def raw_unchanged(facts: AuditFacts) -> Iterator[Remark]:
    """Find raw units whose files here are not the recorded originals."""
    for unit in facts.here:
        if unit.is_raw:
            only_missing = not (unit.changed or unit.extra)
            command = f"imgdata status {unit.level} --verbose"
            step = f"imgdata pull {unit.level}" if only_missing else command
            yield _about_unit(unit, step)


def outputs_unedited(facts: AuditFacts) -> Iterator[Remark]:
    """Find outputs of stages that were changed after the stage made them."""
    for unit in facts.here:
        if not unit.is_raw:
            yield _about_unit(unit, f"imgdata status {unit.level} --verbose")


def _about_unit(unit: UnitHere, step: str) -> Remark:
    parts = [
        f"{len(names):,} {word} ({_listed(names)})"
        for word, names in (
            ("changed", unit.changed),
            ("missing", unit.missing),
            ("not recorded", unit.extra),
        )
        if names
    ]
    files = (*unit.changed, *unit.missing, *unit.extra)
    return Remark("broken", unit.title, ", ".join(parts), step, unit.level, unit.unit, "", files)


def _listed(names: Sequence[str]) -> str:
    return first_names([name or "the file" for name in names], NAMED)


def dvc_agrees(facts: AuditFacts) -> Iterator[Remark]:
    """Find what DVC's files say otherwise than imgdata.yaml; push refuses until they agree."""
    for told in facts.differences:
        subject, _, what = told.partition(": ")
        yield Remark("broken", subject, what, "imgdata storage apply")


def rules_committed(facts: AuditFacts) -> Iterator[Remark]:
    """Find an imgdata.yaml that is not the one on the release branch as last fetched."""
    config = facts.config
    subject = "imgdata.yaml"
    branch = config.release_branch
    pushed = f"git push origin {branch}"
    steps: Mapping[CommitState, tuple[str, str]] = {
        "uncommitted": (
            "has changes that are not committed, so they let nothing out",
            "git add imgdata.yaml && git commit -m 'Change the rules' imgdata.yaml",
        ),
        "unpushed": (f"is committed here, but origin does not have it on {branch}", pushed),
        "nowhere": (
            f"is on no release branch '{branch}', so nothing may leave",
            f"git fetch origin {branch}" if config.has_remote else f"git branch {branch}",
        ),
    }
    if config.state in steps:
        yield Remark("broken", subject, *steps[config.state])
    elif config.state == "other branch":
        what = f"differs on {config.branch} from {branch}; the stricter of both holds"
        yield Remark("note", subject, what, f"git diff origin/{branch} -- imgdata.yaml")


def records_readable(facts: AuditFacts) -> Iterator[Remark]:
    """Find lines of the log and files of DVC that cannot be read."""
    for told in facts.unreadable:
        subject, _, what = told.partition(": ")
        yield Remark("broken", subject, what, f"git checkout HEAD -- {subject.partition(':')[0]}")
    for told in facts.doubts:
        subject, _, what = told.partition(": ")
        file = subject.partition(",")[0]
        yield Remark("broken", subject, what, f"edit {file}: what cannot be read is left out")


def clock_right(facts: AuditFacts) -> Iterator[Remark]:
    """Find a clock that is behind the log; while it is, nothing is due."""
    if facts.newest is not None and facts.newest > facts.now + CLOCK_SLACK:
        what = f"is at {facts.now:%Y-%m-%d}, but the log has lines of {facts.newest:%Y-%m-%d}"
        yield Remark("broken", "the clock of this machine", what, "timedatectl set-ntp true")


def merge_driver_known(facts: AuditFacts) -> Iterator[Remark]:
    """Tell that git in this clone does not merge dvc.lock stage by stage."""
    if facts.driver_missing:
        what = "does not merge dvc.lock stage by stage"
        yield Remark("note", "git in this clone", what, "imgdata init")


def nothing_due(facts: AuditFacts) -> Iterator[Remark]:
    """Tell what the levels' `keep` rules let go now."""
    for one in facts.due:
        where = f" --from {one.place}" if one.place else ""
        place = one.place or "here"
        step = one.remedy or f"imgdata drop {one.level} --due{where}"
        what = f"keep: {one.keep}; {format_size(one.size)} {_on(place)} may go"
        if one.remedy:
            what += ", but nothing else gives them back for sure"
        yield Remark("due", _units(one.level, one.units), what, step, one.level, storage=one.place)


def _on(place: str) -> str:
    return place if place == "here" else f"on {place}"


def _units(level: str, units: Sequence[str]) -> str:
    named = [unit for unit in units if unit]
    if not named:
        return level
    return f"{level} {first_names(named, NAMED)}"


def nothing_superseded(facts: AuditFacts) -> Iterator[Remark]:
    """Tell which old versions the levels' `versions` rules do not ask to keep."""
    for one in facts.superseded:
        where = f" --from {one.place}" if one.place else ""
        count = "1 old version" if one.count == 1 else f"{one.count} old versions"
        what = f"versions: {one.rule}; {count} {_on(one.place or 'here')} may go"
        step = f"imgdata drop {one.level} --old-versions{where}"
        if not one.is_safe:
            what += " once something else has them for sure"
            step += " --dry-run"  # it says what each of them needs
        yield Remark("due", one.level, what, step, one.level, storage=one.place)


def nothing_to_move(facts: AuditFacts) -> Iterator[Remark]:
    """Tell which units belong on the storage that `then` names."""
    for one in facts.to_move:
        what = f"then: {one.target} ({one.why}); still on {one.source}"
        step = f"imgdata storage move {one.level} --due --from {one.source} --to {one.target}"
        subject = _units(one.level, one.units)
        yield Remark("due", subject, what, step, one.level, storage=one.source)


def decisions_told(facts: AuditFacts) -> Iterator[Remark]:
    """Tell how many decisions about files people noted: exclusions, hand edits."""
    words = {"excluded": "images left out", "note": "notes on files"}
    for kind, count in facts.decisions.items():
        if count:
            yield Remark("note", words[kind], f"{count:,} in the log", "imgdata lineage")
