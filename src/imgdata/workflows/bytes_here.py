"""Whether the recorded bytes are here: compares files of the working tree with their record."""

import hashlib
import os
from pathlib import Path

from msgspec import Struct

from imgdata.dvc_files.recorded import Recorded
from imgdata.lineage.annex_keys import is_key
from imgdata.lineage.answer import InGit, Status
from imgdata.lineage.index import Claim
from imgdata.lineage.resolve import hash_of, member_path
from imgdata.lineage.sources import content_md5s
from imgdata.lineage.upstream import Snapshot
from imgdata.model.commits import ID_LENGTHS
from imgdata.workflows.annex_here import annexed_matches, annexed_object, annexed_status
from imgdata.workflows.folder_lists import FolderLists

CHUNK = 1 << 20
SHA1_DIGITS = 40
COMPARED = 1 << 30
"""Bytes of a folder up to which its files are read; `imgdata status` and `--verify` read all."""


class BytesHere(Struct, frozen=True):
    """Bytes of recorded versions that are on this machine: working tree, cache, git."""

    root: Path
    lists: FolderLists
    snapshot: Snapshot

    def read(self, path: str, md5: str) -> bytes | None:
        """Return a file's bytes if they have the md5; the working tree first, then the cache."""
        for place in (self.root / path, self.lists.object_path(md5)):
            if place is None:
                continue
            try:
                data = place.read_bytes()
            except OSError:
                continue
            if md5 in content_md5s(data):
                return data
        entry = self.snapshot.in_git(path)
        kept = self.snapshot.objects.read_blob(entry.id) if entry is not None else None
        return kept if kept is not None and md5 in content_md5s(kept) else None

    def matches(self, path: str, digest: str) -> bool | None:
        """Hash what is here under a path, or in a cache or git; None when nothing is here.

        Args:
            path: Where the content was when it was recorded.
            digest: DVC's md5, a key of git-annex, or the id of an object in git.
        """
        if is_key(digest):
            return annexed_matches(self.root, path, digest)
        if len(digest) in ID_LENGTHS:
            return self._is_object(digest)
        full = self.root / path
        status: Status = "missing"
        if not self.snapshot.at_revision and full.exists():
            if not digest.endswith(".dir"):
                status = file_status(full, digest, None)
            else:
                listed = self.lists(digest)
                status = (
                    "missing" if listed is None else _folder_status(full, listed, thorough=True)
                )
        if status == "recorded":
            return True
        cached = self.lists.object_path(digest)
        if cached is not None and self._is_intact(cached, digest):
            return True
        return False if status == "modified" else None

    def _is_object(self, object_id: str) -> bool | None:
        """Hash the object git has under an id, as git does."""
        data = self.snapshot.objects.read_blob(object_id)
        if data is None:
            return None
        how = hashlib.sha1 if len(object_id) == SHA1_DIGITS else hashlib.sha256
        found = how(b"blob %d\0" % len(data), usedforsecurity=False)
        found.update(data)
        return found.hexdigest() == object_id

    def _is_intact(self, cached: Path, digest: str) -> bool:
        if not digest.endswith(".dir"):
            return file_status(cached, digest, None) == "recorded"
        listed = self.lists(digest)
        objects = {} if listed is None else {md5: self.lists.object_path(md5)
                                             for md5 in listed.values()}  # fmt: skip
        return listed is not None and all(
            path is not None and file_status(path, md5, None) == "recorded"
            for md5, path in objects.items()
        )


