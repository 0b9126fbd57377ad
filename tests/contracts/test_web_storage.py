"""A web server as a storage: what the contract promises of reading, and that it is only read."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imgdata.backends import open_storage
from imgdata.errors import (
    CredentialsError,
    DamagedError,
    InvalidProjectError,
    NotListableError,
    StorageError,
)
from imgdata.ports import Storage
from imgdata.testing.storage import KEY, REFUSED_KEYS, fetch
from imgdata.transfer.presence import present_objects
from tests.contracts.keyrings import keyring_with


class Handler(SimpleHTTPRequestHandler):
    """Serves files; names with a meaning misbehave."""

    def log_message(self, *words: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        if "nohead" in self.path:
            self.send_error(405)
        else:
            super().do_HEAD()

    def do_GET(self) -> None:
        if "forbidden" in self.path:
            self.send_error(403)
        elif "broken" in self.path:
            self.send_error(500)
        elif "moved" in self.path:
            self.send_response(302)
            self.send_header("Location", self.path.replace("moved", "there"))
            self.end_headers()
        elif "short" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half")
        elif "private" in self.path and self.headers.get("Authorization") != "Basic YWRhOnB3":
            self.send_error(401)
        else:
            super().do_GET()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the url it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def storage(served: tuple[Path, str], tmp_path: Path) -> Iterator[Storage]:
    opened = open_storage("web", served[1], {}, tmp_path)
    yield opened
    opened.close()  # type: ignore[attr-defined] # the one opened here has it


def put(served: tuple[Path, str], key: str, data: bytes) -> None:
    path = served[0] / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.mark.parametrize("size", [0, 1, 3_000_001])
def test_what_lies_there_is_described_and_read(
    served: tuple[Path, str], storage: Storage, size: int
) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    put(served, KEY, data[:size])
    found = storage.stat(KEY)
    assert found is not None
    assert (found.key, found.size, found.md5) == (KEY, size, None)
    assert fetch(storage, KEY) == data[:size]


def test_what_is_not_there(storage: Storage) -> None:
    assert storage.stat(KEY) is None
    with pytest.raises(DamagedError, match="no object"):
        fetch(storage, KEY)


def test_servers_that_redirect_or_do_not_know_head(
    served: tuple[Path, str], storage: Storage
) -> None:
    put(served, "there/x", b"here")
    assert fetch(storage, "moved/x") == b"here"
    put(served, "nohead/x", b"here")
    found = storage.stat("nohead/x")
    assert found is not None
    assert found.size == 4
    assert storage.stat("nohead/y") is None


def test_failures_are_sentences(served: tuple[Path, str], storage: Storage) -> None:
    with pytest.raises(DamagedError, match="ended after 4 of 100"):
        fetch(storage, "short")
    with pytest.raises(CredentialsError, match="could not read"):
        fetch(storage, "forbidden")
    with pytest.raises(StorageError) as failure:
        fetch(storage, "broken")
    assert "HTTP 500" in failure.value.cause
    closed = open_storage("web", "http://127.0.0.1:9/x", {}, served[0])
    with pytest.raises(StorageError, match="refused"):
        closed.stat(KEY)
    closed.close()  # type: ignore[attr-defined] # as above


def test_a_user_logs_in(served: tuple[Path, str], tmp_path: Path) -> None:
    put(served, "private/x", b"mine")
    opened = open_storage("web", served[1], {"user": "ada"}, tmp_path, secrets={"password": "pw"})
    assert fetch(opened, "private/x") == b"mine"
    opened.close()  # type: ignore[attr-defined] # as above
    for url in ("https://ada:pw@host/x", "https:///x", "https://host/x?y"):
        with pytest.raises(InvalidProjectError) as failure:
            open_storage("web", url, {}, tmp_path)
        assert "pw" not in str(failure.value)


def test_it_is_only_read_and_asked_one_by_one(served: tuple[Path, str], storage: Storage) -> None:
    with pytest.raises(StorageError, match="only reads"):
        storage.write(KEY, [b"x"], 1)
    with pytest.raises(NotListableError):
        list(storage.list())
    for number in range(3):
        put(served, f"files/md5/ab/{number:030x}", b"x")
    asked = [f"files/md5/ab/{number:030x}" for number in range(50)]
    assert len(present_objects(storage, asked)) == 3


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_a_key_that_is_no_path_is_refused(storage: Storage, key: str) -> None:
    with pytest.raises(InvalidProjectError):
        storage.stat(key)


def test_a_password_in_the_keyring_is_used(served: tuple[Path, str], tmp_path: Path) -> None:
    (served[0] / "private").write_bytes(b"secret")
    with keyring_with({"web": "pw"}):
        opened = open_storage("web", served[1], {"user": "ada"}, tmp_path)
    assert fetch(opened, "private") == b"secret"
