"""Inputs that are kept in git: which content was read, and which commit brought it."""

import hashlib
from collections.abc import Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.dvc_files.recorded import FOLDER_SUFFIX
from imgdata.lineage.answer import Edge
from imgdata.lineage.timeline import Timeline
from imgdata.model.commits import Commit
from imgdata.ports import GitObjects, History

FOLDER_FILES = 2000
"""Files of a folder in git up to which its hash is computed."""
FOLDER_VERSIONS = 20
"""Versions of a folder in git that are compared with what was read, the newest first."""
TEXT_SAMPLE = 512
"""Bytes by which DVC before 3 decided whether a file is text."""


class SourceTimelines(Struct, frozen=True):
    """The object ids of some paths over the commits that changed any of them."""

    commits: tuple[Commit, ...]
    ids: dict[str, dict[str, str]]

    def of(self, path: str) -> Timeline[str]:
        """Return one path's object ids over time."""
        return Timeline(self.commits, self.ids.get(path, {}))


def source_timelines(
    objects: GitObjects, history: History, commit_id: str, paths: Sequence[str]
) -> SourceTimelines:
    """Look up the history of several paths at once: one walk, then one question a commit."""
    if not paths:
        return SourceTimelines((), {})
    commits = history.touching(commit_id, paths)
    places = [(commit.id, path) for commit in commits for path in paths]
    ids: dict[str, dict[str, str]] = {path: {} for path in paths}
    for (commit, path), found in zip(places, objects.blobs_at(places), strict=True):
        if found is not None:
            ids[path][commit] = found
    return SourceTimelines(commits, ids)


def explain_sources(
    edges: Sequence[Edge], objects: GitObjects, history: History, commit_id: str
) -> tuple[list[Edge], list[str]]:
    """Say for each `source` edge which object was read and which commit brought it.

    The recorded hash decides: when git's file at the commit has another content, the version that
    has it is looked for in the file's history. Returns the edges and what could not be established.
    """
    paths = sorted({edge.dep for edge in edges if edge.relation == "source"})
    timelines = source_timelines(objects, history, commit_id, paths)
    gaps: list[str] = []
    explained = [
        _explain(edge, timelines.of(edge.dep), objects, gaps) if edge.relation == "source" else edge
        for edge in edges
    ]
    return explained, list(dict.fromkeys(gaps))


def _explain(edge: Edge, line: Timeline[str], objects: GitObjects, gaps: list[str]) -> Edge:
    here = edge.git.split()[-1] if edge.git else None
    if line.tip is not None and (edge.recorded or "").endswith(FOLDER_SUFFIX):
        return _explain_folder(edge, line, objects, gaps)
    if line.tip is None or edge.git is None or not edge.git.startswith("blob "):
        return replace(edge, introduced=line.last_change())
    recorded = edge.recorded
    if recorded is None:
        return replace(edge, introduced=line.last_change())
    if here is not None and has_content(objects, here, recorded):
        return replace(edge, match=True, introduced=line.last_change())
    older = dict.fromkeys(line.values[commit.id] for commit in line.commits
                          if commit.id in line.values)  # fmt: skip
    found = next((blob for blob in older if has_content(objects, blob, recorded)), None)
    if found is None:
        gaps.append(f"no commit has {edge.dep} with the content {edge.consumer} read ({recorded})")
        return replace(edge, introduced=line.last_change())
    at = line.latest(lambda blob: blob == found)
    return replace(
        edge, match=False, git=f"blob {found}", introduced=at, at=None if at is None else at.id
    )


def _explain_folder(edge: Edge, line: Timeline[str], objects: GitObjects, gaps: list[str]) -> Edge:
    """Say which version of a folder in git was read.

    DVC hashes all files of a folder, git's or not, so a hash that no commit gives says nothing.
    """
    recorded = edge.recorded or ""
    versions = {line.values[one.id]: one for one in reversed(line.commits) if one.id in line.values}
    newest = [line.tip, *(tree for tree in reversed(versions) if tree != line.tip)]
    found = next(
        (
            tree for tree in newest[:FOLDER_VERSIONS] if tree is not None
            and recorded in folder_md5s(objects, versions[tree].id, edge.dep)
        ),
        None,
    )  # fmt: skip
    if found == line.tip:
        return replace(edge, match=True, introduced=line.last_change())
    if found is not None:
        at = line.latest(lambda tree: tree == found)
        return replace(
            edge, match=False, git=f"tree {found}", introduced=at, at=None if at is None else at.id
        )
    gaps.append(
        f"whether {edge.dep} is still what {edge.consumer} read is not known: its files in git "
        "alone do not give the recorded hash"
    )
    return replace(edge, introduced=line.last_change())


def folder_md5s(objects: GitObjects, commit_id: str, folder: str) -> tuple[str, ...]:
    """Return the hash DVC gives a folder with git's files, plain and as before DVC 3; or none."""
    tree = objects.tree(commit_id)
    names = list(islice(tree.files(folder), FOLDER_FILES + 1))
    found: list[tuple[str, tuple[str, ...]]] = []
    for name in names if len(names) <= FOLDER_FILES else ():
        entry = tree.entry(name)
        data = None if entry is None else objects.read_blob(entry.id)
        if data is None:
            return ()
        found.append((name[len(folder) + 1 :], content_md5s(data)))
    lists = ([FolderEntry(md5s[place], name) for name, md5s in found] for place in (0, -1))
    return tuple(write_folder(one)[1] for one in lists) if found else ()


def has_content(objects: GitObjects, blob: str, md5: str) -> bool:
    """Tell whether an object has the recorded md5, plain or as DVC before 3 counted text."""
    data = objects.read_blob(blob)
    return data is not None and md5 in content_md5s(data)


def content_md5s(data: bytes) -> tuple[str, ...]:
    """Return the md5 of some bytes, and for text also that with CR LF turned into LF."""
    plain = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if b"\r\n" not in data or b"\0" in data[:TEXT_SAMPLE]:
        return (plain,)
    unix = hashlib.md5(data.replace(b"\r\n", b"\n"), usedforsecurity=False).hexdigest()
    return (plain, unix)
