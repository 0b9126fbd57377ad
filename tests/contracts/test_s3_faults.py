"""S3 behind a network that breaks, and in front of servers that say no."""

import datetime as dt
import ipaddress
import os
import re
import ssl
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from imgdata.errors import (
    CredentialsError,
    DamagedError,
    ForbiddenError,
    ImgdataError,
    StorageError,
)
from imgdata.ports import CanWriteIfAbsent
from imgdata.storage.aws import find_account
from imgdata.storage.object_store import MEBIBYTE, Limits, ObjectStorage
from imgdata.storage.s3 import S3Settings, bucket_address, connect
from imgdata.testing.faulty_proxy import (
    BROKEN,
    SLOWLY,
    CorruptDownload,
    CorruptUpload,
    Delay,
    Drop,
    DropAnswer,
    Edit,
    Fault,
    FaultyProxy,
    Headers,
    Lie,
    Lose,
    Rule,
    Say,
    Truncate,
    Unannounced,
    always,
    every,
    faulty_proxy,
    first,
    never,
)
from imgdata.testing.servers import BUCKET, S3Server, free_port
from imgdata.testing.storage import KEY, fetch, keys, md5, store

pytestmark = pytest.mark.server

QUICK = Limits(retries=0)
PATIENT = Limits(retries=4)
IN_RANGES = Limits(whole_read=200_000, piece=100_000, retries=4)


@pytest.fixture
def proxy(moto_s3: S3Server) -> Iterator[FaultyProxy]:
    with faulty_proxy(moto_s3.port) as running:
        yield running


Connect = Callable[..., ObjectStorage]


