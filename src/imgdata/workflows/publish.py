"""Deposit levels in a data repository: draft, files, verify, stop; publishing is another act.

What happened is remembered as `deposit` events before and after every step that cannot be
taken back, so that a rerun goes on and never opens a second record.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from imgdata.errors import (
    CredentialsError,
    DamagedError,
    NothingFoundError,
    PartlyDoneError,
    RefusedError,
    UsageError,
)
from imgdata.model.deposits import (
    REMBI,
    UNTOLD,
    AlreadyDeposited,
    Deposit,
    DepositedFile,
    DepositPlan,
    DepositRecord,
    DepositState,
    Removed,
    Uploaded,
    UploadOutcome,
)
from imgdata.model.excerpts import first_lines
from imgdata.ports import (
    CanDiscard,
    CanFindDraft,
    CanJoinCommunity,
    CanRemoveFile,
    CanVersion,
    Content,
)
from imgdata.transfer.content import Prepared, prepare
from imgdata.workflows.draft_edits import asked_of, refuse_edited, refuse_strange, words_of
from imgdata.workflows.remembered_deposits import OPEN_STATES, Desk, latest_at, remembered_draft

Documents = Callable[[Deposit, Prepared], Sequence[Content]]
_SENT_TWICE = 2
SHOWN = 10


class Deposited(Struct, frozen=True):
    """A draft whose every file the repository holds with our checksum; nothing is public yet.

    Attributes:
        deposit: As the repository has it now.
        outcomes: What became of each file.
        is_described: Whether its description was written anew.
    """

    deposit: Deposit
    outcomes: tuple[UploadOutcome, ...]
    is_described: bool = False


class Holds(Struct, frozen=True):
    """What a deposit is made of: whole versions, parts of versions, and their origins."""

    contents: tuple[tuple[str, str, str], ...] = ()
    parts: tuple[tuple[str, str, str], ...] = ()
    origins: tuple[tuple[str, str], ...] = ()


HOLDS_NOTHING = Holds()


def refuse_unready(plan: DepositPlan) -> None:
    """Stop before a byte is sent when something is missing or does not fit.

    Raises:
        UsageError: Mandatory answers are missing; all are listed.
        RefusedError: A limit is exceeded, or nothing may leave.
        DamagedError: Something is not here: it was not fetched.
    """
    refuse_unfit(plan)
    if plan.lacking:
        first = plan.lacking[0]
        msg = f"{f'{first.level} {first.unit}'.strip()} is not here: it is to be fetched first"
        raise DamagedError(msg, remedy=f"imgdata pull {first.level}")


def refuse_unfit(plan: DepositPlan) -> None:
    """Stop before a byte is fetched when answers are missing or something does not fit.

    Raises:
        UsageError: Mandatory answers are missing; all are listed.
        RefusedError: A limit is exceeded, or nothing may leave.
    """
    if not plan.items:
        raise _nothing_left(plan)
    if plan.over:
        msg = f"this does not fit into a deposit on '{plan.repository}'"
        raise RefusedError(
            msg,
            cause="\n".join(plan.over),
            remedy=plan.limits.note or "publish fewer levels, or a part with --select",
        )
    if plan.missing:
        count = len(plan.missing)
        msg = f"{count} answer{'s are' if count > 1 else ' is'} missing for a deposit"
        raise UsageError(
            msg,
            cause="\n".join(f"{q.where}: {q.name}: {q.text}" for q in plan.missing),
            remedy="answer them there"
            if all(question.where != REMBI for question in plan.missing)
            else f"answer them there; imgdata describe asks for what belongs in {REMBI}",
        )


def _nothing_left(plan: DepositPlan) -> RefusedError:
    levels = ", ".join(plan.levels)
    if not plan.held:
        return RefusedError(f"{levels} holds no file, so there is nothing to deposit")
    reasons = dict.fromkeys(held.reason for held in plan.held)
    return RefusedError(
        f"nothing may leave of {levels}",
        cause=first_lines(reasons, SHOWN),
        remedy="the owner's release date or a written rule (may_leave) in imgdata.yaml, committed "
        "on the release branch, lets data go",
    )


def deposit(
    plan: DepositPlan,
    desk: Desk,
    documents: Documents,
    holds: Holds = HOLDS_NOTHING,
    *,
    new_version: bool = False,
    overwrite: bool = False,
) -> Deposited:
    """Bring a plan into the one open draft of its levels, verified; publishes nothing.

    Args:
        plan: What to deposit.
        desk: Where.
        documents: Makes the metadata files, once DOI and checksums are known.
        holds: What the deposit is made of, for the log.
        new_version: Open the next version of a published deposit.
        overwrite: Replace what a person wrote on the draft's page.

    Raises:
        DamagedError: A file is not what was recorded, or arrives wrong twice.
        RefusedError: The levels are published already and no new version was asked for, or a
            person wrote on the draft's page what would be overwritten.
    """
    refuse_unready(plan)
    prepared = prepare(plan.items, desk.progress)
    before = _asked_before(plan, desk)
    opened, record = _open(plan, desk, new_version=new_version, overwrite=overwrite)
    if opened.complaints:
        msg = f"'{desk.repository}' keeps the draft, but refuses its description"
        raise UsageError(msg, cause="\n".join(opened.complaints), remedy=f"see {opened.url}")
    sending: list[Content] = [*prepared.contents, *documents(opened, prepared)]
    refuse_strange(opened, sending, plan, desk, overwrite=overwrite)
    record = _announce(record, sending, desk)
    outcomes = tuple(_upload(opened, sending, desk))
    verified = _verify(opened, sending, desk)
    desk.log.note_deposit(
        replace(
            _known(record, verified),
            state=DepositState.VERIFIED,
            files=verified.files,
            contents=holds.contents,
            parts=holds.parts,
            origins=holds.origins,
        )
    )
    return Deposited(verified, outcomes, is_described=record.asked != before)


def _asked_before(plan: DepositPlan, desk: Desk) -> str:
    last = latest_at(desk, plan.levels)
    return last.asked if last is not None else ""


def _announce(record: DepositRecord, sending: Sequence[Content], desk: Desk) -> DepositRecord:
    """Note what will be sent, so that a rerun after an interruption knows it as imgdata's."""
    files = tuple(DepositedFile(one.name, one.size, one.md5) for one in sending)
    if {(f.name, f.md5) for f in files} == {(f.name, f.md5) for f in record.files}:
        return record
    begun = replace(record, state=DepositState.DRAFT, files=files)
    desk.log.note_deposit(begun)
    return begun


