"""The graph that recoverability is decided on: versions, their copies, proofs and inputs."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cached_property

from msgspec import Struct, field

from imgdata.dvc_files.stages import Stage
from imgdata.model.decisions import HandNote
from imgdata.model.events import Event, Json
from imgdata.policy.evidence import Rule
from imgdata.policy.recoverable import DIFFERENT, Node, NodeId, Proof, Recipe, node_id
from imgdata.project.config import Level
from imgdata.project.hand_notes import hand_notes
from imgdata.transfer.move import Item
from imgdata.workflows.clone import Clone
from imgdata.workflows.contents import Contents
from imgdata.workflows.copies import PURGED_OPTION, Copies, rule_of
from imgdata.workflows.history import History, Version

OFF_LEVEL = Rule(1, timedelta(days=180))
SHORT = 8


def id_of(version: Version) -> NodeId:
    """Return a version's name in the graph."""
    return node_id(version.path, version.version)


class Graph(Struct, dict=True):
    """Collects nodes for versions and everything their recipes need."""

    clone: Clone
    copies: Copies
    contents: Contents
    history: History
    _items: dict[NodeId, tuple[Item, ...]] = field(default_factory=dict)

    def nodes(self, versions: Iterable[Version]) -> dict[NodeId, Node]:
        """Return the nodes of versions and, through proofs, of all they are made from."""
        found: dict[NodeId, Node] = {}
        todo = list(versions)
        while todo:
            version = todo.pop()
            name = id_of(version)
            if name in found:
                continue
            found[name] = self._node(version)
            recipe = found[name].recipe
            todo += [self._version(one) for one in recipe.inputs] if recipe else []
        return found

    def items(self, version: Version) -> tuple[Item, ...] | None:
        """Return a version's objects, with their sizes where the cache has them."""
        name = id_of(version)
        if name not in self._items:
            items = self.contents.items(version)
            if items is None:
                return None
            there = self.copies.cached(items)
            self._items[name] = tuple(
                Item(i.object_id, i.names, there[i.key].size if i.key in there else None)
                for i in items
            )
        return self._items[name]

    def _node(self, version: Version) -> Node:
        level = self.clone.config.levels.get(version.level)
        items = self.items(version)
        return Node(
            id=id_of(version),
            title=version.title,
            level=version.level,
            facts={} if items is None else self.copies.facts(version, items),
            rule=rule_of(level) if level else OFF_LEVEL,
            recipe=self._recipe(version),
            unreadable="its file list is not here" if items is None else "",
            places=self._places(level),
        )

    def _places(self, level: Level | None) -> tuple[str, ...]:
        """Return the storages that one more copy of a level may go to without asking anybody."""
        own = level.storages if level else ()
        others = (
            name
            for name, storage in self.clone.config.storages.items()
            if not storage.options.get("public") and PURGED_OPTION not in storage.options
        )
        return tuple(dict.fromkeys((*own, *others)))

    def _version(self, name: NodeId) -> Version:
        if name in self._known:
            return self._known[name]
        path, _, version = name.rpartition("@")
        return Version(path, "", None, version, 0, 0)

    @cached_property
    def _known(self) -> Mapping[NodeId, Version]:
        return {id_of(version): version for version in self.history.ever}

    @cached_property
    def _stages(self) -> Mapping[str, Stage]:
        """What makes each path now."""
        return {out.path: stage for stage in self.clone.index.stages for out in stage.outs}

    @cached_property
    def _proofs(self) -> Mapping[NodeId, Event]:
        """The newest proof of each version."""
        found: dict[NodeId, Event] = {}
        for event in self.clone.events:
            if event.event == "proof":
                for path, version in _pairs(event.details.get("outs")):
                    found[node_id(path, version)] = event
        return found

    def has_recipe(self, version: Version) -> bool:
        """Tell whether a stage makes a version, or a proof says that one did; reads no content."""
        stage = self._stages.get(version.path)
        return id_of(version) in self._proofs or (stage is not None and stage.kind == "stage")

    def _recipe(self, version: Version) -> Recipe | None:
        stage = self._stages.get(version.path)
        event = self._proofs.get(id_of(version))
        if not self.has_recipe(version):
            return None
        faults = [*_stage_faults(stage), *self._hand_edits(version)]
        level = self.clone.config.levels.get(version.level)
        tolerance = level.tolerance if level else ""
        if event is None:
            name = stage.name if stage else version.path
            return Recipe(name, None, tuple(faults), (), tolerance)
        faults += self._code_faults(event)
        inputs = tuple(node_id(*pair) for pair in _pairs(event.details.get("inputs")))
        proof = _proof(event, version)
        return Recipe(event.text("stage"), proof, tuple(faults), inputs, tolerance)

    def _hand_edits(self, version: Version) -> list[str]:
        """Say what of a version a person edited, by the notes: no recipe makes that again."""
        notes = [one for one in self._notes if one.path.startswith(version.path)]
        files = self.contents.files(version) if notes else None
        if files is None:
            return []
        paths = {f"{version.path}/{name}" if name else version.path: md5
                 for name, md5 in files.items()}  # fmt: skip
        edited = [one for one in notes if paths.get(one.path) == one.md5]
        if not edited:
            return []
        count = "one file was" if len(edited) == 1 else f"{len(edited)} files were"
        return [f"{count} edited by hand ({edited[0].reason})"]

    @cached_property
    def _notes(self) -> tuple[HandNote, ...]:
        return tuple(one for one in hand_notes(self.clone.events) if one.is_hand_edit)

    def _code_faults(self, event: Event) -> list[str]:
        commit = event.text("code_commit")
        if not commit:
            return ["its code is not committed"]
        if commit not in self._pushed:
            self._pushed[commit] = self.clone.git.is_pushed(commit)
        if not self._pushed[commit]:
            return [f"its code (commit {commit[:SHORT]}) is not pushed to a git remote"]
        return []

    @cached_property
    def _pushed(self) -> dict[str, bool]:
        return {}


def _stage_faults(stage: Stage | None) -> list[str]:
    if stage is None:
        return []
    faults = ["its stage is frozen"] if stage.frozen else []
    return (
        [*faults, "its stage always runs, so nothing repeats"] if stage.always_changed else faults
    )


def _proof(event: Event, version: Version) -> Proof:
    """Return the proof of one output: its own verdict, unless another output was different."""
    verdict, tolerance = event.text("verdict"), event.text("tolerance")
    outs = event.details.get("outs")
    for out in outs if isinstance(outs, list) else ():
        if isinstance(out, dict) and (out.get("path"), out.get("version")) == (
            version.path, version.version,
        ) and "verdict" in out and verdict != DIFFERENT:  # fmt: skip
            verdict, tolerance = str(out["verdict"]), str(out.get("tolerance") or "")
    environment = event.details.get("environment")
    source = environment.get("source") if isinstance(environment, dict) else "unknown"
    return Proof(
        at=event.at,
        verdict=verdict,
        tolerance=tolerance,
        method_version=_number(event.details.get("method_version"), 0),
        seconds=float(_number(event.details.get("seconds"), 0)),
        environment_known=source != "unknown",
    )


def _number(value: Json, default: int) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and isinstance(value, int | float) else default


def _pairs(value: Json) -> list[tuple[str, str]]:
    """Return path and version of the inputs or outs of a proof."""
    if not isinstance(value, list):
        return []
    return [
        (str(one["path"]), str(one["version"]))
        for one in value
        if isinstance(one, dict) and "path" in one and "version" in one
    ]
