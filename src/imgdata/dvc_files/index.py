"""The index of a DVC project: every stage, added file and import, with what is recorded."""

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property

from msgspec import Struct, field

from imgdata.dvc_files.collecting import collect
from imgdata.dvc_files.dot_dvc import read_dot_dvc
from imgdata.dvc_files.interpolation import CommandStyle
from imgdata.dvc_files.joining import (
    Ground,
    dot_dvc_stage,
    lock_path_of,
    orphans_of,
    stages_of,
    unresolved_of,
)
from imgdata.dvc_files.lock import EMPTY_LOCK, LOCK_NAME, read_lock
from imgdata.dvc_files.pipeline import PIPELINE_NAME, Pipeline, read_pipeline
from imgdata.dvc_files.places import Where, folder_of, join
from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.stages import Orphan, Stage
from imgdata.ports import Tree


class Index(Struct, frozen=True, dict=True):
    """Everything the DVC files of one project say.

    Attributes:
        root: The DVC project's folder, seen from the tree's root; empty for the root.
        stages: In the order the files were found, top down.
        orphans: Lock entries without a live stage.
        problems: What was left out or is doubtful.
        pipelines: Paths of all dvc.yaml files found.
    """

    root: str
    stages: tuple[Stage, ...]
    orphans: tuple[Orphan, ...] = ()
    problems: tuple[Problem, ...] = ()
    pipelines: tuple[str, ...] = ()

    @cached_property
    def by_address(self) -> Mapping[str, Stage]:
        """The stages by their address; of several with one address the last."""
        return {stage.address: stage for stage in self.stages}


def read_index(tree: Tree, root: str = "", *, home: str | None = None) -> Index:
    """Read all DVC files of one DVC project; never raises for their content.

    Args:
        tree: A working folder or a commit.
        root: The DVC project's folder in the tree, empty for its root. Projects below it are
            left out: each is its own.
        home: Absolute path of the tree's root, so that absolute paths below it are recognised;
            by default that of a working folder, none for a commit.
    """
    ground = Ground(root, str(getattr(tree, "root", "")) if home is None else home)
    reader = _Reader(tree, ground, command_style(tree, root))
    with _no_garbage_search():
        for _ in collect(tree, root, reader.read):
            pass
    return Index(
        root,
        tuple(reader.stages),
        tuple(reader.orphans),
        tuple(reader.problems),
        tuple(reader.pipelines),
    )


@contextmanager
def _no_garbage_search() -> Iterator[None]:
    """Keep Python from looking for garbage among values that are all kept.

    For 5,000 stages the search costs as much as the reading.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Reader(Struct):
    """Reads one DVC file after the other, and tells which folders are outs."""

    tree: Tree
    ground: Ground
    style: CommandStyle
    stages: list[Stage] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    pipelines: list[str] = field(default_factory=list)

    def read(self, path: str) -> Iterable[str]:
        """Read a dvc.yaml with its lock, or a `.dvc` file; return the outs inside the tree."""
        first = len(self.stages)
        name = path.rpartition("/")[2]
        if name == PIPELINE_NAME:
            self._read_pipeline(read_pipeline(self.tree, path, self.style))
        elif name == LOCK_NAME:
            self._read_pipeline(Pipeline(join(folder_of(path), PIPELINE_NAME), {}))
        else:
            self._read_dot_dvc(path)
        return [
            out.path
            for stage in self.stages[first:]
            for out in stage.outs
            if out.place.where is Where.INSIDE
        ]

    def _read_pipeline(self, pipeline: Pipeline) -> None:
        lock_path = lock_path_of(pipeline.path)
        data = self.tree.read(lock_path)
        lock = EMPTY_LOCK if data is None else read_lock(data, lock_path)
        self.pipelines.append(pipeline.path)
        self.stages.extend(stages_of(pipeline, lock, self.ground))
        self.stages.extend(unresolved_of(pipeline, lock, self.ground))
        self.orphans.extend(orphans_of(pipeline, lock, self.ground))
        self.problems.extend((*pipeline.problems, *lock.problems))

    def _read_dot_dvc(self, path: str) -> None:
        data = self.tree.read(path)
        if data is None:
            return
        file = read_dot_dvc(data, path)
        self.problems.extend(file.problems)
        if file.outs or file.deps or file.cmd:
            self.stages.append(dot_dvc_stage(file, self.ground))


def command_style(tree: Tree, root: str) -> CommandStyle:
    """Return how mappings become options of a command, from `.dvc/config` and config.local."""
    found: dict[str, str] = {}
    for name in ("config", "config.local"):
        data = tree.read(join(root, f".dvc/{name}")) or b""
        if b"parsing" not in data:
            continue
        import configparser  # noqa: PLC0415 - hardly any project needs it

        parser = configparser.RawConfigParser(
            strict=False, allow_no_value=True, inline_comment_prefixes=("#",)
        )
        try:
            parser.read_string(data.decode("utf-8", "replace"))
        except configparser.Error:
            continue
        if parser.has_section("parsing"):
            found.update({key: value or "" for key, value in parser.items("parsing")})
    plain = {key: value.strip(" \"'") for key, value in found.items()}
    return CommandStyle(
        "boolean_optional" if plain.get("bool") == "boolean_optional" else "store_true",
        "append" if plain.get("list") == "append" else "nargs",
    )
