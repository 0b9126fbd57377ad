"""What nobody can change after publication: shown before the last question, and as JSON."""

import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.model.deposits import Access
    from imgdata.workflows.publication_terms import Basis, Terms

WIDTH = 80
SHOWN = 10
_LABEL = 10


def show_terms(session: Session, terms: "Terms", *, as_remembered: bool) -> None:
    """Say in some lines of up to 80 columns what becomes public for ever, and who let it."""
    draft = terms.draft
    session.say(f"becomes public for ever at {draft.address}: {draft.doi or draft.identifier}")
    for line in _lines(terms):
        session.say(line)
    shown = terms.files[: None if session.verbose else SHOWN]
    for file in shown:
        session.say(f"  {file.name}  {format_size(file.size)}")
    if len(shown) < len(terms.files):
        session.say(f"  ... and {len(terms.files) - len(shown)} more (--verbose)")
    if as_remembered:
        session.say("  as remembered; without --dry-run the draft is read again first")
    session.say(f"  all of it: {draft.url}")


def _lines(terms: "Terms") -> Iterator[str]:
    said = terms.description
    if said.fields:
        yield from _row("title", said.title)
        yield from _row("creators", "; ".join(said.creators) or "none")
        yield from _row("licence", said.license or "none")
        yield from _row("access", access_words(said.access))
        if said.version:
            yield from _row("version", said.version)
    else:
        yield from _row("title", "see its page; this draft was made by an earlier imgdata")
    if terms.dated is not None:
        day = terms.dated.isoformat()
        yield from _row(
            "dated", f"{day}, when the draft was made; run without --publish it is dated today"
        )
    yield from _row("size", f"{count(len(terms.files), 'file')}, {format_size(terms.size)}")
    for level, some in groupby(terms.bases, lambda basis: basis.level):
        for basis in some:
            yield from _row(level, _why(basis))
    if terms.edited:
        names = ", ".join(terms.edited)
        yield from _row("note", f"changed on its page after imgdata wrote it: {names}")


def _row(label: str, text: str) -> list[str]:
    """Return a label and its text, wrapped below itself."""
    start = f"  {label + ':':<{_LABEL}} "
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * (_LABEL + 3),
        break_on_hyphens=False,
    )


def access_words(access: "Access") -> str:
    """Say who may read the files, and until when not."""
    if access.until is not None:
        return f"files closed until {access.until.isoformat()}, then open to everybody"
    if access.visibility.value == "open":
        return "everything open to everybody"
    return "files stay closed (restricted); the description is public"


def _why(basis: "Basis") -> str:
    """Say which rule lets a level leave, who decided it, and where it is written."""
    rule = basis.rule or "NO RULE LETS IT LEAVE TODAY"
    text = f"{rule}, origin {basis.origin or 'not recorded'}"
    if basis.note:
        text += f" ({basis.note})"
    if basis.commit is None:
        return text
    day = basis.commit.date.partition("T")[0]
    return (
        f"{text}; decided by {basis.commit.author} on {day}, in imgdata.yaml "
        f"on {basis.branch} ({basis.commit.id[:8]})"
    )


def terms_json(terms: "Terms") -> dict[str, object]:
    """Return the same for `--json`."""
    said = terms.description
    until = said.access.until
    return {
        "title": said.title,
        "creators": list(said.creators),
        "license": said.license,
        "access": said.access.visibility.value,
        "until": until.isoformat() if until else None,
        "version": said.version,
        "dated": terms.dated.isoformat() if terms.dated else None,
        "bytes": terms.size,
        "edited": list(terms.edited),
        "released_by": [_basis_json(basis) for basis in terms.bases],
    }


def _basis_json(basis: "Basis") -> dict[str, object]:
    commit = basis.commit
    return {
        "level": basis.level,
        "origin": basis.origin,
        "rule": basis.rule,
        "note": basis.note,
        "branch": basis.branch,
        "commit": commit.id if commit else None,
        "by": commit.author if commit else None,
        "on": commit.date if commit else None,
    }
