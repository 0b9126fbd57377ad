"""A folder on another computer, over SSH (SFTP)."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncssh
from msgspec import Struct

from imgdata.errors import CredentialsError, ImgdataError, InvalidProjectError, StorageError
from imgdata.model.objects import StoredObject
from imgdata.model.urls import holds_secret
from imgdata.storage.answers import NETWORK, explain
from imgdata.storage.keys import check_folder, check_key, key_fault
from imgdata.storage.options import read_options
from imgdata.storage.sftp_session import SftpSession, wait_for
from imgdata.storage.streams import ended_early, exactly, no_object
from imgdata.system.credentials import find_password
from imgdata.system.files import OBJECT_MODE, is_temporary
from imgdata.system.unfinished import is_old, new_name

CHUNK_BYTES = 2 << 20
FOLDERS_AT_ONCE = 16
FOREIGN = (asyncssh.Error, OSError, asyncssh.KeyImportError)
ABSENT = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory)
FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)


class SshSettings(Struct, frozen=True):
    """What imgdata.yaml may say about an SSH storage; ~/.ssh/config holds for the rest.

    Attributes:
        user: The name on the server; else that of the url or of ~/.ssh/config.
        port: Else that of the url or of ~/.ssh/config.
        keyfile: A private key; else the agent's and the usual ones in ~/.ssh.
        known_hosts: Else ~/.ssh/known_hosts.
    """

    user: str | None = None
    port: int | None = None
    keyfile: str | None = None
    known_hosts: str | None = None


class SshAddress(Struct, frozen=True):
    """A folder on a server, without anything secret."""

    host: str
    folder: str
    user: str | None
    port: int | None

    @property
    def text(self) -> str:
        """The url."""
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"ssh://{user}{self.host}{port}{self.folder}"


def open_ssh(
    name: str,
    url: str,
    options: Mapping[str, object],
    project_root: Path,
    *,
    secrets: Mapping[str, str] | None = None,
) -> "SshStorage":
    """Open `ssh://[user@]host[:port]/folder`. Connects when it is first used.

    A password, where a server wants one, is read from `IMGDATA_<NAME>_TOKEN`, else it is among the
    secrets, as a key's passphrase is, or in the keyring.
    """
    known = secrets or {}
    settings = read_options(SshSettings, name, options)
    address = ssh_address(name, url, settings)
    arguments: dict[str, object] = {
        "connect_timeout": 15,
        "login_timeout": 30,
        "keepalive_interval": 30,
    }
    if address.user:
        arguments["username"] = address.user
    if address.port:
        arguments["port"] = address.port
    if settings.keyfile:
        arguments["client_keys"] = [str(project_root / Path(settings.keyfile).expanduser())]
    if settings.known_hosts:
        arguments["known_hosts"] = str(project_root / Path(settings.known_hosts).expanduser())
    # Asked for when the server takes no key: a keyring may have to be opened first.
    arguments["password"] = partial(find_password, name, known.get("password"))
    if "passphrase" in known:
        arguments["passphrase"] = known["passphrase"]

    async def connect() -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(address.host, **arguments)

    return SshStorage(address, SftpSession(connect))


def ssh_address(name: str, url: str, settings: SshSettings) -> SshAddress:
    """Return host and folder of an ssh url; every letter counts, as to DVC.

    Raises:
        InvalidProjectError: The url is not of this form, or holds a password.
    """
    parts = urlsplit(url)
    if parts.password is not None or holds_secret(url):
        msg = f"storage '{name}': a password does not belong in a url"
        raise InvalidProjectError(msg, remedy=f"use a key, or: imgdata storage login {name}")
    folder = "/" + parts.path.strip("/")
    fault = key_fault(folder[1:])
    if parts.query or parts.fragment:
        fault = "it has a ? or a #, which no folder in a url may have"
    port = settings.port
    try:
        port = port or parts.port
    except ValueError:
        fault = "the port is no number"
    if not parts.hostname or fault:
        msg = f"storage '{name}': {url} is not ssh://host/folder"
        raise InvalidProjectError(msg, cause=fault, remedy="correct the url in imgdata.yaml")
    return SshAddress(parts.hostname, folder, settings.user or parts.username, port)


class _Entry(Struct, frozen=True):
    """One name in a folder."""

    name: str
    is_folder: bool
    size: int


Names = list[str]
Found = list[list[_Entry] | None]


class SshStorage:
    """Keeps each object as a read-only file below a folder of the server.

    A write goes to a temporary name and is renamed there. The server keeps no checksum, and
    what it holds in memory for a while is its own affair. As with a local disk the root folder is
    never made by a write.
    """

    def __init__(self, address: SshAddress, session: SftpSession) -> None:
        self._address = address
        self._session = session
        self._tidied: set[str] = set()

    @property
    def description(self) -> str:
        """The url."""
        return self._address.text

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def create_root(self) -> None:
        """Make the root folder, for the first use of a new storage."""
        root = self._address.folder
        with self._explained(f"make the folder {root}"):
            self._session.call(lambda sftp: sftp.makedirs(root, exist_ok=True))

    def stat(self, key: str) -> StoredObject | None:
        """Describe one object, or None if there is none."""
        path = self._path(key)
        with self._explained(f"look at {key}"):
            try:
                found = self._session.call(lambda sftp: sftp.stat(path))
            except ABSENT:
                self._require_root()
                return None
        if found.type != asyncssh.FILEXFER_TYPE_REGULAR:
            return None
        return StoredObject(key, found.size or 0, None)

    @contextmanager
    def read(self, key: str) -> Iterator[Iterator[bytes]]:
        """Open one object as chunks, in order; an object that is overwritten stays readable."""
        with self._opened(key) as file:
            with self._explained(f"read {key}"):
                size = wait_for(file.stat()).size or 0
            yield self._chunks(file, key, size)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from offset `start`; opening and closing cost a request each."""
        with self._opened(key) as file, self._explained(f"read {key}"):
            data = wait_for(_read(file, start, length)) if length else b""
        if len(data) != length:
            raise ended_early(key, self.description, start + len(data), start + length)
        return data

    def write(self, key: str, chunks: Iterable[bytes], size: int) -> StoredObject:
        """Store `size` bytes under the key; the server keeps no checksum, so `md5` is None."""
        path = self._path(key)
        with self._temporary(path, key, exactly(chunks, size, key), size) as temporary:
            self._session.call(lambda sftp: _renamed(sftp, temporary, path), again=False)
        return StoredObject(key, size, None)

    def write_if_absent(self, key: str, data: bytes) -> bool:
        """Store the bytes unless the key exists; tell whether they were stored."""
        path = self._path(key)
        with self._temporary(path, key, [data], len(data)) as temporary:
            try:
                self._session.call(lambda sftp: sftp.link(temporary, path), again=False)
            except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
                if self.stat(key) is None:
                    raise
                return False
        return True

    def erase(self, key: str) -> None:
        """Erase one object; it is no error when it is already gone."""
        path = self._path(key)
        with self._explained(f"erase {key}"):
            try:
                self._session.call(lambda sftp: sftp.remove(path))
            except ABSENT:
                self._require_root()

    def tidy(self, folders: Iterable[str]) -> int:
        """Remove unfinished writes that nobody went on with for a day; return how many."""
        new = [check_key(folder) for folder in folders if folder not in self._tidied]
        self._tidied.update(new)
        wanted = [f"{self._address.folder}/{folder}" for folder in new]

        async def ask(sftp: asyncssh.SFTPClient) -> int:
            removed = 0
            for start in range(0, len(wanted), FOLDERS_AT_ONCE):
                some = wanted[start : start + FOLDERS_AT_ONCE]
                removed += sum(await asyncio.gather(*(_tidied(sftp, folder) for folder in some)))
            return removed

        with self._explained("tidy up"):
            return self._session.call(ask)

    def list(self, under: str = "") -> Iterator[StoredObject]:
        """Yield all objects in the folder `under`; linked folders are not followed."""
        prefix = f"{folder}/" if (folder := check_folder(under)) else ""
        folders: Names = [prefix]
        with self._explained(f"list {folder or 'its objects'}"):
            while folders:
                asked, folders = folders[:FOLDERS_AT_ONCE], folders[FOLDERS_AT_ONCE:]
                for name, entries in zip(asked, self._entries(asked), strict=True):
                    if entries is None and name == prefix:
                        self._require_root()
                    for entry in entries or ():
                        if entry.is_folder:
                            folders.append(f"{name}{entry.name}/")
                        else:
                            yield StoredObject(name + entry.name, entry.size, None)

    def _entries(self, folders: "Names") -> "Found":
        """Return what is in each of some folders; None for one that is not there."""

        async def ask(sftp: asyncssh.SFTPClient) -> Found:
            root = self._address.folder
            return await asyncio.gather(*(_scanned(sftp, f"{root}/{name}") for name in folders))

        return self._session.call(ask)

    @contextmanager
    def _opened(self, key: str) -> Iterator[asyncssh.SFTPClientFile]:
        path = self._path(key)

        async def opened(sftp: asyncssh.SFTPClient) -> asyncssh.SFTPClientFile:
            return await sftp.open(path, "rb")

        with self._explained(f"read {key}"):
            try:
                file = self._session.call(opened)
            except ABSENT as error:
                self._require_root()
                raise no_object(key, self.description) from error
        try:
            yield file
        finally:
            with contextlib.suppress(*FOREIGN):
                wait_for(file.close())

    def _chunks(self, file: asyncssh.SFTPClientFile, key: str, size: int) -> Iterator[bytes]:
        seen = 0
        while seen < size:
            with self._explained(f"read {key}"):
                chunk = wait_for(_read(file, seen, min(CHUNK_BYTES, size - seen)))
            if not chunk:
                raise ended_early(key, self.description, seen, size)
            seen += len(chunk)
            yield chunk

    @contextmanager
    def _temporary(self, path: str, key: str, chunks: Iterable[bytes], size: int) -> Iterator[str]:
        """Fill a temporary file beside the path; whatever happens it is gone afterwards."""
        folder = path.rpartition("/")[0]
        name = f"{folder}/{new_name(locked=False)}"
        try:
            self._fill(name, folder, key, chunks, size)
            with self._explained(f"write {key}", size):
                yield name
        finally:
            with contextlib.suppress(*FOREIGN):
                self._session.call(lambda sftp: sftp.remove(name), again=False)

    def _fill(self, name: str, folder: str, key: str, chunks: Iterable[bytes], size: int) -> None:
        with self._explained(f"write {key}", size):
            file = self._created(name, folder)
        try:
            offset = 0
            for chunk in chunks:
                with self._explained(f"write {key}", size):
                    wait_for(file.write(chunk, offset))
                offset += len(chunk)
        finally:
            with self._explained(f"write {key}", size):
                wait_for(file.close())

    def _created(self, name: str, folder: str) -> asyncssh.SFTPClientFile:
        attributes = asyncssh.SFTPAttrs(permissions=OBJECT_MODE)

        async def create(sftp: asyncssh.SFTPClient) -> asyncssh.SFTPClientFile:
            return await sftp.open(name, "xb", attributes)

        try:
            return self._session.call(create)
        except ABSENT:
            self._require_root()
        self._session.call(lambda sftp: sftp.makedirs(folder, exist_ok=True))
        return self._session.call(create)

    def _path(self, key: str) -> str:
        return f"{self._address.folder}/{check_key(key)}"

    def _require_root(self) -> None:
        root = self._address.folder
        if not self._session.call(lambda sftp: sftp.isdir(root)):
            problem = f"the folder {root} is not there on {self._address.host}"
            raise StorageError(
                problem,
                cause="its disk is not mounted there, or the folder was never made",
                remedy=f"for a new storage: ssh {self._address.host} mkdir -p {root}",
            )

    @contextmanager
    def _explained(self, action: str, size: int = 0) -> Iterator[None]:
        try:
            yield
        except FOREIGN as error:
            raise self._explain(action, size, error) from error

    def _explain(self, action: str, size: int, error: Exception) -> ImgdataError:
        problem = f"could not {action} on {self.description}"
        if isinstance(error, FULL) or (isinstance(error, asyncssh.SFTPFailure) and size):
            free = self._free_bytes()
            if isinstance(error, FULL) or (free is not None and free < size):
                cause = f"{size} bytes were needed, {free or 0} bytes are free"
                remedy = "free some space there, or 'imgdata drop' to see what could go"
                return StorageError(f"{problem}: its disk is full", cause=cause, remedy=remedy)
        return _explain_refusal(problem, self._address, error) or explain(
            NETWORK, self.description, action, f"{type(error).__name__}: {error}"
        )

    def _free_bytes(self) -> int | None:
        root = self._address.folder
        try:
            found = self._session.call(lambda sftp: sftp.statvfs(root))
        except FOREIGN:
            return None
        return int(found.bavail * found.frsize)


