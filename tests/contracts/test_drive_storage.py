"""External drives, known by their labels."""

import subprocess
import sys
from pathlib import Path

import pytest

from imgdata.backends import open_storage
from imgdata.errors import InvalidProjectError, StorageError
from imgdata.ports import Storage
from imgdata.storage.drive import DriveStorage, drive_address, mounted_drives
from imgdata.testing.storage import KEY, StorageContract, fetch, keys, store


def drive(url: str = "drive:RED-07/nf1") -> DriveStorage:
    storage = open_storage("red-07", url, {}, Path("/"))
    assert isinstance(storage, DriveStorage)
    return storage


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands for the drive RED-07."""
    folder = tmp_path / "drives" / "RED-07"
    folder.mkdir(parents=True)
    monkeypatch.setenv("IMGDATA_DRIVES", f"{tmp_path / 'nothing'}:{folder.parent}")
    return folder


class TestDriveStorage(StorageContract):
    @pytest.fixture
    def storage(self, plugged: Path) -> Storage:
        assert plugged.is_dir()
        return drive()


def test_the_drive_holds_the_objects_in_its_folder(plugged: Path) -> None:
    store(drive(), KEY, b"hello")
    assert (plugged / "nf1" / KEY).read_bytes() == b"hello"
    store(drive("drive:RED-07"), "top", b"x")
    assert (plugged / "top").is_file()


def test_reading_from_a_fresh_drive_makes_nothing_on_it(plugged: Path) -> None:
    storage = drive()
    assert storage.stat(KEY) is None
    assert keys(storage) == []
    storage.erase(KEY)
    storage.flush()
    assert list(plugged.iterdir()) == []


def test_a_drive_in_a_drawer_is_known_and_told() -> None:
    storage = drive()
    assert storage.description == "drive:RED-07/nf1"
    assert storage.folder is None
    for use in (
        lambda: store(storage, KEY, b"x"),
        lambda: storage.stat(KEY),
        lambda: fetch(storage, KEY),
        lambda: keys(storage),
        lambda: storage.erase(KEY),
        storage.flush,
    ):
        with pytest.raises(StorageError, match="drive RED-07 is not mounted"):
            use()


def test_a_drive_that_is_pulled_out_and_plugged_in_again_is_noticed(plugged: Path) -> None:
    storage = drive()
    store(storage, KEY, b"x")
    away = plugged.rename(plugged.parent / "drawer")
    with pytest.raises(StorageError, match="not mounted"):
        store(storage, "other", b"x")
    away.rename(plugged)
    assert fetch(storage, KEY) == b"x"


def test_a_mount_point_that_stayed_behind_is_not_taken_for_the_drive(plugged: Path) -> None:
    storage = drive("drive:RED-07")
    store(storage, KEY, b"x")
    plugged.rename(plugged.parent / "drawer")
    plugged.mkdir()
    assert storage.stat(KEY) is None


def test_a_marker_file_names_a_drive_that_is_mounted_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usb1").mkdir()
    (tmp_path / "usb1" / ".imgdata-drive").write_text("RED-07\n")
    monkeypatch.setenv("IMGDATA_DRIVES", str(tmp_path / "usb1"))
    store(drive(), KEY, b"x")
    assert (tmp_path / "usb1" / "nf1" / KEY).is_file()


def test_two_drives_of_one_label_are_not_guessed_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "RED-07").mkdir(parents=True)
    monkeypatch.setenv("IMGDATA_DRIVES", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    with pytest.raises(StorageError, match="two drives are named RED-07"):
        keys(drive())


def test_a_mounted_drive_is_found_where_desktops_mount_it() -> None:
    """Real mounts, in a mount namespace of their own; a folder left behind does not count."""
    code = (
        "from imgdata.storage.drive import mounted_drives\n"
        "print(*mounted_drives('RED 07'), *mounted_drives('LEFT'), sep='|')\n"
    )
    mount = (
        "mount -t tmpfs none /media && mkdir -p '/media/ada/RED 07' /media/ada/LEFT"
        ' && mount -t tmpfs none \'/media/ada/RED 07\' && exec "$1" -c "$2"'
    )
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a drive")
    line = ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, code]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    assert done.stdout.strip() == "/media/ada/RED 07", done.stderr


def test_a_label_nobody_has_is_nowhere() -> None:
    assert mounted_drives("no-such-label-anywhere") == []


@pytest.mark.parametrize("url", ["drive:", "drive:/", "drive:..", "drive:X/../y", "drive:a\\b"])
def test_a_url_that_is_no_drive_is_refused(url: str) -> None:
    with pytest.raises(InvalidProjectError, match="is not drive:LABEL/folder"):
        drive_address("red", url)
