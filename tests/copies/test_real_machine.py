"""Random histories of a real project: whatever is called recoverable can be recovered.

`IMGDATA_EXAMPLES` sets how many histories are tried; the machine over the rules alone, with 500,
is in tests/unit/policy/test_recoverable.py.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from imgdata.errors import ImgdataError, RefusedError
from imgdata.workflows.verify import VerifyOptions
from tests.attackers.vault import md5
from tests.copies.conftest import CONFIG, Lab

EXAMPLES = int(os.environ.get("IMGDATA_EXAMPLES", "30"))
STORAGES = st.sampled_from(["archive", "second"])
PLATES = st.sampled_from(["P1", "P2"])


class ProjectMachine(RuleBasedStateMachine):
    """One lab, two storages, two plates, a second clone; disks rot, lose and burn."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="imgdata-machine-"))
        self.contents: dict[str, bytes] = {}  # md5 of every file ever added, and its bytes
        self.gone: set[str] = set()  # what was lost by disks, never by imgdata
        self.edited: set[str] = set()  # plates that somebody has edited by hand
        self.versions = 0

    @initialize()
    def begin(self) -> None:
        self.lab = Lab(self.base / "project", self.base)
        self.lab.root.mkdir()
        self.lab.git("init", "--quiet", "--initial-branch=main")
        (self.lab.root / "imgdata.yaml").write_text(CONFIG.format(base=self.base))
        (self.lab.root / ".dvc").mkdir()
        (self.lab.root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
        (self.lab.root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
        for name in ("archive", "second"):
            (self.base / name).mkdir()
        project = self.lab.open()
        project.apply(project.plan_apply())
        self.lab.git("init", "--quiet", "--bare", str(self.base / "remote.git"))
        self.lab.git("remote", "add", "origin", str(self.base / "remote.git"))
        self.lab.share()

    def teardown(self) -> None:
        subprocess.run(["chmod", "-R", "u+w", self.base], check=False)
        shutil.rmtree(self.base)

    def _places(self) -> list[Path]:
        return [self.lab.root / "data/raw", self.lab.root / ".dvc/cache/files/md5",
                self.base / "archive/files/md5", self.base / "second/files/md5"]  # fmt: skip

    def _can_be_had(self) -> set[str]:
        """Return the md5s that some place still has, by reading every byte."""
        return {md5(path) for place in self._places() if place.is_dir()
                for path in place.rglob("*") if path.is_file()}  # fmt: skip

    def _objects(self, storage: str) -> list[Path]:
        return [path for path in self.lab.objects(storage) if path.suffix != ".dir"]

    def _plates(self) -> list[str]:
        return [path.stem for path in (self.lab.root / "data/raw").glob("*.dvc")]

    @rule(plate=PLATES)
    def add(self, plate: str) -> None:
        """Add a plate, or a new version of it under a folder of its own."""
        self.versions += 1
        source = self.base / "scope" / str(self.versions) / plate
        source.mkdir(parents=True)
        for number in (1, 2):
            data = f"{plate} {self.versions} {number}".encode() * 9
            (source / f"B{self.versions:02d}_{number}.tif").write_bytes(data)
        project = self.lab.open()
        try:
            list(project.add(project.plan_add("raw", [source])))
        except RefusedError as error:
            assert plate in self.edited, error  # raw never changes: told, not taken
            return
        for path in source.iterdir():
            self.contents[md5(path)] = path.read_bytes()
        shutil.rmtree(source)  # the microscope's disk is wiped

    @rule(storage=STORAGES)
    def push(self, storage: str) -> None:
        try:
            self.lab.push("raw", to=(storage,))
        except ImgdataError:
            return  # a list that only a damaged storage had: told, nothing sent

    @rule(storage=STORAGES)
    def verify(self, storage: str) -> None:
        list(self.lab.open().verify(["raw"], VerifyOptions((storage,))))

    @rule()
    def repair(self) -> None:
        list(self.lab.open().verify(["raw"], VerifyOptions(repair=True)))

    @rule()
    def pull(self) -> None:
        try:
            list(self.lab.open().pull(["raw"]))
        except ImgdataError:
            return

    @rule()
    def commit(self) -> None:
        self.lab.share()

    @rule(storage=STORAGES, which=st.integers(0, 9))
    def rot(self, storage: str, which: int) -> None:
        """A disk changes bytes; it notes when."""
        if objects := self._objects(storage):
            path = objects[which % len(objects)]
            path.chmod(0o644)
            path.write_bytes(b"rotten")
            later = path.stat().st_mtime + 3
            os.utime(path, (later, later))
            self._note_what_disks_lost()

    @rule(storage=STORAGES, which=st.integers(0, 9))
    def lose(self, storage: str, which: int) -> None:
        """A storage forgets an object and says nothing."""
        if objects := self._objects(storage):
            objects[which % len(objects)].unlink()
            self._note_what_disks_lost()

    @rule(storage=STORAGES)
    def burn(self, storage: str) -> None:
        """All objects of a storage are gone; the person may not know it."""
        shutil.rmtree(self.base / storage / "files", ignore_errors=True)
        self._note_what_disks_lost()

    @rule(storage=STORAGES)
    def declare_lost(self, storage: str) -> None:
        shutil.rmtree(self.base / storage / "files", ignore_errors=True)
        self._note_what_disks_lost()
        self.lab.open().lose_storage(storage, "fell down")

    def _note_what_disks_lost(self) -> None:
        self.gone |= self.contents.keys() - self._can_be_had()

    @rule(source=st.sampled_from(["", "archive", "second"]))
    def drop(self, source: str) -> None:
        try:
            self.lab.drop("raw", source=source)
        except ImgdataError:
            return

    @rule()
    def drop_old(self) -> None:
        try:
            self.lab.drop("raw", source="archive", old=True)
        except ImgdataError:
            return

    @precondition(lambda self: self._plates())
    @rule(plate=PLATES)
    def hand_edit(self, plate: str) -> None:
        """Somebody writes over a file; what they wrote is recorded nowhere."""
        files = sorted((self.lab.root / "data/raw" / plate).glob("*.tif"))
        if files:
            data = f"by hand {self.versions}".encode()
            files[0].unlink()
            files[0].write_bytes(data)
            self.versions += 1
            self.edited.add(plate)
            self.contents[md5(files[0])] = data
            self._note_what_disks_lost()

    @rule()
    def merge_another_clone(self) -> None:
        """Another person verifies in a clone of their own; both logs are merged."""
        self.lab.share()
        other = Lab(self.base / f"clone-{self.versions}", self.base)
        self.versions += 1
        subprocess.run(
            ["git", "clone", "--quiet", str(self.base / "remote.git"), str(other.root)], check=True
        )
        with contextlib.suppress(ImgdataError):
            list(other.open().verify(["raw"]))
        other.share()
        self.lab.git("pull", "--quiet", "--no-rebase", "--no-edit", "origin", "main")
        subprocess.run(["chmod", "-R", "u+w", other.root], check=False)
        shutil.rmtree(other.root)

    @invariant()
    def nothing_was_lost_by_imgdata(self) -> None:
        lost = self.contents.keys() - self._can_be_had() - self.gone
        assert not lost, "imgdata deleted the last copy"

    @invariant()
    def what_is_called_safe_can_be_had_elsewhere(self) -> None:
        """All that a plan would delete here is right, byte for byte, at a storage."""
        if not getattr(self, "lab", None) or not self._plates():
            return
        plan = self.lab.plan_drop("raw")
        at_storages = {md5(path) for name in ("archive", "second") for path in self._objects(name)}
        going = {piece.md5 for one in plan.versions for piece in one.pieces
                 if not piece.path.endswith(".dir")}  # fmt: skip
        assert going <= at_storages


TestProjectMachine = ProjectMachine.TestCase
TestProjectMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),  # shrinking a history of real commands takes minutes
    database=None,
)
