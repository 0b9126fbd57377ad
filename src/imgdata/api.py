"""The Python API: open a project, then ask or do what the command line can.

```python
import imgdata

project = imgdata.open_project("nf1-pilot")
for line in project.status().units:
    print(line.unit.title, line.here, line.owed)
```
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

import imgdata
from imgdata.backends import open_storage
from imgdata.dvc_files.config import read_config
from imgdata.errors import NoProjectError
from imgdata.execution.environment import EnvironmentFinder
from imgdata.levels.units import choose_levels
from imgdata.ports import Storage
from imgdata.project.config import Config, Level, StorageConfig
from imgdata.project.loader import CONFIG_NAME, load_config
from imgdata.project.template import find_template
from imgdata.storage.local import LocalStorage, local_path
from imgdata.system.progress import SILENT, Progress
from imgdata.tracking.dvc import DvcRunner, stage_path
from imgdata.tracking.git import GitRepository, find_git, init_git, need_git
from imgdata.tracking.shell import run_command
from imgdata.workflows import add as adding
from imgdata.workflows import conform, run
from imgdata.workflows import drop as dropping
from imgdata.workflows import drop_plan as drop_plans
from imgdata.workflows import init as initing
from imgdata.workflows import lost as losing
from imgdata.workflows import prove as proving
from imgdata.workflows import pull as pulling
from imgdata.workflows import push as pushing
from imgdata.workflows import push_plan as push_plans
from imgdata.workflows import status as states
from imgdata.workflows import stored as storing
from imgdata.workflows import verify as verifying
from imgdata.workflows import whereis as places
from imgdata.workflows.clone import PRIVATE_FOLDER, Clone

DVC_FOLDER = ".dvc"


class SystemClock:
    """The computer's clock."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)


def site_cache_dir() -> Path:
    """Return the private folder for DVC's state rows."""
    return Path(platformdirs.user_cache_dir("imgdata")) / "dvc"