def _known(record: DepositRecord, found: Deposit) -> DepositRecord:
    return replace(
        record,
        identifier=found.identifier,
        concept=found.concept,
        doi=found.doi,
        url=found.url,
    )


def _open(
    plan: DepositPlan, desk: Desk, *, new_version: bool, overwrite: bool
) -> tuple[Deposit, DepositRecord]:
    """Return the draft to fill: the open one, the next version's, or a new one."""
    last = latest_at(desk, plan.levels)
    if last is not None and last.state is DepositState.OPENING:
        found = _find_lost(last, desk)
        if found is not None:
            return _describe(plan, desk, found, _known(last, found), overwrite=True)
    if last is not None and last.state in OPEN_STATES | {DepositState.IN_REVIEW}:
        found = _reopen(last, desk)
        if found is not None and found.state is DepositState.IN_REVIEW:
            raise _in_review(last)
        if found is not None and found.state is DepositState.DRAFT:
            return _describe(plan, desk, found, last, overwrite=overwrite)
        last = latest_at(desk, plan.levels)
    if last is not None and last.state is DepositState.PUBLISHED:
        standing = _standing(last, desk)
        if standing is not None:
            _refuse_version(plan, desk, last, wanted=new_version)
            refuse_edited(standing, last, plan, overwrite=overwrite)
            return _next_version(plan, desk, last)
    return _create(plan, desk)


