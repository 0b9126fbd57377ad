"""What an imgdata project adds to lineage: levels, units, origins and run records."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.dvc_files.places import folder_of, join
from imgdata.errors import InvalidProjectError
from imgdata.lineage.answer import Answer, Node
from imgdata.lineage.downstream import MoreReaders, downstream
from imgdata.lineage.index import Index, Stage
from imgdata.lineage.members import level_at
from imgdata.lineage.run_events import entry_hash, run_note, runs_by_entry
from imgdata.model.decisions import HandNote
from imgdata.model.events import Event
from imgdata.model.renames import Renames
from imgdata.policy.restrictions import Restricted, Source, may_leave
from imgdata.ports import Tree
from imgdata.project.config import Config, Level, Origin
from imgdata.project.hand_notes import hand_notes
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.project.log import LOG_FOLDER, parse_event, renames_of

IMGDATA = "imgdata"


class ProjectView(Struct, dict=True):
    """The imgdata project a file belongs to, as one tree has it.

    Attributes:
        tree: The files.
        folder: Where imgdata.yaml lies; empty for the root of the repository.
        config: What it says; None when it cannot be used.
        problem: Why it cannot; empty when it can.
    """

    tree: Tree
    folder: str
    config: Config | None
    problem: str = ""
    _stems: dict[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """The folder, ending with `/` unless it is the root."""
        return f"{self.folder}/" if self.folder else ""

    @property
    def levels(self) -> Mapping[str, Level]:
        """The levels, none when imgdata.yaml cannot be used."""
        return {} if self.config is None else self.config.levels

    @cached_property
    def _log(self) -> tuple[Event, ...]:
        events: list[Event] = []
        for path in self.tree.files(join(self.folder, LOG_FOLDER.as_posix())):
            if not path.endswith(".jsonl"):
                continue
            for line in (self.tree.read(path) or b"").decode("utf-8", "replace").splitlines():
                try:
                    events.append(parse_event(line))
                except (ValueError, KeyError, TypeError):
                    # audit names unreadable log lines; here the other lines still count.
                    continue
        return tuple(sorted(events, key=lambda one: (one.at, one.id)))

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The events of the log that can be read, oldest first, under the names of today."""
        return tuple(self.renames.seen_today(self._log))

    @cached_property
    def renames(self) -> Renames:
        """The levels that once had another name or folder."""
        return Renames() if self.config is None else renames_of(self._log, self.config)

    @cached_property
    def runs(self) -> Mapping[str, Event]:
        """Run records by the hash of the lock entry they made, under its old and new names."""
        return runs_by_entry(self.events)

    def former(self, producer: str) -> tuple[str, ...]:
        """Return what a stage or `.dvc` file was called before its level was renamed."""
        known = self.renames.former(producer.removeprefix(self.prefix))
        return tuple(f"{self.prefix}{one}" for one in known)

    def places(self, path: str) -> tuple[str, ...]:
        """Return where else a path has lain or lies, when its level was renamed."""
        known = self.renames.places(path.removeprefix(self.prefix))
        return tuple(f"{self.prefix}{one}" for one in known)

    @cached_property
    def notes(self) -> tuple[HandNote, ...]:
        """What people said about files, the last note of each content."""
        return hand_notes(self.events)

    def level_of(self, path: str) -> Level | None:
        """Return the level a path is on, or None."""
        return level_at(self.levels, self.prefix, path)

    def unit_of(self, path: str, level: Level) -> str | None:
        """Return the unit a path belongs to, None where the level has none."""
        below = path[len(self.prefix) + len(level.path) + 1 :]
        if level.unit is None or not below:
            return None
        name, slash, _ = below.partition("/")
        stem, dot, suffix = name.partition(".")
        return stem if not slash and dot and stem and not suffix[:1].isdecimal() else name

    def origin_of(self, stage: Stage) -> Origin | None:
        """Return the origin recorded when a unit was added, or None."""
        name = origin_name(stage)
        return None if self.config is None or name is None else self.config.origins.get(name)


def origin_name(stage: Stage) -> str | None:
    """Return the name of the origin noted in a `.dvc` file, or None."""
    for out in () if stage.dot_dvc is None else stage.dot_dvc.outs:
        noted = out.flags.meta.get(IMGDATA)
        name = noted.get("origin") if isinstance(noted, dict) else None
        if isinstance(name, str):
            return name
    return None


