"""`imgdata level mv`: decide what says otherwise once a level has another name or folder.

Everything that names the level in DVC's files and imgdata.yaml changes; source code never. The
plan is checked before anything happens: the pipeline is resolved as it will be, and each stage
must be the one it was, with this level's folder in its new place.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

from imgdata.dvc_files.ignoring import GIT_DEFAULTS, IgnoreRules
from imgdata.dvc_files.index import Index, read_index
from imgdata.dvc_files.lock import LOCK_NAME
from imgdata.dvc_files.moved_tree import MovedTree
from imgdata.dvc_files.places import folder_of, join
from imgdata.dvc_files.relocated_variables import change_variables, in_values, variable_files
from imgdata.dvc_files.relocation import (
    Relocation,
    StagePair,
    rewritten_dot_dvc,
    rewritten_lock,
    rewritten_pipeline,
)
from imgdata.dvc_files.rwlock import refuse_busy_paths
from imgdata.dvc_files.stages import Stage
from imgdata.dvc_files.tracked import escape_pattern
from imgdata.dvc_files.yaml12 import YamlError, read_yaml
from imgdata.errors import InvalidProjectError, RefusedError, UsageError
from imgdata.lineage.run_events import canonical_hash
from imgdata.model.excerpts import first_lines
from imgdata.model.renames import Rename
from imgdata.project.by_name import level_named
from imgdata.project.exclusion_lists import FOLDER as EXCLUSIONS
from imgdata.project.exclusion_lists import list_path
from imgdata.project.exclusion_lists import with_renamed_level as with_level_excluded
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.system.folder_tree import FolderTree
from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import FileChange
from imgdata.workflows.former_folder import with_former_ignored
from imgdata.workflows.level_config import with_renamed_level
from imgdata.workflows.mentions import Mention, mentions_of

PORTABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
LEVEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
IGNORE_FILES = (".gitignore", ".dvcignore")
_SHOWN = 5


class MovePlan(Struct, frozen=True):
    """What renaming a level does.

    Attributes:
        rename: The names and folders, what else is called otherwise, and the entries' hashes.
        moves: What lies elsewhere afterwards: old path and new path below the project.
        changes: Files with other content, at their new paths.
        stale: Stages that must run again, and why.
        mentions: Lines of other files that name the level, for a person to change.
    """

    rename: Rename
    moves: tuple[tuple[str, str], ...]
    changes: tuple[FileChange, ...]
    stale: tuple[str, ...]
    mentions: tuple[Mention, ...]

    def text(self, root: Path, *, longest: int) -> str:
        """Return the plan as a person reads it: what moves, and the difference of every file.

        Args:
            root: The project.
            longest: The lines of a record's difference from which on it is only counted.
        """
        moved = [f"rename {old} -> {new}" for old, new in self.moves]
        return "\n".join([*moved, *(_shown(change, root, longest) for change in self.changes)])


def _shown(change: FileChange, root: Path, longest: int) -> str:
    diff = change.diff(root)
    lines = sum(line.startswith("+") and not line.startswith("+++") for line in diff.splitlines())
    if change.path.name != LOCK_NAME or lines <= longest:
        return diff
    head = "\n".join(diff.splitlines()[:2])
    return f"{head}\n{lines} lines change as dvc.yaml does; every hash stays (--verbose shows them)"


def plan_move(clone: Clone, level: str, to: str, path: str | None) -> MovePlan:
    """Decide what a level's new name changes; reads DVC's files, hashes nothing.

    Args:
        clone: The project.
        level: The level.
        to: Its new name.
        path: Its new folder; without one the last part of the old one follows the name, if it was
            the name.

    Raises:
        UsageError: The level does not exist, or the name or folder is taken or not allowed.
        InvalidProjectError: Levels would nest, or DVC's files cannot be rewritten faithfully.
        RefusedError: A file that changes has changes that are not committed.
        MachineError: A running dvc command holds the folder.
    """
    move = _relocation(clone, level, to, path)
    _refuse_taken(clone, move)
    try:
        return _Planner(clone, move).plan()
    except YamlError as error:
        problem = "a YAML file of this project cannot be rewritten"
        raise InvalidProjectError(problem, cause=str(error)) from error


def _relocation(clone: Clone, level: str, to: str, path: str | None) -> Relocation:
    before = level_named(clone.config, level).path
    refuse_name(to)
    after = path
    if after is None:
        folder, _, name = before.rpartition("/")
        after = join(folder, to) if name == level else before
    after = after.removeprefix("./").rstrip("/")
    if after != before and not PORTABLE.fullmatch(after):
        problem = f"'{after}' cannot be the folder of a level"
        remedy = "use a path inside the project of letters, digits, . _ and -"
        raise UsageError(problem, remedy=remedy)
    if (to, after) == (level, before):
        problem = f"'{level}' has this name and this folder already"
        raise UsageError(problem, remedy=f"imgdata level mv {level} NEW")
    return Relocation(level, to, before, after, str(clone.root), CONFIG_NAME)


def refuse_name(name: str) -> None:
    """Stop at what cannot be the name of a level.

    Raises:
        UsageError: Saying what can.
    """
    if not LEVEL_NAME.fullmatch(name):
        problem = f"'{name}' cannot be the name of a level"
        remedy = "use lower-case letters, digits, - and _, up to 32, a letter first"
        raise UsageError(problem, remedy=remedy)


def _refuse_taken(clone: Clone, move: Relocation) -> None:
    """Stop where the new name or folder is there already, or dvc works in one of the two."""
    if move.to != move.level and move.to in clone.config.levels:
        problem = f"there is a level '{move.to}' already"
        raise UsageError(problem, remedy="choose another name")
    old, new = clone.root / move.path, clone.root / move.to_path
    if move.path == move.to_path:
        return
    if f"{move.to_path}/".startswith(f"{move.path}/"):
        problem = f"{move.to_path} lies in {move.path} itself"
        raise UsageError(problem, remedy="choose a folder beside it")
    if (new.exists() or new.is_symlink()) and not _is_empty(new):
        problem = f"{move.to_path} exists already; nothing was changed"
        raise RefusedError(problem, remedy=f"choose another folder: imgdata level mv "
                           f"{move.level} {move.to} --path FOLDER")  # fmt: skip
    refuse_busy_paths(clone.tmp, (old, new))
    for path in (move.to_path, move.path):
        clone.refuse_link_out(folder_of(path) or ".")
    if not (old.exists() or old.is_symlink()):
        return
    there = next(folder for folder in new.parents if folder.exists())
    if os.lstat(old).st_dev != there.stat().st_dev or old.is_mount():
        problem = f"{move.path} and {move.to_path} are on different disks"
        remedy = f"choose a folder beside it: imgdata level mv {move.level} {move.to} --path FOLDER"
        raise UsageError(problem, remedy=remedy)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())


class _Planner:
    """Collects what every file says afterwards, by its path afterwards."""

    def __init__(self, clone: Clone, move: Relocation) -> None:
        self._clone = clone
        self._move = move
        self._tree = FolderTree(clone.root)
        self._index = clone.index
        self._texts: dict[str, str] = {}

    def plan(self) -> MovePlan:
        self._refuse_unreadable()
        self._set(CONFIG_NAME, self._config_text())
        self._rewrite_pipelines()
        pairs = self._checked_pairs()
        entries = self._rewrite_locks(pairs)
        self._rewrite_tracked()
        self._rewrite_ignored()
        self._rewrite_exclusions()
        self._refuse_uncommitted()
        move = self._move
        producers = {
            pair.before.address: pair.after.address
            for pair in pairs
            if pair.before.address != pair.after.address
        }
        now = self._clone.clock.now()
        paths = move.path, move.to_path
        rename = Rename(now, move.level, move.to, *paths, producers, entries)
        return MovePlan(
            rename,
            tuple(self._moves.items()),
            self._changes,
            tuple(self._stale(pairs)),
            tuple(mentions_of(self._clone, move.level, move.path, self._written)),
        )

    @property
    def _moves(self) -> dict[str, str]:
        move = self._move
        if move.path == move.to_path:
            return {}
        moves = {}
        if os.path.lexists(self._clone.root / move.path):
            moves[move.path] = move.to_path
        if (self._clone.root / f"{move.path}.dvc").is_file():
            moves[f"{move.path}.dvc"] = f"{move.to_path}.dvc"
        return moves

    @property
    def _after(self) -> MovedTree:
        return MovedTree(self._tree, self._moves, self._texts)

    @property
    def _changes(self) -> tuple[FileChange, ...]:
        found = (
            FileChange(self._clone.root / path, self._before(path), text)
            for path, text in self._texts.items()
        )
        return tuple(one for one in found if one.before != one.after)

    @property
    def _written(self) -> frozenset[str]:
        """The paths, before, of what is rewritten or moved, relative to the project."""
        back = {self._move.file(path): path for path in self._own_files()}
        return frozenset(
            {back.get(self._path(change), self._path(change)) for change in self._changes}
        )

    def _path(self, change: FileChange) -> str:
        return change.path.relative_to(self._clone.root).as_posix()

    def _own_files(self) -> Iterator[str]:
        yield from (stage.file for stage in self._index.stages)
        yield CONFIG_NAME

    def _before(self, path: str) -> str:
        """Return what a file says now, by its path afterwards."""
        return (MovedTree(self._tree, self._moves).read(path) or b"").decode("utf-8")

    def _set(self, path: str, text: str) -> None:
        self._texts[path] = text

    def _text(self, path: str) -> str:
        return (self._after.read(path) or b"").decode("utf-8")

    def _config_text(self) -> str:
        move = self._move
        text = with_renamed_level(self._before(CONFIG_NAME), move.level, move.to, move.to_path)
        parse_config(text)
        return text

    def _refuse_unreadable(self) -> None:
        problems = [one.sentence for one in self._index.problems]
        problems += [f"{stage.address} cannot be resolved" for stage in self._index.stages
                     if not stage.resolved]  # fmt: skip
        inside = [
            file for file in self._index.pipelines
            if file.startswith(f"{self._move.path}/") and self._move.path != self._move.to_path
        ]  # fmt: skip
        problems += [f"{file} lies in the folder that would move" for file in inside]
        if problems:
            problem = f"level '{self._move.level}' cannot be renamed as DVC's files are"
            remedy = "correct them first; nothing was changed"
            raise InvalidProjectError(problem, cause=first_lines(problems, _SHOWN), remedy=remedy)

    def _rewrite_pipelines(self) -> None:
        """Rewrite dvc.yaml files, and the values their paths are made of."""
        tree = self._tree
        for file in self._index.pipelines:
            stages = [stage for stage in self._index.stages if stage.file == file]
            for variables in variable_files(tree, file):
                if variables != CONFIG_NAME:
                    self._set(variables, in_values(self._text(variables), self._move))
            text = self._text(file)
            if text:
                self._set(file, rewritten_pipeline(text, file, stages, self._move))
        for file in self._index.pipelines:
            wrong = {
                pair.before.group or pair.before.name
                for pair in self._pairs()
                if pair.before.file == file and not self._follows(pair)
            }
            if wrong:
                self._change_variables(file, wrong)

    def _change_variables(self, file: str, groups: set[str]) -> None:
        changed = change_variables(self._after, file, sorted(groups), self._move)
        self._texts |= changed.texts
        if changed.keys:
            self._move = replace(self._move, keys={**self._move.keys, **changed.keys})
            stages = [stage for stage in self._index.stages if stage.file == file]
            self._set(file, rewritten_pipeline(self._text(file), file, stages, self._move))

    def _pairs(self) -> list[StagePair]:
        """Return each stage with what it will be, by its place in its file."""
        after = _by_file(read_index(self._after))
        found: list[StagePair] = []
        for file, stages in _by_file(self._index).items():
            others = after.get(self._move.file(file), [])
            if len(others) == len(stages):
                found += [StagePair(*both) for both in zip(stages, others, strict=True)]
            else:
                found += [StagePair(stage, stage) for stage in stages]
        return found

    def _follows(self, pair: StagePair) -> bool:
        """Tell whether a stage is the one it was, with the level's folder in its new place."""
        before, after = pair.before, pair.after
        if before.kind != after.kind or before.kind != "stage":
            return before.kind == after.kind
        wanted = [
            [self._move.place(one.path) if one.is_inside else one.path for one in some]
            for some in (before.deps, before.outs)
        ]
        return wanted == [[one.path for one in some] for some in (after.deps, after.outs)]

    def _checked_pairs(self) -> list[StagePair]:
        """Return the pairs; stops where a stage would not follow.

        Raises:
            InvalidProjectError: Naming the stages.
        """
        pairs = self._pairs()
        wrong = [pair.before.address for pair in pairs if not self._follows(pair)]
        if wrong:
            problem = f"it cannot be told how these stages should name {self._move.to_path}"
            raise InvalidProjectError(
                problem,
                cause=first_lines(wrong, _SHOWN),
                remedy=f"write {self._move.path} in dvc.yaml as a plain path, or as one value of "
                "a YAML file of variables, and run the same command again",
            )
        return pairs

    def _rewrite_locks(self, pairs: Sequence[StagePair]) -> dict[str, str]:
        """Rewrite dvc.lock files; return the hashes of entries that changed, before and after."""
        hashes: dict[str, str] = {}
        for file in self._index.pipelines:
            lock = join(folder_of(file), LOCK_NAME)
            text = self._before(lock)
            if not text:
                continue
            own = [pair for pair in pairs if pair.before.file == file]
            orphans = [orphan for orphan in self._index.orphans if orphan.file == file]
            trees = self._tree, self._after
            after = rewritten_lock(text, own, orphans, self._move, trees)
            self._set(lock, after)
            entries = zip(_entries(text).values(), _entries(after).values(), strict=True)
            both = ((canonical_hash(one), canonical_hash(other)) for one, other in entries)
            hashes |= {one: other for one, other in both if one != other}
        return hashes

    def _rewrite_tracked(self) -> None:
        for stage in self._index.stages:
            if stage.kind == "stage" or stage.file in self._index.pipelines:
                continue
            path = self._move.file(stage.file)
            self._set(path, rewritten_dot_dvc(self._before(path), stage, self._move))

    def _rewrite_ignored(self) -> None:
        """Rewrite the lines of ignore files above the level, and ignore what was ignored."""
        folders = {folder_of(self._move.path), *map(str, PurePosixPath(self._move.path).parents)}
        for folder in sorted("" if one == "." else one for one in folders):
            for name in IGNORE_FILES:
                path = join(folder, name)
                text = self._before(path)
                lines = [self._ignore_line(line, folder) for line in text.splitlines()]
                if text and lines != text.splitlines():
                    self._set(path, "\n".join(lines) + "\n")
        move = self._move
        if move.path != move.to_path:
            has_units = self._clone.config.levels[move.level].unit is not None
            text = self._text(".gitignore")
            own = with_former_ignored(text, move.path, move.to_path, has_units=has_units)
            self._set(".gitignore", own)
        for stage in self._index.stages:
            for out in stage.outs:
                after = self._move.place(out.path)
                if out.is_inside and after != out.path and out.flags.cache:
                    self._keep_ignored(out.path, after)

    def _rewrite_exclusions(self) -> None:
        """Let the lists of excluded files name the level anew; stages that read them are stale."""
        move = self._move
        if move.level == move.to:
            return
        if self._clone.config.levels[move.level].unit is None and self._before(
            own := list_path(move.level, None)
        ):
            problem = f"{own} lists files of level '{move.level}', which would lose its list"
            remedy = f"take them back with imgdata exclude {move.level} --undo, then rename"
            raise InvalidProjectError(problem, remedy=remedy)
        for path in (self._clone.root / EXCLUSIONS).glob("*.csv"):
            name = path.relative_to(self._clone.root).as_posix()
            text = self._before(name)
            self._set(name, with_level_excluded(text, move.level, move.to))

    def _ignore_line(self, line: str, folder: str) -> str:
        """Return a line of an ignore file with the level's folder named anew."""
        sign, pattern = ("!", line[1:]) if line.startswith("!") else ("", line)
        if not pattern.strip("/") or ("/" not in pattern.rstrip("/")):
            return line  # a bare name means any file of that name
        rooted = join(folder, pattern.strip().strip("/"))
        after = self._move.place(rooted)
        if after == rooted:
            return line
        inside = os.path.relpath(after, folder or ".")
        if inside.startswith(".."):
            return line
        tail = "/" if pattern.rstrip().endswith("/") else ""
        return f"{sign}/{inside}{tail}"

    def _keep_ignored(self, path: str, after: str) -> None:
        if not _is_ignored(self._tree, path) or _is_ignored(self._after, after):
            return
        file = join(folder_of(after), ".gitignore")
        text = self._text(file)
        gap = "" if not text or text.endswith("\n") else "\n"
        line = escape_pattern(PurePosixPath(after).name)
        self._set(file, f"{text}{gap}/{line}\n")

    def _refuse_uncommitted(self) -> None:
        """Stop before a change that nobody committed is mixed with these.

        Raises:
            RefusedError: Naming the files.
        """
        prefix, level = self._clone.git_prefix, self._move.path
        every = self._clone.git.dirty_paths()
        dirty = [path.removeprefix(prefix) for path in every if path.startswith(prefix)]
        moved = self._moves
        touched = [
            path for path in dirty
            if path in self._written or path in moved or (path.startswith(f"{level}/") and moved)
        ]  # fmt: skip
        if touched:
            count = "a file that" if len(touched) == 1 else f"{len(touched)} files that"
            problem = f"{count} would be rewritten or moved has changes that are not committed"
            if len(touched) > 1:
                problem = problem.replace(" has ", " have ")
            remedy = 'git add --all && git commit -m "Before renaming a level"'
            raise RefusedError(problem, cause=first_lines(touched, _SHOWN), remedy=remedy)

    def _stale(self, pairs: Sequence[StagePair]) -> Iterator[str]:
        """Say which stages must run again because a file they read as a whole is rewritten."""
        changed = {self._path(change) for change in self._changes}
        for pair in pairs:
            deps = {dep.path for dep in pair.after.deps if dep.is_inside} & changed
            if pair.before.kind == "stage" and deps:
                yield f"{pair.after.name} reads {', '.join(sorted(deps))}, which changes"


def _by_file(index: Index) -> dict[str, list[Stage]]:
    found: dict[str, list[Stage]] = {}
    for stage in index.stages:
        found.setdefault(stage.file, []).append(stage)
    return found


def _entries(text: str) -> Mapping[str, object]:
    document = read_yaml(text)
    if not isinstance(document, dict):
        return {}
    stages = document.get("stages", document)
    return stages if isinstance(stages, dict) else {}


def _is_ignored(tree: FolderTree | MovedTree, path: str) -> bool:
    """Tell whether a `.gitignore` leaves a path out, in a project as it is or will be."""
    rules = IgnoreRules(tree.read, GIT_DEFAULTS, ".gitignore", "")
    rules.enter_all_above(path)
    parts = [one for one in (path, *map(str, PurePosixPath(path).parents)) if one != "."]
    return any(rules.enter(folder_of(one), ())(one, is_folder=True) for one in parts)