def find_root(start: Path) -> Path:
    """Return the folder of imgdata.yaml, at or above a folder.

    Raises:
        NoProjectError: There is none.
    """
    here = start.absolute()
    for folder in (here, *here.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder
    kind = (
        "a DVC repository" if any((f / DVC_FOLDER).is_dir() for f in (here, *here.parents)) else ""
    )
    problem = f"no {CONFIG_NAME} in {here} or a folder above it"
    cause = f"this is {kind} that imgdata does not know yet" if kind else ""
    raise NoProjectError(problem, cause=cause, remedy="imgdata init")


def open_project(path: str | os.PathLike[str] = ".", *, writing: bool = False) -> "Project":
    """Open the project a folder belongs to.

    Args:
        path: The project's folder or one inside it.
        writing: Prepare this clone for commands that write (a private place for DVC's state).

    Raises:
        NoProjectError: There is no project.
        InvalidProjectError: imgdata.yaml or a DVC file is not valid.
    """
    root = find_root(Path(path))
    config = load_config(
        root / CONFIG_NAME, known_good=root / PRIVATE_FOLDER / "imgdata-yaml.sha256"
    )
    git = need_git(root)
    if not (root / DVC_FOLDER).is_dir():
        problem = f"{root} has an {CONFIG_NAME} but no .dvc folder"
        raise NoProjectError(problem, remedy="imgdata init")
    if writing:
        initing.prepare_clone(root, site_cache_dir(), None)
    return Project(_clone(root, config, git))


def _clone(root: Path, config: Config, git: GitRepository) -> Clone:
    dvc = read_config(root / DVC_FOLDER)
    if dvc.cache_dir.is_relative_to(root / DVC_FOLDER):
        with suppress(OSError):  # a cache elsewhere must be there: its disk may not be mounted
            dvc.cache_dir.mkdir(exist_ok=True)

    def opener(storage: StorageConfig) -> Storage:
        return open_storage(storage.name, storage.url, storage.options, root)

    return Clone(
        root=root,
        config=config,
        dvc=dvc,
        git=git,
        stages=DvcRunner(root),
        cache=LocalStorage(dvc.cache_dir),
        open_storage=opener,
        clock=SystemClock(),
    )


def init_project(  # noqa: PLR0913 - the options of the command
    path: str | os.PathLike[str] = ".",
    *,
    template: str = "cell-painting",
    title: str | None = None,
    license: str = "CC-BY-4.0",  # noqa: A002 - the field's name in imgdata.yaml
    creators: Sequence[Mapping[str, str]] = (),
    storages: Mapping[str, str] | None = None,
    origins: Mapping[str, str] | None = None,
    cache: Path | None = None,
) -> tuple["Project", initing.InitPlan]:
    """Make a project in a new or empty folder, or complete one that is there; idempotent.

    Raises:
        RefusedError: The folder holds other things.
        UsageError: Template, level or origin does not exist.
    """
    root = Path(path).absolute()
    initing.refuse_foreign_folder(root)
    options = initing.InitOptions(
        template=find_template(template),
        title=title or root.name,
        license=license,
        creators=tuple(creators) or _git_creator(root),
        storages=storages or {},
        origins=origins or {},
        cache=cache,
        site_cache=site_cache_dir(),
        year=datetime.now(UTC).year,
        version=imgdata.__version__,
    )
    plan = initing.plan_init(root, options)
    root.mkdir(parents=True, exist_ok=True)
    if find_git(root) is None:
        init_git(root, "main")
    written = list(initing.apply_init(plan))
    initing.prepare_clone(root, options.site_cache, cache)
    project = open_project(root)
    clone = project.clone
    changes = conform.plan_conform(clone.config, clone.root)
    written += conform.apply_changes(changes)
    _make_local_roots(clone)
    git = need_git(root)
    git.stage(written)
    return Project(_clone(root, clone.config, git)), plan


def _git_creator(root: Path) -> tuple[Mapping[str, str], ...]:
    """Return the person git knows, looked up from the nearest folder that exists."""
    there = next(folder for folder in (root, *root.parents) if folder.is_dir())
    identity = GitRepository(there).identity()
    return ({"name": identity.rsplit(" <", 1)[0]},) if identity else ()


def _make_local_roots(clone: Clone) -> None:
    """Make the folders of local storages that lie beside an existing folder."""
    for storage in clone.config.storages.values():
        url = conform.dvc_url(storage, clone.root)
        if url is not None and "://" not in url:
            folder = local_path(storage.name, storage.url, clone.root)
            if folder.parent.is_dir():
                LocalStorage(folder).create_root()


class Project:
    """An opened project. Methods that move data yield outcomes as they finish: consume them."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone

    @property
    def root(self) -> Path:
        """The folder of imgdata.yaml."""
        return self.clone.root

    @property
    def config(self) -> Config:
        """What imgdata.yaml says."""
        return self.clone.config

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels, in the order of imgdata.yaml."""
        return tuple(self.clone.config.levels.values())

    def status(self, levels: Sequence[str] = (), *, remote: bool = False) -> states.ProjectStatus:
        """Compare records, files, pipeline and log; with `remote`, ask the storages too."""
        return states.status(self.clone, choose_levels(self.clone.config, levels), remote=remote)

    def plan_add(
        self,
        level: str,
        sources: Sequence[Path],
        *,
        unit: str | None = None,
        origin: str | None = None,
    ) -> adding.AddPlan:
        """Decide what each source folder would become; reads no file."""
        return adding.plan_add(self.clone, level, sources, unit, origin)

    def add(self, plan: adding.AddPlan, *, progress: Progress = SILENT) -> Iterator[adding.Added]:
        """Take the planned files in; one outcome a unit."""
        for added in adding.apply_add(self.clone, plan, progress):
            self.clone.git.stage(added.written)
            yield added

    def plan_push(
        self, levels: Sequence[str] = (), options: push_plans.PushOptions | None = None
    ) -> tuple[tuple[push_plans.UnitPlan, ...], tuple[push_plans.NotPushed, ...]]:
        """Return what a push would send, as remembered: asks no storage."""
        options = options or push_plans.PushOptions()
        chosen = choose_levels(self.clone.config, levels)
        targets, skipped = push_plans.choose_targets(self.clone, chosen, options)
        plans = tuple(push_plans.remembered_plan(self.clone, one, options) for one in targets)
        return plans, skipped

    def push(
        self,
        levels: Sequence[str] = (),
        options: push_plans.PushOptions | None = None,
        *,
        progress: Progress = SILENT,
    ) -> Iterator[pushing.PushOutcome]:
        """Send levels to their storages; one outcome a unit and storage."""
        chosen = choose_levels(self.clone.config, levels)
        return pushing.push(self.clone, chosen, options or push_plans.PushOptions(), progress)

    def pull(
        self,
        levels: Sequence[str] = (),
        options: pulling.PullOptions | None = None,
        *,
        progress: Progress = SILENT,
    ) -> Iterator[pulling.PullOutcome]:
        """Bring levels back, verified; one outcome a unit."""
        chosen = choose_levels(self.clone.config, levels)
        return pulling.pull(self.clone, chosen, options or pulling.PullOptions(), progress)

    def whereis(
        self, names: Sequence[str] = (), options: places.WhereisOptions | None = None
    ) -> Iterator[places.Whereabouts]:
        """Say where the copies of levels or files are; one answer a version."""
        return places.whereis(self.clone, names, options or places.WhereisOptions())

    def verify(
        self,
        levels: Sequence[str] = (),
        options: verifying.VerifyOptions | None = None,
        *,
        progress: Progress = SILENT,
    ) -> Iterator[verifying.VerifyOutcome]:
        """Read copies back, those checked longest ago first; one outcome a unit and place."""
        chosen = choose_levels(self.clone.config, levels)
        names = [level.name for level in chosen]
        return verifying.verify(self.clone, names, options or verifying.VerifyOptions(), progress)

    def stored(
        self, levels: Sequence[str] = (), *, all_versions: bool = False
    ) -> Iterator[storing.StoredAnswer]:
        """Ask whether every needed version is stored; reads no file."""
        names = [level.name for level in choose_levels(self.clone.config, levels)]
        return storing.stored(self.clone, names, all_versions=all_versions)

    def check_source(
        self, folder: Path, *, progress: Progress = SILENT
    ) -> Iterator[storing.SourceFile]:
        """Hash every file of a folder outside and say where its copies are."""
        return storing.check_source(self.clone, folder, progress)

    def plan_drop(
        self, levels: Sequence[str] = (), options: drop_plans.DropOptions | None = None
    ) -> drop_plans.DropPlan:
        """Decide what may be deleted, file by file, and why; changes nothing."""
        chosen = choose_levels(self.clone.config, levels)
        return drop_plans.plan_drop(self.clone, chosen, options or drop_plans.DropOptions())

    def drop(
        self,
        levels: Sequence[str],
        options: drop_plans.DropOptions,
        plan: drop_plans.DropPlan,
        *,
        progress: Progress = SILENT,
    ) -> Iterator[dropping.Dropped]:
        """Delete what a plan says and what is still safe now; one outcome a version."""
        chosen = choose_levels(self.clone.config, levels)
        return dropping.drop(self.clone, chosen, options, plan, progress)

    def plan_run(self, names: Sequence[str] = (), *, force: bool = False) -> run.RunPlan:
        """Decide which stages run, and why."""
        return run.plan_run(self.clone, names, force=force)

    def run(self, plan: run.RunPlan) -> Iterator[run.RunOutcome]:
        """Run the planned stages through DVC, in order; each is noted when it ends."""
        finder = EnvironmentFinder(stage_path())
        return run.run_stages(self.clone, plan, finder.of)

    def prove(
        self, names: Sequence[str] = (), *, sample: int | None = None
    ) -> Iterator[proving.ProofOutcome]:
        """Make outputs again from the commit in a scratch folder and compare; recorded."""
        finder = EnvironmentFinder(stage_path())
        return proving.prove(self.clone, names, sample, finder.of, run_command)

    def lose_storage(self, name: str, reason: str) -> losing.Lost:
        """Note that a storage and all copies on it are gone; say what is below its rule now."""
        return losing.lose(self.clone, name, reason)

    def plan_apply(self) -> tuple[conform.FileChange, ...]:
        """Return what DVC's files must say to agree with imgdata.yaml."""
        return conform.plan_conform(self.clone.config, self.root)

    def apply(self, changes: Sequence[conform.FileChange]) -> None:
        """Write changed DVC files and stage those that git knows."""
        written = conform.apply_changes(tuple(changes))
        self.clone.git.stage([path for path in written if path.name != "config.local"])

    def commit(self, message: str) -> str:
        """Commit what the last commands wrote and return the new commit's id."""
        return self.clone.git.commit(message)
