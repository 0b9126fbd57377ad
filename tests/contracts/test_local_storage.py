"""A folder as a storage."""

import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from imgdata.errors import ImgdataError, MachineError, StorageError
from imgdata.ports import Storage
from imgdata.storage.local import LocalStorage, explain_disk
from imgdata.testing.storage import KEY, StorageContract, StorageMachine, fetch, keys, store


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        (tmp_path / "disk").mkdir()
        return LocalStorage(tmp_path / "disk")


class LocalMachine(StorageMachine):
    @staticmethod
    def make_storage() -> Storage:
        return LocalStorage(Path(tempfile.mkdtemp(prefix="imgdata-contract-")))

    def teardown(self) -> None:
        assert isinstance(self.storage, LocalStorage)
        shutil.rmtree(self.storage.root)


TestLocalMachine = LocalMachine.TestCase
TestLocalMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    yield folder
    folder.chmod(0o755)


def test_an_object_is_a_read_only_file_at_its_key(disk: Path) -> None:
    store(LocalStorage(disk), KEY, b"hello")
    assert (disk / KEY).read_bytes() == b"hello"
    assert stat.S_IMODE((disk / KEY).stat().st_mode) & 0o222 == 0


def test_the_umask_of_the_writer_is_kept(disk: Path) -> None:
    before = os.umask(0o077)
    try:
        store(LocalStorage(disk), KEY, b"hello")
    finally:
        os.umask(before)
    assert stat.S_IMODE((disk / KEY).stat().st_mode) == 0o400


def test_folders_below_a_group_folder_are_the_groups_too(disk: Path) -> None:
    disk.chmod(0o2775)
    before = os.umask(0o077)
    try:
        store(LocalStorage(disk), KEY, b"hello")
    finally:
        os.umask(before)
    assert stat.S_IMODE((disk / "files" / "md5").stat().st_mode) & 0o2070 == 0o2070
    assert stat.S_IMODE((disk / KEY).stat().st_mode) == 0o444


def test_a_missing_root_is_a_disk_that_is_not_mounted(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "not" / "mounted")
    for use in (
        lambda: store(storage, KEY, b"x"),
        lambda: storage.stat(KEY),
        lambda: fetch(storage, KEY),
        lambda: keys(storage),
        lambda: storage.erase(KEY),
        lambda: storage.write_if_absent(KEY, b"x"),
        storage.flush,
    ):
        with pytest.raises(StorageError, match="not there"):
            use()
    assert not (tmp_path / "not").exists()


def test_a_new_root_is_made_when_asked(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "new" / "disk")
    storage.create_root()
    store(storage, KEY, b"x")
    assert keys(storage) == [KEY]


def test_what_a_killed_write_left_is_never_listed(disk: Path) -> None:
    killed_write(disk, KEY)
    assert [path for path in disk.rglob("*") if path.is_file()]
    storage = LocalStorage(disk)
    assert keys(storage) == []
    assert storage.stat(KEY) is None
    store(storage, KEY, b"again")
    assert keys(storage) == [KEY]


def killed_write(disk: Path, key: str) -> Path:
    """Kill a write half way; return what it left."""
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from imgdata.storage.local import LocalStorage\n"
        "def chunks():\n"
        "    yield b'x' * 2_000_000\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "LocalStorage(Path(sys.argv[1])).write(sys.argv[2], chunks(), 4_000_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(disk), key], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (disk / key).parent.glob(".tmp-imgdata-*")
    return left


def age(path: Path, seconds: float) -> None:
    written = path.stat().st_mtime - seconds
    os.utime(path, (written, written))


def test_what_a_killed_write_left_goes_and_what_is_being_written_stays(disk: Path) -> None:
    folder = KEY.rpartition("/")[0]
    left = killed_write(disk, KEY)
    assert LocalStorage(disk).tidy([folder]) == 0, "a writer that began just now may be anyone"
    age(left, 30)
    running = f"{folder}/{'e' * 30}"
    removed: list[int] = []

    def chunks() -> Iterator[bytes]:
        yield b"y" * 10
        (mine,) = (path for path in (disk / folder).glob(".tmp-imgdata-*") if path != left)
        age(mine, 3600)
        removed.append(LocalStorage(disk).tidy([folder]))
        yield b"y" * 10

    LocalStorage(disk).write(running, chunks(), 20)
    assert removed == [1], "the dead one only"
    assert not left.exists()
    assert (disk / running).read_bytes() == b"y" * 20


