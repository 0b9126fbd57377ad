"""`imgdata run`: run what is stale, one stage after the other, and note how."""

import os
import platform
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from imgdata.dvc_files.index import Index
from imgdata.dvc_files.rwlock import refuse_busy_paths
from imgdata.dvc_files.stages import Dep, Out, Stage
from imgdata.dvc_files.yaml12 import read_yaml
from imgdata.errors import (
    DamagedError,
    InvalidProjectError,
    RefusedError,
    StageFailedError,
    UsageError,
)
from imgdata.levels.changes import Comparison
from imgdata.levels.staleness import Freshness, in_order, upstream_of
from imgdata.levels.units import Unit, level_of
from imgdata.lineage.run_events import canonical_hash
from imgdata.model.events import Json, time_text
from imgdata.model.excerpts import first_lines
from imgdata.system.files import write_text
from imgdata.system.folder_tree import FolderTree
from imgdata.workflows import leftovers
from imgdata.workflows.clone import Clone
from imgdata.workflows.former_files import former_files

ENVIRONMENTS = Path(".imgdata") / "environments"
SHOWN = 10
RUNS_BEFORE = " runs before it"
FORCED = "--force"
ORPHAN_WAIT_S = 5.0
RESTORED = "skipping run"  # dvc found the result of an equal run in its run cache


class FoundEnvironment(Protocol):
    """The environment of a stage: where it is known from, its text, its hash."""

    @property
    def source(self) -> str:
        """`path-python`, `lockfile`, `container` or `unknown`."""

    @property
    def text(self) -> str:
        """The package list or lock file; empty if unknown."""

    @property
    def hash(self) -> str | None:
        """sha256 of the text."""


FindEnvironment = Callable[[str | Sequence[str], Path], FoundEnvironment]


class StageToRun(Struct, frozen=True):
    """A stage that would run, and why."""

    stage: Stage
    reasons: tuple[str, ...]


class RunPlan(Struct, frozen=True):
    """The stages to run in order, and how many are up to date."""

    stages: tuple[StageToRun, ...]
    fresh: int


class Ran(Struct, frozen=True):
    """A stage that ran, or that dvc found up to date after all."""

    stage: Stage
    reasons: tuple[str, ...]
    seconds: float
    output: str


class UpToDate(Struct, frozen=True):
    """A stage that did not have to run: what it waited for came out the same."""

    stage: Stage


class Starting(Struct, frozen=True):
    """A stage that is about to run, as number so and so of so many."""

    stage: Stage
    number: int
    total: int


RunOutcome = Starting | Ran | UpToDate


def choose_stages(clone: Clone, names: Sequence[str]) -> set[str]:
    """Return the addresses of the stages that levels or stage names mean; all for no name.

    Raises:
        UsageError: A name is neither a level, nor a stage, nor a group of stages.
    """
    index = clone.index
    chosen: set[str] = set()
    for name in names:
        if name in clone.config.levels:
            units = clone.units.by_level[name]
            made = {unit.stage.address for unit in units if not unit.is_raw}
            if not made:
                problem = f"no stage makes level '{name}'"
                raise UsageError(problem, remedy=f"imgdata add {name} FOLDER")
            chosen |= made
            continue
        found = {
            stage.address
            for stage in index.stages
            if stage.kind == "stage" and name in {stage.name, stage.group, stage.dvc_name}
        }
        if not found:
            known = ", ".join(dict.fromkeys(s.group or s.name for s in _pipeline(index)))
            levels = ", ".join(clone.config.levels)
            msg = f"'{name}' is neither a level nor a stage"
            raise UsageError(
                msg,
                cause=f"levels: {levels}\nstages: {known}",
            )
        chosen |= found
    return chosen or {stage.address for stage in _pipeline(index)}


def _pipeline(index: Index) -> list[Stage]:
    return [stage for stage in index.stages if stage.kind == "stage"]