def _standing(last: DepositRecord, desk: Desk) -> Deposit | None:
    """Return a published record while it stands; one that was taken away is noted so."""
    try:
        return desk.depository.read(last.identifier)
    except NothingFoundError:
        desk.log.note_deposit(replace(last, state=DepositState.REMOVED))
        return None


def _create(plan: DepositPlan, desk: Desk) -> tuple[Deposit, DepositRecord]:
    """Open a new draft; its marker is remembered first, so that it cannot get lost."""
    record = DepositRecord(
        repository=desk.repository,
        address=desk.depository.address,
        marker=str(uuid.uuid4()),
        state=DepositState.OPENING,
        levels=plan.levels,
    )
    desk.log.note_deposit(record)
    try:
        opened = desk.depository.create(plan.metadata, plan.access, record.marker)
    except (UsageError, CredentialsError):
        # A clear refusal: there is no draft to look for.
        desk.log.note_deposit(replace(record, state=DepositState.DISCARDED))
        raise
    if opened.complaints:
        record = replace(_known(record, opened), state=DepositState.DRAFT)
        desk.log.note_deposit(record)
    return opened, _written(record, opened, desk, asked_of(plan))


def _find_lost(last: DepositRecord, desk: Desk) -> Deposit | None:
    """Look for a draft whose creation was begun and not answered."""
    if not isinstance(desk.depository, CanFindDraft):
        return None
    found = desk.depository.find_draft(last.marker)
    if found is not None:
        desk.log.note_deposit(replace(_known(last, found), state=DepositState.DRAFT))
    return found


def _reopen(last: DepositRecord, desk: Desk) -> Deposit | None:
    """Read a remembered draft; one that is gone or was published meanwhile is noted so."""
    try:
        found = desk.depository.read(last.identifier)
    except NothingFoundError:
        desk.log.note_deposit(replace(last, state=DepositState.DISCARDED))
        return None
    if found.state is DepositState.PUBLISHED:
        desk.log.note_deposit(_published(last, found))
    return found


def _published(record: DepositRecord, found: Deposit) -> DepositRecord:
    files = found.files or record.files
    return replace(_known(record, found), state=DepositState.PUBLISHED, files=files)


def _in_review(last: DepositRecord) -> RefusedError:
    return RefusedError(
        f"the deposit is with the curators of its community and is not changed: {last.url}",
        remedy="wait for them, or take it back on that page",
    )


def _describe(
    plan: DepositPlan, desk: Desk, found: Deposit, record: DepositRecord, *, overwrite: bool
) -> tuple[Deposit, DepositRecord]:
    """Let the draft say what the plan says, unless a person wrote something else on its page.

    What a person wrote stays while imgdata has nothing new to say.
    """
    asked = asked_of(plan)
    edited = found.description.changed_since(record.description)
    is_said = asked == record.asked or (edited and words_of(asked) == words_of(record.asked))
    if is_said and not (edited and overwrite):
        return found, _known(record, found)
    refuse_edited(found, record, plan, overwrite=overwrite)
    described = desk.depository.describe(found.identifier, plan.metadata, plan.access)
    return described, _written(record, described, desk, asked)


def _written(record: DepositRecord, found: Deposit, desk: Desk, asked: str) -> DepositRecord:
    """Note what imgdata wrote and the repository made of it; nothing where it refused."""
    if found.complaints:
        return record
    record = replace(
        _known(record, found),
        state=DepositState.DRAFT,
        description=found.description,
        asked=asked,
    )
    desk.log.note_deposit(record)
    return record


def _refuse_version(plan: DepositPlan, desk: Desk, last: DepositRecord, *, wanted: bool) -> None:
    if not wanted:
        msg = f"{', '.join(plan.levels)} is published already: {last.doi or last.url}"
        raise RefusedError(
            msg,
            cause="a published record does not change",
            remedy=f"imgdata publish {' '.join(plan.levels)} --to {desk.repository} --new-version",
        )
    if not isinstance(desk.depository, CanVersion):
        msg = f"'{desk.repository}' has no new versions by program"
        raise UsageError(msg, remedy=f"see {last.url}")


