"""What people type after `imgdata lineage`: levels, paths, files from elsewhere."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from imgdata.errors import NothingFoundError
from imgdata.lineage.answer import Answer
from imgdata.lineage.datalad import LINK
from imgdata.lineage.versions import Versions
from imgdata.ports import ALL_BRANCHES
from imgdata.workflows.lineage import Question, Repository, targets
from imgdata.workflows.lineage_project import project_view
from imgdata.workflows.lineage_questions import answer
from imgdata.workflows.unrecorded import submodule_of

CHUNK = 1 << 20
MANY = 100
"""Files from which on answers are brief."""
_FOLDER = re.compile(rb"[0-9a-f]{32}\.dir")
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class FoundByContent(Struct, frozen=True):
    """A record of the content of a file that lies elsewhere."""

    path: str
    commit_id: str


def ask(
    repository: Repository, base: Path, arguments: Sequence[str], question: Question
) -> Iterator[Answer]:
    """Yield the answer for each file that the arguments mean.

    Args:
        repository: The git repository.
        base: The folder that relative paths start from.
        arguments: Levels (bare words), files and folders; none means everything that is tracked.
        question: What is asked about each.

    Raises:
        NothingFoundError: A file outside the repository is in no recorded version.
    """
    wanted: list[tuple[str, str | None]] = []
    for given in arguments or ("",):
        level = _level(repository, base, given, question) if given else None
        path = None if level is not None else inside(repository, base, given)
        if level is None and path is None:
            wanted.append((given, None))
            continue
        found = level if level is not None else targets(repository, path or "", question)
        wanted += [(given, one) for one in found]
    if len(wanted) > MANY:
        question = replace(question, brief=True)
    for given, target in wanted:
        yield _one(repository, base, given, target, question)


def _one(
    repository: Repository, base: Path, given: str, target: str | None, question: Question
) -> Answer:
    if target is None:
        return elsewhere(repository, base / given, given, question)
    found = answer(repository, target, question)
    full = repository.root / target
    if found.status != "untracked" or submodule_of(repository.snapshot(None), target) is not None:
        return found
    if repository.working_tree is None:
        return found
    led = inside(repository, base, os.path.realpath(full))
    if (
        led
        and led != target
        and (linked := answer(repository, led, question)).status != "untracked"
    ):
        return replace(linked, gaps=(f"{given} is a link that leads to {led}", *linked.gaps))
    return (_by_content(repository, full, given, question) if full.is_file() else None) or found


def inside(repository: Repository, base: Path, given: str) -> str | None:
    """Return a path relative to the repository's root, or None when it lies outside.

    Links in the folders above are followed, the last name is not: annexed files are links.
    """
    full = os.path.abspath(base / given)  # noqa: PTH100 - resolve() would follow the last link
    root = os.path.realpath(repository.root)
    parent = os.path.realpath(os.path.dirname(full))  # noqa: PTH120 - see above
    candidates = (full, os.path.join(parent, os.path.basename(full)), os.path.realpath(full))  # noqa: PTH118, PTH119 - see above
    for candidate in candidates:
        for top in (str(repository.root), root):
            if candidate == top:
                return ""
            if candidate.startswith(top.rstrip("/") + "/"):
                return candidate[len(top.rstrip("/")) + 1 :]
    return None


def _level(repository: Repository, base: Path, given: str, question: Question) -> list[str] | None:
    """Return the outs of a level, or None when the word is no level."""
    if not _WORD.fullmatch(given):
        return None
    snapshot = repository.snapshot(question.revision)
    tree = snapshot.tree if snapshot.at_revision else repository.working_tree
    here = inside(repository, base, "x")
    view = None if tree is None or here is None else project_view(tree, here)
    level = None if view is None else view.levels.get(given)
    if view is None or level is None:
        return None
    folder = f"{view.prefix}{level.path}"
    exact = [claim.path for claim in snapshot.index.live(folder)]
    found = exact or [claim.path for claim in snapshot.index.below(folder)]
    if not found:
        msg = f"the level {given} has nothing recorded yet"
        raise NothingFoundError(msg, remedy="imgdata status")
    return found


def elsewhere(repository: Repository, full: Path, given: str, question: Question) -> Answer:
    """Answer for a file outside the repository, found by its content.

    Raises:
        NothingFoundError: It does not exist, or no recorded version has its content.
    """
    if not full.is_file():
        msg = f"there is no file {given}"
        raise NothingFoundError(msg, remedy="imgdata lineage FILE, with a path inside the project")
    found = _by_content(repository, full, given, question)
    if found is None:
        msg = f"no recorded version of this project has the content of {given}"
        raise NothingFoundError(
            msg,
            cause=f"md5 {_digests(full)[0]}",
            remedy="files inside tracked folders are found only when their lists are here: "
            "imgdata pull",
        )
    return found


def _by_content(
    repository: Repository, full: Path, given: str, question: Question
) -> Answer | None:
    """Return the answer for the newest record of a file's content, or None."""
    if repository.head is None:
        return None
    md5, sha256, blob = _digests(full)
    versions = Versions(repository.objects, repository.history, ALL_BRANCHES)
    places = (
        _as_out(versions, md5),
        _as_member(repository, versions, md5),
        _in_git(repository, blob, (md5, sha256)),
    )
    found = next((place for place in places if place is not None), None)
    if found is None:
        return None
    said = answer(repository, found.path, replace(question, revision=found.commit_id))
    how = f"found by its content (md5 {md5}): {found.path} at commit {found.commit_id[:7]}"
    return replace(said, file=given, gaps=(how, *said.gaps))


def _digests(full: Path) -> tuple[str, str, str]:
    """Return md5, sha256 and git's object id of a file, read once."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    blob = hashlib.sha1(f"blob {full.stat().st_size}\0".encode(), usedforsecurity=False)
    with full.open("rb") as file:
        while chunk := file.read(CHUNK):
            for digest in (md5, sha256, blob):
                digest.update(chunk)
    return md5.hexdigest(), sha256.hexdigest(), blob.hexdigest()


def _as_out(versions: Versions, md5: str) -> FoundByContent | None:
    found = list(versions.claims(md5))
    if not found:
        return None
    commit_id, producer, written = found[-1]
    return FoundByContent(versions.path_at(commit_id, producer, written), commit_id)


def _as_member(repository: Repository, versions: Versions, md5: str) -> FoundByContent | None:
    """Find the content in a tracked folder of any version whose list is here."""
    looked: set[str] = set()
    for _, _, blob in versions.everywhere():
        data = repository.objects.read_blob(blob) or b""
        for match in _FOLDER.finditer(data):
            digest = match[0].decode()
            if digest in looked:
                continue
            looked.add(digest)
            listed = repository.lists(digest) or {}
            name = next((path for path, one in listed.items() if one == md5), None)
            folder = None if name is None else _as_out(versions, digest)
            if folder is not None:
                return FoundByContent(f"{folder.path}/{name}", folder.commit_id)
    return None


def _in_git(repository: Repository, blob: str, digests: tuple[str, ...]) -> FoundByContent | None:
    """Find the content in git itself, or behind a key of git-annex that names its checksum."""
    for change in repository.history.changes(ALL_BRANCHES, []):
        if change.blob == blob:
            return FoundByContent(change.path, change.commit)
        if change.mode == LINK and change.blob:
            key = repository.runs.annex_key(change.blob) or ""
            if any(digest in key for digest in digests):
                return FoundByContent(change.path, change.commit)
    return None
