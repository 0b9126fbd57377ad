"""The Python API: open a project, then ask or do what the command line can.

```python
import imgdata

project = imgdata.open_project("nf1-pilot")
for line in project.status().units:
    print(line.unit.title, line.here, line.owed)
```
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from msgspec.structs import replace

import imgdata
from imgdata.dvc_files.collecting import DVC_FOLDER
from imgdata.dvc_repository import DvcRepository, clone_of_project, open_by_path
from imgdata.errors import NoProjectError
from imgdata.levels.units import choose_levels
from imgdata.project.by_name import storage_named
from imgdata.project.loader import CONFIG_NAME, load_config
from imgdata.roots import folder_and_above, project_root
from imgdata.storage.local import LocalStorage, local_path
from imgdata.system.lazy import lazy_module
from imgdata.system.progress import SILENT, Progress
from imgdata.tracking.dvc import stage_path
from imgdata.tracking.git import GitRepository, find_git, init_git, need_git
from imgdata.workflows.clone import PRIVATE_FOLDER, Clone
from imgdata.workflows.prepare_clone import prepare_clone
from imgdata.workflows.taken_away import refuse_deleted_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from imgdata import checks
    from imgdata.execution import environment
    from imgdata.images import read_ahead
    from imgdata.lineage.answer import Answer
    from imgdata.model.decisions import Excluded
    from imgdata.model.findings import CheckReport
    from imgdata.model.selection import Selection
    from imgdata.policy.audit.remarks import Judged
    from imgdata.project import template as templates
    from imgdata.project.config import Level, Option
    from imgdata.tracking import git_lineage, shell
    from imgdata.workflows import add as adding
    from imgdata.workflows import add_move as add_moves
    from imgdata.workflows import add_plan as add_plans
    from imgdata.workflows import add_stream as add_streams
    from imgdata.workflows import adopt as adopting
    from imgdata.workflows import audit as auditing
    from imgdata.workflows import by_path as paths
    from imgdata.workflows import check as checking
    from imgdata.workflows import conform, leaving, merge_driver, run
    from imgdata.workflows import drop as dropping
    from imgdata.workflows import drop_plan as drop_plans
    from imgdata.workflows import exclude as excluding
    from imgdata.workflows import init as initing
    from imgdata.workflows import level_changes as level_changing
    from imgdata.workflows import lost as losing
    from imgdata.workflows import move_storage as moving
    from imgdata.workflows import note as noting
    from imgdata.workflows import prove as proving
    from imgdata.workflows import push as pushing
    from imgdata.workflows import storages as storing
    from imgdata.workflows import stored as answering
    from imgdata.workflows import verify as verifying
    from imgdata.workflows.lineage import Question
else:
    # Each command needs one or two of these; together they cost more than a status.
    checks = lazy_module("imgdata.checks")
    environment = lazy_module("imgdata.execution.environment")
    read_ahead = lazy_module("imgdata.images.read_ahead")
    templates = lazy_module("imgdata.project.template")
    git_lineage = lazy_module("imgdata.tracking.git_lineage")
    shell = lazy_module("imgdata.tracking.shell")
    checking = lazy_module("imgdata.workflows.check")
    add_moves = lazy_module("imgdata.workflows.add_move")
    add_plans = lazy_module("imgdata.workflows.add_plan")
    add_streams = lazy_module("imgdata.workflows.add_stream")
    adding = lazy_module("imgdata.workflows.add")
    adopting = lazy_module("imgdata.workflows.adopt")
    auditing = lazy_module("imgdata.workflows.audit")
    paths = lazy_module("imgdata.workflows.by_path")
    conform = lazy_module("imgdata.workflows.conform")
    dropping = lazy_module("imgdata.workflows.drop")
    drop_plans = lazy_module("imgdata.workflows.drop_plan")
    excluding = lazy_module("imgdata.workflows.exclude")
    initing = lazy_module("imgdata.workflows.init")
    leaving = lazy_module("imgdata.workflows.leaving")
    level_changing = lazy_module("imgdata.workflows.level_changes")
    losing = lazy_module("imgdata.workflows.lost")
    merge_driver = lazy_module("imgdata.workflows.merge_driver")
    moving = lazy_module("imgdata.workflows.move_storage")
    noting = lazy_module("imgdata.workflows.note")
    proving = lazy_module("imgdata.workflows.prove")
    run = lazy_module("imgdata.workflows.run")
    storing = lazy_module("imgdata.workflows.storages")
    answering = lazy_module("imgdata.workflows.stored")
    verifying = lazy_module("imgdata.workflows.verify")


def site_cache_dir() -> Path:
    """Return the private folder for DVC's state rows."""
    return Path(platformdirs.user_cache_dir("imgdata")) / "dvc"