def _next_version(
    plan: DepositPlan, desk: Desk, last: DepositRecord
) -> tuple[Deposit, DepositRecord]:
    assert isinstance(desk.depository, CanVersion), "was asked"  # noqa: S101 - for the type checker
    opened = desk.depository.new_version(last.identifier)
    record = replace(
        _known(last, opened),
        state=DepositState.DRAFT,
        files=(),
        contents=(),
        parts=(),
        description=UNTOLD,
        asked="",
    )
    desk.log.note_deposit(record)
    return _describe(plan, desk, opened, record, overwrite=True)


def _upload(opened: Deposit, sending: Sequence[Content], desk: Desk) -> Iterator[UploadOutcome]:
    """Make the draft hold exactly these files, sending only what differs."""
    held = {file.name: file for file in opened.files}
    wanted = {content.name for content in sending}
    if isinstance(desk.depository, CanRemoveFile):
        for name in sorted(held.keys() - wanted):
            desk.depository.remove_file(opened.identifier, name)
            yield Removed(name)
    desk.progress.start("upload", items=len(sending), size=sum(c.size for c in sending))
    try:
        for content in sending:
            there = held.get(content.name)
            if there is not None and _same(there, content):
                desk.progress.advance(size=content.size)
                yield AlreadyDeposited(there)
            else:
                yield Uploaded(_send(opened.identifier, content, desk))
            desk.progress.advance(items=1)
    finally:
        desk.progress.finish()


def _same(there: DepositedFile, content: Content) -> bool:
    return (there.size, there.md5) == (content.size, content.md5)


def _send(identifier: str, content: Content, desk: Desk) -> DepositedFile:
    """Send one file; what arrives wrong is sent once more."""
    arrived = desk.depository.add_file(identifier, content, desk.progress)
    for _ in range(_SENT_TWICE - 1):
        if _same(arrived, content):
            return arrived
        desk.progress.advance(size=-content.size)
        arrived = desk.depository.add_file(identifier, content, desk.progress)
    if not _same(arrived, content):
        if isinstance(desk.depository, CanRemoveFile):
            # Left there, a rerun would take it for a file that a person put into the draft.
            desk.depository.remove_file(identifier, content.name)
        raise _arrived_wrong(arrived, content, desk.repository)
    return arrived


def _arrived_wrong(arrived: DepositedFile, content: Content, repository: str) -> DamagedError:
    return DamagedError(
        f"{content.name} does not arrive as it was sent to '{repository}'",
        cause=f"sent {content.size} bytes, md5 {content.md5}; "
        f"'{repository}' has {arrived.size} bytes, md5 {arrived.md5 or 'unknown'}",
        remedy="run the same command again; if it stays so, tell the repository",
    )


def _verify(opened: Deposit, sending: Sequence[Content], desk: Desk) -> Deposit:
    """Read the draft back: the same names, sizes and checksums, no more and no less."""
    found = desk.depository.read(opened.identifier)
    held = {file.name: file for file in found.files}
    for content in sending:
        there = held.pop(content.name, DepositedFile(content.name, 0, ""))
        if not _same(there, content):
            raise _arrived_wrong(there, content, desk.repository)
    if held and isinstance(desk.depository, CanRemoveFile):
        msg = f"the draft on '{desk.repository}' holds files that were not sent"
        raise DamagedError(msg, cause="\n".join(sorted(held)), remedy=f"see {found.url}")
    return found


