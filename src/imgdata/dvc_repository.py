"""What works by path in any DVC repository, and the class projects build on.

```python
from imgdata.dvc_repository import open_by_path

repository = open_by_path("someones-analysis")
for outcome in repository.pull(["data/images.dvc"]):
    print(outcome)
```
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from imgdata.backends import ProjectDeposits, open_storage
from imgdata.dvc_files.collecting import DVC_FOLDER
from imgdata.dvc_files.config import read_config
from imgdata.dvc_files.index import read_index
from imgdata.errors import CredentialsError, InvalidProjectError, NoProjectError, UsageError
from imgdata.levels.units import units_by_path
from imgdata.model.selection import Selection
from imgdata.roots import dvc_root
from imgdata.storage.cache_folder import CacheFolder
from imgdata.system.folder_tree import FolderTree
from imgdata.system.lazy import lazy_module
from imgdata.system.progress import SILENT, Progress
from imgdata.tracking.dvc import DvcRunner
from imgdata.tracking.git import find_git
from imgdata.workflows.clone import PRIVATE_FOLDER, Clone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgdata.levels.units import Unit
    from imgdata.ports import Git, Storage
    from imgdata.project.config import Config, StorageConfig
    from imgdata.tracking import git_history, no_git
    from imgdata.workflows import by_path as paths
    from imgdata.workflows import former_storages, leaving, pull_unit
    from imgdata.workflows import pull as pulling
    from imgdata.workflows import pull_past as past
    from imgdata.workflows import pull_plan as pull_plans
    from imgdata.workflows import push as pushing
    from imgdata.workflows import push_plan as push_plans
    from imgdata.workflows import status as states
    from imgdata.workflows import whereis as places
else:
    # Each command needs one or two of these; together they cost more than a status.
    no_git = lazy_module("imgdata.tracking.no_git")
    former_storages = lazy_module("imgdata.workflows.former_storages")
    leaving = lazy_module("imgdata.workflows.leaving")
    paths = lazy_module("imgdata.workflows.by_path")
    pulling = lazy_module("imgdata.workflows.pull")
    past = lazy_module("imgdata.workflows.pull_past")
    git_history = lazy_module("imgdata.tracking.git_history")
    pull_plans = lazy_module("imgdata.workflows.pull_plan")
    pull_unit = lazy_module("imgdata.workflows.pull_unit")
    pushing = lazy_module("imgdata.workflows.push")
    push_plans = lazy_module("imgdata.workflows.push_plan")
    states = lazy_module("imgdata.workflows.status")
    places = lazy_module("imgdata.workflows.whereis")


class SystemClock:
    """The computer's clock."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)


def clone_of_project(root: Path, config: Config, git: Git) -> Clone:
    """Return the clone of a project: storages and rules as imgdata.yaml has them."""

    def opener(storage: StorageConfig) -> Storage:
        return open_storage(storage.name, storage.url, storage.options, root)

    dvc = read_config(root / DVC_FOLDER)
    if dvc.cache_dir.is_relative_to(root / DVC_FOLDER):
        with suppress(OSError):  # a cache elsewhere must be there: its disk may not be mounted
            dvc.cache_dir.mkdir(exist_ok=True)
    return Clone(
        root=root,
        config=config,
        dvc=dvc,
        git=git,
        stages=DvcRunner(root),
        cache=CacheFolder(dvc.cache_dir),
        open_storage=opener,
        published=ProjectDeposits(root / PRIVATE_FOLDER),
        clock=SystemClock(),
    )


def clone_by_path(root: Path) -> Clone:
    """Return the clone of a DVC repository without imgdata.yaml; writes nothing."""
    dvc = read_config(root / DVC_FOLDER)
    remotes = paths.remotes_of(dvc)
    index = read_index(FolderTree(root))

    def opener(storage: StorageConfig) -> Storage:
        remote = remotes[storage.name]
        remote.refuse()
        name, url, secrets = storage.name, storage.url, remote.secrets
        try:
            return open_storage(name, url, storage.options, root, secrets=secrets)
        except (CredentialsError, InvalidProjectError) as error:
            raise paths.in_words_of_dvc(error, name) from error

    if dvc.cache_dir.is_relative_to(root / DVC_FOLDER):
        with suppress(OSError):  # as above
            dvc.cache_dir.mkdir(exist_ok=True)
    return Clone(
        root=root,
        config=paths.config_by_path(root, dvc, units_by_path(index), remotes),
        dvc=dvc,
        git=find_git(root) or no_git.NoGit(root),
        stages=DvcRunner(root),
        cache=CacheFolder(dvc.cache_dir),
        open_storage=opener,
        published=ProjectDeposits(root / PRIVATE_FOLDER),
        clock=SystemClock(),
        by_path=True,
        read_before=index,
    )


def open_by_path(path: str | os.PathLike[str] = ".") -> DvcRepository:
    """Open the DVC repository a folder belongs to, whether or not imgdata knows it.

    Raises:
        NoProjectError: There is none.
        InvalidProjectError: A configuration file of DVC cannot be read.
    """
    start = Path(path)
    root = dvc_root(start)
    if root is None:
        problem = f"no imgdata.yaml and no DVC repository in {start.absolute()} or above it"
        raise NoProjectError(problem, remedy="imgdata init")
    here = Path.cwd()
    is_meant = start.absolute() == here or here.is_relative_to(root)
    return DvcRepository(clone_by_path(root), here if is_meant else root)


