"""Inputs that are kept in git: which content was read, and which commit brought it."""

import hashlib
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.recorded import FOLDER_SUFFIX
from imgdata.lineage.answer import Edge
from imgdata.lineage.timeline import Timeline
from imgdata.model.commits import Commit
from imgdata.ports import GitObjects, History

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
    if line.tip is None or edge.git is None or not edge.git.startswith("blob "):
        return replace(edge, introduced=line.last_change())
    recorded = edge.recorded
    if recorded is None or recorded.endswith(FOLDER_SUFFIX):
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
