"""What a person changed on a draft's page: noticed, and not overwritten without a question."""

import hashlib
from collections.abc import Sequence
from datetime import date

from msgspec.json import encode
from msgspec.structs import replace

from imgdata.errors import NothingFoundError, RefusedError
from imgdata.model.deposits import Deposit, DepositPlan, DepositRecord, DepositState
from imgdata.model.excerpts import first_lines
from imgdata.ports import Content
from imgdata.workflows.remembered_deposits import OPEN_STATES, Desk, latest_at

SHOWN = 10


def asked_of(plan: DepositPlan) -> str:
    """Return what a draft is asked to say, in short: its date, and a digest of all else."""
    undated = replace(plan.metadata, published=date.min)
    words = encode((undated, plan.access), order="deterministic")
    digest = hashlib.md5(words, usedforsecurity=False).hexdigest()
    return f"{plan.metadata.published.isoformat()} {digest}"


def words_of(asked: str) -> str:
    """Return the digest without the date."""
    return asked.partition(" ")[2]


def dated(record: DepositRecord) -> date | None:
    """Return the day that a draft states as its publication, where it is known."""
    try:
        return date.fromisoformat(record.asked.partition(" ")[0])
    except ValueError:
        return None


def _ours(plan: DepositPlan, desk: Desk) -> set[tuple[str, str]]:
    """Return name and md5 of all that imgdata ever sent, or began to send, for these levels."""
    wanted = sorted(plan.levels)
    return {
        (file.name, file.md5)
        for record in desk.log.deposits()
        if record.repository == desk.repository and sorted(record.levels) == wanted
        for file in record.files
    }


def _strange(found: Deposit, plan: DepositPlan, desk: Desk) -> tuple[str, ...]:
    """Return the names of whole files in a draft that a person put there."""
    ours = _ours(plan, desk)
    return tuple(f.name for f in found.files if f.md5 and (f.name, f.md5) not in ours)


def refuse_strange(
    opened: Deposit, sending: Sequence[Content], plan: DepositPlan, desk: Desk, *, overwrite: bool
) -> None:
    """Stop before a file that a person put into the draft is deleted or replaced."""
    same = {(content.name, content.md5) for content in sending}
    there = {file.name: file.md5 for file in opened.files}
    strange = [n for n in _strange(opened, plan, desk) if (n, there[n]) not in same]
    if strange and not overwrite:
        raise _would_overwrite((), strange, opened, plan)


def refuse_edited(
    found: Deposit, record: DepositRecord, plan: DepositPlan, *, overwrite: bool
) -> None:
    """Stop before the description that a person wrote is replaced."""
    edited = found.description.changed_since(record.description)
    if edited and not overwrite:
        raise _would_overwrite(edited, (), found, plan)


def _would_overwrite(
    edited: Sequence[str], files: Sequence[str], found: Deposit, plan: DepositPlan
) -> RefusedError:
    command = f"imgdata publish {' '.join(plan.levels)} --to {plan.repository}"
    lines = [f"files: {first_lines(files, SHOWN)}"] if files else []
    if edited:
        lines.append(f"{', '.join(edited)}: imgdata.yaml or metadata/ says something new too")
    what = ", ".join([*edited, *(["files"] if files else [])])
    return RefusedError(
        f"this would overwrite what a person wrote on the draft's page: {what}",
        cause="\n".join([*lines, f"see {found.url}"]),
        remedy=f"keep what is worth it elsewhere (imgdata.yaml, a level), then: {command} --yes",
    )


def would_overwrite(plan: DepositPlan, desk: Desk) -> RefusedError | None:
    """Return why `deposit` would stop: a person changed something on the page. Asks once."""
    last = latest_at(desk, plan.levels)
    if last is None or last.state not in OPEN_STATES | {DepositState.PUBLISHED}:
        return None
    try:
        found = desk.depository.read(last.identifier)
    except NothingFoundError:
        return None
    is_open = last.state is not DepositState.PUBLISHED
    is_said = is_open and words_of(last.asked) == words_of(asked_of(plan))
    edited = () if is_said else found.description.changed_since(last.description)
    files = _strange(found, plan, desk) if is_open else ()
    return _would_overwrite(edited, files, found, plan) if edited or files else None
