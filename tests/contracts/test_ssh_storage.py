"""A folder behind a real SSH server."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from imgdata.backends import open_storage
from imgdata.errors import CredentialsError, InvalidProjectError, StorageError
from imgdata.ports import Storage
from imgdata.storage.sftp_session import wait_for
from imgdata.storage.ssh import SshSettings, SshStorage, ssh_address
from imgdata.testing.servers import SshServer, free_port
from imgdata.testing.storage import KEY, StorageContract, fetch, keys, store
from tests.contracts.keyrings import keyring_with

pytestmark = pytest.mark.server


def opened(server: SshServer, folder: Path, **other: object) -> SshStorage:
    options = {
        "user": server.user,
        "keyfile": str(server.keyfile),
        "known_hosts": str(server.known_hosts),
        **other,
    }
    url = f"ssh://127.0.0.1:{server.port}{folder}"
    storage = open_storage("cluster", url, options, Path("/"))
    assert isinstance(storage, SshStorage)
    return storage


@pytest.fixture
def folder(sshd: SshServer) -> Path:
    made = sshd.folder / secrets.token_hex(4)
    made.mkdir()
    return made


@pytest.fixture
def cluster(sshd: SshServer, folder: Path) -> Iterator[SshStorage]:
    storage = opened(sshd, folder)
    yield storage
    storage.close()


class TestSshStorage(StorageContract):
    @pytest.fixture
    def storage(self, cluster: SshStorage) -> Storage:
        return cluster


def test_an_object_is_a_read_only_file_at_its_key(cluster: SshStorage, folder: Path) -> None:
    store(cluster, KEY, b"hello")
    assert (folder / KEY).read_bytes() == b"hello"
    assert (folder / KEY).stat().st_mode & 0o222 == 0
    assert [path.name for path in (folder / KEY).parent.iterdir()] == [Path(KEY).name]


def test_what_killed_writes_left_and_what_is_no_file_is_not_listed(
    cluster: SshStorage, folder: Path
) -> None:
    (folder / ".tmp-imgdata-123").write_text("half")
    (folder / "loop").symlink_to(folder)
    (folder / "nowhere").symlink_to(folder / "gone")
    store(cluster, "a/b", b"x")
    assert keys(cluster) == ["a/b"]


def test_what_killed_writes_left_goes_after_a_day(cluster: SshStorage, folder: Path) -> None:
    store(cluster, KEY, b"an object")
    here = (folder / KEY).parent
    young, old, other = (here / f".tmp-imgdata-{name}" for name in ("a" * 16, "b" * 16, "notes"))
    for path, hours in ((young, 23), (old, 25), (other, 99)):
        path.write_bytes(b"x")
        written = here.stat().st_mtime - hours * 3600
        os.utime(path, (written, written))
    assert cluster.tidy([KEY.rpartition("/")[0], "files/md5/zz"]) == 1
    assert {path.name for path in here.iterdir()} == {Path(KEY).name, young.name, other.name}


def test_a_missing_root_is_told_and_made_only_when_asked(sshd: SshServer, folder: Path) -> None:
    storage = opened(sshd, folder / "new" / "place")
    try:
        for use in (
            lambda: store(storage, KEY, b"x"),
            lambda: storage.stat(KEY),
            lambda: keys(storage),
            lambda: storage.erase(KEY),
        ):
            with pytest.raises(StorageError, match="is not there on"):
                use()
        assert not (folder / "new").exists()
        storage.create_root()
        store(storage, KEY, b"x")
        assert (folder / "new" / "place" / KEY).is_file()
    finally:
        storage.close()


def test_a_connection_that_was_lost_is_opened_again(cluster: SshStorage) -> None:
    store(cluster, KEY, b"x")
    cluster.close()
    assert fetch(cluster, KEY) == b"x"


def test_a_login_that_is_refused_is_told(sshd: SshServer, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="login is refused"):
        keys(opened(sshd, folder, keyfile=str(sshd.keyfile.with_name("host_key"))))
    (tmp_path / "no_key").write_text("not a key")
    with pytest.raises(CredentialsError, match="key cannot be used"):
        keys(opened(sshd, folder, keyfile=str(tmp_path / "no_key")))


def test_a_server_that_is_not_known_is_not_trusted(
    sshd: SshServer, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(StorageError, match="identity is not known"):
        keys(opened(sshd, folder, known_hosts=str(tmp_path / "empty")))


@pytest.mark.parametrize(
    ("host", "word"), [("127.0.0.1:{closed}", "refused"), ("no-such-host.invalid", "not known")]
)
def test_a_server_that_cannot_be_reached_is_told(host: str, word: str) -> None:
    url = f"ssh://{host.format(closed=free_port())}/x"
    with pytest.raises(StorageError, match=word):
        keys(open_storage("cluster", url, {}, Path("/")))


@pytest.mark.parametrize("url", ["ssh://", "ssh:///x", "ssh://h", "ssh://h/a/../b", "ssh://h:x/a"])
def test_a_url_that_is_no_folder_on_a_server_is_refused(url: str) -> None:
    with pytest.raises(InvalidProjectError, match="is not ssh://host/folder"):
        ssh_address("cluster", url, SshSettings())


@pytest.mark.dvc
def test_the_folder_of_a_url_is_taken_letter_by_letter_as_dvc_does() -> None:
    from dvc_ssh import SSHFileSystem  # type: ignore[import-untyped]

    url = "ssh://h/data 1/100%25 größe%20"
    theirs = SSHFileSystem._strip_protocol(url)  # noqa: SLF001 - what DVC asks the server for
    assert ssh_address("cluster", url, SshSettings()).folder == theirs


def test_a_password_in_a_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(InvalidProjectError) as caught:
        ssh_address("cluster", "ssh://ada:hush@host/x", SshSettings())
    assert "hush" not in caught.value.problem


class PasswordServer(asyncssh.SSHServer):
    """Lets Ada in by a password."""

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("ada", "pass word")


@pytest.fixture
def by_password(tmp_path: Path) -> Iterator[SshStorage]:
    """A server that takes no key, and a folder on it."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = wait_for(
        asyncssh.listen(
            "127.0.0.1", 0, server_factory=PasswordServer, server_host_keys=[key], sftp_factory=True
        )
    )
    known = tmp_path / "known_hosts"
    public = key.export_public_key().decode()
    known.write_text(f"[127.0.0.1]:{server.get_port()} {public}")
    options = {"user": "ada", "known_hosts": str(known), "port": server.get_port()}
    (tmp_path / "store").mkdir()
    storage = open_storage("cluster", f"ssh://127.0.0.1{tmp_path}/store", options, tmp_path)
    assert isinstance(storage, SshStorage)
    yield storage
    storage.close()
    server.close()


def test_a_password_in_the_keyring_is_used(by_password: SshStorage) -> None:
    with keyring_with({"cluster": "pass word"}):
        store(by_password, KEY, b"hello")
    assert fetch(by_password, KEY) == b"hello"


@pytest.mark.parametrize("kept", [{}, {"cluster": "wrong"}, {"other": "pass word"}])
def test_a_wrong_or_absent_password_is_a_sentence(
    by_password: SshStorage, kept: dict[str, str]
) -> None:
    with keyring_with(kept), pytest.raises(CredentialsError, match="login is refused"):
        fetch(by_password, KEY)
