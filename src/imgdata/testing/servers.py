"""Real servers on loopback for tests: started once a session, on free ports.

A pytest plugin: name it in `pytest_plugins`. A server that does not start fails the test in CI
(`CI` is set) or when `IMGDATA_REQUIRE` names it; elsewhere the test is skipped.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec import Struct

START_SECONDS = 30.0
BUCKET = "imgdata-tests"
READ_ONLY_POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",'
    ' "Action": ["s3:Get*", "s3:List*", "s3:Head*"], "Resource": "*"}]}'
)
SSHD_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""
FULL_POLICY = (
    '{"Version": "2012-10-17", "Statement":'
    ' [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
)


@dataclass(frozen=True, slots=True)
class S3Server:
    """An S3 server with one bucket.

    Attributes:
        endpoint: Its url.
        access_key: Who may do everything.
        secret_key: The secret of that key.
        reader_key: Who may only read; empty where the server knows no rights.
        reader_secret: The secret of that key.
        folder: Where the bucket's objects lie as files; None where they do not.
    """

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    reader_key: str = ""
    reader_secret: str = field(default="", repr=False)
    folder: Path | None = None

    @property
    def port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])

    @property
    def environment(self) -> dict[str, str]:
        """The credentials as environment variables."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def fresh_url(self) -> str:
        """Return the url of a prefix nobody has used."""
        return f"s3://{BUCKET}/{secrets.token_hex(6)}"


class SshServer(Struct, frozen=True):
    """An SSH server that serves this machine's files to one key.

    Attributes:
        port: Where it listens on 127.0.0.1.
        user: Who may log in.
        keyfile: The private key of that person.
        known_hosts: A list that holds the server's key.
        folder: An empty folder for the tests.
    """

    port: int
    user: str
    keyfile: Path
    known_hosts: Path
    folder: Path


class ServerNotStartedError(Exception):
    """A server of the tests ended or does not answer."""


@pytest.fixture(scope="session")
def moto_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """moto: S3's rules (conditional writes, rights, refused keys), in memory."""
    with required("moto"), moto_server(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """rclone serve s3: real bytes, as files in a folder."""
    with required("rclone"), rclone_s3_server(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """OpenSSH's own server, which lets one key in."""
    with required("ssh"), ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@contextmanager
def required(name: str) -> Iterator[None]:
    """Skip the test when the server does not start, or fail where it must."""
    try:
        yield
    except ServerNotStartedError as error:
        if os.environ.get("CI") or name in os.environ.get("IMGDATA_REQUIRE", "").split(","):
            pytest.fail(f"{name} must run here: {error}")
        pytest.skip(str(error))


@contextmanager
def moto_server(folder: Path) -> Iterator[S3Server]:
    """Run moto with authentication on, a writer, a reader and a bucket."""
    port = free_port()
    # The first calls are free: they make the users, whose keys all later ones must be signed with.
    free_calls = {"INITIAL_NO_AUTH_ACTION_COUNT": "7"}
    line = [program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with running(line, port, folder, free_calls):
        endpoint = f"http://127.0.0.1:{port}"
        writer, reader = _moto_users(endpoint)
        yield S3Server(endpoint, *writer, *reader)


@contextmanager
def rclone_s3_server(folder: Path) -> Iterator[S3Server]:
    """Run rclone's S3 server over a folder."""
    port = free_port()
    bucket = folder / "served" / BUCKET
    bucket.mkdir(parents=True)
    # Shorter keys than these are refused by rclone.
    keys = ("testaccesskey", secrets.token_hex(16))
    address = f"127.0.0.1:{port}"
    line = [program("rclone"), "serve", "s3", "--addr", address, "--auth-key", ",".join(keys)]
    with running([*line, str(bucket.parent)], port, folder, {"RCLONE_CONFIG": os.devnull}):
        yield S3Server(f"http://{address}", *keys, folder=bucket)


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Run sshd with keys and configuration of its own."""
    port, user = free_port(), getpass.getuser()
    for name in ("host_key", "user_key"):
        line = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(line, check=True, stdin=subprocess.DEVNULL)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    host_key = (folder / "host_key.pub").read_text().split(" ")
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {host_key[0]} {host_key[1]}\n")
    # The path must be absolute: with a relative one sshd listens, but resets every connection.
    config = folder / "sshd_config"
    config.write_text(SSHD_CONFIG.format(port=port, folder=folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    served = folder / "served"
    served.mkdir()
    with running([program("sshd"), "-D", "-e", "-f", str(config)], port, folder):
        yield SshServer(port, user, folder / "user_key", known_hosts, served)


@contextmanager
def running(
    line: Sequence[str], port: int, folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server until the block ends; its output goes to a file in the folder.

    Raises:
        ServerNotStartedError: It ended, or its port does not answer in time.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(line),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
        try:
            _wait_for(process, port, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program(name: str) -> str:
    """Return the path of a program of this environment, else of the machine.

    Raises:
        ServerNotStartedError: It is not installed.
    """
    own = Path(sys.executable).with_name(name)
    # sshd lies where only the administrator's PATH looks.
    everywhere = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = str(own) if own.exists() else shutil.which(name, path=everywhere)
    if found is None:
        msg = f"{name} is not installed"
        raise ServerNotStartedError(msg)
    return found


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=1),
        ):
            return
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-500:]
    msg = f"the server did not start on port {port}: {tail}"
    raise ServerNotStartedError(msg)


def _moto_users(endpoint: str) -> list[tuple[str, str]]:
    import boto3  # noqa: PLC0415 - slow to import, and only this server needs it

    anybody = {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "nobody",
        "aws_secret_access_key": "nothing",
    }
    iam = boto3.client("iam", **anybody)
    made = []
    for user, policy in (("writer", FULL_POLICY), ("reader", READ_ONLY_POLICY)):
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName=user, PolicyDocument=policy)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        made.append((key["AccessKeyId"], key["SecretAccessKey"]))
    boto3.client("s3", **anybody).create_bucket(Bucket=BUCKET)
    return made
