"""Remotes as DVC configures them: keys in config.local, ssh, aliases, the layout of DVC 2."""

import hashlib
import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imgdata.dvc_files.config import read_config
from imgdata.system.line_ends import LegacyMd5
from imgdata.testing.servers import S3Server, SshServer
from imgdata.workflows.by_path import remotes_of
from tests.by_path.conftest import Repository, start

CRLF = b"a,b\r\n1,2\r\n"
BINARY = b"\0\x01\r\nnot text"


@pytest.mark.dvc
@pytest.mark.server
def test_s3_with_keys_in_config_local(repository: Repository, moto_s3: S3Server) -> None:
    url, secret = moto_s3.fresh_url(), moto_s3.secret_key
    repository.dvc("remote", "add", "--quiet", "-d", "lab", url)
    repository.dvc("remote", "modify", "--quiet", "lab", "endpointurl", moto_s3.endpoint)
    repository.git("commit", "--quiet", "--all", "-m", "S3")
    for option, text in (("access_key_id", moto_s3.access_key), ("secret_access_key", secret)):
        repository.dvc("remote", "modify", "--quiet", "--local", "lab", option, text)
    pushed = repository.imgdata("push", "data", "--verbose")
    assert "data/P1 -> lab: 5 objects sent" in pushed.stdout
    assert repository.dvc_says("status", "--cloud", "data/P1", "data/P2") == {}
    (one,) = repository.results("whereis", "data/P1", "--remote")
    lab = next(copy for copy in one["copies"] if copy["storage"] == "lab")
    assert (lab["files"], lab["missing"]) == (4, [])

    clone = repository.clone()
    local = Path(".dvc") / "config.local"
    denied = clone.imgdata("pull", "data", status=4)
    assert "dvc remote modify lab profile NAME" in denied.stderr
    shutil.copy(repository.root / local, clone.root / local)
    clone.imgdata("pull", "data")
    assert (clone.root / "data" / "P2" / "sub" / "a.tif").read_text() == "P2 a"
    assert clone.dvc_says("status", "data/P1.dvc") == {}
    assert clone.is_untouched()

    text = (clone.root / local).read_text().replace(secret, "the-wrong-SECRET")
    (clone.root / local).write_text(text)
    shutil.rmtree(clone.root / "data" / "P1")
    shutil.rmtree(clone.root / ".dvc" / "cache")
    refused = clone.imgdata("pull", "data/P1", status=4)
    assert "credentials are refused" in refused.stderr
    for done in (pushed, denied, refused, repository.imgdata("status", "--remote", "--json")):
        assert secret not in done.stdout + done.stderr
        assert "the-wrong-SECRET" not in done.stdout + done.stderr


