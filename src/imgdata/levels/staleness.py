"""Why a stage would run again, in a person's words; and in which order stages run."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from imgdata.dvc_files.directory import FolderEntry, write_folder
from imgdata.dvc_files.index import Index
from imgdata.dvc_files.params import ParamsError, read_params
from imgdata.dvc_files.places import folders_above, join, paths_below
from imgdata.dvc_files.recorded import MD5, MD5_DOS2UNIX, RecordedHash
from imgdata.dvc_files.stages import Dep, Out, Stage
from imgdata.errors import InvalidProjectError
from imgdata.levels.changes import Workspace
from imgdata.ports import Tree


class Freshness:
    """Compares what stages recorded with what is here now.

    Content of tracked outs is taken from their record: whether files still agree with it is asked
    elsewhere, before anything runs.
    """

    def __init__(self, tree: Tree, index: Index, workspace: Workspace) -> None:
        self._tree = tree
        self._workspace = workspace
        self._outs: Mapping[str, Out] = {
            out.path: out for stage in index.stages for out in stage.outs
        }
        self._hashes: dict[str, str | None] = {}

    def reasons(self, stage: Stage) -> tuple[str, ...]:
        """Return why the stage would run again, most telling first; none when it is up to date."""
        if stage.kind != "stage" or stage.frozen:
            return ()
        if stage.entry is None:
            return ("never ran",)
        return tuple(self._differences(stage))

    def _differences(self, stage: Stage) -> Iterator[str]:
        if stage.always_changed:
            yield "always runs"
        if stage.cmd != stage.defined_cmd:
            yield "its command changed"
        for dep in stage.deps:
            yield from self._dep_differences(dep)
        dropped = {one.path for one in stage.recorded_deps} - {dep.path for dep in stage.deps}
        for path in sorted(dropped):
            yield f"{path} is no input any more"
        yield from self._param_differences(stage)
        for out in stage.outs:
            if out.recorded is None:
                yield f"{out.path} is a new output"

    def _dep_differences(self, dep: Dep) -> Iterator[str]:
        if not dep.is_inside:
            return
        if dep.recorded is None or dep.recorded.hash is None:
            yield f"{dep.path} is a new input"
            return
        now = self.current_hash(dep.path)
        if now is None:
            out = self._outs.get(dep.path)
            if out is None or out.recorded is not None:
                yield f"{dep.path} is missing"
        elif not self._equal(dep.path, dep.recorded.hash, now):
            yield f"{dep.path} changed"

    def _equal(self, path: str, recorded: RecordedHash, now: str) -> bool:
        if recorded.value == now:
            return True
        if recorded.name != MD5_DOS2UNIX or recorded.is_folder:
            return recorded.name not in {MD5, MD5_DOS2UNIX}
        data = (self._tree.read(path) or b"").replace(b"\r\n", b"\n")
        return hashlib.md5(data, usedforsecurity=False).hexdigest() == recorded.value

    def current_hash(self, path: str) -> str | None:
        """Return the hash a dep has now: its record's where it is tracked, else its files'."""
        if path not in self._hashes:
            self._hashes[path] = self._find_hash(path)
        return self._hashes[path]

    def _find_hash(self, path: str) -> str | None:
        out = self._outs.get(path)
        if out is not None and out.flags.cache:
            recorded = out.recorded
            return recorded.hash.value if recorded and recorded.hash else None
        found = self._workspace.scan(path)
        if not found:
            return None
        hashes = self._workspace.hashes(path, found)
        if "" in hashes:
            return hashes[""]
        return write_folder(FolderEntry(md5, name) for name, md5 in hashes.items())[1]

    def _param_differences(self, stage: Stage) -> Iterator[str]:
        for file, keys in stage.defined_params.items():
            recorded = stage.params.get(file, {})
            path = join(stage.wdir, file)
            try:
                now = read_params(self._tree, path, keys)
            except ParamsError as error:
                yield f"parameters: {error}"
                continue
            for key in sorted(recorded.keys() | now.keys()):
                if key not in recorded:
                    yield f"parameter {key} is new: {now[key]}"
                elif key not in now:
                    yield f"parameter {key} is gone (was {recorded[key]})"
                elif recorded[key] != now[key]:
                    yield f"parameter {key} changed: {_change_words(recorded[key], now[key])}"


def _change_words(before: object, after: object) -> str:
    """Say what changed inside a mapping, or the whole value."""
    if isinstance(before, dict) and isinstance(after, dict):
        parts = [
            f"{key} {before.get(key, 'absent')} -> {after.get(key, 'absent')}"
            for key in sorted(before.keys() | after.keys(), key=str)
            if before.get(key) != after.get(key)
        ]
        return ", ".join(parts)
    return f"{before} -> {after}"


def upstream_of(index: Index) -> dict[str, set[str]]:
    """Return, by address, the addresses of the stages whose outs each stage reads."""
    makers = {out.path: stage.address for stage in index.stages for out in stage.outs}
    paths = sorted(makers)
    graph: dict[str, set[str]] = {}
    for stage in index.stages:
        needs = graph.setdefault(stage.address, set())
        for dep in stage.deps:
            if dep.is_inside:
                needs |= set(_makers_of(dep.path, makers, paths))
        needs.discard(stage.address)
    return graph


def _makers_of(path: str, makers: Mapping[str, str], paths: Sequence[str]) -> Iterable[str]:
    """Yield who makes a path: exactly, a folder it lies in, or parts of the folder it is."""
    for one in (path, *folders_above(path)):
        if one in makers:
            return [makers[one]]
    return [makers[one] for one in paths_below(paths, path)]


def in_order(index: Index) -> tuple[Stage, ...]:
    """Return all stages so that each comes after those whose outs it reads.

    Raises:
        InvalidProjectError: Stages need each other's outs in a circle.
    """
    try:
        ordered = tuple(TopologicalSorter(upstream_of(index)).static_order())
    except CycleError as error:
        circle = " -> ".join(str(name) for name in error.args[1])
        problem = "stages need each other's results in a circle"
        raise InvalidProjectError(problem, cause=circle, remedy="correct dvc.yaml") from error
    return tuple(index.by_address[address] for address in ordered)
