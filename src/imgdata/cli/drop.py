"""`imgdata drop`."""

from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import DryRun, LevelOption, Levels, Remote, Select, Yes, names, session_of
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import RefusedError
from imgdata.model.selection import parse_selection
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.workflows.drop import Dropped
    from imgdata.workflows.drop_plan import DropPlan
    from imgdata.workflows.drop_sorting import Unsafe, VersionPlan

SHOWN = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(drop)


def drop(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    levels: Levels = None,
    *,
    level: LevelOption = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="STORAGE", help="From this storage, not from here."),
    ] = None,
    select: Select = None,
    old_versions: Annotated[
        bool, typer.Option("--old-versions", help="Superseded versions, by each level's rule.")
    ] = False,
    due: Annotated[bool, typer.Option("--due", help="Only what its 'keep' rule lets go.")] = False,
    used: Annotated[
        bool, typer.Option("--used", help="Only what is made again when needed and is used up.")
    ] = False,
    remote: Remote = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Delete what is recoverable, here or from a storage; without a level, say what could go."""
    from imgdata.workflows.drop_plan import DropOptions  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    chosen = names(levels, level)
    lists_only = not (chosen or due or used or old_versions)
    dry_run = dry_run or lists_only
    project = session.open(writing=not dry_run)
    options = DropOptions(
        source or "", parse_selection(select or ()), old_versions, due, used,
        ask=remote or not dry_run,
    )  # fmt: skip
    plan = project.plan_drop(chosen, options)
    _show_plan(session, plan, by_size=lists_only, planned=dry_run)
    if plan.unlisted:
        session.say(_unlisted(plan))
    elif not plan.versions:
        session.say(_nothing(due=due, used=used, old_versions=old_versions))
    if dry_run:
        _end_of_dry_run(session, plan, refuse=not lists_only)
        return
    if plan.files or any(one.pieces for one in plan.versions):
        question = f"delete {count(plan.files, 'file')} ({format_size(plan.size)})?"
        session.confirm(question, yes=yes, why=f"this would {question.rstrip('?')}")
        message = f"Note what was dropped of {', '.join(chosen) or 'levels'}"
        with session.committing(project, message):
            for outcome in project.drop(chosen, options, plan, progress=session.progress()):
                show_dropped(session, outcome)
    refuse_unsafe(plan)


def show_dropped(session: Session, outcome: "Dropped") -> None:
    """Tell what became of one version."""
    where = outcome.source or "here"
    size = format_size(outcome.size)
    freed = "" if outcome.keeps_versions else " free"
    session.say(f"dropped {outcome.version.title} from {where}: {size}{freed}")
    if outcome.keeps_versions:
        session.say(f"  no space is free yet: {where} keeps erased objects as older versions")
    for path in outcome.left:
        session.say(f"  left: {path} changed meanwhile")
    session.add(
        {
            "dropped": outcome.version.title,
            "from": where,
            "files": outcome.files,
            "objects": outcome.objects,
            "bytes": outcome.size,
            "left": list(outcome.left),
            "keeps_versions": outcome.keeps_versions,
        }
    )


def _show_plan(session: Session, plan: "DropPlan", *, by_size: bool, planned: bool) -> None:
    versions = sorted(plan.versions, key=lambda one: -one.size) if by_size else plan.versions
    by_level: dict[tuple[str, str], list[VersionPlan]] = {}
    for one in versions:
        by_level.setdefault((one.version.level, one.source), []).append(one)
        session.add(_result(one))
    for (level, source), some in by_level.items():
        _show_level(session, level, source or "here", some, planned=planned)
    for sentence in plan.downstream:
        session.say(sentence)
    if plan.versions and not plan.downstream:
        session.say("breaks nothing: no other level is made from it")
    for name in plan.offline:
        session.note(f"{name} could not be asked; its copies count beside another only")


def _unlisted(plan: "DropPlan") -> str:
    """Say of which versions it is not known what files they are."""
    some, more = plan.unlisted[:SHOWN], len(plan.unlisted) - SHOWN
    named = ", ".join(some) + (f" and {more:,} more" if more > 0 else "")
    if plan.asked:
        return f"nothing goes of {named}: no place has the list of its files"
    return f"not known without asking: {named}, whose file list is not here (--remote asks)"


def _nothing(*, due: bool, used: bool, old_versions: bool) -> str:
    if due:
        return "nothing is due: 'keep' lets nothing go that is there"
    if used:
        return "nothing is used up"
    if old_versions:
        return "no version is superseded: 'versions' lets nothing go that is there"
    return "nothing to drop: it is not there"


def _show_level(
    session: Session, level: str, where: str, some: "list[VersionPlan]", *, planned: bool
) -> None:
    safe: dict[str, list[int]] = {}
    for one in some:
        for reason in one.safe:
            count, size = safe.get(reason.why, [0, 0])
            safe[reason.why] = [count + reason.files, size + reason.size]
    stays = [bad for one in some for bad in one.unsafe]
    shared = sum(one.shared for one in some)
    files = sum(count for count, _ in safe.values())
    total = files + sum(len(bad.names) for bad in stays)
    size = sum(size for _, size in safe.values())
    session.say(
        f"{level}: {'would free' if planned else 'frees'} {format_size(size)} {_at(where)}. "
        f"{_count(files, total)} safe:"
    )
    width = max(
        len(f"{count:,}") for count in (0, *(one[0] for one in safe.values()), *map(_many, stays))
    )
    sizes = max((len(format_size(amount)) for _, amount in safe.values()), default=0)
    for why, (count, amount) in safe.items():
        shown = format_size(amount)
        session.say(f"  {count:>{width},} {_verb(why, count)}{why}   {shown:>{sizes}}")
    for bad in stays:
        count = _many(bad)
        verb = "is" if count == 1 else "are"
        session.say(f"  {count:>{width},} {verb} NOT safe: {_names(bad)} - {bad.why}")
        session.say(f"  {'':>{width}}   -> {bad.remedy}")
    if shared:
        session.say(f"  {shared:>{width},} used by another version or path too: stays in the cache")
    needs = dict.fromkeys(name for one in some for name in one.needs)
    if needs:
        more = f" and {len(needs) - SHOWN:,} more" if len(needs) > SHOWN else ""
        session.say(f"  making it again needs {', '.join(list(needs)[:SHOWN])}{more}")


def _many(bad: "Unsafe") -> int:
    return len(bad.names)


def _count(files: int, total: int) -> str:
    """Say how many files are safe, of how many."""
    if files == total:
        return "The one file is" if total == 1 else f"All {total:,} files are"
    return f"{files:,} of {total:,} files {'is' if files == 1 else 'are'}"


def _verb(why: str, count: int) -> str:
    """Return what joins a number of files with the reason why they are safe."""
    if why[:1].isdecimal():  # so many checked copies
        return "has " if count == 1 else "have "
    if why.startswith("recomputable"):
        return "is " if count == 1 else "are "
    return ""


def _at(where: str) -> str:
    return "here" if where == "here" else f"on {where}"


def _names(bad: "Unsafe") -> str:
    more = f" and {len(bad.names) - SHOWN:,} more" if len(bad.names) > SHOWN else ""
    return f"{', '.join(bad.names[:SHOWN])}{more}"


def _end_of_dry_run(session: Session, plan: "DropPlan", *, refuse: bool) -> None:
    how = "" if plan.asked else ", as remembered"
    session.say(f"nothing deleted (dry run{how})")
    if plan.files:
        name = "the same without --dry-run" if refuse else "imgdata drop LEVEL"
        files = "one file" if plan.files == 1 else f"{plan.files:,} files"
        session.say(f"to free {files}, {format_size(plan.size)}: {name}")
    if refuse and not plan.files:
        refuse_unsafe(plan)


def refuse_unsafe(plan: "DropPlan") -> None:
    """Name what stayed and what makes it safe.

    Raises:
        RefusedError: Something stayed.
    """
    if not plan.unsafe:
        return
    count = sum(len(bad.names) for bad in plan.unsafe)
    files = "one file is" if count == 1 else f"{count:,} files are"
    lines = [f"{_names(bad)}: {bad.why}" for bad in plan.unsafe[:SHOWN]]
    remedies = dict.fromkeys(bad.remedy for bad in plan.unsafe)
    problem = f"{files} not safe to delete and stayed"
    raise RefusedError(
        problem,
        cause="\n".join(lines),
        remedy="\n".join(list(remedies)[:SHOWN]),
    )


def _result(one: "VersionPlan") -> dict[str, object]:
    return {
        "level": one.version.level,
        "unit": one.version.unit,
        "version": one.version.version,
        "from": one.source or "here",
        "safe": [{"why": s.why, "files": s.files, "bytes": s.size} for s in one.safe],
        "not_safe": [
            {"files": list(bad.names), "why": bad.why, "remedy": bad.remedy} for bad in one.unsafe
        ],
        "shared": one.shared,
        "needs": list(one.needs),
        "bytes": one.size,
    }