@pytest.fixture
def connected(moto_s3: S3Server, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Opens a fresh prefix of the server behind the proxy."""

    def connect_to(
        limits: Limits = PATIENT, *, conditional_put: bool = False, **environment: str
    ) -> ObjectStorage:
        for name, value in {**moto_s3.environment, **environment}.items():
            monkeypatch.setenv(name, value)
        address = bucket_address("lab", environment.get("URL") or moto_s3.fresh_url())
        endpoint = environment.get("ENDPOINT") or proxy.endpoint
        settings = S3Settings(endpoint, conditional_put=conditional_put)
        return connect(settings, address, find_account(None, "lab"), Path("/"), limits)

    return connect_to


OBJECTS = {f"files/{number:02d}": bytes([number]) * (number * 1000) for number in range(24)}


@pytest.mark.parametrize(
    "rule",
    [
        every(3, Drop()),
        every(3, DropAnswer()),
        every(3, BROKEN),
        every(5, SLOWLY),
        every(2, Delay(0.05)),
        every(3, Truncate(500), "GET"),
        every(5, Lie(+10), "GET"),
    ],
    ids=["drop", "drop-answer", "500", "slow-down", "delay", "truncated", "lying-length"],
)
def test_what_breaks_now_and_then_is_tried_again(
    connected: Connect, proxy: FaultyProxy, rule: Rule
) -> None:
    storage = connected()
    proxy.rule = rule
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: store(storage, *item), OBJECTS.items()))
        back = dict(zip(OBJECTS, pool.map(lambda key: fetch(storage, key), OBJECTS), strict=True))
    assert back == OBJECTS
    assert keys(storage) == sorted(OBJECTS)


def backwards(headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """Turn the order of a listing round."""
    found = re.findall(rb"<Contents>.*?</Contents>", body, re.DOTALL)
    places = iter(reversed(found))
    return headers, re.sub(
        rb"<Contents>.*?</Contents>", lambda _: next(places), body, flags=re.DOTALL
    )


def test_a_listing_in_any_order_is_read_whole(connected: Connect, proxy: FaultyProxy) -> None:
    storage = connected()
    for key, data in OBJECTS.items():
        store(storage, key, data)
    proxy.rule = always(Edit(backwards), "GET")
    assert keys(storage) == sorted(OBJECTS)


@pytest.mark.parametrize("keep", [0, 150_000, 250_000])
def test_a_big_object_whose_body_breaks_goes_on_where_it_was(
    connected: Connect, proxy: FaultyProxy, keep: int
) -> None:
    data = os.urandom(1_000_000)
    for limits in (PATIENT, IN_RANGES):
        storage = connected(limits)
        store(storage, KEY, data)
        proxy.rule = first(2, Truncate(keep), "GET")
        assert fetch(storage, KEY) == data
        proxy.rule = never


@pytest.mark.parametrize("fault", [Truncate(100), Lie(+50), Drop(), BROKEN])
@pytest.mark.parametrize("limits", [QUICK, Limits(whole_read=100, piece=400, retries=0)])
def test_half_an_object_is_never_taken_for_whole(
    connected: Connect, proxy: FaultyProxy, fault: Fault, limits: Limits
) -> None:
    storage = connected(limits)
    store(storage, KEY, b"x" * 1000)
    proxy.rule = always(fault, "GET")
    with pytest.raises((StorageError, DamagedError)):
        fetch(storage, KEY)
    with pytest.raises((StorageError, DamagedError)):
        storage.read_range(KEY, 0, 900)


def test_an_upload_that_arrives_changed_has_no_proven_md5(
    connected: Connect, proxy: FaultyProxy
) -> None:
    storage = connected()
    proxy.rule = always(CorruptUpload(), "PUT")
    data = b"x" * 1000
    written = storage.write(f"files/md5/{md5(data)[:2]}/{md5(data)[2:]}", [data], 1000)
    assert written.md5 is None
    proxy.rule = never
    assert store(storage, f"files/md5/{md5(data)[:2]}/{md5(data)[2:]}", data).md5 == md5(data)


def test_a_download_that_arrives_changed_is_what_the_reader_hashes(
    connected: Connect, proxy: FaultyProxy
) -> None:
    storage = connected()
    store(storage, KEY, b"x" * 1000)
    proxy.rule = always(CorruptDownload(), "GET")
    assert md5(fetch(storage, KEY)) != md5(b"x" * 1000)


def test_an_object_the_server_forgot_is_missing_in_the_listing(
    connected: Connect, proxy: FaultyProxy
) -> None:
    storage = connected()
    proxy.rule = every(10, Lose(), "PUT")
    for key, data in OBJECTS.items():
        store(storage, key, data)
    assert len(keys(storage)) == len(OBJECTS) - 2


def test_an_upload_in_parts_that_breaks_leaves_no_object(
    connected: Connect, proxy: FaultyProxy
) -> None:
    storage = connected(Limits(single_put=1000, part=5 * MEBIBYTE, retries=0))
    proxy.rule = lambda request: BROKEN if "partNumber=2" in request.path else None
    with pytest.raises(StorageError):
        storage.write(KEY, [b"x" * MEBIBYTE] * 11, 11 * MEBIBYTE)
    assert storage.stat(KEY) is None
    proxy.rule = never
    assert storage.write(KEY, [b"x" * MEBIBYTE] * 11, 11 * MEBIBYTE).md5 is None
    assert md5(fetch(storage, KEY)) == md5(b"x" * 11 * MEBIBYTE)


def said(status: int, code: str, words: str = "No.") -> Say:
    return Say(status, f"<Error><Code>{code}</Code><Message>{words}</Message></Error>".encode())


@pytest.mark.parametrize(
    "passing", [said(400, "RequestTimeout"), said(409, "OperationAborted"), said(400, "BadDigest")]
)
def test_a_refusal_of_a_bad_moment_is_tried_again(
    connected: Connect, proxy: FaultyProxy, passing: Fault
) -> None:
    storage = connected()
    proxy.rule = first(2, passing, "PUT")
    assert store(storage, KEY, b"content").size == 7
    assert fetch(storage, KEY) == b"content"


def test_a_conflict_of_two_writers_is_not_taken_for_an_object_that_exists(
    connected: Connect, proxy: FaultyProxy
) -> None:
    storage = connected(conditional_put=True)
    assert isinstance(storage, CanWriteIfAbsent)
    proxy.rule = first(2, said(409, "ConditionalRequestConflict"), "PUT")
    assert storage.write_if_absent(KEY, b"mine")
    proxy.rule = always(said(409, "ConditionalRequestConflict"), "PUT")
    with pytest.raises(StorageError, match="something else is done"):
        storage.write_if_absent("other", b"mine")


def test_the_region_that_a_server_names_is_told(connected: Connect, proxy: FaultyProxy) -> None:
    named = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
    storage = connected(QUICK)
    proxy.rule = always(Say(400, named))
    for use in uses(storage):
        with pytest.raises(StorageError, match="another region") as caught:
            use()
        assert caught.value.remedy.endswith("the region of the bucket: eu-west-1")


def test_an_answer_that_does_not_say_how_long_it_is_is_told(
    connected: Connect, proxy: FaultyProxy
) -> None:
    storage = connected(QUICK)
    store(storage, KEY, b"content")
    proxy.rule = always(Unannounced())
    for use in (lambda: fetch(storage, KEY), lambda: storage.stat(KEY)):
        with pytest.raises(StorageError, match="answer is incomplete"):
            use()


@pytest.mark.parametrize(
    ("fault", "kind", "word"),
    [
        (SLOWLY, StorageError, "slow down"),
        (BROKEN, StorageError, "failed again and again"),
        (said(403, "RequestTimeTooSkewed"), StorageError, "time of this machine"),
        (said(400, "ExpiredToken"), CredentialsError, "credentials are refused"),
        (said(301, "PermanentRedirect"), StorageError, "another region"),
        (said(403, "QuotaExceeded"), StorageError, "storage is full"),
        (said(403, "AccessDenied"), ForbiddenError, "permission denied"),
        (said(400, "XAmzContentSHA256Mismatch"), StorageError, "arrived damaged"),
        (said(400, "RequestTimeout"), StorageError, "too slowly"),
        (said(409, "OperationAborted"), StorageError, "something else is done"),
        (said(409, "ConditionalRequestConflict"), StorageError, "something else is done"),
        (said(400, "EntityTooLarge"), StorageError, "too large for the server"),
        (Say(413, b"<html>a proxy's page</html>"), StorageError, "too large for the server"),
        (said(400, "KMS.DisabledException"), ForbiddenError, "encryption key cannot be used"),
        (said(403, "AccessDenied", "to perform: kms:Decrypt"), ForbiddenError, "encryption key"),
        (said(501, "NotImplemented"), StorageError, "the server cannot do this"),
        (said(418, "Teapot"), StorageError, "could not write"),
        (Say(403, b"<html>a proxy's page</html>"), ForbiddenError, "permission denied"),
        (Drop(), StorageError, "connection broke"),
    ],
)
def test_every_refusal_is_a_sentence(
    connected: Connect, proxy: FaultyProxy, fault: Fault, kind: type[ImgdataError], word: str
) -> None:
    storage = connected(QUICK)
    proxy.rule = always(fault)
    for use in uses(storage):
        with pytest.raises(kind) as caught:
            use()
        assert type(caught.value) is kind
    with pytest.raises(kind, match=word) as caught:
        store(storage, KEY, b"x")
    assert caught.value.cause
    assert caught.value.remedy


def uses(storage: ObjectStorage) -> list[Callable[[], object]]:
    return [
        lambda: store(storage, KEY, b"x"),
        lambda: storage.stat(KEY),
        lambda: fetch(storage, KEY),
        lambda: keys(storage),
        lambda: storage.erase(KEY),
        lambda: storage.read_range(KEY, 0, 1),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"AWS_SECRET_ACCESS_KEY": "not-the-secret-of-this-key"},
        {"AWS_ACCESS_KEY_ID": "AKIANOBODYKNOWSTHIS1"},
    ],
)
def test_wrong_keys_are_refused_credentials_and_no_secret_is_told(
    connected: Connect, moto_s3: S3Server, wrong: dict[str, str]
) -> None:
    storage = connected(QUICK, **wrong)
    for use in uses(storage):
        with pytest.raises(CredentialsError, match="credentials are refused") as caught:
            use()
        told = "".join(traceback.format_exception(caught.value)) + repr(vars(storage))
        told += caught.value.cause + caught.value.remedy
        assert moto_s3.secret_key not in told
        assert "not-the-secret" not in told


def test_a_missing_bucket_is_not_taken_for_missing_objects(connected: Connect) -> None:
    for number in range(6):
        storage = connected(QUICK, URL="s3://no-such-bucket-here/x")
        with pytest.raises(StorageError, match="no such bucket"):
            uses(storage)[number]()


def test_who_may_only_read_can_read_and_is_told_when_writing(
    connected: Connect, moto_s3: S3Server
) -> None:
    writer = connected(QUICK)
    store(writer, KEY, b"content")
    reader = connected(
        QUICK,
        URL=writer.description,
        AWS_ACCESS_KEY_ID=moto_s3.reader_key,
        AWS_SECRET_ACCESS_KEY=moto_s3.reader_secret,
    )
    assert fetch(reader, KEY) == b"content"
    assert keys(reader) == [KEY]
    for use in (lambda: store(reader, KEY, b"x"), lambda: reader.erase(KEY)):
        with pytest.raises(StorageError, match="permission denied") as caught:
            use()
        assert type(caught.value) is ForbiddenError
    assert fetch(writer, KEY) == b"content"


@pytest.mark.parametrize(
    ("endpoint", "word"),
    [
        ("http://127.0.0.1:{closed}", "connection was refused"),
        ("http://no-such-host.invalid", "name is not known"),
        ("https://127.0.0.1:{plain}", "no secure connection"),
    ],
)
def test_a_server_that_cannot_be_reached_is_told(
    connected: Connect, moto_s3: S3Server, endpoint: str, word: str
) -> None:
    url = endpoint.format(closed=free_port(), plain=moto_s3.port)
    storage = connected(QUICK, ENDPOINT=url)
    for use in uses(storage):
        with pytest.raises(StorageError, match=word):
            use()


def test_a_certificate_of_ones_own_is_trusted_when_named(
    moto_s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto_s3.environment.items():
        monkeypatch.setenv(name, value)
    certificate = own_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, tmp_path / "server.key")
    with faulty_proxy(moto_s3.port, tls=tls) as proxy:
        address = bucket_address("lab", moto_s3.fresh_url())
        account = find_account(None, "lab")
        stranger = S3Settings(proxy.endpoint)
        with pytest.raises(StorageError, match="no secure connection"):
            keys(connect(stranger, address, account, tmp_path, QUICK))
        known = S3Settings(proxy.endpoint, ssl_verify="authority.pem")
        storage = connect(known, address, account, tmp_path, QUICK)
        store(storage, KEY, b"over tls")
        assert fetch(storage, KEY) == b"over tls"


def own_certificate(folder: Path) -> Path:
    """Write an authority's certificate, and one it signed for a server on loopback."""
    ours, theirs = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority, server = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        for name in ("lab authority", "lab server")
    )
    now = dt.datetime.now(dt.UTC)

    def made(name: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder(authority, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(address, critical=False)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(ours, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    (folder / "authority.pem").write_bytes(made(authority, ours, ca=True))
    (folder / "server.pem").write_bytes(made(server, theirs, ca=False))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    private = theirs.private_bytes(serialization.Encoding.PEM, form, plain)
    (folder / "server.key").write_bytes(private)
    return folder / "server.pem"


def test_a_public_bucket_needs_no_credentials(rclone_s3: S3Server, tmp_path: Path) -> None:
    with faulty_proxy(rclone_s3.port, always(Lose())) as proxy:
        settings = S3Settings(proxy.endpoint, anonymous=True)
        storage = connect(settings, bucket_address("public", f"s3://{BUCKET}"), None, tmp_path)
        store(storage, KEY, b"")
    assert [request.method for request in proxy.requests] == ["PUT"]
    assert "authorization" not in proxy.requests[0].headers
