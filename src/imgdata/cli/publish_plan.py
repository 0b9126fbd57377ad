"""What `imgdata publish` would send, as a person reads it and as JSON."""

import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from imgdata.cli.session import Session
from imgdata.cli.text import count
from imgdata.model.deposits import REMBI, PlannedFile, PlannedPack
from imgdata.model.sizes import format_size

if TYPE_CHECKING:
    from imgdata.model.deposits import DepositPlan, Question
    from imgdata.repositories import Publishing

SHOWN = 10


def show_plan(session: Session, plan: "DepositPlan", publishing: "Publishing") -> None:
    """Say what would go, what stays, what is missing and what it would mean."""
    limits = "ok" if not plan.over else "EXCEEDED"
    session.say(
        f"nothing to upload to {publishing.service.address}"
        if not plan.items
        else f"will upload {count(plan.files, 'file')} with {format_size(plan.size)} of data to "
        f"{publishing.service.address} ({', '.join(_made_of(plan, publishing))})   limits: {limits}"
    )
    for item in plan.items[: None if session.verbose else SHOWN]:
        holds = f", {count(len(item.files), 'file')}" if isinstance(item, PlannedPack) else ""
        name = item.name
        if publishing.is_packaged and isinstance(item, PlannedFile):
            name = item.file.path  # a person uploads the folders as they are
        session.say(f"  {name}  {format_size(item.size)}{holds}")
    if len(plan.items) > SHOWN and not session.verbose:
        session.say(f"  ... and {len(plan.items) - SHOWN} more (--verbose)")
    for text in plan.over:
        session.say(f"over: {text}")
    show_lacking(session, plan)
    _show_held(session, plan)
    _show_questions(session, plan)
    if loose := publishing.loose_recipe:
        names = f"{', '.join(loose[:3])}{f' and {len(loose) - 3} more' if len(loose) > 3 else ''}"  # noqa: PLR2004 - enough to see
        is_are = "is not committed as it is" if len(loose) == 1 else "are not committed as they are"
        session.say(f"recipe: {names} {is_are}; the deposit's README.md says so")
    until = f" until {plan.access.until.isoformat()}" if plan.access.until else ""
    licence = plan.metadata.license or "none"
    kept = ", as the deposit there (--open opens them)" if plan.is_access_kept else ""
    session.say(f"licence: {licence}   files: {plan.access.visibility.value}{until}{kept}")
    for line in _afterwards(plan, publishing):
        session.say(line)
    session.add(_plan_json(plan, publishing.service.address, publishing.published_as(plan.levels)))


def show_lacking(session: Session, plan: "DepositPlan") -> None:
    """Say what is brought here first, with bytes against free space."""
    for one in plan.lacking:
        unit, about = f"{one.level} {one.unit}".strip(), "about" if one.is_listed else "up to"
        session.say(
            f"fetch first: {unit}, {count(one.files, 'file')}, {about} {format_size(one.size)} "
            f"from {' or '.join(one.places)}, verified"
        )
    if not all(one.is_listed for one in plan.lacking):
        session.say("  their names and packs are known once their file lists are here")
    if plan.lacking:
        total, free = sum(one.size for one in plan.lacking), shutil.disk_usage(Path.cwd()).free
        session.say(f"  {format_size(total)} into the cache; {format_size(free)} are free here")


def _made_of(plan: "DepositPlan", publishing: "Publishing") -> Iterator[str]:
    """Yield what the files are: packs by level, and the documents in a word each."""
    packs = [item for item in plan.items if isinstance(item, PlannedPack)]
    for level, some in groupby(packs, lambda pack: pack.level):
        unit = publishing.source.config.levels[level].unit
        by_unit = unit is not None and all(pack.unit for pack in some)
        yield f"{level} packed per {unit}" if by_unit else f"{level} packed"
    words = {"manifest.csv": "1 manifest", "ro-crate-metadata.json": "1 RO-Crate",
             "CITATION.cff": "citation", "workflow.zip": "recipe"}  # fmt: skip
    yield from (word for name, word in words.items() if name in plan.documents)


def _show_held(session: Session, plan: "DepositPlan") -> None:
    """Say what a restriction holds back, unit by unit."""
    shown = plan.held if session.verbose else plan.held[:SHOWN]
    for held in shown:
        unit = f"{held.level} {held.unit}".strip()
        reason = held.reason.removeprefix(f"{unit}: ")
        session.say(f"blocked: {count(held.files, 'file')} of {unit}: {reason}")
    if len(plan.held) > len(shown):
        rest = plan.held[len(shown) :]
        files = count(sum(one.files for one in rest), "file")
        session.say(f"blocked: {files} of {count(len(rest), 'more unit')} (--verbose)")
    if plan.held:
        session.say("  they stay; the owner's release date or a written rule (may_leave) lets go")


def _show_questions(session: Session, plan: "DepositPlan") -> None:
    """Name what is missing and what is advised, with the file each answer belongs in."""
    for question in plan.missing:
        session.say(f"missing: {question.name}: {question.text}   -> {question.where}")
    if any(question.where == REMBI for question in plan.missing):
        session.say(f"  imgdata describe asks for what belongs in {REMBI}")
    for question in plan.questions:
        if not question.required:
            session.say(f"advised: {question.name}: {question.text}   -> {question.where}")


def _afterwards(plan: "DepositPlan", publishing: "Publishing") -> Iterator[str]:
    """Yield what becomes public when, and what a publication is worth as a copy."""
    if publishing.is_packaged:
        yield "nothing is sent: a package and a checklist are written"
        return
    if published := publishing.published_as(plan.levels):
        yield f"published already: {published}; --new-version opens the next version"
    yield (
        "DOI: a draft reserves one; nothing becomes public until "
        f"imgdata publish {' '.join(plan.levels)} --to {plan.repository} --publish"
    )
    if publishing.is_sandbox:
        yield f"'{plan.repository}' is a sandbox, which may be wiped: no copy counts there"
    else:
        yield f"after publication '{plan.repository}' counts as 1 copy in imgdata whereis"


def _plan_json(plan: "DepositPlan", address: str, published: str) -> dict[str, object]:
    return {
        "repository": plan.repository,
        "address": address,
        "levels": list(plan.levels),
        "files": plan.files,
        "bytes": plan.size,
        "items": [
            {
                "name": item.name,
                "bytes": item.size,
                "packed": len(item.files) if isinstance(item, PlannedPack) else 0,
            }
            for item in plan.items
        ],
        "documents": list(plan.documents),
        "blocked": [
            {"level": h.level, "unit": h.unit, "files": h.files, "reason": h.reason}
            for h in plan.held
        ],
        "fetch": [
            {
                "level": one.level,
                "unit": one.unit,
                "files": one.files,
                "bytes": one.size,
                "from": list(one.places),
            }
            for one in plan.lacking
        ],
        "questions": [_question_json(question) for question in plan.questions],
        "over": list(plan.over),
        "license": plan.metadata.license,
        "access": plan.access.visibility.value,
        "until": plan.access.until.isoformat() if plan.access.until else None,
        "title": plan.metadata.title,
        "creators": [creator.name for creator in plan.metadata.creators],
        "published": published,
    }


def _question_json(question: "Question") -> dict[str, object]:
    return {
        "name": question.name,
        "text": question.text,
        "where": question.where,
        "required": question.required,
    }