def project_folder(tree: Tree, path: str) -> str | None:
    """Return the folder of the imgdata.yaml that is nearest above a path, or None."""
    folder = folder_of(path)
    while tree.read(join(folder, CONFIG_NAME)) is None:
        if not folder:
            return None
        folder = folder_of(folder)
    return folder


def project_view(tree: Tree, path: str) -> ProjectView | None:
    """Return the project whose imgdata.yaml is nearest above a path, or None."""
    folder = project_folder(tree, path)
    return None if folder is None else read_project(tree, folder)


def read_project(tree: Tree, folder: str) -> ProjectView:
    """Return the project of a folder that has an imgdata.yaml."""
    name = join(folder, CONFIG_NAME)
    data = tree.read(name) or b""
    try:
        text = data.decode("utf-8")
        return ProjectView(tree, folder, parse_config(text, name=name))
    except UnicodeDecodeError:
        return ProjectView(tree, folder, None, f"{name} is not UTF-8 text, so levels are unknown")
    except InvalidProjectError as error:
        said = f"{error.problem}, so levels are unknown: {error.cause}"
        return ProjectView(tree, folder, None, said)


def with_project(answer: Answer, view: ProjectView, index: Index) -> Answer:
    """Add level, unit, origins and run records to an answer."""
    path = answer.file
    level = view.level_of(path)
    gaps = (view.problem,) if view.problem else ()
    return replace(
        answer,
        level=None if level is None else level.name,
        unit=None if level is None else view.unit_of(path, level),
        nodes=tuple(_described(node, view, index) for node in answer.nodes),
        gaps=(*answer.gaps, *gaps),
    )


def _described(node: Node, view: ProjectView, index: Index) -> Node:
    stage = index.stages.get(node.id)
    if stage is None:
        return node
    places = (stage.place(out.path, index.home).path for out in stage.entry.outs)
    level = next((found for place in places if (found := view.level_of(place))), None)
    lock = index.locks.get(stage.file)
    event = None
    if lock is not None and view.runs:
        event = view.runs.get(entry_hash(lock, stage.name) or "")
    return replace(
        node,
        level=None if level is None else level.name,
        run=node.run if event is None else run_note(event),
        origin=_origin(view, stage),
    )


def _origin(view: ProjectView, stage: Stage) -> Mapping[str, object] | None:
    name = origin_name(stage)
    if name is None:
        return None
    found = view.origin_of(stage)
    if found is None:
        return {"name": name}
    known = {
        "name": name,
        "kind": found.kind,
        "source": found.source,
        "license": found.license,
        "access": found.access,
        "release_on": None if found.release_on is None else found.release_on.isoformat(),
    }
    return {key: value for key, value in known.items() if value is not None}


def restricted_paths(
    view: ProjectView | None,
    index: Index,
    committed: Sequence[Config],
    today: date,
    more: MoreReaders | None = None,
) -> tuple[str, ...]:
    """Return the outs that may not be shown: restricted raw units and what was made from them.

    A level that the origin's `may_leave` names is released. Without an imgdata.yaml nothing is
    known to be restricted; with one that cannot be read everything is.

    Args:
        view: The project.
        index: Its stages and outs.
        committed: What imgdata.yaml says on the release branch. Only a rule that stands there
            and in the project's own file shows anything; without any there is none.
        today: The current day, UTC.
        more: What else read files: the runs of DataLad.
    """
    if view is None:
        return ()
    own = {} if view.config is None else view.config.origins
    rules = (own, *(config.origins for config in committed)) if committed else (own, {})
    hidden: dict[str, None] = {}
    for stage in index.stages.values():
        for out in stage.entry.outs if stage.kind != "stage" else ():
            path = stage.place(out.path, index.home).path
            if view.config is not None and view.level_of(path) is None:
                continue
            source = Source(path, origin_name(stage) or "")
            for one in (path, *(made.path for made in downstream(index, path, more))):
                level = view.level_of(one)
                name = "" if level is None else level.name
                if isinstance(may_leave(name, (source,), rules, today), Restricted):
                    hidden[one] = None
    return tuple(hidden)