def mended(clone: Clone) -> Clone:
    """Return the clone with each dvc.lock brought back that dvc was writing when it was killed.

    Raises:
        MachineError: Another command is at work, perhaps the one that writes it.
    """
    if not any(leftovers.torn_locks(clone.root)):
        return clone
    with clone.writing():
        leftovers.mend_locks(clone.root)
    return clone.reread()


def plan_run(clone: Clone, names: Sequence[str], *, force: bool) -> RunPlan:
    """Decide which stages run: stale ones, what they need, and named ones that are not here.

    Raises:
        InvalidProjectError: DVC's files cannot be read whole: which stages there are is not known.
    """
    if unread := clone.index.problems:
        files = shlex.join(dict.fromkeys(one.file for one in unread))
        problem = "the pipeline cannot be read, so nothing is run"
        raise InvalidProjectError(
            problem,
            cause=first_lines((one.sentence for one in unread), SHOWN),
            remedy=f"correct it, or take back what git has: git restore {files}",
        )
    named = choose_stages(clone, names)
    upstream = upstream_of(clone.index)
    wanted = _with_upstream(named, upstream)
    ordered = [stage for stage in in_order(clone.index) if stage.kind == "stage"]
    freshness = Freshness(FolderTree(clone.root), clone.index, clone.workspace)
    reasons: dict[str, tuple[str, ...]] = {}
    for stage in ordered:
        if stage.address not in wanted:
            continue
        why = freshness.reasons(stage)
        why += tuple(
            f"{_name(clone.index, above)}{RUNS_BEFORE}"
            for above in sorted(upstream[stage.address] & reasons.keys())
        )
        if not why and force and stage.address in named:
            why = (FORCED,)
        if why and not stage.frozen:
            reasons[stage.address] = why
    _add_absent(clone, ordered, named if names else set(), reasons)
    stages = tuple(
        StageToRun(stage, reasons[stage.address]) for stage in ordered if stage.address in reasons
    )
    return RunPlan(stages, sum(1 for one in ordered if one.address in wanted) - len(stages))


def _with_upstream(chosen: set[str], upstream: dict[str, set[str]]) -> set[str]:
    found = set(chosen)
    todo = list(chosen)
    while todo:
        new = upstream.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def _name(index: Index, address: str) -> str:
    return index.by_address[address].name


def _add_absent(
    clone: Clone, ordered: list[Stage], named: set[str], reasons: dict[str, tuple[str, ...]]
) -> None:
    """Add stages on storage none whose outs are not here but named, or needed by one that runs."""
    by_out = {out.path: stage for stage in ordered for out in stage.outs}
    for stage in reversed(ordered):
        needed = stage.address in named
        readers = (other for other in ordered if other.address in reasons)
        needed = needed or any(
            by_out.get(dep.path) is stage for reader in readers for dep in reader.deps
        )
        if needed and stage.address not in reasons and _is_absent_on_none(clone, stage):
            reasons[stage.address] = ("stored nowhere and not here",)


def _is_absent_on_none(clone: Clone, stage: Stage) -> bool:
    for out in stage.outs:
        level = level_of(clone.config, out.path)
        if level is not None and not level.storages and not (clone.root / out.path).exists():
            return True
    return False


def refuse_unsafe(clone: Clone, plan: RunPlan) -> None:
    """Stop before DVC would record a changed or partial input, or delete hand-edited outputs.

    Raises:
        RefusedError: Naming the files and the way to keep them.
        DamagedError: An input is not here.
    """
    will_run = {one.stage.address for one in plan.stages}
    makers = {out.path: s for s in clone.index.stages for out in s.outs}
    units = {unit.path: unit for some in clone.units.by_level.values() for unit in some}
    checked: set[str] = set()
    for planned in plan.stages:
        stage = planned.stage
        used = [(one.path, one.is_inside) for one in stage.deps]
        used += [(one.path, one.is_inside) for one in stage.outs]
        inside = [clone.root / path for path, is_inside in used if is_inside]
        refuse_busy_paths(clone.tmp, inside, wait_s=ORPHAN_WAIT_S)
        for dep in stage.deps:
            maker = makers.get(dep.path)
            if maker is None or dep.path in checked or maker.address in will_run:
                continue
            checked.add(dep.path)
            out = next(out for out in maker.outs if out.path == dep.path)
            if out.flags.cache:
                _refuse_changed_input(clone, dep, out, units.get(dep.path))
        unfinished = leftovers.began(clone.root, stage)
        for out in stage.outs:
            if out.flags.cache and not out.flags.persist and out.is_inside:
                if unfinished and not compare_out(clone, out).is_complete:
                    leftovers.set_aside(clone.root, stage, out)
                _refuse_edited_output(clone, stage, out)