def open_project(path: str | os.PathLike[str] = ".", *, writing: bool = False) -> Project:
    """Open the project a folder belongs to.

    Args:
        path: The project's folder or one inside it.
        writing: Prepare this clone for commands that write (a private place for DVC's state).

    Raises:
        NoProjectError: There is no project.
        InvalidProjectError: imgdata.yaml or a DVC file is not valid.
    """
    root = project_root(Path(path))
    known_good = root / PRIVATE_FOLDER / "imgdata-yaml.sha256"
    config = load_config(root / CONFIG_NAME, known_good=known_good)
    git = need_git(root)
    if not (root / DVC_FOLDER).is_dir():
        problem = f"{root} has an {CONFIG_NAME} but no .dvc folder"
        raise NoProjectError(problem, remedy="imgdata init")
    if writing:
        prepare_clone(root, site_cache_dir(), None)
        merge_driver.install(root, git)
    return Project(clone_of_project(root, config, git))


def open_data(path: str | os.PathLike[str] = ".", *, writing: bool = False) -> DvcRepository:
    """Open the project a folder belongs to, or the DVC repository by path where there is none.

    Args:
        path: As for `open_project`.
        writing: As for `open_project`; a DVC repository is left as it is.

    Raises:
        NoProjectError: There is neither.
        InvalidProjectError: imgdata.yaml or a DVC file is not valid.
    """
    for folder in folder_and_above(path):
        if (folder / CONFIG_NAME).is_file():
            return open_project(folder, writing=writing)
        if (folder / DVC_FOLDER).is_dir():
            break
    here = Path(path).resolve()
    refuse_deleted_config(here, find_git(here))
    return open_by_path(path)


def init_kind(path: str | os.PathLike[str] = ".") -> tuple[initing.InitKind, Path]:
    """Tell what `init` means in a folder, and which folder it is about.

    Returns:
        `new` for a folder that is absent, empty or a bare beginning; `adopt` for a repository with
        something in it; `complete` for a project.

    Raises:
        UsageError: Several DVC projects lie below the folder.
    """
    here = Path(path).resolve()
    if (here / CONFIG_NAME).exists():
        return "complete", here
    if initing.is_beginning(here):
        return "new", here
    git = find_git(here)
    if git is None:
        return "new", here
    root = adopting.adoption_root(here, git.root)
    if (root / CONFIG_NAME).exists():
        return "complete", root
    refuse_deleted_config(root, git)
    is_repository = (root / DVC_FOLDER).is_dir() or git.root == root
    return ("adopt", root) if is_repository else ("new", here)


def plan_adoption(
    path: str | os.PathLike[str] = ".",
    *,
    title: str | None = None,
    license: str = "CC-BY-4.0",  # noqa: A002 - the field's name in imgdata.yaml
    storages: Mapping[str, str] | None = None,
    origins: Mapping[str, str] | None = None,
) -> adopting.AdoptionPlan:
    """Propose imgdata.yaml for an existing git or DVC repository; writes nothing.

    Raises:
        NoProjectError: The folder is not in a git repository.
        UsageError: Several DVC projects lie below it; a level or origin does not exist.
    """
    here = Path(path).resolve()
    git = need_git(here)
    root = adopting.adoption_root(here, git.root)
    options = _init_options(root, "minimal", title, license, storages, origins)
    return adopting.plan_adoption(root, options, initing.new_id(), git.keeps, git.ignores)


def adopt(plan: adopting.AdoptionPlan, *, cache: Path | None = None) -> Project:
    """Write what was planned; data, pipelines and records stay as they are."""
    written = conform.apply_changes(plan.changes)
    return _finish_init(plan.root, written, cache)


