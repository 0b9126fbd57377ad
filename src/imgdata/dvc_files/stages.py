"""A stage as a project has it: what is defined, joined with what is recorded."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from imgdata.dvc_files.dot_dvc import SourceDatabase, SourceRepo
from imgdata.dvc_files.lock import NO_PARAMS, Command, LockEntry, Params
from imgdata.dvc_files.outputs import OutFlags
from imgdata.dvc_files.places import Place, Where, resolve
from imgdata.dvc_files.recorded import Recorded

StageKind = Literal["stage", "add", "import", "import-url", "import-db"]


class Dep(Struct, frozen=True):
    """One dep of a stage.

    Attributes:
        written: As written in dvc.yaml or the `.dvc` file.
        place: Where that is, seen from the root of the tree.
        recorded: What the lock or `.dvc` file says of it; None when nothing is recorded yet.
        repo: For a `dvc import`, the other repository; the path is one of that repository.
        database: For a `dvc import-db`.
    """

    written: str
    place: Place
    recorded: Recorded | None = None
    repo: SourceRepo | None = None
    database: SourceDatabase | None = None

    @property
    def path(self) -> str:
        """The path seen from the root of the tree; as written for a url."""
        return self.place.path

    @property
    def is_inside(self) -> bool:
        """Whether the dep is a path in the tree."""
        return self.place.where is Where.INSIDE and self.repo is None and self.database is None


class Out(Struct, frozen=True):
    """One out of a stage.

    Attributes:
        written: As written in dvc.yaml or the `.dvc` file.
        place: Where that is, seen from the root of the tree.
        flags: What the project says about it.
        recorded: What the lock or `.dvc` file says of it; None when nothing is recorded yet.
    """

    written: str
    place: Place
    flags: OutFlags
    recorded: Recorded | None = None

    @property
    def path(self) -> str:
        """The path seen from the root of the tree; as written for a url."""
        return self.place.path

    @property
    def is_inside(self) -> bool:
        """Whether the out is a path in the tree."""
        return self.place.where is Where.INSIDE


class Located(Struct, frozen=True):
    """One record of a lock entry with the place its path points to."""

    place: Place
    recorded: Recorded

    @property
    def path(self) -> str:
        """The path seen from the root of the tree; as written for a url."""
        return self.place.path


class Stage(Struct, frozen=True):
    """A stage, an added file, or an import.

    Attributes:
        address: `<lock path>::<name>`, or the path of the `.dvc` file, from the tree's root.
        dvc_name: What one types to dvc in the DVC root: `train`, `sub/dvc.yaml:train`, or the
            `.dvc` file's path.
        name: The stage's name in dvc.yaml; for a `.dvc` file its path.
        kind: Which of the forms it has.
        file: The dvc.yaml or `.dvc` file, from the tree's root.
        wdir: The folder its paths are relative to and its command runs in, from the tree's
            root; empty for the root.
        cmd: The command that ran last, from the lock; empty when it never ran, or has none.
        defined_cmd: The command that would run now; empty for data and imports.
        deps: As defined now, each with what is recorded.
        outs: As defined now, each with what is recorded.
        params: Values recorded, by parameter file as written.
        defined_params: Keys used now, by parameter file as written; none for the whole file.
        frozen: DVC does not rerun it.
        always_changed: DVC always reruns it.
        group: The name of its foreach or matrix; empty otherwise.
        item: Its foreach item or matrix values.
        entry: Its entry in dvc.lock; None for a `.dvc` file or when it never ran.
        home: Absolute path of the tree's root, if it has one.
        resolved: False where dvc.yaml has the stage but its definition cannot be resolved, or
            dvc.yaml cannot be read: what is known then is the lock entry's.
    """

    address: str
    dvc_name: str
    name: str
    kind: StageKind
    file: str
    wdir: str
    cmd: Command = ""
    defined_cmd: Command = ""
    deps: tuple[Dep, ...] = ()
    outs: tuple[Out, ...] = ()
    params: Params = field(default_factory=lambda: NO_PARAMS)
    defined_params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    frozen: bool = False
    always_changed: bool = False
    desc: str = ""
    meta: Any = None
    group: str = ""
    item: Any = None
    entry: LockEntry | None = None
    home: str = ""
    resolved: bool = True

    @property
    def recorded_deps(self) -> tuple[Located, ...]:
        """The deps of the last run, also those dvc.yaml no longer has."""
        if self.entry is not None:
            return _located(self.entry.deps, self.wdir, self.home)
        return tuple(Located(dep.place, dep.recorded) for dep in self.deps if dep.recorded)

    @property
    def recorded_outs(self) -> tuple[Located, ...]:
        """The outs of the last run, also those dvc.yaml no longer has."""
        if self.entry is not None:
            return _located(self.entry.outs, self.wdir, self.home)
        return tuple(Located(out.place, out.recorded) for out in self.outs if out.recorded)


class Orphan(Struct, frozen=True):
    """A lock entry without a live stage; DVC never removes them.

    Attributes:
        address: `<lock path>::<name>`.
        name: The entry's name.
        file: The dvc.yaml beside the lock, whether or not it is there.
        wdir: The folder its paths are taken relative to: that of the foreach or matrix it
            belonged to where that still says one, else the lock's own.
        reason: Why it is dead, a clause.
        entry: What it records.
        home: Absolute path of the tree's root, if it has one.
    """

    address: str
    name: str
    file: str
    wdir: str
    reason: str
    entry: LockEntry
    home: str = ""

    @property
    def cmd(self) -> Command:
        """The command that ran."""
        return self.entry.cmd

    @property
    def recorded_deps(self) -> tuple[Located, ...]:
        """The deps of its last run."""
        return _located(self.entry.deps, self.wdir, self.home)

    @property
    def recorded_outs(self) -> tuple[Located, ...]:
        """The outs of its last run."""
        return _located(self.entry.outs, self.wdir, self.home)


def _located(records: tuple[Recorded, ...], wdir: str, home: str) -> tuple[Located, ...]:
    return tuple(Located(resolve(record.path, wdir, home), record) for record in records)
