"""The history of lock entries and `.dvc` files: which commit recorded what.

Parsing is what costs, so versions are searched as bytes first and only the entry in question is
parsed, once for each distinct text. A version that cannot be read is skipped and named.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from imgdata.dvc_files.dot_dvc import is_dot_dvc, read_dot_dvc
from imgdata.dvc_files.lock import LockEntry
from imgdata.dvc_files.lock_text import LockText, find_entry
from imgdata.dvc_files.pipeline import PIPELINE_NAME, read_pipeline
from imgdata.dvc_files.places import folder_of, join, resolve
from imgdata.dvc_files.problems import Problem
from imgdata.lineage.index import ENTRY_MARK, Stage
from imgdata.lineage.resolve import hash_of
from imgdata.lineage.timeline import Timeline
from imgdata.model.commits import Commit
from imgdata.ports import GitObjects, History

DVC_FILES = (":(top,glob)**/dvc.lock", ":(top,glob)**/*.dvc")
_OUTS = re.compile(rb"^ {0,4}(outs|deps|params|cmd):", re.M)


@dataclass(frozen=True, slots=True)
class Recording:
    """Which commits recorded the hash a stage's out has now.

    Attributes:
        first: The first in which the stage's own entry has the hash.
        streak: The start of the streak without another hash in between.
        changed: The last change of what the entry says about this out.
        stage_changed: The last change of the whole entry: command, parameters, inputs, outs.
    """

    first: Commit | None
    streak: Commit | None
    changed: Commit | None
    stage_changed: Commit | None


@dataclass
class Versions:
    """All versions of all locks and `.dvc` files up to one commit."""

    objects: GitObjects
    history: History
    commit_id: str
    problems: list[Problem] = field(default_factory=list)
    _timelines: dict[tuple[str, str], Timeline[LockEntry]] = field(default_factory=dict)
    _touching: dict[str, tuple[tuple[Commit, ...], list[str | None]]] = field(default_factory=dict)
    _everywhere: list[tuple[str, str, str]] | None = None
    _wdirs: dict[tuple[str, str], str] = field(default_factory=dict)

    def timeline(self, file: str, name: str) -> Timeline[LockEntry]:
        """Return the versions of one lock entry, or of a `.dvc` file (empty name)."""
        if (file, name) not in self._timelines:
            commits, blobs = self._versions_of(file)
            entries: dict[bytes, LockEntry | None] = {}
            values: dict[str, LockEntry] = {}
            for commit, blob in zip(commits, blobs, strict=True):
                entry = None if blob is None else self._entry(file, name, blob, entries)
                if entry is not None:
                    values[commit.id] = entry
            self._timelines[file, name] = Timeline(commits, values)
        return self._timelines[file, name]

    def _versions_of(self, file: str) -> tuple[tuple[Commit, ...], list[str | None]]:
        if file not in self._touching:
            commits = self.history.touching(self.commit_id, [file])
            blobs = self.objects.blobs_at([(commit.id, file) for commit in commits])
            self._touching[file] = commits, blobs
        return self._touching[file]

    def _entry(
        self, file: str, name: str, blob: str, known: dict[bytes, LockEntry | None]
    ) -> LockEntry | None:
        data = self.objects.read_blob(blob)
        if data is None:
            return None
        text = data if not name else find_entry(data, name)
        if text is None:
            return None
        if text not in known:
            known[text] = self._parse(file, name, data, text)
        return known[text]

    def _parse(self, file: str, name: str, data: bytes, text: bytes) -> LockEntry | None:
        if not name:
            found = read_dot_dvc(data, file)
            self.problems += [problem for problem in found.problems if not problem.unit]
            deps = tuple(dep.recorded for dep in found.deps if dep.recorded is not None)
            outs = tuple(out.recorded for out in found.outs)
            return LockEntry("", found.cmd, deps, outs) if outs or deps or found.cmd else None
        lock = LockText(text, file)
        entry = lock.entry(name)
        if entry is None and text is not data:
            lock = LockText(data, file)
            entry = lock.entry(name)
        self.problems += [problem for problem in lock.problems if not problem.unit]
        return entry

    def recording(self, stage: Stage, written: str, digest: str | None) -> Recording:
        """Return which commits recorded this hash for a stage's out.

        Args:
            stage: The producer.
            written: The out's path as the record has it now.
            digest: The recorded hash.
        """
        line = self.timeline(stage.file, stage.name)
        if digest is None or line.tip is None:
            return Recording(None, None, None, line.last_change())

        def has_hash(entry: LockEntry) -> bool:
            return has_out(entry, written, digest)

        first = line.first(has_hash)
        streak = line.since(line.commits[0], has_hash) if has_hash(line.tip) else None
        now = next((out for out in line.tip.outs if out.path == written), None)
        changed = None if now is None else line.since(line.commits[0], lambda one: now in one.outs)
        return Recording(first, streak, changed, line.last_change())

    def holder(self, stage: Stage, written: str, digest: str) -> Commit | None:
        """Return the commit whose version of the stage's own entry has the hash, the latest."""
        line = self.timeline(stage.file, stage.name)
        return line.latest(lambda entry: has_out(entry, written, digest))

    def everywhere(self) -> Sequence[tuple[str, str, str]]:
        """Return (commit id, path, blob) of all versions of all DVC files, newest first."""
        if self._everywhere is None:
            changes = self.history.changes(self.commit_id, DVC_FILES)
            self._everywhere = [(one.commit, one.path, one.blob) for one in changes if one.blob]
        return self._everywhere

    def claims(self, digest: str) -> Iterator[tuple[str, str, str]]:
        """Yield (commit id, producer, path as written) of all records of a hash, oldest first."""
        needle = digest.encode()
        known: dict[str, list[tuple[str, str]]] = {}
        for commit_id, path, blob in reversed(self.everywhere()):
            if blob not in known:
                data = self.objects.read_blob(blob)
                has_it = data is not None and needle in data
                known[blob] = list(outs_with(data, path, digest)) if data and has_it else []
            for name, written in known[blob]:
                yield commit_id, producer_id(path, name), written

    def first_anywhere(self, digest: str) -> Commit | None:
        """Return the first commit in which any entry recorded the hash as an out."""
        found = next(self.claims(digest), None)
        return None if found is None else self.objects.commit(found[0])

    def producers(self, path: str, home: str) -> list[str]:
        """Return the ids of all entries that ever claimed a path, the oldest first."""
        needle = re.compile(
            rb"^ *(?:- )?path:[^\n]*" + re.escape(path.rsplit("/", 1)[-1].encode()) + rb"[/'\"]*\r?$",
            re.M,
        )
        seen: dict[str, None] = {}
        asked: dict[str, bool] = {}
        looked: set[str] = set()
        for commit_id, file, blob in reversed(self.everywhere()):
            if blob in looked:
                continue
            looked.add(blob)
            data = self.objects.read_blob(blob) or b""
            for name, written in _outs_at(data, file, needle):
                key = f"{producer_id(file, name)}\0{written}"
                if key not in asked:
                    wdir = self._wdir_at(commit_id, file, name)
                    asked[key] = _same_place(written, wdir, path, home)
                if asked[key]:
                    seen.setdefault(producer_id(file, name))
        return list(seen)

    def past_wdir(self, file: str, name: str) -> str:
        """Return the wdir a stage had when dvc.yaml last defined it; empty if never found."""
        if (file, name) not in self._wdirs:
            self._wdirs[file, name] = self._find_wdir(file, name)
        return self._wdirs[file, name]

    def folder_now(self, file: str, name: str) -> str:
        """Return the folder the paths of a lock entry or `.dvc` file are relative to now."""
        return self._wdir_at(self.commit_id, file, name)

    def _find_wdir(self, file: str, name: str) -> str:
        pipeline = join(folder_of(file), PIPELINE_NAME)
        commits, blobs = self._versions_of(pipeline)
        group = name.split("@")[0].encode()
        for commit, blob in zip(commits, blobs, strict=True):
            data = None if blob is None else self.objects.read_blob(blob)
            if data is None or group not in data:
                continue
            if b"wdir" not in data:
                return ""
            found = read_pipeline(self.objects.tree(commit.id), pipeline)
            if name in found.stages:
                return found.stages[name].wdir
            if group.decode() in found.groups:
                return found.groups[group.decode()]
        return ""

    def _wdir_at(self, commit_id: str, file: str, name: str) -> str:
        """Return the folder a record's paths are relative to, seen from the root."""
        folder = folder_of(file)
        if is_dot_dvc(file):
            data = self.objects.read_blob(f"{commit_id}:{file}") if "\n" not in file else None
            wdir = "" if data is None else read_dot_dvc(data, file).wdir
            return join(folder, wdir) if wdir else folder
        pipeline = join(folder, PIPELINE_NAME)
        data = self.objects.read_blob(f"{commit_id}:{pipeline}") if "\n" not in file else None
        if data is None or b"wdir" not in data:
            return folder
        found = read_pipeline(self.objects.tree(commit_id), pipeline)
        stage = found.stages.get(name)
        wdir = stage.wdir if stage is not None else self.past_wdir(file, name)
        return join(folder, wdir) if wdir else folder