def publish(desk: Desk, levels: Sequence[str], community: str = "") -> Deposit:
    """Make a verified draft public for ever, or hand it to a community's curators.

    The draft is read once more: what anybody changed since it was verified stops it.

    Raises:
        DamagedError: The draft does not hold the verified files any more.
        PartlyDoneError: Whether it was published could not be found out.
    """
    record = remembered_draft(desk.log.deposits(), desk.repository, desk.depository.address, levels)
    found = read_draft(desk, record)
    if found.state is DepositState.PUBLISHED:
        if record.state is not DepositState.PUBLISHED:
            desk.log.note_deposit(_published(record, found))
        return found
    _refuse_changed(found, record, desk.repository)
    if community:
        return _submit(desk, record, community)
    desk.log.note_deposit(replace(record, state=DepositState.PUBLISHING))
    published = desk.depository.publish(record.identifier)
    if published.state is DepositState.IN_REVIEW:
        desk.log.note_deposit(replace(_known(record, published), state=published.state))
        return published
    if published.state is not DepositState.PUBLISHED:
        msg = f"'{desk.repository}' answered, but the record is not public yet"
        raise PartlyDoneError(msg, remedy="imgdata publish --list reads it again")
    desk.log.note_deposit(_published(record, published))
    return published


def read_draft(desk: Desk, record: DepositRecord) -> Deposit:
    """Return a verified draft as the repository has it now.

    Raises:
        NothingFoundError: It was thrown away there.
    """
    try:
        return desk.depository.read(record.identifier)
    except NothingFoundError as error:
        desk.log.note_deposit(replace(record, state=DepositState.DISCARDED))
        msg = f"draft {record.identifier} is not on '{record.repository}' any more"
        command = f"imgdata publish {' '.join(record.levels)} --to {record.repository}"
        raise NothingFoundError(
            msg, cause=error.cause, remedy=f"make it again: {command}"
        ) from error


def _refuse_changed(found: Deposit, record: DepositRecord, repository: str) -> None:
    held = {(f.name, f.size, f.md5) for f in found.files}
    verified = {(f.name, f.size, f.md5) for f in record.files}
    if held != verified:
        names = sorted({name for name, _, _ in held ^ verified})
        msg = f"the draft on '{repository}' changed after it was verified"
        raise DamagedError(
            msg,
            cause="\n".join(names),
            remedy=f"imgdata publish {' '.join(record.levels)} --to {repository} brings it in line",
        )


def _submit(desk: Desk, record: DepositRecord, community: str) -> Deposit:
    if not isinstance(desk.depository, CanJoinCommunity):
        msg = f"'{desk.repository}' has no communities"
        raise UsageError(msg)
    found = desk.depository.submit_to(record.identifier, community)
    state = found.state if found.state is DepositState.PUBLISHED else DepositState.IN_REVIEW
    desk.log.note_deposit(replace(_known(record, found), state=state))
    return found


def discard(desk: Desk, identifier: str) -> None:
    """Throw away an open draft that this project made; never a published record.

    Raises:
        UsageError: This project has no such draft, or the repository cannot do it.
    """
    known = [r for r in desk.log.deposits() if r.identifier == identifier]
    mine = known[-1] if known else None
    if mine is None or mine.state in {DepositState.PUBLISHED, DepositState.DISCARDED}:
        msg = f"this project has no open draft '{identifier}' on '{desk.repository}'"
        raise UsageError(msg, remedy="imgdata publish --list")
    if not isinstance(desk.depository, CanDiscard):
        msg = f"'{desk.repository}' cannot discard a draft by program"
        raise UsageError(msg, remedy=f"see {mine.url}")
    # Where a version is the same record, what is there may look like a draft again.
    was_public = any(record.state is DepositState.PUBLISHED for record in known)
    if was_public or _state_there(desk, identifier) is DepositState.PUBLISHED:
        msg = f"'{identifier}' is published; a published record stays"
        raise RefusedError(msg, remedy=f"changes that are not published are undone at {mine.url}")
    desk.depository.discard(identifier)
    desk.log.note_deposit(replace(mine, state=DepositState.DISCARDED))


def _state_there(desk: Desk, identifier: str) -> DepositState | None:
    try:
        return desk.depository.read(identifier).state
    except NothingFoundError:
        return None


def reread(desk: Desk, record: DepositRecord) -> None:
    """Read a remembered deposit again; what became of it meanwhile is noted."""
    found = _reopen(record, desk)
    if found is not None and found.state is DepositState.IN_REVIEW is not record.state:
        desk.log.note_deposit(replace(_known(record, found), state=found.state))
