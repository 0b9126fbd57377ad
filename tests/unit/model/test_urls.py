"""A url that holds a secret is recognised, whatever characters the secret has."""

import pytest

from imgdata.model.urls import holds_secret


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAEXAMPLE:wJalrXUtnFEMI@bucket/x",
        "s3://AKIAEXAMPLE:wJalr/XUtn/FEMI@bucket/x",
        "s3://AKIAEXAMPLE:wJalr#XUtn@bucket",
        "https://ada:s3?cret@host/x",
        "HTTP://ada:s3cret@host",
        "s3://AKIAEXAMPLE:12/x@bucket",
        "webdavs://ada:a@b@host",
    ],
)
def test_a_secret_is_seen_with_any_character_in_it(url: str) -> None:
    assert holds_secret(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a:b@c",
        "ssh://ada@host:2222/folder",
        "http://[::1]:9000",
        "https://host:443",
        "https://host:/x",
        "ssh://host:x/folder",
        "/mnt/a:b@c",
        "drive:RED-07/nf1",
        "rclone:remote:path",
    ],
)
def test_a_name_a_port_or_a_path_is_no_secret(url: str) -> None:
    assert not holds_secret(url)