class DvcRepository:
    """An opened DVC repository. Methods that move data yield outcomes as they finish: consume them.

    Names are paths that DVC tracks, paths below or above them, `.dvc` files and stages.
    """

    def __init__(self, clone: Clone, here: Path | None = None) -> None:
        self.clone = clone
        self._here = here or clone.root

    @property
    def root(self) -> Path:
        """The folder of `.dvc`."""
        return self.clone.root

    @property
    def config(self) -> Config:
        """What imgdata.yaml says, or what DVC's own files say in its words."""
        return self.clone.config

    def choose(self, names: Sequence[str]) -> paths.Chosen:
        """Return what names mean; everything for none.

        Raises:
            UsageError, NothingFoundError: See `choose_paths`.
        """
        return paths.choose_paths(self.clone, names, self._here)

    def status(self, names: Sequence[str] = (), *, remote: bool = False) -> states.ProjectStatus:
        """Compare records, files, pipeline and log; with `remote`, ask the storages too."""
        return states.status(self.clone, self.choose(names).levels, remote=remote)

    def out_of_sight(self) -> tuple[str, ...]:
        """Say which storages are not in imgdata.yaml any more and alone have recorded data."""
        return (
            () if self.clone.by_path else tuple(former_storages.FormerStorages(self.clone).alone())
        )

    def not_here(self, names: Sequence[str] = ()) -> tuple[Unit, ...]:
        """Return the recorded units whose files are not all here as recorded."""
        return states.not_here(self.clone, self.choose(names).levels)

    def plan_pull(
        self, names: Sequence[str] = (), selection: Selection | None = None
    ) -> tuple[pull_plans.WouldPull, ...]:
        """Return what a pull would bring back, as remembered: asks no storage."""
        levels = self.choose(names).levels
        return pull_plans.plan_pull(self.clone, levels, selection or Selection({}))

    def plan_push(
        self, names: Sequence[str] = (), options: push_plans.PushOptions | None = None
    ) -> tuple[tuple[push_plans.UnitPlan, ...], tuple[push_plans.NotPushed, ...]]:
        """Return what a push would send, as remembered: asks no storage."""
        chosen = self.choose(names)
        options = replace(options or push_plans.PushOptions(), parts=chosen.parts)
        gate = leaving.Gate(self.clone, ask=False)
        targets, skipped = push_plans.choose_targets(self.clone, chosen.levels, options, gate)
        if not self.clone.by_path:
            targets, withheld = push_plans.without_withheld(self.clone, targets, gate)
            skipped = (*skipped, *withheld)
        listed = [one for one in targets if self.clone.has_list(one.unit)]
        unlisted = {one.unit.path: one.unit for one in targets if one not in listed}
        why = "its file list is not here; a push gets it from a storage"
        return (
            tuple(push_plans.remembered_plan(self.clone, one, options) for one in listed),
            (*skipped, *(push_plans.NotPushed(unit, why) for unit in unlisted.values())),
        )

    def push(
        self,
        names: Sequence[str] = (),
        options: push_plans.PushOptions | None = None,
        *,
        progress: Progress = SILENT,
    ) -> Iterator[pushing.PushOutcome]:
        """Send data to their storages; one outcome a unit and storage."""
        chosen = self.choose(names)
        options = replace(options or push_plans.PushOptions(), parts=chosen.parts)
        return pushing.push(self.clone, chosen.levels, options, progress)

    def pull(
        self,
        names: Sequence[str] = (),
        options: pull_unit.PullOptions | None = None,
        *,
        progress: Progress = SILENT,
    ) -> Iterator[pulling.PullOutcome]:
        """Bring data back, verified; one outcome a unit."""
        chosen = self.choose(names)
        options = replace(options or pull_unit.PullOptions(), parts=chosen.parts)
        return pulling.pull(self.clone, chosen.levels, options, progress)

    def plan_pull_of(
        self,
        revision: str,
        names: Sequence[str] = (),
        options: pull_unit.PullOptions | None = None,
        *,
        into: Path | None = None,
    ) -> past.PastPull:
        """Decide what is brought back of an earlier commit, tag, branch or stash; asks no storage.

        Args:
            revision: What names it.
            names: Levels or paths; everything it records for none.
            options: As for `pull`.
            into: A new or empty folder for its files; without one they come into the cache.

        Raises:
            UsageError: There is no such revision, or it has no such level.
            RefusedError: The folder is in the way, or not empty.
        """
        options = options or pull_unit.PullOptions()
        if find_git(self.root) is None:
            problem = f"{self.root} is in no git repository, so it has no revision '{revision}'"
            raise UsageError(problem)
        with closing(git_history.GitHistory(self.clone.git.root)) as objects:
            wish = (revision, into)
            return past.plan_past(self.clone, objects, names, options, wish, self._here)

    def pull_of(
        self, plan: past.PastPull, *, progress: Progress = SILENT
    ) -> Iterator[pulling.PullOutcome]:
        """Bring back what was planned; the working tree stays as it is. One outcome a unit."""
        return pulling.pull(plan.clone, plan.levels, plan.options, progress)

    def whereis(
        self, names: Sequence[str] = (), options: places.WhereisOptions | None = None
    ) -> Iterator[places.Whereabouts]:
        """Say where the copies are; one answer a version."""
        return places.whereis(self.clone, names, options or places.WhereisOptions(here=self._here))
