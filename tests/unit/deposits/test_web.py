"""Tokens stay where they belong, and a server's words are harmless."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from imgdata.deposits.web import Patience, Web, plain
from imgdata.errors import ImgdataError
from imgdata.system.credentials import Token, find_token

SECRET = "a-secret-token"  # noqa: S105 - no secret


class _Handler(BaseHTTPRequestHandler):
    """Redirects, or answers with what it was told."""

    location = ""
    status = 200
    body = b"{}"
    seen: list[str | None]

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization"))
        self.send_response(302 if self.location else self.status)
        if self.location:
            self.send_header("Location", self.location)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)


@contextmanager
def _serving(**traits: object) -> Iterator[tuple[str, list[str | None]]]:
    seen: list[str | None] = []
    handler = type("Handler", (_Handler,), {**traits, "seen": seen})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_redirect_to_another_host_loses_the_token() -> None:
    with (
        _serving() as (other, seen_there),
        _serving(location=f"{other}/x") as (own, seen_here),
    ):
        web = Web(own, token=Token("zenodo", SECRET))
        web.get("/")
        web.close()
    assert seen_here == [f"Bearer {SECRET}"]
    assert seen_there == [None]


def test_bytes_from_another_host_are_asked_for_without_the_token() -> None:
    with (
        _serving(body=b"bytes") as (other, seen_there),
        _serving(location=f"{other}/x") as (own, seen_here),
    ):
        elsewhere = other.replace("127.0.0.1", "localhost")
        web = Web(own, token=Token("zenodo", SECRET))
        with web.stream("/file", 0) as chunks:
            assert b"".join(chunks) == b"bytes"
        with web.stream(f"{elsewhere}/y", 0) as chunks:
            assert b"".join(chunks) == b"bytes"
        web.close()
    assert seen_here == [f"Bearer {SECRET}"]
    assert seen_there == [None, None]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_a_token_a_server_repeats_is_not_shown(status: int) -> None:
    said = f'{{"message": "bad {SECRET} <b>x</b> \\u001b[2J"}}'.encode()
    with _serving(status=status, body=said) as (own, _seen):
        web = Web(own, token=Token("zenodo", SECRET), patience=Patience(tries=1))
        with pytest.raises(ImgdataError) as caught:
            web.get("/")
        web.close()
    text = f"{caught.value.problem}{caught.value.cause}{caught.value.remedy}"
    assert SECRET not in text
    assert "<b>" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("body", [b"", b"[1", b"<html>" + b"x" * 10_000, b"[" * 100_000, b"\xff"])
def test_an_answer_that_is_no_json_is_text(body: bytes) -> None:
    with _serving(body=body) as (own, _seen):
        web = Web(own)
        answer = web.get("/")
        web.close()
    assert answer.body is None or isinstance(answer.body, str)


def test_a_token_comes_from_the_environment_and_its_repr_hides_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IMGDATA_LAB_ZENODO_TOKEN", SECRET)
    token = find_token("lab-zenodo")
    assert token is not None
    assert token.secret == SECRET
    assert SECRET not in repr(token)


def test_a_servers_words_are_cut() -> None:
    assert plain("<script>alert(1)</script> a\x00b" + "y" * 9999).startswith("alert(1) a b")
    assert len(plain("y" * 9999)) == 600