def status_of(
    root: Path, lists: FolderLists, snapshot: Snapshot, claim: Claim, path: str
) -> Status:
    """Return whether the bytes of a tracked file are here and equal its record."""
    digest = hash_of(claim.record)
    member = member_path(claim, path)
    if snapshot.at_revision:
        return _at_revision(root, lists, snapshot, claim, path)
    if digest is None:
        return "recorded" if os.path.lexists(root / path) else "missing"
    if member is not None:
        listed = _members(claim.record) or lists(digest)
        wanted = None if listed is None else listed.get(member)
        if wanted is None:
            return "untracked" if listed is not None else _present(root / path)
        return file_status(root / path, wanted, None)
    if not digest.endswith(".dir"):
        return file_status(root / path, digest, claim.record.size)
    return _folder_status(root / path, _members(claim.record) or lists(digest))


def is_too_large(record: Recorded) -> bool:
    """Tell whether the files of a tracked folder are too many bytes to read for every question."""
    return (record.size or 0) > COMPARED and (hash_of(record) or "").endswith(".dir")


def _members(record: Recorded) -> dict[str, str] | None:
    found = {file.path: file.hash.value for file in record.files if file.hash is not None}
    return found or None


def _present(path: Path) -> Status:
    return "recorded" if path.exists() else "missing"


def _at_revision(
    root: Path, lists: FolderLists, snapshot: Snapshot, claim: Claim, path: str
) -> Status:
    """Return whether a past version is here: in the cache, the working tree, or git itself."""
    digest = hash_of(claim.record)
    member = member_path(claim, path)
    if member is not None and digest is not None:
        digest = snapshot.member_hash(digest, member)
    if digest is not None and lists.object_path(digest) is not None:
        return "recorded"
    size = claim.record.size if member is None else None
    if digest is not None and file_status(root / path, digest, size) == "recorded":
        return "recorded"
    entry = snapshot.in_git(path)
    if entry is None or entry.kind != "blob" or digest is None:
        return "missing"
    data = snapshot.objects.read_blob(entry.id)
    if data is None:
        return "missing"
    return "recorded" if digest in content_md5s(data) else "modified"


def file_status(path: Path, md5: str, size: int | None) -> Status:
    """Compare one file with its md5; a wrong size decides without reading."""
    try:
        if path.is_dir():
            return "modified"
        found = path.stat().st_size
        small = found < CHUNK
        if size is not None and found != size and not small:
            return "modified"
        if small:
            data = path.read_bytes()
            return "recorded" if md5 in content_md5s(data) else "modified"
        return "recorded" if _md5(path) == md5 else "modified"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "missing"


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _folder_status(path: Path, listed: dict[str, str] | None, *, thorough: bool = False) -> Status:
    """Compare the files of a folder with its list: names first, contents only if all are here.

    Contents of a folder larger than `COMPARED` are only read when asked to be thorough.
    """
    if not path.is_dir():
        return "missing" if not path.exists() else "modified"
    if listed is None:
        return "recorded"
    here = {
        Path(folder, name).relative_to(path).as_posix()
        for folder, _, names in os.walk(path)
        for name in names
    }
    if here != set(listed):
        return "modified" if here - set(listed) or here else "missing"
    if not thorough and sum((path / name).stat().st_size for name in listed) > COMPARED:
        return "recorded"  # the answer says so in a gap
    for name, md5 in listed.items():
        if file_status(path / name, md5, None) != "recorded":
            return "modified"
    return "recorded"


def git_status(root: Path, snapshot: Snapshot, path: str, in_git: InGit) -> Status:
    """Return whether the content of a file that git or git-annex keeps is here."""
    if snapshot.at_revision:
        return "recorded" if in_git.annex_key is None else _annexed(root, in_git.annex_key)
    if in_git.annex_key is not None:
        return annexed_status(root, path, in_git.annex_key)
    full = root / path
    if not full.exists():
        return "missing"
    data = snapshot.objects.read_blob(in_git.blob)
    try:
        here = full.read_bytes()
    except OSError:
        return "missing"
    if data is None or here == data or here.replace(b"\r\n", b"\n") == data:
        return "recorded"
    return "modified"


def _annexed(root: Path, key: str) -> Status:
    return "missing" if annexed_object(root, key) is None else "recorded"
