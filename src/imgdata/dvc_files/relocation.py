"""What DVC's files must say once a level has another name or folder.

Records (dvc.lock, `.dvc`) keep every hash; only paths change, and what a stage's definition says
now where the record said the same as the definition before. So what was up to date stays so, and
what was stale stays stale.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from imgdata.dvc_files.lock_entry import Command
from imgdata.dvc_files.params import ParamsError, read_params
from imgdata.dvc_files.places import Where, folder_of, join, resolve
from imgdata.dvc_files.scalars import Path, Scalar, edit_scalars, written_command, written_like
from imgdata.dvc_files.stages import Orphan, Stage
from imgdata.dvc_files.yaml12 import read_yaml
from imgdata.dvc_files.yaml_loader import YamlValue
from imgdata.model.renames import path_after
from imgdata.ports import Tree


class Relocation(Struct, frozen=True):
    """A level's name and folder, before and after; paths are relative to the project.

    Attributes:
        root: The project's folder, for absolute paths in DVC's files.
        config: The name of the project's file, whose `levels.NAME` stages may use as a parameter.
        keys: Keys of parameter files that have another name: file to dotted key, before and after.
    """

    level: str
    to: str
    path: str
    to_path: str
    root: str
    config: str
    keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def place(self, path: str) -> str:
        """Return where a path of the project lies afterwards."""
        return path_after(path, self.path, self.to_path)

    def file(self, path: str) -> str:
        """Return where a DVC file lies afterwards: the `.dvc` of a level moves with it."""
        if path == f"{self.path}.dvc":
            return f"{self.to_path}.dvc"
        return self.place(path)

    def in_text(self, text: str, folder: str) -> str:
        """Return a text with the level's folder named anew, wherever it stands as a path.

        Args:
            text: A command, a path, any text.
            folder: The folder its paths are relative to, before; empty for the root.
        """
        text = _spelled(f"{self.root}/{self.path}").sub(
            rf"{_escaped(self.root)}/{self.to_path}", text
        )
        before = _relative(self.path, folder)
        if self.path == self.to_path or set(before.split("/")) <= {".", ".."}:
            return text  # a stage inside the folder moves with it
        after = _relative(self.to_path, self.place(folder))
        return _spelled(before).sub(lambda found: f"{found['lead'] or ''}{after}", text)

    def in_references(self, text: str) -> str:
        """Return a text whose `${levels.NAME...}` name the level anew."""
        named = re.compile(rf"(\$\{{\s*levels\.){re.escape(self.level)}(?=[.\[\s}}])")
        return named.sub(rf"\g<1>{self.to}", text)

    def key(self, file: str, key: str) -> str:
        """Return a dotted key of a parameter file as it is afterwards."""
        known = dict(self.keys.get(file, {}))
        if file == self.config:
            known[f"levels.{self.level}"] = f"levels.{self.to}"
        for before, after in known.items():
            if key == before or key.startswith((f"{before}.", f"{before}[")):
                return after + key[len(before) :]
        return key


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\")


def _spelled(path: str) -> re.Pattern[str]:
    """Return the pattern of a path that stands alone in a text, or begins a longer path."""
    return re.compile(rf"(?<![\w./\-])(?P<lead>(?:\./)+)?{re.escape(path)}(?![\w\-]|\.\w)")


def _relative(path: str, folder: str) -> str:
    return posixpath.relpath(path, folder) if folder else path


def rewritten_pipeline(text: str, file: str, stages: Sequence[Stage], move: Relocation) -> str:
    """Return a dvc.yaml with the level's paths and parameter keys named anew.

    Args:
        text: The file, comments and all.
        file: Its path before.
        stages: Its stages, resolved.
        move: What moves.

    Raises:
        YamlError: It is not YAML.
    """
    wdirs = {stage.group or stage.name: stage.wdir for stage in stages}
    variables = {resolve(name.partition(":")[0], folder_of(file)).path for name in named_vars(text)}
    has_levels = move.config in variables

    def edit(scalar: Scalar) -> str:
        folder = folder_of(file)
        if len(scalar.path) > 1 and scalar.path[0] == "stages" and "wdir" not in scalar.path:
            folder = wdirs.get(str(scalar.path[1]), folder)
        raw = move.in_text(scalar.raw, folder)
        raw = move.in_references(raw) if has_levels else raw
        used = _param_key(scalar, folder)
        if used is not None and raw == scalar.raw:
            after = move.key(used, scalar.value)
            return raw.replace(scalar.value, after, 1) if after != scalar.value else raw
        return raw

    return edit_scalars(text, edit)


def named_vars(text: str) -> set[str]:
    """Return the files that `vars` of a dvc.yaml and of its stages name, as written.

    Raises:
        YamlError: The text is not YAML.
    """
    document = read_yaml(text)
    stages = document.get("stages") if isinstance(document, dict) else None
    definitions = [document, *(stages.values() if isinstance(stages, dict) else ())]
    definitions += [one.get("do") for one in definitions if isinstance(one, dict)]
    listed = (one.get("vars") for one in definitions if isinstance(one, dict))
    return {item for some in listed if isinstance(some, list) for item in some
            if isinstance(item, str)}  # fmt: skip


def _param_key(scalar: Scalar, folder: str) -> str | None:
    """Return the parameter file a scalar names a key of, or None."""
    keys = [str(part) for part in scalar.path[2:]]
    if scalar.is_key or scalar.path[:1] != ("stages",) or "params" not in keys:
        return None
    below = keys[keys.index("params") + 1 :]
    match below:
        case [_]:
            return join(folder, "params.yaml")
        case [_, file, _]:
            return resolve(file, folder).path
        case _:
            return None


class StagePair(Struct, frozen=True):
    """One stage as it is and as it will be."""

    before: Stage
    after: Stage


Edits = dict[tuple[Path, bool], YamlValue]
"""By path, and whether the key itself is meant: what is written instead."""


def rewritten_lock(
    text: str,
    pairs: Iterable[StagePair],
    orphans: Iterable[Orphan],
    move: Relocation,
    trees: tuple[Tree, Tree],
) -> str:
    """Return a dvc.lock with the entries' paths named anew; every hash stays.

    A command or parameter changes only where it is what the definition says today: it becomes
    what the definition says afterwards. One that differs is history, and its stage stays stale.

    Args:
        text: The lock.
        pairs: Its live stages.
        orphans: Its entries without a stage.
        move: What moves.
        trees: The project before and after.

    Raises:
        YamlError: It is not YAML.
    """
    edits: Edits = {}
    for pair in pairs:
        entry = pair.before.entry
        if entry is None:
            continue
        name = pair.before.name
        if pair.after.name != name:
            edits[(name,), True] = pair.after.name
        edits |= _path_edits(pair.before, pair.before.wdir, pair.after.wdir, move)
        edits |= _command_edits(name, entry.cmd, pair)
        edits |= _param_edits(name, entry.params, pair, move, trees)
    for orphan in orphans:
        edits |= _path_edits(orphan, orphan.wdir, move.place(orphan.wdir), move)
    return edit_scalars(text, lambda scalar: _edited(scalar, edits))


def _edited(scalar: Scalar, edits: Edits) -> str:
    path = (
        scalar.path[1:] if scalar.path[:1] == ("stages",) and len(scalar.path) > 1 else scalar.path
    )
    key = path, scalar.is_key
    if key not in edits:
        return scalar.raw
    value = edits[key]
    if "cmd" in path[1:2] and isinstance(value, str):
        return written_command(value)
    return written_like(value, scalar.raw)


def _path_edits(stage: Stage | Orphan, wdir: str, wdir_after: str, move: Relocation) -> Edits:
    entry = stage.entry
    edits: Edits = {}
    for kind, records in (("deps", entry.deps), ("outs", entry.outs)) if entry else ():
        for number, record in enumerate(records):
            after = rewritten_path(record.path, wdir, wdir_after, move)
            if after != record.path:
                edits[(stage.name, kind, number, "path"), False] = after
    return edits


def rewritten_path(written: str, wdir: str, wdir_after: str, move: Relocation) -> str:
    """Return a path of a record as it is written afterwards, relative to its folder as before."""
    place = resolve(written, wdir, move.root)
    if place.where is not Where.INSIDE:
        return written
    wanted = move.place(place.path)
    if resolve(written, wdir_after, move.root).path == wanted:
        return written
    if posixpath.isabs(written):
        return f"{move.root}/{wanted}"
    return _relative(wanted, wdir_after)


def _command_edits(name: str, recorded: Command, pair: StagePair) -> Edits:
    before, after = pair.before.defined_cmd, pair.after.defined_cmd
    if recorded != before or before == after:
        return {}
    if isinstance(after, str):
        return {((name, "cmd"), False): after}
    return {((name, "cmd", number), False): line for number, line in enumerate(after)}


def _param_edits(
    name: str,
    recorded: Mapping[str, Mapping[str, object]],
    pair: StagePair,
    move: Relocation,
    trees: tuple[Tree, Tree],
) -> Edits:
    edits: Edits = {}
    defined = zip(
        pair.before.defined_params.items(), pair.after.defined_params.items(), strict=False
    )
    for (file, keys), (file_after, keys_after) in defined:
        known = recorded.get(file)
        if known is None:
            continue
        where: Path = (name, "params", file)
        if file_after != file:
            edits[where, True] = file_after
        before = _values(trees[0], resolve(file, pair.before.wdir, move.root).path, keys)
        after = _values(trees[1], resolve(file_after, pair.after.wdir, move.root).path, keys_after)
        if len(before) != len(after):
            continue
        for (key, value), (key_after, value_after) in zip(
            before.items(), after.items(), strict=True
        ):
            if key in known and key_after != key:
                edits[(*where, key), True] = key_after
            if key in known and known[key] == value:
                edits |= dict(_value_edits((*where, key), value, value_after))
    return edits


def _values(tree: Tree, file: str, keys: tuple[str, ...]) -> Mapping[str, YamlValue]:
    try:
        return read_params(tree, file, keys)
    except ParamsError:
        return {}


def _value_edits(
    path: Path, before: YamlValue, after: YamlValue
) -> Iterator[tuple[tuple[Path, bool], YamlValue]]:
    """Yield what differs between two values of one shape."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for (key, one), (key_after, other) in zip(before.items(), after.items(), strict=False):
            if key != key_after:
                yield ((*path, str(key)), True), key_after
            yield from _value_edits((*path, str(key)), one, other)
    elif isinstance(before, list) and isinstance(after, list):
        for number, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from _value_edits((*path, number), one, other)
    elif before != after:
        yield (path, False), after


def rewritten_dot_dvc(text: str, stage: Stage, move: Relocation) -> str:
    """Return a `.dvc` file as it is where it lies afterwards; every hash stays.

    Raises:
        YamlError: It is not YAML.
    """
    folder, written = folder_of(move.file(stage.file)), ""

    def find_wdir(scalar: Scalar) -> str:
        nonlocal written
        written = scalar.value if scalar.path == ("wdir",) else written
        return scalar.raw

    edit_scalars(text, find_wdir)
    wdir = resolve(written, folder).path if written else folder
    wdir = "" if wdir == "." else wdir
    own = {dep.written for dep in stage.deps if dep.repo is not None or dep.database is not None}

    def edit(scalar: Scalar) -> str:
        match scalar.path:
            case ("outs" | "deps", int(), "path") if scalar.value not in own:
                after = rewritten_path(scalar.value, stage.wdir, wdir, move)
                return scalar.raw if after == scalar.value else written_like(after, scalar.raw)
            case ("cmd", *_):
                return move.in_text(scalar.raw, stage.wdir)
            case _:
                return scalar.raw

    return edit_scalars(text, edit)
