"""dvc.yaml: the stages it defines, with variables, foreach and matrix resolved.

A stage that cannot be resolved is a `Problem` that names it; the others still come out.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field

from imgdata.dvc_files.groups import Definition, Member, is_group, members_of, template_of
from imgdata.dvc_files.interpolation import (
    DEFAULT_STYLE,
    CommandStyle,
    InterpolationError,
    Variables,
    interpolate,
    load_vars,
    write_out,
)
from imgdata.dvc_files.lock import Command
from imgdata.dvc_files.outputs import DefinedOut, DefinitionError, read_outs
from imgdata.dvc_files.params import DEFAULT_PARAMS_FILE
from imgdata.dvc_files.places import folder_of, join
from imgdata.dvc_files.problems import Problem
from imgdata.dvc_files.yaml12 import YamlError, read_yaml
from imgdata.dvc_files.yaml_loader import YamlValue
from imgdata.ports import Tree

PIPELINE_NAME = "dvc.yaml"
JOIN = "@"
ParamKeys = Mapping[str, tuple[str, ...]]
"""Parameter file (as written) to the keys used, none for the whole file."""


class DefinedStage(Struct, frozen=True):
    """One stage as dvc.yaml defines it, with all `${...}` replaced.

    Attributes:
        name: With `@key` for one of a group.
        wdir: As written, relative to dvc.yaml's folder; empty if not given.
        group: The name before the `@`; empty for a stage of its own.
        item: The foreach item or matrix values; None for a stage of its own.
    """

    name: str
    cmd: Command
    wdir: str = ""
    deps: tuple[str, ...] = ()
    outs: tuple[DefinedOut, ...] = ()
    params: ParamKeys = field(default_factory=dict)
    frozen: bool = False
    always_changed: bool = False
    desc: str = ""
    meta: Any = None
    group: str = ""
    item: Any = None


class Pipeline(Struct, frozen=True):
    """What one dvc.yaml defines.

    Attributes:
        path: Of the dvc.yaml, relative to the root of the tree.
        stages: By name, in DVC's order.
        groups: Names that are a foreach or matrix, with the wdir as written in their template.
        problems: What could not be resolved.
        unresolved: Names of stages or groups that exist but could not be resolved, with the
            wdir as written; their lock entries are as live as those of others.
        readable: The file is there and is YAML; without, every lock entry may be live.
    """

    path: str
    stages: Mapping[str, DefinedStage]
    groups: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    unresolved: Mapping[str, str] = field(default_factory=dict)
    readable: bool = True


def read_pipeline(tree: Tree, path: str, style: CommandStyle = DEFAULT_STYLE) -> Pipeline:
    """Read one dvc.yaml of a tree; never raises for its content.

    Args:
        tree: A working folder or a commit; params files are read from it.
        path: Of the dvc.yaml, relative to the tree's root.
        style: How mappings become options of a command.
    """
    problems: list[Problem] = []
    document = _document(tree, path, problems)
    stages = (document or {}).get("stages") or {}
    if not isinstance(stages, Mapping):
        problems.append(Problem(path, "stages", "it is not a mapping of stage names"))
        stages = {}
    variables = Variables()
    try:
        load_vars(variables, tree, (document or {}).get("vars"), folder_of(path), default=True)
    except InterpolationError as error:
        problems.append(Problem(path, "vars", str(error)))
    resolver = _Resolver(tree, path, variables, style, problems)
    for name, definition in stages.items():
        resolver.add(str(name), definition)
    return Pipeline(
        path,
        MappingProxyType(resolver.stages),
        MappingProxyType(resolver.groups),
        tuple(problems),
        MappingProxyType(resolver.unresolved),
        readable=document is not None,
    )


def _document(tree: Tree, path: str, problems: list[Problem]) -> Mapping[Any, Any] | None:
    data = tree.read(path)
    try:
        document = None if data is None else read_yaml(data)
    except YamlError as error:
        problems.append(Problem(path, "", str(error)))
        return None
    if data is None or not isinstance(document, Mapping | None):
        what = "there is no such file" if data is None else "it holds no mapping"
        problems.append(Problem(path, "", what))
        return None
    return document or {}


class _Resolver(Struct):
    """Turns the definitions of one dvc.yaml into stages."""

    tree: Tree
    path: str
    variables: Variables
    style: CommandStyle
    problems: list[Problem]
    stages: dict[str, DefinedStage] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    unresolved: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, definition: object) -> None:
        """Resolve one definition: a stage, or a group of stages."""
        if not isinstance(definition, Mapping):
            self._fail(name, "its definition is not a mapping")
        elif is_group(definition):
            self._add_group(name, definition)
        else:
            self._add_stage(name, definition, self.variables, "", None)

    def _fail(self, name: str, message: str, definition: object = None) -> None:
        self.problems.append(Problem(self.path, name, message))
        wdir = definition.get("wdir") if isinstance(definition, Mapping) else None
        self.unresolved[name] = wdir if isinstance(wdir, str) else ""

    def _add_group(self, name: str, definition: Definition) -> None:
        template: Definition = {}
        try:
            template = template_of(definition)
            members = members_of(definition, self.variables)
        except InterpolationError as error:
            self._fail(name, str(error), template)
            return
        finally:
            self.groups[name] = str(template.get("wdir") or "")
        for member in members:
            self._add_member(name, template, member)

    def _add_member(self, group: str, template: Definition, member: Member) -> None:
        variables = self.variables.with_item(member.variables)
        self._add_stage(f"{group}{JOIN}{member.key}", template, variables, group, member.item)

    def _add_stage(
        self, name: str, definition: Definition, variables: Variables, group: str, item: YamlValue
    ) -> None:
        try:
            self.stages[name] = self._stage(name, definition, variables, group, item)
        except (InterpolationError, DefinitionError) as error:
            self._fail(name, str(error), definition)

    def _stage(
        self, name: str, definition: Definition, variables: Variables, group: str, item: YamlValue
    ) -> DefinedStage:
        if "vars" in definition:
            variables = self._with_stage_vars(definition, variables)
        resolved = {
            str(key): interpolate(value, variables, str(key), self.style)
            for key, value in definition.items()
            if key != "vars"
        }
        return DefinedStage(
            name=name,
            cmd=_command(resolved.get("cmd"), self.style),
            wdir=_plain(resolved.get("wdir"), "wdir"),
            deps=tuple(_deps(resolved.get("deps"))),
            outs=read_outs(resolved),
            params=_params(resolved.get("params")),
            frozen=resolved.get("frozen") is True,
            always_changed=resolved.get("always_changed") is True,
            desc=_plain(resolved.get("desc"), "desc"),
            meta=resolved.get("meta"),
            group=group,
            item=item,
        )

    def _with_stage_vars(self, definition: Definition, variables: Variables) -> Variables:
        """Return the variables with the stage's own; files are relative to the stage's wdir."""
        own = variables.copy()
        wdir = _plain(interpolate(definition.get("wdir"), variables, "wdir"), "wdir")
        folder = join(folder_of(self.path), wdir) if wdir else folder_of(self.path)
        load_vars(own, self.tree, definition["vars"], folder, default=False)
        return own


def _command(value: YamlValue, style: CommandStyle) -> Command:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return write_out(value, style)
    if isinstance(value, list) and value:
        return tuple(part if isinstance(part, str) else write_out(part, style) for part in value)
    msg = "it has no command"
    raise DefinitionError(msg)


def _plain(value: YamlValue, key: str) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping | list):
        msg = f"its {key} is not text"
        raise DefinitionError(msg)
    return write_out(value)


def _deps(value: YamlValue) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, list):
        msg = "its deps are not a list"
        raise DefinitionError(msg)
    for dep in dict.fromkeys(_plain(dep, "dep") for dep in value):
        if not dep:
            msg = "a dep is empty"
            raise DefinitionError(msg)
        yield dep


def _params(value: YamlValue) -> ParamKeys:
    """Return the parameter keys by file; a file named without keys is used as a whole."""
    if value is None:
        return {}
    if not isinstance(value, list):
        msg = "its params are not a list"
        raise DefinitionError(msg)
    files: dict[str, list[str]] = {}
    whole: set[str] = set()
    for item in value:
        if isinstance(item, Mapping):
            for file, keys in item.items():
                if keys is not None and not isinstance(keys, list):
                    msg = f"its params of '{file}' are not a list"
                    raise DefinitionError(msg)
                files.setdefault(str(file), []).extend(write_out(key) for key in keys or ())
                whole.update({str(file)} if not keys else ())
        else:
            files.setdefault(DEFAULT_PARAMS_FILE, []).append(_plain(item, "param"))
    return {file: () if file in whole else tuple(keys) for file, keys in files.items()}
