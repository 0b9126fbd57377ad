"""A release date opens data on its day by a server's clock too, and by no other."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from msgspec.structs import replace

from imgdata.errors import RefusedError
from imgdata.policy.restrictions import MayLeave, Restricted, Verdict
from imgdata.system.server_clock import server_time
from imgdata.testing.faulty_proxy import Say, always, faulty_proxy
from imgdata.testing.servers import BUCKET, S3Server
from imgdata.workflows.leaving import Gate
from imgdata.workflows.push import push, summary_error
from imgdata.workflows.push_plan import PushOptions
from tests.attackers.vault import Vault

RELEASE = datetime(2999, 1, 1, tzinfo=UTC)


class SetForward:
    """A clock that a person moved past the release date."""

    def now(self) -> datetime:
        return RELEASE + timedelta(days=1)


def says(moment: datetime) -> Say:
    return Say(403, headers=(("Date", format_datetime(moment, usegmt=True)),))


@pytest.fixture
def s3(vault: Vault, rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in rclone_s3.environment.items():
        monkeypatch.setenv(name, value)
    vault.edit(
        '  world: {url: "../world", public: true}\n',
        f'  world: {{url: "s3://{BUCKET}/world-{id(vault)}",'
        f' endpoint_url: "{rclone_s3.endpoint}", public: true}}\n',
    )
    vault.apply()
    vault.share()
    return rclone_s3


def verdict(gate: Gate, storage: str = "world") -> Verdict:
    clone = gate.clone
    unit = clone.units.find("raw", "P1")
    assert unit is not None
    return gate.verdict(unit, clone.open_storage(clone.config.storages[storage]))


@pytest.mark.server
def test_a_clock_set_forward_releases_nothing_where_a_server_answers(
    vault: Vault, s3: S3Server
) -> None:
    clone = replace(vault.project().clone, clock=SetForward())
    assert isinstance(verdict(Gate(clone)), Restricted)
    raw = [clone.config.levels["raw"]]
    error = summary_error(list(push(clone, raw, PushOptions(("world",)))))
    assert isinstance(error, RefusedError)
    assert "origin 'partner', restricted until 2999-01-01" in error.cause
    assert s3.folder is not None
    sent = list(s3.folder.glob(f"world-{id(vault)}/files/md5/*/*"))
    assert len(sent) == 4  # the lab's own plate and its list


def test_a_plan_from_what_is_remembered_asks_nobody(vault: Vault) -> None:
    clone = replace(vault.project().clone, clock=SetForward())
    assert isinstance(verdict(Gate(clone, ask=False)), MayLeave)


def test_where_no_server_is_known_the_local_day_decides(vault: Vault) -> None:
    clone = replace(vault.project().clone, clock=SetForward())
    assert isinstance(verdict(Gate(clone)), MayLeave)
    assert isinstance(verdict(Gate(vault.project().clone)), Restricted)


@pytest.mark.parametrize(("days", "kind"), [(-1, Restricted), (0, MayLeave), (400, MayLeave)])
def test_the_earlier_of_both_days_counts(vault: Vault, days: int, kind: type[Verdict]) -> None:
    clone = replace(vault.project().clone, clock=SetForward())
    with faulty_proxy(1, always(says(RELEASE + timedelta(days=days)))) as server:
        assert isinstance(verdict(Gate(clone, servers=(server.endpoint,))), kind)


def test_a_server_ahead_of_time_opens_nothing_either(vault: Vault) -> None:
    with faulty_proxy(1, always(says(RELEASE + timedelta(days=9)))) as server:
        gate = Gate(vault.project().clone, servers=(server.endpoint,))
        assert isinstance(verdict(gate), Restricted)
    assert server.requests == []  # its date could only have opened


def test_the_git_server_is_asked_where_the_storage_has_no_clock(vault: Vault) -> None:
    with faulty_proxy(1, always(says(RELEASE - timedelta(days=9)))) as server:
        vault.git("remote", "set-url", "origin", f"{server.endpoint}/lab/project.git")
        clone = replace(vault.project().clone, clock=SetForward())
        assert isinstance(verdict(Gate(clone)), Restricted)
    asked = [(one.method, one.path, "authorization" in one.headers) for one in server.requests]
    assert asked == [("HEAD", "/", False)]


@pytest.mark.parametrize("header", ["", "yesterday", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_an_answer_without_a_date_tells_nothing(header: str) -> None:
    with faulty_proxy(1, always(Say(200, headers=(("Date", header),)))) as server:
        assert server_time(server.endpoint) is None


@pytest.mark.parametrize("url", ["", "file:///etc/hostname", "ftp://127.0.0.1/", "http://[::1"])
def test_what_is_not_on_the_web_has_no_clock(url: str) -> None:
    assert server_time(url) is None
