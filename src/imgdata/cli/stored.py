"""`imgdata verify --stored` and `--source FOLDER`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from imgdata.cli.session import Session
from imgdata.errors import ImgdataError
from imgdata.model.excerpts import first_lines

if TYPE_CHECKING:
    from imgdata.workflows.stored import NotInSource

SHOWN = 20


class NotStoredError(ImgdataError):
    """Something needed is not stored well enough: a finding."""

    kind = "not-stored"


def show_stored(session: Session, levels: Sequence[str], *, all_versions: bool) -> None:
    """Say whether every needed version is stored.

    Raises:
        NotStoredError: One is not, or commits are on no git remote.
    """
    from imgdata.workflows.stored import Stored, Unpushed  # noqa: PLC0415 - keeps --help fast

    project = session.open()
    bad: list[str] = []
    for answer in project.stored(levels, all_versions=all_versions):
        match answer:
            case Stored(version, storages, needed, missing):
                places = ", ".join(storages) or "nowhere whole"
                session.say(f"{version.title} {version.version[:8]}: {places}")
                bad += missing
                session.add(
                    {
                        "level": version.level,
                        "unit": version.unit,
                        "version": version.version,
                        "storages": list(storages),
                        "needed": needed,
                        "missing": list(missing),
                    }
                )
            case Unpushed(name, commits):
                word = "commit" if commits == 1 else "commits"
                told = f"{name}: {commits} {word} on no git remote"
                session.say(told)
                session.add({"ref": name, "unpushed_commits": commits})
                bad.append(told)
            case _:
                assert_never(answer)
    if bad:
        line = "imgdata push && git push --all && git push --tags"
        _fail(bad, "not stored as their rules ask", line)
    session.say("everything that is needed is stored")


def show_source(session: Session, folder: Path) -> None:
    """Say whether every file of a folder has its copies.

    Raises:
        NotStoredError: One has not.
    """
    from imgdata.workflows.stored import NotInSource, SourceFile  # noqa: PLC0415 - as above

    project = session.open()
    answers = list(project.check_source(folder, progress=session.progress()))
    files = [one for one in answers if isinstance(one, SourceFile)]
    bad = [f"{one.path}: {one.why_not}" for one in files if not one.is_safe]
    for one in files:
        session.add(
            {
                "path": one.path,
                "recorded_as": one.recorded_as or None,
                "copies": list(one.copies),
                "needed": one.needed,
                "safe": one.is_safe,
                "why_not": one.why_not or None,
            }
        )
        if session.verbose and one.is_safe:
            session.say(f"{one.path}: {one.recorded_as} on {', '.join(one.copies)}")
    for other in answers:
        if isinstance(other, NotInSource):
            _show_absent(session, other)
    if bad:
        _fail(bad, f"in {folder} must not be wiped yet", "imgdata add LEVEL FOLDER, imgdata push")
    session.say(f"{folder}: all {len(files):,} files have their copies; it may be wiped")


def _show_absent(session: Session, absent: "NotInSource") -> None:
    """Name the files of a unit that the folder lacks: it may be only a part of the plate."""
    version, files = absent.version, absent.files
    count = "one recorded file is" if len(files) == 1 else f"{len(files):,} recorded files are"
    session.say(f"note: {version.title}: {count} not in this folder")
    for name in files[:SHOWN]:
        session.say(f"  {name}")
    if len(files) > SHOWN:
        session.say(f"  ... and {len(files) - SHOWN:,} more")
    session.add({"level": version.level, "unit": version.unit, "not_in_folder": list(files)})


def _fail(bad: Sequence[str], what: str, remedy: str) -> None:
    count = "one thing is" if len(bad) == 1 else f"{len(bad):,} things are"
    count = count.replace(" is", "").replace(" are", "") if what.startswith("in ") else count
    problem = f"{count} {what}"
    raise NotStoredError(problem, cause=first_lines(bad, SHOWN), remedy=remedy)
