"""`imgdata audit`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import Remote, session_of
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import Exit, UsageError
from imgdata.model.excerpts import first_names

if TYPE_CHECKING:
    from imgdata.policy.audit.remarks import Judged, Remark

SHOWN = 3
STATES = {"broken": "BROKEN", "due": "due", "note": "note"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(audit)


def audit(
    context: typer.Context,
    *,
    remote: Remote = False,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="RULE", help="Leave a rule out, and say so."),
    ] = None,
) -> None:
    """Judge the project by its own rules, each with its next action; exit 1 when one is broken."""
    session = session_of(context)
    project = session.open()
    left_out = _known_rules(skip or ())
    judged = [one for one in project.audit(remote=remote) if one.rule.name not in left_out]
    session.results += [_result(one) for one in judged]
    _show(session, project.config.title, judged)
    if left_out:
        session.say(f"  left out: {', '.join(left_out)}")
    if any(one.is_broken for one in judged):
        session.ok = False
        raise typer.Exit(Exit.FINDINGS)


def _known_rules(names: Sequence[str]) -> tuple[str, ...]:
    from imgdata.policy.audit.table import RULES  # noqa: PLC0415 - keeps --help fast

    known = [rule.name for rule in RULES]
    for name in names:
        if name not in known:
            problem = f"'{name}' is not a rule of an audit"
            raise UsageError(problem, cause=f"rules: {', '.join(known)}")
    return tuple(dict.fromkeys(names))


def _show(session: Session, title: str, judged: "Sequence[Judged]") -> None:
    asked = [one for one in judged if one.is_judged]
    session.say(f"{title}: {_sum(asked)}")
    width = max(len(one.rule.name) for one in judged)
    for state in STATES:
        for one in asked:
            for line in _rows(session, one, state):
                session.say(f"  {line[0]:<6}  {line[1]:<{width}}  {line[2]}")
    if session.verbose:
        for one in asked:
            if not one.remarks:
                session.say(f"  holds   {one.rule.name:<{width}}  {one.rule.asks}")
    if left := [one.rule.name for one in judged if not one.is_judged]:
        session.say(f"  not asked, as remembered: {', '.join(left)} (imgdata audit --remote)")


def _sum(asked: "Sequence[Judged]") -> str:
    broken = sum(one.is_broken for one in asked)
    if not broken:
        return f"all {len(asked)} rules hold"
    return f"{count(broken, 'rule')} of {len(asked)} {'is' if broken == 1 else 'are'} broken"


def _rows(session: Session, judged: "Judged", state: str) -> Iterator[tuple[str, str, str]]:
    """Yield the lines of one rule: the same finding about several units is said once."""
    groups: dict[tuple[str, str, str], list[Remark]] = {}
    for one in judged.remarks:
        if one.state == state:
            groups.setdefault((one.level, one.what, one.next_step), []).append(one)
    for (_, what, step), some in groups.items():
        yield STATES[state], judged.rule.name, f"{_about(some)}: {what}"
        if session.verbose:
            for name in [name for one in some for name in one.files]:
                yield "", "", f"   {name}"
        if step:
            yield "", "", f"-> {step}"


def _about(some: "Sequence[Remark]") -> str:
    first, *others = [one.subject for one in some]
    level = some[0].level
    prefix = f"{level} " if level and first.startswith(f"{level} ") else ""
    named = [first, *(name.removeprefix(prefix) for name in others)]
    return first_names(named, SHOWN)


def _result(judged: "Judged") -> dict[str, object]:
    return {
        "rule": judged.rule.name,
        "asks": judged.rule.asks,
        "holds": None if not judged.is_judged else not judged.is_broken,
        "findings": [
            {
                "state": one.state,
                "about": one.subject,
                "level": one.level or None,
                "unit": one.unit,
                "storage": one.storage or None,
                "found": one.what,
                "files": list(one.files),
                "next": one.next_step or None,
            }
            for one in judged.remarks
        ],
    }