def has_out(entry: LockEntry, written: str, digest: str) -> bool:
    """Tell whether an entry recorded a hash for an out, whatever its folder was called then.

    Where several outs share the hash (empty files do), the path as written decides.
    """
    same = [out for out in entry.outs if hash_of(out) == digest]
    return len(same) == 1 or any(out.path == written for out in same)


def producer_id(file: str, name: str) -> str:
    """Return the id of a producer: lock path and stage, or the `.dvc` path."""
    return f"{file}{ENTRY_MARK}{name}" if name else file


def outs_with(data: bytes, path: str, digest: str) -> Iterator[tuple[str, str]]:
    """Yield (stage name, path as written) of all outs in a DVC file that have the hash."""
    if is_dot_dvc(path):
        for out in read_dot_dvc(data, path).outs:
            if hash_of(out.recorded) == digest:
                yield "", out.recorded.path
        return
    lock = LockText(data, path)
    needle = digest.encode()
    for name in lock.names:
        text = lock.text(name)
        if text is not None and needle not in text:
            continue
        entry = lock.entry(name)
        for record in () if entry is None else entry.outs:
            if hash_of(record) == digest:
                yield name, record.path


def _outs_at(data: bytes, file: str, needle: re.Pattern[bytes]) -> Iterator[tuple[str, str]]:
    """Yield (stage name, path as written) of the outs whose line fits, without a full parse."""
    if needle.search(data) is None:
        return
    if is_dot_dvc(file):
        for out in read_dot_dvc(data, file).outs:
            yield "", out.recorded.path
        return
    yield from _outs_of_lock(data, file, needle)