def complete_project(root: Path, *, cache: Path | None = None) -> tuple[Project, tuple[str, ...]]:
    """Add what a project or clone lacks; return it and what was added, in words."""
    git = need_git(root)
    done: list[str] = []
    written: list[Path] = []
    if not (root / DVC_FOLDER).is_dir():
        written += initing.make_dvc_folder(root)
        done.append(".dvc")
    had_driver = merge_driver.is_installed(git)
    if written:
        changes = conform.plan_conform(load_config(root / CONFIG_NAME), root, strict=True)
    else:
        changes = open_project(root).plan_apply()
    written += conform.apply_changes(changes)
    done += [os.path.relpath(change.path, root) for change in changes]
    if prepare_clone(root, site_cache_dir(), cache):
        done.append("settings of this clone in .dvc/config.local")
    project = _finish_init(root, written, cache)
    if not had_driver and merge_driver.is_installed(git):
        done.append("the merge driver of dvc.lock in this clone")
    return project, tuple(done)


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
) -> tuple[Project, initing.InitPlan]:
    """Make a project from a template; files that are there stay as they are.

    Raises:
        RefusedError: The folder holds other things.
        UsageError: Template, level or origin does not exist.
    """
    root = Path(path).resolve()
    initing.refuse_foreign_folder(root)
    options = _init_options(root, template, title, license, storages, origins)
    options = replace(options, creators=tuple(creators) or options.creators)
    plan = initing.plan_init(root, options)
    root.mkdir(parents=True, exist_ok=True)
    around = find_git(root)
    if around is None or (around.root != root and around.ignores(root)):
        init_git(root, "main")
    written = list(initing.apply_init(plan))
    config = load_config(root / CONFIG_NAME)
    strict = CONFIG_NAME in plan.files
    written += conform.apply_changes(conform.plan_conform(config, root, strict=strict))
    return _finish_init(root, written, cache), plan


def _init_options(
    root: Path,
    template: str,
    title: str | None,
    license_: str,
    storages: Mapping[str, str] | None,
    origins: Mapping[str, str] | None,
) -> initing.InitOptions:
    return initing.InitOptions(
        template=templates.find_template(template),
        title=title or root.name,
        license=license_,
        creators=_git_creator(root),
        storages=storages or {},
        origins=origins or {},
        year=datetime.now(UTC).year,
        version=imgdata.__version__,
    )


def _finish_init(root: Path, written: Sequence[Path], cache: Path | None) -> Project:
    """Give the clone what git does not bring, and add to git what was written."""
    prepare_clone(root, site_cache_dir(), cache)
    git = need_git(root)
    merge_driver.install(root, git)
    clone = open_project(root).clone
    _make_local_roots(clone)
    git.stage(written)
    return Project(clone_of_project(root, clone.config, git))


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


