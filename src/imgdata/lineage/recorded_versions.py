"""Every recorded version of a file: which commit, by whom, when, what changed."""

from collections.abc import Iterator

from imgdata.dvc_files.lock import LockEntry
from imgdata.dvc_files.places import resolve
from imgdata.lineage.answer import Answer, Version
from imgdata.lineage.datalad import Runs
from imgdata.lineage.difference import entry_differences
from imgdata.lineage.index import ENTRY_MARK, Claim
from imgdata.lineage.resolve import hash_of
from imgdata.lineage.sources import source_timelines
from imgdata.lineage.timeline import Timeline
from imgdata.lineage.versions import Versions
from imgdata.model.commits import Commit
from imgdata.ports import GitObjects, History


def recorded_versions(versions: Versions, answer: Answer, claim: Claim, home: str) -> list[Version]:
    """Return all versions any entry ever recorded of a tracked path, newest first."""
    ids = dict.fromkeys((claim.stage.id, *answer.other_lock_entries, *answer.historical_producers))
    found = [
        (commit, version)
        for one in ids
        for commit, version in _of_producer(versions, one, claim.path, home)
    ]
    order = {commit_id: place for place, (commit_id, _, _) in enumerate(versions.everywhere())}
    found.sort(key=lambda pair: order.get(pair[0].id, len(order)))
    return [version for _, version in found]


def _of_producer(
    versions: Versions, producer: str, path: str, home: str
) -> Iterator[tuple[Commit, Version]]:
    file, _, name = producer.partition(ENTRY_MARK)
    line = versions.timeline(file, name)
    hashes: dict[str, str | None] = {}
    for commit_id, entry in line.values.items():
        digest = recorded_at(versions, file, name, entry, path, home)
        if digest is not None:
            hashes[commit_id] = digest
    recorded = Timeline(line.commits, hashes)
    for commit in recorded.changed():
        digest = hashes.get(commit.id)
        before = line.before(commit)
        now = line.values.get(commit.id)
        if digest is None and before is None:
            continue
        if digest is None and not any(parent in hashes for parent in commit.parents):
            continue
        changes = () if now is None else tuple(entry_differences(name or file, before, now))
        yield commit, Version(commit, digest, producer, changes)


def recorded_at(
    versions: Versions, file: str, name: str, entry: LockEntry, path: str, home: str
) -> str | None:
    """Return the hash an entry recorded for a path, whatever wdir it had then."""
    last = path.rsplit("/", 1)[-1]
    for out in entry.outs:
        written = out.path.replace("\\", "/").rstrip("/")
        if written.rsplit("/", 1)[-1] != last:
            continue
        same = [one for one in entry.outs if one.path.rstrip("/").endswith(last)]
        if len(same) == 1 or resolve(written, versions.folder_now(file, name), home).path == path:
            return hash_of(out)
    return None


def git_versions(
    objects: GitObjects, history: History, runs: Runs, commit_id: str, path: str
) -> list[Version]:
    """Return all versions git has of a file, newest first, with the runs that made them."""
    blobs = source_timelines(objects, history, commit_id, [path]).of(path)
    line = Timeline(blobs.commits, {one: runs.content(blob) for one, blob in blobs.values.items()})
    mentions = runs.any_up_to(commit_id)
    found: list[Version] = []
    for commit in line.changed():
        run = runs.of(commit) if commit.id in mentions else None
        changes = () if run is None else (f"made by: {run.record.cmd}",)
        producer = "" if run is None else run.id
        found.append(Version(commit, line.values.get(commit.id), producer, changes))
    return found