@pytest.mark.dvc
def test_a_web_server_is_pulled_from_and_never_pushed_to(repository: Repository) -> None:
    repository.imgdata("push")
    handler = partial(QuietHandler, directory=str(repository.base / "store"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    clone = repository.clone()
    (clone.root / ".dvc" / "config.local").write_text(
        f"[core]\n    remote = web\n"
        f"['remote \"web\"']\n    url = http://127.0.0.1:{server.server_port}\n"
    )
    clone.imgdata("pull", "data", "tool.bin")
    assert len(list((clone.root / "data").rglob("*.tif"))) == 8
    assert clone.dvc_says("status", "data/P1.dvc", "tool.bin.dvc") == {}
    (one,) = clone.results("whereis", "data/P1", "--remote")
    web = next(copy for copy in one["copies"] if copy["storage"] == "web")
    assert (web["files"], web["how"]) == (4, "size")
    for path in (repository.base / "store" / "files").rglob("*"):
        if path.is_file():
            path.unlink()
    assert "only reads" in clone.imgdata("push", "data", status=4).stderr
    told = repository.clone("fresh").imgdata("pull", status=6).stderr
    assert "the file list of data/P1 is missing on store" in told
    assert "tool.bin: missing on store" in told
    server.shutdown()
    server.server_close()
    thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.mark.dvc
@pytest.mark.server
def test_a_public_bucket_gets_nothing_without_a_rule(
    repository: Repository, moto_s3: S3Server
) -> None:
    (repository.root / ".dvc" / "config.local").write_text(
        f"['remote \"open\"']\n    url = {moto_s3.fresh_url()}\n"
        f"    endpointurl = {moto_s3.endpoint}\n    allow_anonymous_login = true\n"
    )
    held = repository.imgdata("push", "tool.bin", "--to", "open", status=5)
    assert "NOT SENT, restricted" in held.stdout


@pytest.mark.dvc
@pytest.mark.server
def test_ssh_with_a_key_file(repository: Repository, sshd: SshServer) -> None:
    home = Path(repository.environment["HOME"])
    (home / ".ssh").mkdir()
    shutil.copy(sshd.known_hosts, home / ".ssh" / "known_hosts")
    (repository.root / ".dvc" / "config.local").write_text(
        f"['remote \"server\"']\n    url = ssh://127.0.0.1:{sshd.port}{sshd.folder}/by-path\n"
        f"    user = {sshd.user}\n    keyfile = {sshd.keyfile}\n    allow_agent = false\n"
    )
    repository.imgdata("push", "data/P1", "--to", "server")
    shutil.rmtree(repository.root / "data" / "P1")
    shutil.rmtree(repository.root / ".dvc" / "cache")
    repository.imgdata("pull", "data/P1", "--from", "server")
    assert len(list((repository.root / "data" / "P1").rglob("*.tif"))) == 4


def test_all_files_of_the_configuration_and_aliases_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc, user = tmp_path / "repo" / ".dvc", tmp_path / "user"
    dvc.mkdir(parents=True)
    user.mkdir()
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(user))
    (user / "config").write_text("['remote \"mine\"']\n    url = ~/data\n")
    (dvc / "config").write_text(
        "['remote \"base\"']\n    url = s3://lab/x\n    profile = lab\n    listobjects = true\n"
        "['remote \"below\"']\n    url = remote://base/plates\n    region = eu-1\n"
        "['remote \"lost\"']\n    url = remote://nobody/x\n"
        "['remote \"versions\"']\n    url = s3://lab/y\n    version_aware = true\n"
        "['remote \"near\"']\n    url = ../../store\n"
    )
    (dvc / "config.local").write_text(
        "['remote \"base\"']\n    secret_access_key = TOPSECRET\n    access_key_id = AK\n"
        "['remote \"no url\"']\n    user = x\n"
    )
    found = remotes_of(read_config(dvc))
    assert sorted(found) == ["base", "below", "lost", "mine", "near", "versions"]
    assert found["below"].storage.url == "s3://lab/x/plates"
    assert found["below"].storage.options == {"profile": "lab", "region": "eu-1"}
    assert "TOPSECRET" in found["below"].secrets.values()
    assert "TOPSECRET" not in repr(found)
    assert found["near"].storage.url == str(tmp_path / "store")
    assert "not configured" in found["lost"].unspoken
    assert "version_aware" in found["versions"].unspoken


def stored_by_dvc_2(place: Path, data: bytes, suffix: str = "") -> str:
    """Put an object where DVC 2 would, under the md5 it would compute; return that."""
    is_text = b"\0" not in data and not suffix
    name = hashlib.md5(data.replace(b"\r\n", b"\n") if is_text else data).hexdigest()
    path = place / name[:2] / (name[2:] + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return name + suffix


@pytest.fixture
def of_dvc_2(tmp_path: Path) -> Repository:
    """A repository whose records and remote were written by DVC 2."""
    old = start(tmp_path, "old")
    store = tmp_path / "store"
    old.dvc("remote", "add", "--quiet", "-d", "store", "../store")
    files = {"sub/y.bin": BINARY, "x.csv": CRLF, "z.txt": b"lines\n"}
    listed = [
        {"md5": stored_by_dvc_2(store, data), "relpath": path} for path, data in files.items()
    ]
    text = json.dumps(listed, sort_keys=True).encode()
    folder, single = stored_by_dvc_2(store, text, ".dir"), stored_by_dvc_2(store, CRLF)
    (old.root / "d.dvc").write_text(f"outs:\n- md5: {folder}\n  nfiles: 3\n  path: d\n")
    (old.root / "t.csv.dvc").write_text(f"outs:\n- md5: {single}\n  size: 10\n  path: t.csv\n")
    (old.root / ".gitignore").write_text("/d\n/t.csv\n")
    old.git("add", "--all")
    old.git("commit", "--quiet", "-m", "As DVC 2 left it")
    return old


@pytest.mark.dvc
def test_what_dvc_2_wrote_is_pulled_pushed_and_compared(of_dvc_2: Repository) -> None:
    old = of_dvc_2
    assert [one["copies"][0]["present"] for one in old.results("status", "--remote")] == [1, 1]
    old.imgdata("pull", "d/x.csv")
    old.imgdata("pull")
    assert (old.root / "d" / "x.csv").read_bytes() == CRLF
    assert (old.root / "d" / "sub" / "y.bin").read_bytes() == BINARY
    assert old.dvc_says("status") == {}
    assert {one["here"] for one in old.results("status")} == {"complete"}
    before = {path.relative_to(old.base) for path in (old.base / "store").rglob("*")}
    shutil.rmtree(old.base / "store")
    old.imgdata("push")
    assert {path.relative_to(old.base) for path in (old.base / "store").rglob("*")} == before
    assert old.dvc_says("status", "--cloud") == {}
    (old.root / "t.csv").write_bytes(CRLF.replace(b"\r", b""))
    assert {one["here"] for one in old.results("status")} == {"complete"}, "DVC 2 sees no change"
    (old.root / "d" / "sub" / "y.bin").write_bytes(BINARY.replace(b"\r", b""))
    here = {one["path"]: one["changed"] for one in old.results("status")}
    assert here == {"d": ["sub/y.bin"], "t.csv": []}
    (one,) = old.results("whereis", "d/sub/y.bin", "--remote")
    assert one["copies"][1]["files"] == 1
    assert old.is_untouched()


@pytest.mark.dvc
def test_a_damaged_object_of_dvc_2_is_not_checked_out(of_dvc_2: Repository) -> None:
    single = hashlib.md5(CRLF.replace(b"\r\n", b"\n")).hexdigest()
    path = of_dvc_2.base / "store" / single[:2] / single[2:]
    path.write_bytes(CRLF.replace(b"1", b"3"))
    done = of_dvc_2.imgdata("pull", status=6)
    assert "t.csv: damaged on store" in done.stderr
    assert not (of_dvc_2.root / "t.csv").exists()


@pytest.mark.parametrize("split", [1, 3, 4, 5, 9, 20])
def test_line_ends_are_found_across_chunks(split: int) -> None:
    data = CRLF + b"\r\r\nend\r"
    digest = LegacyMd5()
    for begin in range(0, len(data), split):
        digest.update(data[begin : begin + split])
    wanted = data.replace(b"\r\n", b"\n")
    assert digest.hexdigest() == hashlib.md5(wanted).hexdigest()
    binary = LegacyMd5()
    binary.update(BINARY)
    assert binary.hexdigest() == hashlib.md5(BINARY).hexdigest()
