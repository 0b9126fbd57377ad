"""Sorts the objects of a version into what may go and what stays, with the reasons in words."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from msgspec import Struct, field

from imgdata.errors import UsageError
from imgdata.levels.changes import Comparison
from imgdata.model.durations import format_duration
from imgdata.model.objects import FOLDER_SUFFIX
from imgdata.model.selection import parse_selection
from imgdata.policy.recoverable import ByCopies, ByRecipe, NotRecoverable, Recoverability, Verdict
from imgdata.project.config import AcceptedLoss
from imgdata.system.files import Stamp
from imgdata.transfer.move import Item
from imgdata.workflows.clone import Clone
from imgdata.workflows.graph import id_of
from imgdata.workflows.history import History, Version
from imgdata.workflows.old_remedies import remedy_for
from imgdata.workflows.places import HERE

BY_HAND = "hand-edited, the only copy"
OF_OTHERS = "of another version than the one recorded now"


class Piece(Struct, frozen=True):
    """One thing to delete: a workspace file (with the stamp it must still have) or an object."""

    path: str
    md5: str
    size: int
    stamp: Stamp | None


class Safe(Struct, frozen=True):
    """Files that may go for one reason."""

    why: str
    files: int
    size: int


class Unsafe(Struct, frozen=True):
    """Files that stay because nothing else has them for sure: why, and what makes them safe."""

    names: tuple[str, ...]
    why: str
    remedy: str
    size: int


class VersionPlan(Struct, frozen=True):
    """One version and what of it goes.

    Attributes:
        safe: By reason.
        unsafe: By reason and remedy.
        shared: Files whose content another path or version in use has here; it stays.
        needs: What the recipes it relies on need.
        pieces: What is deleted, literally.
        held: The keys of its objects that must stay.
    """

    version: Version
    source: str
    safe: tuple[Safe, ...]
    unsafe: tuple[Unsafe, ...]
    shared: int
    needs: tuple[str, ...]
    pieces: tuple[Piece, ...]
    held: frozenset[str]

    @property
    def files(self) -> int:
        """How many files may go."""
        return sum(one.files for one in self.safe)

    @property
    def size(self) -> int:
        """Bytes that become free."""
        return sum(one.size for one in self.safe)


class WorkspaceFiles(Struct, frozen=True, dict=True):
    """The files of a version's unit that are in the workspace."""

    version: Version
    stamps: Mapping[str, Stamp]
    comparison: Comparison | None
    former: frozenset[str]

    def files(self, item: Item) -> dict[str, Stamp]:
        """Return the workspace files that have an object's content, by path from the root."""
        if self.comparison is None:
            return {}
        return {
            name: self.stamps[below]
            for name in item.names
            if (below := self._below(name)) in self.stamps and below not in self._other
        }

    @cached_property
    def _other(self) -> frozenset[str]:
        found = self.comparison
        return frozenset((*found.changed, *found.missing) if found else ())

    @cached_property
    def edited(self) -> frozenset[str]:
        """The files whose content here is not the recorded one."""
        return self._full(self.comparison.changed if self.comparison else ())

    @cached_property
    def of_others(self) -> frozenset[str]:
        """Those of them that another recorded version put there."""
        return self._full(self.former)

    @property
    def how_to_keep(self) -> str:
        """The command that puts what was edited by hand aside."""
        by_hand = self.edited - self.of_others
        name = next(iter(by_hand)) if len(by_hand) == 1 else self.version.path
        return shlex.join(("mv", name, f"{name}.kept"))

    def _full(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(
            f"{self.version.path}/{one}" if one else self.version.path for one in names
        )

    def _below(self, name: str) -> str:
        return name[len(self.version.path) + 1 :] if name != self.version.path else ""


class Sorter(Struct):
    """Sorts the objects of one version into what may go and what stays."""

    version: Version
    judge: Recoverability
    keep: frozenset[str]
    accepted: tuple[AcceptedLoss, ...]
    clone: Clone
    history: History
    is_current: bool
    safe: dict[str, list[int]] = field(default_factory=dict)
    unsafe: dict[tuple[str, str], tuple[list[str], list[int]]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    pieces: list[Piece] = field(default_factory=list)
    lists: list[Piece] = field(default_factory=list)
    needs: dict[str, None] = field(default_factory=dict)
    remedies: dict[str, str] = field(default_factory=dict)
    shared: int = 0

    def has_anything(self, source: str) -> bool:
        """Tell whether there is something to say: files, or a list that a killed drop left."""
        left = self.lists and self._list_goes(source)
        return bool(self.safe or self.unsafe or self.shared or left)

    def take(
        self,
        item: Item,
        size: int | None,
        files: Mapping[str, Stamp],
        here: WorkspaceFiles | None,
    ) -> None:
        """Decide about one object: `size` where the place has it, `files` in the workspace."""
        bytes_here = size or 0
        if here and (edited := here.edited & set(item.names)):
            self.held.add(item.key)
            remedy = f"imgdata pull {self.version.level}"
            if by_hand := sorted(edited - here.of_others):
                self._stays(by_hand, BY_HAND, here.how_to_keep, bytes_here)
            if others := sorted(edited & here.of_others):
                self._stays(others, OF_OTHERS, remedy, 0 if by_hand else bytes_here)
            return
        verdict = self.judge.of(id_of(self.version), item.object_id)
        reason = self._why(verdict)
        is_list = item.object_id.endswith(FOLDER_SUFFIX)
        if isinstance(verdict, NotRecoverable) and reason is None:
            self.held.add(item.key)
            if not is_list:
                self._stays(item.names, _against(verdict), self._remedy(verdict), bytes_here)
            return
        self._goes(item, size, files, str(reason))

    def _remedy(self, verdict: NotRecoverable) -> str:
        """Return what to type for this version; read from git once for many files alike."""
        told = verdict.remedy
        if told not in self.remedies:
            self.remedies[told] = remedy_for(self.clone, self.version, told, self.history)
        return self.remedies[told]

    def _goes(self, item: Item, size: int | None, files: Mapping[str, Stamp], why: str) -> None:
        is_list = item.object_id.endswith(FOLDER_SUFFIX)
        is_kept = item.object_id in self.keep
        if is_kept and not is_list:
            self.shared += len(item.names)
        if size is not None and not is_kept:
            piece = Piece(item.key, item.md5, size, None)
            (self.lists if is_list else self.pieces).append(piece)
        freed = 0 if size is None or is_kept else size
        for name, stamp in files.items():
            self.pieces.append(Piece(name, item.md5, stamp.size, stamp))
            freed += stamp.size if size is None else 0
        if not is_list and (files or (size is not None and not is_kept)):
            count, total = self.safe.setdefault(why, [0, 0])
            self.safe[why] = [count + len(item.names), total + freed]

    def _why(self, verdict: Verdict) -> str | None:
        match verdict:
            case ByCopies(tally):
                count = len(tally.counted)
                word = "checked copy" if count == 1 else "checked copies"
                return f"{count} {word} ({', '.join(tally.counted)})"
            case ByRecipe():
                self.needs |= dict.fromkeys(verdict.needs)
                proof = verdict.proof
                return (
                    f"recomputable, proven {proof.verdict} on {proof.at:%Y-%m-%d}, "
                    f"{format_duration(verdict.seconds)}"
                )
            case NotRecoverable():
                loss = next((one for one in self.accepted if self._accepts(one)), None)
                if loss is None:
                    return None
                return f"loss accepted by {loss.by} on {loss.on}: {loss.reason}"

    def _accepts(self, loss: AcceptedLoss) -> bool:
        if loss.select == self.version.unit:
            return True
        try:
            selection = parse_selection([loss.select])
        except UsageError:
            return False
        unit = self.version.unit
        return unit is not None and selection.fits({"plate": unit})

    def _stays(self, names: Sequence[str], why: str, remedy: str, size: int) -> None:
        some, sizes = self.unsafe.setdefault((why, remedy), ([], []))
        some += names
        sizes.append(size)

    def _list_goes(self, source: str) -> bool:
        if self.unsafe or self.shared:
            return False
        return source != HERE or not self.is_current

    def plan(self, source: str) -> VersionPlan:
        """Return what was decided about all objects taken."""
        return VersionPlan(
            version=self.version,
            source=source,
            safe=tuple(Safe(why, *numbers) for why, numbers in sorted(self.safe.items())),
            unsafe=tuple(
                Unsafe(tuple(sorted(names)), why, remedy, sum(sizes))
                for (why, remedy), (names, sizes) in sorted(self.unsafe.items())
            ),
            shared=self.shared,
            needs=tuple(self.needs),
            # The list goes last, and stays while any of its files stays. Here it stays while the
            # version is recorded: without it nobody could name what is missing.
            pieces=(*self.pieces, *(self.lists if self._list_goes(source) else ())),
            held=frozenset(self.held),
        )


def _against(verdict: NotRecoverable) -> str:
    """Say in a clause why nothing else has a file for sure."""
    count = len(verdict.copies.counted)
    parts = []
    if count:
        parts.append(f"{count} of {verdict.needed} copies ({', '.join(verdict.copies.counted)})")
    else:
        parts.append("no other checked copy")
    parts += [f"{storage}: {why}" for storage, why in verdict.copies.against]
    parts += list(verdict.recipe_faults)
    return "; ".join(parts)
