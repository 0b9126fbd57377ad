"""What nobody can change after publication, and by which rules the data leave: who decided."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Protocol

from msgspec import Struct

from imgdata.dvc_files.yaml12 import read_yaml
from imgdata.errors import ImgdataError
from imgdata.model.commits import Commit
from imgdata.model.deposits import DepositedFile, DepositRecord, Description
from imgdata.policy.restrictions import released_by
from imgdata.ports import GitObjects, History
from imgdata.project.loader import CONFIG_NAME
from imgdata.workflows.clone import Clone
from imgdata.workflows.release_rules import REMOTES, ReleaseRules

_DECIDES = ("kind", "access", "release_on", "may_leave")


class Past(GitObjects, History, Protocol):
    """Git's objects and its history."""


class Basis(Struct, frozen=True):
    """Why the data of one level that come from one origin may leave.

    Attributes:
        level: Level's name.
        origin: Origin's name; empty where none is recorded.
        rule: In words; empty where none lets them leave today.
        note: What the origin says about itself, as the agreement's name.
        branch: The release branch that has the rule; empty where none has it.
        commit: That wrote the rule as it is now; None where git does not tell.
    """

    level: str
    origin: str
    rule: str
    note: str = ""
    branch: str = ""
    commit: Commit | None = None


class Terms(Struct, frozen=True):
    """What becomes public for ever.

    Attributes:
        draft: As remembered.
        description: What the repository says now; as remembered where it was not asked.
        files: The same of files.
        dated: The day that the draft states as its publication; None where it is today's.
        edited: Fields that a person changed on the draft's page after imgdata wrote them.
        bases: Why each level's data may leave.
    """

    draft: DepositRecord
    description: Description
    files: tuple[DepositedFile, ...]
    dated: date | None
    edited: tuple[str, ...]
    bases: tuple[Basis, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def bases(
    clone: Clone, git: Past, origins: Iterable[tuple[str, str]], today: date
) -> tuple[Basis, ...]:
    """Return by which rule each (level, origin) may leave; reads the past of imgdata.yaml."""
    rules = ReleaseRules(clone)
    found: list[Basis] = []
    for level, name in dict.fromkeys(origins):
        origin = next((one[name] for one in rules.origins if name in one), None)
        if origin is None:
            found.append(Basis(level, name, ""))
            continue
        branch, commit = _decided(clone, git, sorted(rules.tips), name)
        rule = released_by(level, origin, today)
        found.append(Basis(level, name, rule, origin.note or "", branch, commit))
    return tuple(found)


def _decided(
    clone: Clone, git: Past, branches: Sequence[str], name: str
) -> tuple[str, Commit | None]:
    """Return the branch that states an origin, and the commit that wrote its rule as it is."""
    folder = clone.root.relative_to(clone.git.root)
    path = (folder / CONFIG_NAME).as_posix()
    for branch in branches:
        try:
            tip = git.commit(branch).id
        except ImgdataError:
            continue
        commits = git.touching(tip, [path])
        blobs = git.blobs_at([(commit.id, path) for commit in commits])
        since: Commit | None = None
        rule: Mapping[str, Any] = {}
        for commit, blob in zip(commits, blobs, strict=True):
            then = _rule(git.read_blob(blob) if blob else None, name)
            if not then or (since is not None and then != rule):
                break
            since, rule = commit, then
        if since is not None:
            return branch.removeprefix(REMOTES), since
    return "", None


def _rule(data: bytes | None, name: str) -> Mapping[str, Any]:
    """Return what decides about an origin in one state of imgdata.yaml; empty for none."""
    try:
        found: Any = read_yaml(data or b"")
        origin = found["origins"][name]
        return {key: str(origin[key]) for key in _DECIDES if key in origin}
    except (ImgdataError, LookupError, TypeError):
        return {}