def test_unfinished_writes_of_other_machines_stay_for_a_day(disk: Path) -> None:
    store(LocalStorage(disk), KEY, b"an object")
    folder = (disk / KEY).parent
    names = {
        "of-another": f".tmp-imgdata-{'0' * 8}-{'a' * 16}",
        "older form": f".tmp-imgdata-{'b' * 16}",
        "not ours": ".tmp-imgdata-notes.txt",
        "a folder": f".tmp-imgdata-{'c' * 16}",
    }
    for name in list(names.values())[:3]:
        (folder / name).write_bytes(b"x")
        age(folder / name, 3600)
    (folder / names["a folder"]).mkdir()
    assert LocalStorage(disk).tidy([KEY.rpartition("/")[0]]) == 0
    for name in list(names.values())[:3]:
        age(folder / name, 25 * 3600)
    assert LocalStorage(disk).tidy([KEY.rpartition("/")[0], "files/md5/zz"]) == 2
    kept = {path.name for path in folder.iterdir()}
    assert kept == {Path(KEY).name, names["not ours"], names["a folder"]}


def test_a_write_the_disk_refuses_half_way_leaves_nothing(disk: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StorageError, match="could not write"):
            store(LocalStorage(disk), KEY, b"x" * 200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [path for path in disk.rglob("*") if path.is_file()] == []


def test_a_full_disk_names_bytes_needed_and_free(disk: Path) -> None:
    """A real small disk, in a mount namespace of its own."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from imgdata.errors import MachineError\n"
        "from imgdata.storage.local import LocalStorage\n"
        "storage = LocalStorage(Path(sys.argv[1]))\n"
        "try:\n"
        "    storage.write('a/b', [b'x' * 100_000] * 30, 3_000_000)\n"
        "except MachineError as error:\n"
        "    print(error.problem, error.cause, list(storage.list()))\n"
    )
    small = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$1"'
    line = ["unshare", "-rm", "sh", "-c", small, "sh", str(disk), sys.executable, code]
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us make a small disk")
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    assert "the disk is full" in done.stdout, done.stderr
    assert "3000000 bytes were needed" in done.stdout
    assert "bytes are free" in done.stdout
    assert done.stdout.rstrip().endswith("[]")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, MachineError),
        (errno.EDQUOT, MachineError),
        (errno.EACCES, MachineError),
        (errno.EROFS, MachineError),
        (errno.EIO, StorageError),
        (errno.ESTALE, StorageError),
    ],
)
def test_every_answer_of_a_disk_is_a_sentence(
    disk: Path, code: int, kind: type[ImgdataError]
) -> None:
    told = explain_disk(disk, "write a/b", 123_456, OSError(code, os.strerror(code)))
    assert type(told) is kind
    assert told.problem.startswith(f"could not write a/b on {disk}")
    assert os.strerror(code) in told.cause
    assert told.remedy


def test_what_a_source_raises_is_not_blamed_on_the_disk(disk: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError(errno.EIO, "the other disk")

    with pytest.raises(OSError, match="the other disk"):
        LocalStorage(disk).write(KEY, broken(), 10)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_one_may_not_write_to_is_told(disk: Path) -> None:
    disk.chmod(0o555)
    with pytest.raises(MachineError, match="not permitted"):
        store(LocalStorage(disk), KEY, b"x")


def test_an_object_where_a_folder_should_be_is_told(disk: Path) -> None:
    storage = LocalStorage(disk)
    store(storage, "files", b"x")
    with pytest.raises(StorageError, match="could not write files/md5"):
        store(storage, "files/md5", b"x")
    assert storage.stat("files/md5") is None


def test_a_pipe_in_a_storage_neither_hangs_nor_counts(disk: Path) -> None:
    os.mkfifo(disk / "pipe")
    storage = LocalStorage(disk)
    assert storage.stat("pipe") is None
    assert keys(storage) == []
    with pytest.raises(ImgdataError):
        fetch(storage, "pipe")


def test_a_loop_of_links_ends(disk: Path) -> None:
    (disk / "loop").symlink_to(disk)
    (disk / "nowhere").symlink_to(disk / "gone")
    store(LocalStorage(disk), "a/b", b"x")
    assert keys(LocalStorage(disk)) == ["a/b"]