async def _read(file: asyncssh.SFTPClientFile, start: int, length: int) -> bytes:
    data: bytes | str = await file.read(length, start)
    return data if isinstance(data, bytes) else data.encode()


async def _scanned(sftp: asyncssh.SFTPClient, folder: str) -> list[_Entry] | None:
    found: list[_Entry] = []
    try:
        async for entry in sftp.scandir(folder):
            name, attributes = str(entry.filename), entry.attrs
            if name in {".", ".."} or is_temporary(name):
                continue
            if attributes.type == asyncssh.FILEXFER_TYPE_SYMLINK:
                attributes = await _followed(sftp, f"{folder}/{name}")
                is_folder = False
            else:
                is_folder = attributes.type == asyncssh.FILEXFER_TYPE_DIRECTORY
            if is_folder or attributes.type == asyncssh.FILEXFER_TYPE_REGULAR:
                found.append(_Entry(name, is_folder, attributes.size or 0))
    except ABSENT:
        return None
    return found


async def _tidied(sftp: asyncssh.SFTPClient, folder: str) -> int:
    """Remove what is old by the server's own clock, as the folder's last change tells it."""
    removed = 0
    with contextlib.suppress(asyncssh.SFTPError):
        now = (await sftp.stat(folder)).mtime or 0
        async for entry in sftp.scandir(folder):
            name, attributes = str(entry.filename), entry.attrs
            is_file = attributes.type == asyncssh.FILEXFER_TYPE_REGULAR
            if is_file and is_old(name, attributes.mtime or now, now):
                await sftp.remove(f"{folder}/{name}")
                removed += 1
    return removed


