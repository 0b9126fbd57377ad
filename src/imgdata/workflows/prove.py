"""`imgdata run --prove`: make outputs again in a clean checkout and compare them with the record.

What was "made here" says nothing about whether it can be made again: the proof runs the committed
code of HEAD on the recorded inputs in a scratch folder that has nothing else.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from imgdata.dvc_files.index import read_index
from imgdata.dvc_files.places import touches
from imgdata.dvc_files.stages import Out, Stage
from imgdata.dvc_files.state import State
from imgdata.errors import (
    DamagedError,
    ImgdataError,
    MachineError,
    NothingFoundError,
    RefusedError,
)
from imgdata.levels.changes import Workspace
from imgdata.levels.staleness import Freshness
from imgdata.levels.units import level_of
from imgdata.model.events import Json, time_text
from imgdata.model.objects import is_folder, object_key
from imgdata.policy.recoverable import (
    DIFFERENT,
    IDENTICAL,
    METHOD,
    METHOD_VERSION,
    PROGRAMS_UNKNOWN,
)
from imgdata.system.files import file_md5, write_text
from imgdata.system.folder_tree import FolderTree
from imgdata.transfer.checkout import CacheDamaged, Placement, place_all
from imgdata.transfer.equality import difference
from imgdata.workflows.clone import PRIVATE_FOLDER, Clone
from imgdata.workflows.contents import Contents
from imgdata.workflows.history import Version
from imgdata.workflows.run import FindEnvironment, choose_stages, entry_hash, keep_environment

SCRATCH = PRIVATE_FOLDER / "prove"
PROOFS = Path(".imgdata") / "proofs"
COPYING = ("reflink", "copy")
SHOWN = 5

RunCommand = Callable[[str | Sequence[str], Path], None]


class Proved(Struct, frozen=True):
    """One stage that was made again.

    Attributes:
        verdict: `identical`, `equal within ...` or `different`.
        files: How many files were compared.
        differences: What differs, a line a file, the first few.
        seconds: How long the commands took.
        certificate: Where the proof is written down.
        fault: Why it counts for nothing whatever the verdict, as drop and audit say; or empty.
    """

    stage: Stage
    verdict: str
    files: int
    differences: tuple[str, ...]
    seconds: float
    certificate: Path
    fault: str


class NotProved(Struct, frozen=True):
    """A stage that could not be made again from what is committed, and what to do."""

    stage: Stage
    error: ImgdataError


ProofOutcome = Proved | NotProved


def prove(
    clone: Clone,
    names: Sequence[str],
    sample: int | None,
    find_environment: FindEnvironment,
    run_command: RunCommand,
) -> Iterator[ProofOutcome]:
    """Make the outputs of levels or stages again and compare; one outcome a stage.

    Args:
        clone: The project.
        names: Levels or stages; all without one.
        sample: Only so many stages, chosen by the hash of their names.
        find_environment: Tells the environment of a command.
        run_command: Runs a stage's command in a folder; raises `ImgdataError` when it fails.

    Raises:
        UsageError, NothingFoundError: See `stages_to_prove`.
        RefusedError: Nothing is committed yet.
    """
    stages = stages_to_prove(clone, names, sample)
    head = clone.git.head()
    if head is None:
        problem = "nothing is committed yet, so nothing can be made again from a commit"
        raise RefusedError(problem, remedy='git add --all && git commit -m "Start"')
    with clone.writing():
        for stage in stages:
            attempt = _Attempt(clone, stage, head, find_environment, run_command)
            try:
                yield attempt.run()
            except (DamagedError, RefusedError) as error:
                yield NotProved(stage, error)
            finally:
                attempt.clean()


def stages_to_prove(clone: Clone, names: Sequence[str], sample: int | None) -> list[Stage]:
    """Return the stages of levels or names that have run, or the sample of them.

    Raises:
        UsageError: A name is neither a level nor a stage.
        NothingFoundError: None of them has run yet.
    """
    chosen = choose_stages(clone, names)
    stages = [s for s in clone.index.stages if s.address in chosen and s.entry is not None]
    if not stages:
        problem = "no stage has run yet, so there is nothing recorded to compare with"
        raise NothingFoundError(problem, remedy=" ".join(("imgdata run", *names)))
    if sample is None:
        return stages
    return sorted(stages, key=lambda one: _digest(one.address))[:sample]


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class _Attempt(Struct):
    clone: Clone
    stage: Stage
    head: str
    find_environment: FindEnvironment
    run_command: RunCommand

    @property
    def _top(self) -> Path:
        return self.clone.root / SCRATCH / _digest(self.stage.address)

    @property
    def _root(self) -> Path:
        """The project's root in the scratch checkout."""
        return self._top / "checkout" / self.clone.root.relative_to(self.clone.git.root)

    @property
    def _workspace(self) -> Workspace:
        return Workspace(self._root, State(self._root, self._top / "state"))

    def clean(self) -> None:
        """Remove the scratch checkout."""
        shutil.rmtree(self._top, ignore_errors=True)

    def run(self) -> Proved:
        self.clean()
        self.clone.git.export(self.head, self._top / "checkout")
        inputs = self._place_inputs()
        self._refuse_other_recipe()
        for out in self.stage.outs:
            _remove(self._root / out.path)
        folder = self._root / (self.stage.wdir or ".")
        for out in self.stage.outs:
            (self._root / out.path).parent.mkdir(parents=True, exist_ok=True)
        environment = self.find_environment(self.stage.defined_cmd, folder)
        start = self.clone.clock.now()
        try:
            self.run_command(self.stage.cmd, folder)
        except MachineError as error:
            problem = f"stage '{self.stage.name}' did not run again from commit {self.head[:8]}"
            raise RefusedError(problem, cause=error.cause, remedy="") from error
        seconds = (self.clone.clock.now() - start).total_seconds()
        found = [self._compare(out) for out in self.stage.outs]
        verdict, tolerance = _together(found)
        details: dict[str, Json] = {
            "stage": self.stage.address,
            "entry": entry_hash(self.clone.root, self.stage),
            "method": METHOD,
            "method_version": METHOD_VERSION,
            "tolerance": tolerance,
            "environment": {"source": environment.source, "hash": environment.hash},
            "verdict": verdict,
            "start": time_text(start),
            "seconds": round(seconds, 3),
            "cost": None,
            "code_commit": self.head,
            "inputs": [{"path": path, "version": version} for path, version in inputs],
            "outs": [
                {
                    "path": one.out.path,
                    "version": one.out.recorded.hash.value,
                    "verdict": one.verdict,
                    "tolerance": one.tolerance if one.within else "",
                }
                for one in found
                if one.out.recorded and one.out.recorded.hash
            ],
        }
        kept = keep_environment(self.clone.root, environment)
        certificate = self._certify(details, found)
        log = self.clone.log().write([("proof", details)])
        self.clone.git.stage([path for path in (kept, certificate, log) if path is not None])
        files = sum(one.files for one in found)
        beyond = [line for one in found for line in one.beyond]
        fault = PROGRAMS_UNKNOWN if environment.source == "unknown" else ""
        return Proved(
            self.stage, verdict, files, tuple(beyond[:SHOWN]), seconds, certificate, fault
        )

    def _place_inputs(self) -> list[tuple[str, str]]:
        """Put the recorded versions of all tracked inputs into the checkout."""
        makers = {out.path: out for one in self.clone.index.stages for out in one.outs}
        inputs: dict[str, str] = {}
        for dep in self.stage.deps:
            if not dep.is_inside:
                problem = f"the input {dep.written} lies outside the project"
                raise RefusedError(problem, remedy="add it to a level: imgdata add")
            for path, out in makers.items():
                if out.flags.cache and touches(dep.path, path):
                    exact = dep.recorded if path == dep.path else out.recorded
                    if exact is None or exact.hash is None:
                        problem = f"the input {path} is not recorded"
                        raise RefusedError(problem, remedy=f"imgdata run {self.stage.name}")
                    inputs[path] = exact.hash.value
        for path, version in inputs.items():
            self._place(path, version)
        return sorted(inputs.items())

    def _place(self, path: str, version: str) -> None:
        contents = Contents(self.clone)
        files = contents.files(Version(path, "", None, version, 0, 0))
        level = level_of(self.clone.config, path)
        remedy = f"imgdata pull {level.name}" if level else "imgdata pull"
        if files is None:
            problem = f"the input {path} is not here"
            raise DamagedError(problem, remedy=remedy)
        cache = self.clone.dvc.cache_dir
        lacking = [md5 for md5 in files.values() if not (cache / object_key(md5)).is_file()]
        if lacking:
            problem = f"{len(lacking)} files of the input {path} are not here"
            raise DamagedError(problem, remedy=remedy)
        wanted = [
            Placement(str(self._root / _join(path, below)), md5, hashed=False)
            for below, md5 in files.items()
        ]
        for outcome in place_all(wanted, cache, COPYING, read_only=False):
            if isinstance(outcome, CacheDamaged):
                problem = f"the input {path} is damaged in the local cache"
                raise DamagedError(problem, remedy="imgdata verify --on cache --repair")

    def _refuse_other_recipe(self) -> None:
        """Stop where the commit would make something else than what is recorded.

        Raises:
            RefusedError: What is not committed, or differs.
        """
        tree = FolderTree(self._root)
        index = read_index(tree)
        there = index.by_address.get(self.stage.address)
        commit = "git add --all && git commit"
        if there is None or entry_hash(self._root, self.stage) != entry_hash(
            self.clone.root, self.stage
        ):
            problem = f"dvc.lock as committed does not have this run of '{self.stage.name}'"
            raise RefusedError(problem, remedy=commit)
        reasons = Freshness(tree, index, self._workspace).reasons(there)
        if reasons:
            problem = f"the commit has another recipe for '{self.stage.name}'"
            raise RefusedError(problem, cause="\n".join(reasons), remedy=commit)

    def _compare(self, out: Out) -> "_Compared":
        """Compare an output with its record, by the tolerance of the level it is on."""
        level = level_of(self.clone.config, out.path)
        compared = _Compared(out, level.tolerance if level is not None else "")
        recorded = self._recorded(out)
        found = self._workspace.hashes(out.path, self._workspace.scan(out.path))
        compared.files = len(recorded)
        gone, new = recorded.keys() - found.keys(), found.keys() - recorded.keys()
        compared.beyond += sorted(f"{_join(out.path, name)}: not made" for name in gone)
        compared.beyond += sorted(f"{_join(out.path, name)}: new" for name in new)
        for name in sorted(recorded.keys() & found.keys()):
            if recorded[name] == found[name]:
                continue
            path = _join(out.path, name)
            if told := self._differs(compared.tolerance, path, recorded[name]):
                compared.beyond.append(f"{path}: {told}")
            else:
                compared.within.append(path)
        return compared

    def _recorded(self, out: Out) -> Mapping[str, str]:
        recorded = out.recorded
        if recorded is None or recorded.hash is None:
            return {}
        version = Version(out.path, "", None, recorded.hash.value, 0, 0)
        files = Contents(self.clone).files(version)
        if files is None or (not is_folder(version.version) and not files):
            problem = f"the file list of {out.path} is not here"
            raise DamagedError(problem, remedy="imgdata pull")
        return files

    def _differs(self, tolerance: str, path: str, md5: str) -> str:
        again = self._root / path
        first = self.clone.dvc.cache_dir / object_key(md5)
        if not tolerance or not first.is_file():
            return "other bytes"
        if file_md5(first) != md5:
            problem = f"{path} is damaged in the local cache"
            raise DamagedError(problem, remedy="imgdata verify --on cache --repair")
        return difference(tolerance, first, again, again.name)

    def _certify(self, details: Mapping[str, Json], found: "Sequence[_Compared]") -> Path:
        at = self.clone.clock.now()
        folder = self.clone.root / PROOFS
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{details['entry']}-{at:%Y%m%dT%H%M%SZ}.json"
        body = {
            "v": 1,
            "at": time_text(at),
            "by": self.clone.git.identity() or "",
            **details,
            "files": sum(one.files for one in found),
            "different": [line for one in found for line in one.beyond],
            "equal_within_tolerance": [name for one in found for name in one.within],
        }
        write_text(path, json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        return path


class _Compared(Struct):
    """One output made again, compared with its record.

    Attributes:
        tolerance: What its level allows; empty for nothing.
        files: How many files the record has.
        beyond: Files that differ beyond the tolerance, and how.
        within: Files whose bytes differ within it.
    """

    out: Out
    tolerance: str
    files: int = 0
    beyond: list[str] = field(default_factory=list)
    within: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        if self.beyond:
            return DIFFERENT
        return f"equal within '{self.tolerance}'" if self.within else IDENTICAL


def _together(found: "Sequence[_Compared]") -> tuple[str, str]:
    """Return the verdict on a stage, the worst of its outputs', and the tolerances it needed."""
    verdicts = [one.verdict for one in found]
    used = dict.fromkeys(one.tolerance for one in found if one.within)
    if DIFFERENT in verdicts:
        return DIFFERENT, ", ".join(used)
    if not used:
        return IDENTICAL, ""
    return f"equal within {', '.join(repr(one) for one in used)}", ", ".join(used)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if name else path


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