def compare_out(clone: Clone, out: Out) -> Comparison:
    """Compare a tracked out with its record."""
    recorded = out.recorded
    version = recorded.hash.value if recorded is not None and recorded.hash is not None else None
    return clone.compare_version(out.path, version)


def _refuse_changed_input(clone: Clone, dep: Dep, out: Out, unit: Unit | None) -> None:
    level = unit.level if unit else dep.path
    if out.recorded is None:
        problem = f"the input {dep.path} does not exist yet"
        raise DamagedError(problem, remedy=f"imgdata run {level}")
    comparison = compare_out(clone, out)
    if comparison.is_complete:
        return
    if comparison.is_absent:
        problem = f"the input {dep.path} is not here"
        raise DamagedError(problem, remedy=f"imgdata pull {level}")
    lines = [
        *(f"changed: {_below(dep.path, path)}" for path in comparison.changed),
        *(f"missing: {_below(dep.path, path)}" for path in comparison.missing),
        *(f"not recorded: {_below(dep.path, path)}" for path in comparison.extra),
    ]
    remedy = f"bring it back whole: imgdata pull {level}"
    at_risk = {*comparison.changed, *comparison.extra}
    if at_risk and at_risk <= former_files(clone, out.path, at_risk):
        remedy = f"these are of another version; bring the recorded one: imgdata pull {level}"
    elif comparison.changed:
        remedy = f"move the changed files away, then: imgdata pull {level}"
    elif comparison.extra:
        remedy = f"move the new files out of {dep.path}, or add them: imgdata add {level} FOLDER"
    msg = f"the input {dep.path} is not as it was recorded ({_count(comparison)})"
    raise RefusedError(
        msg,
        cause=first_lines(lines, SHOWN),
        remedy=remedy,
    )


def _refuse_edited_output(clone: Clone, stage: Stage, out: Out) -> None:
    comparison = compare_out(clone, out)
    differing = (*comparison.changed, *comparison.extra)
    former = former_files(clone, out.path, differing) if differing else frozenset()
    at_risk = [name for name in differing if name not in former]
    if not at_risk:
        return
    count = "one file" if len(at_risk) == 1 else f"{len(at_risk)} files"
    changed = frozenset(comparison.changed)
    lines = [
        f"{'edited by hand' if path in changed else 'not recorded'}: {_below(out.path, path)}"
        for path in at_risk
    ]
    msg = f"running '{stage.name}' would delete {count} in {out.path} that nothing else has"
    raise RefusedError(
        msg,
        cause=first_lines(lines, SHOWN),
        remedy=f"keep them: mv {out.path} {out.path}.kept   (then run again)",
    )


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if name else path


def _count(comparison: Comparison) -> str:
    parts = [
        (len(comparison.changed), "changed"),
        (len(comparison.missing), "missing"),
        (len(comparison.extra), "not recorded"),
    ]
    return ", ".join(f"{number} {word}" for number, word in parts if number)


def run_stages(
    clone: Clone, plan: RunPlan, find_environment: FindEnvironment
) -> Iterator[RunOutcome]:
    """Run the planned stages one by one; each is noted as soon as it ends.

    Raises:
        StageFailedError: A stage's command failed; nothing of it is recorded as done.
        RefusedError, DamagedError: See `refuse_unsafe`.
    """
    with clone.writing():
        refuse_unsafe(clone, plan)
        for number, planned in enumerate(plan.stages, 1):
            if not _still_stale(clone.reread(), planned):
                yield UpToDate(planned.stage)
                continue
            yield Starting(planned.stage, number, len(plan.stages))
            yield _run_one(clone, planned, find_environment)


