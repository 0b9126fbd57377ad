"""`imgdata publish`."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import DryRun, LevelOption, Levels, Select, Yes, names, session_of
from imgdata.cli.publish_plan import show_lacking, show_plan
from imgdata.cli.publish_terms import show_terms, terms_json
from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.errors import CredentialsError, UsageError
from imgdata.model.deposits import DepositRecord
from imgdata.model.selection import parse_selection

if TYPE_CHECKING:
    from imgdata.api import Project
    from imgdata.model.deposits import Deposit, DepositPlan
    from imgdata.repositories import DepositOptions, Publishing
    from imgdata.workflows.publish import Deposited

_OF_A_DRAFT = ("select", "rev", "version", "new_version", "embargo", "restricted", "open_now")
Listing = Annotated[bool, typer.Option("--list", help="Show this project's deposits.")]
Discard = Annotated[
    str, typer.Option(metavar="ID", help="Throw away an open draft of this project.")
]
NewVersion = Annotated[
    bool, typer.Option("--new-version", help="Open the next version of what is published.")
]
Closed = Annotated[
    bool, typer.Option("--restricted", help="Files stay closed, the description is public.")
]
OpenNow = Annotated[
    bool, typer.Option("--open", help="Files are open at once; lifts an embargo of the draft.")
]
Into = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where a package for a person is written.")
]
Draft = Annotated[
    bool, typer.Option("--draft", help="Send a package to a draft in your account (bia:).")
]
Embargo = Annotated[
    str, typer.Option(metavar="DATE", help="First day on which the files are open.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(publish)


def publish(  # noqa: PLR0913 - one argument an option
    context: typer.Context,
    levels: Levels = None,
    *,
    level: LevelOption = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="REPOSITORY", help="A repository's name.")
    ] = None,
    select: Select = None,
    rev: Annotated[
        str, typer.Option("--rev", metavar="REV", help="Publish what this tag or commit records.")
    ] = "",
    version: Annotated[str, typer.Option(help="Version of the data, as v1.2.")] = "",
    new_version: NewVersion = False,
    embargo: Embargo = "",
    restricted: Closed = False,
    open_now: OpenNow = False,
    community: Annotated[
        str, typer.Option(metavar="NAME", help="Hand the draft to this community's curators.")
    ] = "",
    publish_now: Annotated[
        bool, typer.Option("--publish", help="Make the verified draft public for ever.")
    ] = False,
    listing: Listing = False,
    discard: Discard = "",
    into: Into = None,
    draft: Draft = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Deposit levels in a data repository: draft, upload, verify, stop; --publish mints the DOI."""
    from imgdata.repositories import DepositOptions, Publishing  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    project = session.open(writing=not dry_run)
    chosen = names(levels, level)
    repository = to or _only_repository(list(project.config.repositories))
    _refuse_ignored(context, chosen, repository)
    publishing = Publishing(project.clone, repository, session.progress(), revision=rev)
    with project.clone.log_file.one_command():
        if listing:
            _list(session, publishing, ask=not dry_run)
        elif discard:
            _discard(session, publishing, discard, yes=yes, dry_run=dry_run)
        elif not chosen:
            problem = "which levels?"
            raise UsageError(problem, remedy="imgdata publish LEVEL --to REPOSITORY")
        elif publish_now:
            _publish(session, publishing, chosen, community, yes=yes, dry_run=dry_run)
        else:
            chosen_files, until = parse_selection(select or ()), _date(embargo)
            options = DepositOptions(chosen_files, until, restricted, version, open_now)
            plan = _plan(session, publishing, chosen, options, dry_run=dry_run)
            if publishing.is_packaged and not dry_run:
                _package(session, publishing, plan, into, sending=draft)
            elif not dry_run:
                _draft(session, publishing, plan, new_version=new_version, yes=yes)
    if not dry_run:
        session.finish_writing(project, f"Note the deposit on {repository}")


def _discard(
    session: Session, publishing: "Publishing", identifier: str, *, yes: bool, dry_run: bool
) -> None:
    if dry_run:
        session.say(f"would throw away draft {identifier}")
        session.add({"id": identifier, "discarded": False})
        return
    why = f"this would throw away draft {identifier}"
    session.confirm(f"throw away draft {identifier}?", yes=yes, why=why)
    publishing.discard(identifier)
    session.say(f"draft {identifier} is discarded")
    session.add({"id": identifier, "discarded": True})


