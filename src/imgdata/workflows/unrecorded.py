"""A file that nothing here records: why that may be, and where to ask instead."""

from collections.abc import Iterator

from imgdata.dvc_files.places import folder_of
from imgdata.lineage.answer import Answer
from imgdata.lineage.recorded_versions import recorded_at
from imgdata.lineage.upstream import Snapshot, choose, history_gaps
from imgdata.lineage.versions import Versions, parts_of_id
from imgdata.model.commits import Commit
from imgdata.ports import History

SUBMODULE = "commit"


def unrecorded(snapshot: Snapshot, head: Snapshot, path: str, *, in_project: bool) -> Answer:
    """Return the answer for a path without a record.

    Args:
        snapshot: Where it was looked for.
        head: The last commit.
        path: What was asked about.
        in_project: Whether it lies in an imgdata project.
    """
    commit = None if snapshot.commit is None else snapshot.commit.id
    submodule = submodule_of(snapshot, path)
    if submodule is not None:
        inside = path[len(submodule) + 1 :]
        words = "it lies in" if inside else "it is"
        command = f"imgdata --project {submodule} lineage {inside}".rstrip()
        why = f"{words} the submodule {submodule}, a repository of its own: {command}"
        return Answer(path, commit, "untracked", gaps=(why,))
    gaps = [*_reasons(snapshot, head, path, in_project=in_project)]
    gaps = gaps or ["neither DVC nor git has a record of it"]
    gaps += [*history_gaps(snapshot), *(one.sentence for one in snapshot.index.problems)]
    return Answer(path, commit, "untracked", gaps=tuple(dict.fromkeys(gaps)))


def submodule_of(snapshot: Snapshot, path: str) -> str | None:
    """Return the submodule a path is, or lies in; None if it does not."""
    while path:
        entry = snapshot.in_git(path)
        if entry is not None:
            return path if entry.kind == SUBMODULE else None
        path = folder_of(path)
    return None


def _reasons(snapshot: Snapshot, head: Snapshot, path: str, *, in_project: bool) -> Iterator[str]:
    defined = snapshot.index.defines(path)
    if defined is not None:
        command = "imgdata run" if in_project else "dvc repro"
        yield f"{defined} is defined to make it but has not run yet: {command}"
    if not snapshot.at_revision and choose(head.index, path) is not None:
        yield (
            "the last commit records it, the files here do not: deleted since, or not checked "
            f"out. imgdata lineage {path} --rev HEAD"
        )
    elif defined is None and snapshot.versions is not None:
        yield from _earlier(snapshot.versions, snapshot.history, path, snapshot.index.home)


def _earlier(versions: Versions, history: History, path: str, home: str) -> Iterator[str]:
    """Say which commit recorded or held a path the last, if any did."""
    made = last_recording(versions, path, home)
    if made is not None:
        producer, commit = made
        yield (
            f"{producer} recorded it, the last time in {_words(commit)}: "
            f"imgdata lineage {path} --rev {commit.id[:7]}"
        )
        return
    touching = history.touching(versions.commit_id, [path])
    if touching and touching[0].parents:
        yield (
            f"git had it until {_words(touching[0])}: "
            f"imgdata lineage {path} --rev {touching[0].id[:7]}^"
        )


def last_recording(versions: Versions, path: str, home: str) -> tuple[str, Commit] | None:
    """Return the producer that recorded a path the last, and its newest version with it."""
    order = {commit_id: place for place, (commit_id, _, _) in enumerate(versions.everywhere())}
    found: list[tuple[int, str, Commit]] = []
    for producer in versions.producers(path, home):
        file, name = parts_of_id(producer)
        line = versions.timeline(file, name)
        with_it = (
            commit
            for commit in line.commits
            if (entry := line.values.get(commit.id)) is not None
            and recorded_at(versions, file, name, entry, path, home) is not None
        )
        commit = next(with_it, None)
        if commit is not None:
            found.append((order.get(commit.id, len(order)), producer, commit))
    if not found:
        return None
    _, producer, commit = min(found, key=lambda one: one[0])
    return producer, commit


def _words(commit: Commit) -> str:
    return f"{commit.id[:7]} ({commit.subject})"