def _still_stale(now: Clone, planned: StageToRun) -> bool:
    """Tell whether a stage that waited for others still has to run: they may have made the same."""
    if not all(reason.endswith(RUNS_BEFORE) for reason in planned.reasons):
        return True
    stage = now.index.by_address[planned.stage.address]
    freshness = Freshness(FolderTree(now.root), now.index, now.workspace)
    return bool(freshness.reasons(stage)) or _is_absent_on_none(now, stage)


def _run_one(clone: Clone, planned: StageToRun, find_environment: FindEnvironment) -> Ran:
    stage = planned.stage
    head, dirty = clone.git.head(), clone.git.dirty_paths()
    environment = find_environment(stage.defined_cmd, clone.root / (stage.wdir or "."))
    # What stages made is recorded by its hash in dvc.lock: it is no uncommitted code.
    results = {out.path for one in clone.index.stages for out in one.outs}
    start = clone.clock.now()
    failure: StageFailedError | None = None
    output = ""
    leftovers.begin(clone.root, stage)
    try:
        output = clone.stages.run(stage.dvc_name, force=FORCED in planned.reasons)
    except StageFailedError as error:
        failure = error
    end = clone.clock.now()
    details: dict[str, Json] = {
        "stage": stage.address,
        "entry": None if failure else entry_hash(clone.root, stage),
        "code_commit": head,
        "dirty_paths": [path for path in dirty if path not in results and not _is_result(path)],
        "start": time_text(start),
        "end": time_text(end),
        "rc": 1 if failure else 0,
        "environment": {"source": environment.source, "hash": environment.hash},
        "machine": {"system": platform.platform(), "cpus": os.cpu_count() or 0},
    }
    written: list[Path | None] = []
    if RESTORED not in output:
        written = [
            keep_environment(clone.root, environment),
            clone.log().write([("run", details)]),
        ]
    written.append(clone.root / Path(stage.file).with_name("dvc.lock"))
    # What DVC does not cache is kept by git, unless the lab ignores it.
    written += [clone.root / out.path for out in stage.outs if _is_in_git(out)]
    clone.git.stage([path for path in written if path is not None and path.exists()])
    if failure is not None:
        raise _told(clone, stage, failure)
    leftovers.end(clone.root, stage)
    return Ran(stage, planned.reasons, (end - start).total_seconds(), output)


def _is_in_git(out: Out) -> bool:
    return not out.flags.cache and out.is_inside


def _is_result(path: str) -> bool:
    return path.endswith(".dvc") or path.rpartition("/")[2] == "dvc.lock"


def _told(clone: Clone, stage: Stage, failure: StageFailedError) -> StageFailedError:
    """Add to a failure what it left behind."""
    left = [out.path for out in stage.outs if (clone.root / out.path).exists()]
    said = f"left behind, not recorded: {', '.join(left)}" if left else "it left no output"
    return StageFailedError(
        failure.problem, cause=f"{failure.cause}\n{said}", remedy=failure.remedy
    )


def keep_environment(root: Path, environment: FoundEnvironment) -> Path | None:
    """Write an environment's text down, once; None where it is unknown."""
    if environment.hash is None:
        return None
    path = root / ENVIRONMENTS / f"{environment.hash}.txt"
    if not path.exists():
        write_text(path, environment.text)
    return path


def entry_hash(root: Path, stage: Stage) -> str | None:
    """Return the md5 of the canonical JSON of a stage's entry in dvc.lock, or None."""
    lock = root / Path(stage.file).with_name("dvc.lock")
    if not lock.is_file():
        return None
    value: Any = read_yaml(lock.read_bytes())
    entry = (value or {}).get("stages", {}).get(stage.name)
    return None if entry is None else canonical_hash(entry)