def _refuse_ignored(context: typer.Context, levels: tuple[str, ...], repository: str) -> None:
    """Stop where `--publish` is asked for what a draft is made of, or a draft for a review."""
    given = {name for name, value in context.params.items() if value}
    if "publish_now" not in given:
        if "community" in given:
            problem = "--community goes with --publish: it hands the verified draft to curators"
            raise UsageError(problem)
        return
    late = [_word(name) for name in _OF_A_DRAFT if name in given]
    if late:
        names = ", ".join(late)
        problem = f"{names} and --publish do not go together"
        raise UsageError(
            problem,
            cause="--publish makes the verified draft public as it is",
            remedy=f"first the draft: imgdata publish {' '.join(levels)} --to {repository} "
            f"{' '.join(late)} ..., then --publish alone",
        )


def _word(name: str) -> str:
    return "--open" if name == "open_now" else f"--{name.replace('_', '-')}"


def _plan(
    session: Session,
    publishing: "Publishing",
    levels: tuple[str, ...],
    options: "DepositOptions",
    *,
    dry_run: bool,
) -> "DepositPlan":
    """Show what would go; for a deposit in earnest, bring what is not here first."""
    plan = publishing.plan(levels, options)
    if dry_run or not plan.lacking:
        show_plan(session, plan, publishing)
        return plan
    show_lacking(session, plan)
    publishing.fetch(levels, options)
    plan = publishing.plan(levels, options)
    show_plan(session, plan, publishing)
    return plan


def _draft(
    session: Session,
    publishing: "Publishing",
    plan: "DepositPlan",
    *,
    new_version: bool,
    yes: bool,
) -> None:
    """Fill the draft; what a person wrote on its page is overwritten after a question only."""
    refusal = publishing.would_overwrite(plan)
    if refusal is not None:
        if not (yes or session.is_terminal):
            raise refusal
        session.confirm(f"{refusal.problem}; overwrite it?", yes=yes, why=refusal.problem)
    done = publishing.deposit(plan, new_version=new_version, overwrite=refusal is not None)
    _show_draft(session, publishing, done, plan.levels)


def deposit_levels(
    session: Session, project: "Project", levels: tuple[str, ...], *, dry_run: bool
) -> None:
    """Update the open draft of levels whose storage list names a repository; never publish.

    Only for levels that were named: without a level nothing goes to a repository.
    """
    named = [project.config.levels[name] for name in levels]
    from imgdata.repositories import (  # noqa: PLC0415 - slow to import, rarely needed
        DepositOptions,
        Publishing,
    )

    for repository in dict.fromkeys(name for level in named for name in level.repositories):
        chosen = tuple(level.name for level in named if repository in level.repositories)
        publishing = Publishing(project.clone, repository, session.progress())
        plan = _plan(session, publishing, chosen, DepositOptions(), dry_run=dry_run)
        if dry_run:
            continue
        if publishing.is_packaged:
            _package(session, publishing, plan, None, sending=False)
        else:
            _draft(session, publishing, plan, new_version=False, yes=False)


def _only_repository(known: list[str]) -> str:
    if len(known) == 1:
        return known[0]
    problem = "to which repository?"
    raise UsageError(
        problem,
        cause=f"repositories: {', '.join(known) or 'none in imgdata.yaml'}",
        remedy="imgdata publish LEVEL --to REPOSITORY",
    )


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        problem = f"'{text}' is not a date"
        raise UsageError(problem, remedy="write it as 2027-06-01") from error


def _package(
    session: Session,
    publishing: "Publishing",
    plan: "DepositPlan",
    into: Path | None,
    *,
    sending: bool,
) -> None:
    """Write a package; with `sending` keep it as a draft in the account's space too."""
    written = publishing.package(plan, into)
    for path in written:
        session.say(f"wrote {path}")
    session.add({"package": [str(path) for path in written]})
    if not sending:
        session.say("nothing was sent: the next steps are in CHECKLIST.md")
        return
    draft = publishing.draft(plan, into)
    session.say(
        f"draft {draft.key}: {count(draft.sent, 'file')} sent, {draft.already} were there; "
        "compared by size, file lists checked by BioStudies; nothing is public"
    )
    session.say(f"  finish and submit it: {draft.url}")
    levels, repository = " ".join(plan.levels), publishing.settings.name
    session.say(f"  to change it: imgdata publish {levels} --to {repository} --draft")
    session.add({"id": draft.key, "url": draft.url, "sent": draft.sent, "already": draft.already})