class Project(DvcRepository):
    """An opened project. Methods that move data yield outcomes as they finish: consume them.

    Names are levels.
    """

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels, in the order of imgdata.yaml."""
        return tuple(self.clone.config.levels.values())

    def choose(self, names: Sequence[str]) -> paths.Chosen:
        """Return the named levels, all for no name."""
        return paths.Chosen(choose_levels(self.clone.config, names))

    def plan_add(
        self,
        level: str,
        sources: Sequence[Path],
        *,
        unit: str | None = None,
        origin: str | None = None,
    ) -> add_plans.AddPlan:
        """Decide what each source folder would become; reads no file."""
        return add_plans.plan_add(self.clone, level, sources, unit, origin)

    def plan_add_and_delete(
        self,
        level: str,
        sources: Sequence[Path],
        *,
        unit: str | None = None,
        origin: str | None = None,
        to: str | None = None,
    ) -> add_moves.MovePlan:
        """Decide the same for sources that are deleted once their copies are evidenced."""
        return add_moves.plan_move(self.clone, level, sources, unit, origin, to=to)

    def push_units(
        self, leaving: Sequence[add_moves.Leaving], *, progress: Progress = SILENT
    ) -> Iterator[pushing.PushOutcome]:
        """Send the units of sources to their levels' storages."""
        return add_moves.push_units(self.clone, leaving, progress)

    def delete_sources(
        self, leaving: Sequence[add_moves.Leaving], *, progress: Progress = SILENT
    ) -> Iterator[add_moves.Gone | add_moves.Stays]:
        """Delete sources, file by file, whose copies count now; one outcome a source."""
        return add_moves.delete_sources(self.clone, leaving, progress)

    def refuse_stream(self, plan: add_plans.AddPlan, to: str) -> None:
        """Stop before anything is read where a planned unit may not go to a storage.

        Raises:
            UsageError, RefusedError: There is no such storage, or it is public and the unit not.
        """
        add_streams.refuse_stream(self.clone, plan, to)

    def stream(
        self, plan: add_plans.AddPlan, to: str, *, progress: Progress = SILENT
    ) -> Iterator[add_streams.StreamOutcome]:
        """Send the planned files to a storage, without a copy here, and record them."""
        for outcome in add_streams.stream(self.clone, plan, to, progress):
            if isinstance(outcome, adding.Added):
                self.clone.git.stage(outcome.written)
            yield outcome

    def add(
        self, plan: add_plans.AddPlan, *, progress: Progress = SILENT
    ) -> Iterator[adding.Added]:
        """Take the planned files in; one outcome a unit. Their headers are read meanwhile."""
        watch = partial(read_ahead.reading_ahead, checks.cache_folder(self.root))
        for added in adding.apply_add(self.clone, plan, progress, watch):
            self.clone.git.stage(added.written)
            yield added

    def check_headers(self, paths: Sequence[Path], level: str) -> tuple[CheckReport, ...]:
        """Judge files or folders as a level's, from headers and names alone; decodes no pixel."""
        targets = tuple(str(path) for path in paths)
        request = checks.Request(
            self.root,
            targets,
            level,
            pixels=checking.Pixels.NONE,
            records=False,
            config=self.config,
        )
        return checks.check(request)

    def audit(self, *, remote: bool = False) -> tuple[Judged, ...]:
        """Judge the project by every rule of its own; with `remote`, ask its storages."""
        return auditing.audit(self.clone, remote=remote)

    def verify(
        self,
        levels: Sequence[str] = (),
        options: verifying.VerifyOptions | None = None,
        *,
        progress: Progress = SILENT,
    ) -> Iterator[verifying.VerifyOutcome]:
        """Read copies back, those checked longest ago first; one outcome a unit and place."""
        names = [level.name for level in choose_levels(self.clone.config, levels)]
        return verifying.verify(self.clone, names, options or verifying.VerifyOptions(), progress)

    def stored(
        self, levels: Sequence[str] = (), *, all_versions: bool = False
    ) -> Iterator[answering.StoredAnswer]:
        """Ask whether every needed version is stored; reads no file."""
        names = [level.name for level in choose_levels(self.clone.config, levels)]
        return answering.stored(self.clone, names, all_versions=all_versions)

    def check_source(
        self, folder: Path, *, progress: Progress = SILENT
    ) -> Iterator[answering.SourceAnswer]:
        """Hash every file of a folder outside; say where its copies are, and what it lacks."""
        return answering.check_source(self.clone, folder, progress)

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
        return dropping.drop(self.clone, self.choose(levels).levels, options, plan, progress)

    def plan_run(self, names: Sequence[str] = (), *, force: bool = False) -> run.RunPlan:
        """Decide which stages run, and why; a dvc.lock that a killed run tore is mended first."""
        self.clone = run.mended(self.clone)
        return run.plan_run(self.clone, names, force=force)

    def run(self, plan: run.RunPlan) -> Iterator[run.RunOutcome]:
        """Run the planned stages through DVC, in order; each is noted when it ends."""
        return run.run_stages(self.clone, plan, environment.EnvironmentFinder(stage_path()).of)

    def lineage(
        self, files: Sequence[str | os.PathLike[str]] = (), question: Question | None = None
    ) -> tuple[Answer, ...]:
        """Say how files were made, by levels or by paths relative to the project's folder."""
        return git_lineage.lineage(files, path=self.root, question=question)

    def prove(
        self, names: Sequence[str] = (), *, sample: int | None = None
    ) -> Iterator[proving.ProofOutcome]:
        """Make outputs again from the commit in a scratch folder and compare; recorded."""
        finder = environment.EnvironmentFinder(stage_path())
        return proving.prove(self.clone, names, sample, finder.of, shell.run_command)

    def plan_exclude(
        self, level: str, selection: Selection, reason: str = "", *, undo: bool = False
    ) -> excluding.ExcludePlan:
        """Decide which files of a level are left out, or with `undo` no longer are."""
        return excluding.plan_exclude(self.clone, level, selection, reason, undo=undo)

    def exclude(self, plan: excluding.ExcludePlan) -> tuple[Path, ...]:
        """Write a decision into the lists that stages read, and into the log."""
        return excluding.apply_exclude(self.clone, plan)

    def excluded(self, levels: Sequence[str] = ()) -> tuple[Excluded, ...]:
        """Return the files that people left out of levels."""
        return excluding.list_excluded(self.clone, levels)

    def settle_exclusions(self) -> tuple[Path, ...]:
        """Make the lists of excluded files that stages ask for, and mend what merges did."""
        return excluding.settle_lists(self.clone)

    def plan_note(
        self, files: Sequence[str], reason: str, here: Path | None = None
    ) -> noting.NotePlan:
        """Hash files that a person says something about, given relative to a folder."""
        return noting.plan_note(self.clone, files, here or self.root, reason)

    def note(self, plan: noting.NotePlan) -> Path | None:
        """Write down what a person says about files with their present content."""
        return noting.apply_note(self.clone, plan)

    def lose_storage(self, name: str, reason: str) -> losing.Lost:
        """Note that a storage and all copies on it are gone; say what is below its rule now."""
        return losing.lose(self.clone, name, reason)

    def plan_move(self, names: Sequence[str], how: moving.MoveOptions) -> tuple[moving.Leg, ...]:
        """Decide which units go from which storage to which; moves nothing."""
        return moving.plan_move(self.clone, choose_levels(self.clone.config, names), how)

    def move(
        self, leg: moving.Leg, options: moving.MoveOptions, progress: Progress = SILENT
    ) -> Iterator[moving.MoveOutcome]:
        """Copy the units of a leg, checked on arrival, then drop the former copies that may go."""
        return moving.move(self.clone, leg, options, progress)

    def plan_apply(self) -> tuple[conform.FileChange, ...]:
        """Return what DVC's files must say to agree with imgdata.yaml."""
        barred = leaving.Gate(self.clone, ask=False).barred
        return conform.plan_conform(self.clone.config, self.root, barred=barred)

    def apply(self, changes: Sequence[conform.FileChange]) -> None:
        """Write changed DVC files and stage those that git knows."""
        self.clone.git.stage(conform.apply_changes(changes))

    def storages(self) -> tuple[storing.StorageLine, ...]:
        """Return the storages of imgdata.yaml; asks none of them."""
        return storing.list_storages(self.config)

    def try_storage(self, name: str) -> Iterator[storing.TrialOutcome]:
        """Write, read back, list and erase an object on a storage; one outcome a step."""
        return storing.try_out(self.clone.open_storage(storage_named(self.config, name)))

    def plan_storage(
        self,
        name: str,
        url: str,
        options: Mapping[str, Option] | None = None,
        levels: Sequence[str] = (),
    ) -> storing.AddPlan:
        """Decide what a new storage changes; asks no storage."""
        return storing.plan_add(self.clone, name, url, options or {}, levels)

    def try_new_storage(self, plan: storing.AddPlan) -> Iterator[storing.TrialOutcome]:
        """Try a planned storage out; a local folder is made first."""
        storage = self.clone.open_storage(plan.storage)
        storing.prepare_new(storage)
        return storing.try_out(storage)

    def add_storage(self, plan: storing.AddPlan) -> None:
        """Mark the storage as this project's and write the planned files.

        Raises:
            RefusedError: The storage belongs to another project.
        """
        with self.clone.writing():
            storing.claim(self.clone, plan.storage, self.clone.open_storage(plan.storage))
            self.apply(plan.changes)

    @property
    def level_changes(self) -> level_changing.LevelChanges:
        """Adds and renames levels."""
        return level_changing.LevelChanges(self.clone)

    def commit(self, message: str) -> str:
        """Commit what the last commands wrote and return the new commit's id."""
        return self.clone.git.commit(message)