async def _followed(sftp: asyncssh.SFTPClient, path: str) -> asyncssh.SFTPAttrs:
    try:
        return await sftp.stat(path)
    except asyncssh.SFTPError:
        return asyncssh.SFTPAttrs()


async def _renamed(sftp: asyncssh.SFTPClient, temporary: str, path: str) -> None:
    """Give a file its name in place of another; some servers can only do it in two steps."""
    try:
        await sftp.posix_rename(temporary, path)
    except asyncssh.SFTPOpUnsupported:
        with contextlib.suppress(*ABSENT):
            await sftp.remove(path)
        await sftp.rename(temporary, path)


def _explain_refusal(problem: str, address: SshAddress, error: Exception) -> ImgdataError | None:
    login = f"{address.user}@{address.host}" if address.user else address.host
    if isinstance(error, asyncssh.PermissionDenied):
        return CredentialsError(
            f"{problem}: the login is refused",
            cause=f"{login} accepts none of your keys, and no password that is known",
            remedy=f"try: ssh {login}    (ssh-add loads a key, ssh-copy-id brings it there)",
        )
    if isinstance(error, asyncssh.KeyImportError | asyncssh.KeyEncryptionError):
        return CredentialsError(
            f"{problem}: the key cannot be used",
            cause="it is no private key, or it has a passphrase",
            remedy="load it into the agent with: ssh-add KEYFILE",
        )
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return StorageError(
            f"{problem}: the server's identity is not known",
            cause=f"its key is not in the list of known hosts, or has changed ({address.host})",
            remedy=f"log in once and compare the fingerprint: ssh {login}",
        )
    if isinstance(error, asyncssh.SFTPPermissionDenied):
        return StorageError(
            f"{problem}: permission denied",
            cause=f"the account may not do this in {address.folder}",
            remedy="ask the owner of the folder for write access",
        )
    if isinstance(error, asyncssh.SFTPError):
        return StorageError(problem, cause=type(error).__name__.removeprefix("SFTP"))
    return None