@lru_cache(maxsize=4096)
def _entry_outs(text: bytes, file: str, name: str) -> tuple[str, ...]:
    entry = LockText(text, file).entry(name)
    return () if entry is None else tuple(record.path for record in entry.outs)


def _outs_of_lock(data: bytes, file: str, needle: re.Pattern[bytes]) -> Iterator[tuple[str, str]]:
    lock: LockText | None = None
    for found in needle.finditer(data):
        start = _entry_start(data, found.start())
        if start is None:
            lock = lock or LockText(data, file)
            for written in lock.written("outs"):
                yield written.entry, written.path
            return
        sections = _OUTS.findall(data, start, found.start())
        if not sections or sections[-1] != b"outs":
            continue
        end = data.find(b"\n", start)
        name = data[start:end].strip().rstrip(b":").strip(b"'\"").decode("utf-8", "replace")
        text = find_entry(data, name)
        for path in () if text is None else _entry_outs(text, file, name):
            yield name, path


def _entry_start(data: bytes, place: int) -> int | None:
    """Return where the entry begins that a place in a lock of DVC's shape is in."""
    old = not data.startswith((b"schema:", b"stages:")) and b"\nstages:" not in data
    margin = b"" if old else b"  "
    while place > 0:
        place = data.rfind(b"\n", 0, place)
        line = data[place + 1 : place + 4]
        if line.startswith(margin) and line[len(margin) : len(margin) + 1].strip():
            return place + 1
        if line[:1].strip():
            return None
        if place < 0:
            return None
    return 0 if old else None


def _same_place(written: str, wdir: str, path: str, home: str) -> bool:
    return resolve(written, wdir, home).path == path