def _show_draft(
    session: Session, publishing: "Publishing", done: "Deposited", levels: tuple[str, ...]
) -> None:
    from imgdata.model.deposits import Removed, Uploaded  # noqa: PLC0415 - keeps --help fast

    sent = sum(1 for outcome in done.outcomes if isinstance(outcome, Uploaded))
    deposit = done.deposit
    link = publishing.reviewer_link(deposit.identifier) if session.verbose else ""
    removed = sum(1 for outcome in done.outcomes if isinstance(outcome, Removed))
    news = f"{count(sent, 'file')} sent" + (f", {removed} removed" if removed else "")
    if not sent + removed:
        news = "described anew, no file sent" if done.is_described else "unchanged, nothing sent"
    session.say(
        f"draft {deposit.identifier}: {news}; {count(len(deposit.files), 'file')} verified by the "
        "repository's checksums; nothing is public"
    )
    session.say(f"  DOI (reserved): {deposit.doi or 'given at publication'}")
    session.say(f"  look at it: {deposit.url}")
    if link:
        session.say(f"  for reviewers: {link}")
    repository = publishing.settings.name
    session.say(f"  then: imgdata publish {' '.join(levels)} --to {repository} --publish")
    session.add(
        {
            **_deposit_json(deposit),
            "sent": sent,
            "removed": removed,
            "reviewer_link": link,
        }
    )


def _deposit_json(deposit: "Deposit") -> dict[str, object]:
    return {
        "id": deposit.identifier,
        "doi": deposit.doi,
        "url": deposit.url,
        "state": deposit.state.value,
        "files": [{"name": f.name, "bytes": f.size, "md5": f.md5} for f in deposit.files],
    }


def _publish(
    session: Session,
    publishing: "Publishing",
    levels: tuple[str, ...],
    community: str,
    *,
    yes: bool,
    dry_run: bool,
) -> None:
    """Show what becomes public for ever, ask, then publish."""
    from imgdata.model.deposits import DepositState  # noqa: PLC0415 - keeps --help fast

    draft, told = publishing.verified(levels), dict[str, object]()
    if draft.state is DepositState.PUBLISHED:
        yes = True
        session.say(f"{', '.join(levels)} is published already; a new version needs --new-version")
    else:
        terms = publishing.terms(levels, ask=not dry_run)
        show_terms(session, terms, as_remembered=dry_run)
        told = terms_json(terms)
    if dry_run:
        session.add({**_record_json(draft), **told})
        return
    why = "publishing cannot be taken back"
    session.confirm("publish? it cannot be taken back", yes=yes, why=why)
    done = publishing.publish(levels, community)
    session.add({**told, **_deposit_json(done)})
    if done.state.value == "in-review":
        session.say(f"handed to the curators of the community: {done.url}")
        return
    session.say(f"published: https://doi.org/{done.doi}" if done.doi else f"published: {done.url}")


def _list(session: Session, publishing: "Publishing", *, ask: bool) -> None:
    records = publishing.deposits()
    if ask and publishing.can_ask:
        try:
            records = publishing.refresh()
        except CredentialsError as error:
            session.note(f"as remembered: {error.problem}")
    for record in records:
        session.say(
            f"{record.state.value:<10} {record.identifier or '-':<14} {record.doi or '-':<28} "
            f"{', '.join(record.levels)}   {record.url}"
        )
        session.add(_record_json(record))
    if not records:
        session.say("no deposits yet")


def _record_json(record: DepositRecord) -> dict[str, object]:
    return {
        "repository": record.repository,
        "address": record.address,
        "id": record.identifier,
        "doi": record.doi,
        "url": record.url,
        "state": record.state.value,
        "levels": list(record.levels),
        "files": len(record.files),
    }
