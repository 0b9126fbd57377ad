"""The Figshare connector against a small server; all they say fits Figshare's description."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from imgdata.deposits.figshare import Figshare, FigshareService
from imgdata.deposits.web import Patience
from imgdata.errors import CredentialsError, DamagedError, RefusedError, StorageError, UsageError
from imgdata.model.deposits import DepositPlan, DepositState
from imgdata.system.credentials import Token
from imgdata.testing import depository, small_figshare
from imgdata.testing.depository import (
    METADATA,
    PLATES,
    DepositoryContract,
    MemoryLog,
    level_files,
    readme,
)
from imgdata.testing.small_figshare import SmallFigshare
from imgdata.testing.small_site import Fault
from imgdata.workflows.publish import deposit, discard, publish
from imgdata.workflows.remembered_deposits import Desk


@pytest.fixture
def site() -> Iterator[SmallFigshare]:
    with small_figshare.serve() as served:
        yield served


@pytest.fixture
def desk(site: SmallFigshare) -> Iterator[Desk]:
    token = Token("figshare", small_figshare.TOKEN)
    opened = Figshare(f"{site.base}/v2", token, Patience(tries=2, first_wait=0, timeout=5))
    yield Desk("zenodo", opened, MemoryLog())
    opened.close()


class TestFigshare(DepositoryContract):
    @pytest.fixture
    def desk(self, site: SmallFigshare) -> Iterator[Desk]:
        token = Token("figshare", small_figshare.TOKEN)
        opened = Figshare(f"{site.base}/v2", token, Patience(tries=2, first_wait=0, timeout=5))
        yield Desk("zenodo", opened, MemoryLog())
        opened.close()


def plan_of(folder: Path) -> DepositPlan:
    return depository.plan_of(level_files(folder, PLATES))


@pytest.mark.specs
def test_all_requests_and_answers_fit_figshares_description(
    desk: Desk, site: SmallFigshare, tmp_path: Path, specs: Path
) -> None:
    document = json.loads((specs / "figshare-v2.0-openapi.json").read_text())
    document["servers"] = [{"url": "https://api.figshare.com/v2"}]
    _without_security(document)
    api = OpenAPI.from_dict(document)
    deposit(plan_of(tmp_path), desk, readme)
    publish(desk, ["masks"])
    assert len(site.exchanges) > 20
    for one in site.exchanges:
        request = MockRequest(
            "https://api.figshare.com",
            one.method.lower(),
            f"/v2{one.path}",
            args=dict(pair.split("=") for pair in one.query.split("&") if pair),
            headers={"Authorization": "token x"},
            data=one.body or None,
        )
        errors = list(api.iter_request_errors(request))
        assert errors == [], f"{one.method} {one.path}: {_reasons(errors)}"
        _answer_fits(api, request, one)


def _without_security(document: dict[str, Any]) -> None:
    """The description knows OAuth2 only; the service takes tokens."""
    document.pop("security", None)
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                operation.pop("security", None)


def _reasons(errors: Sequence[Exception]) -> list[str]:
    return [
        f"{list(reason.absolute_path)}: {reason.message}"
        for error in errors
        for reason in getattr(error.__cause__, "schema_errors", ())
    ]


def _answer_fits(api: OpenAPI, request: MockRequest, one: small_figshare.Exchange) -> None:
    response = MockResponse(one.answer, one.status)
    errors = list(api.iter_response_errors(request, response)) if one.answer else []
    assert errors == [], f"{one.method} {one.path}: {_reasons(errors)}"


def test_a_file_that_figshare_finds_broken_is_named_at_once(
    desk: Desk, site: SmallFigshare, tmp_path: Path
) -> None:
    site.breaks = True
    with pytest.raises(DamagedError, match="does not arrive as it was sent"):
        deposit(plan_of(tmp_path), desk, readme)
    asked = [one.path for one in site.requests if one.method == "GET" and "/files/" in one.path]
    assert len(asked) <= 4, "told that it failed, it does not wait for it to succeed"
    site.breaks = False
    assert len(deposit(plan_of(tmp_path), desk, readme).deposit.files) == 4


def test_a_published_item_is_not_deleted_with_the_draft_of_its_next_version(
    desk: Desk, site: SmallFigshare, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path)
    deposit(plan, desk, readme)
    first = publish(desk, ["masks"])
    news = replace(plan, metadata=replace(plan.metadata, title="Another title"))
    second = deposit(news, desk, readme, new_version=True).deposit
    assert second.identifier == first.identifier, "all versions are one item"
    with pytest.raises(RefusedError, match="published"):
        discard(desk, second.identifier)
    assert len(site.live) == 1


def test_parts_that_arrived_are_not_sent_again(
    desk: Desk, site: SmallFigshare, tmp_path: Path
) -> None:
    site.faults.append(Fault("PUT", "/upload/.*/2$", 0, times=2))
    with pytest.raises(StorageError):
        deposit(plan_of(tmp_path), desk, readme)
    first = list(site.sent_parts)
    deposit(plan_of(tmp_path), desk, readme)
    again = site.sent_parts[len(first) :]
    assert first
    assert not set(first) & set(again)
    assert len(site.articles) == 1


def test_the_accounts_token_stays_away_from_the_upload_service(
    desk: Desk, site: SmallFigshare, tmp_path: Path
) -> None:
    deposit(plan_of(tmp_path), desk, readme)
    assert site.tokens_at_parts
    assert set(site.tokens_at_parts) == {None}


@pytest.mark.parametrize("status", [0, 504])
def test_an_unclear_creation_is_found_again(
    desk: Desk, site: SmallFigshare, tmp_path: Path, status: int
) -> None:
    site.faults.append(Fault("POST", "/v2/account/articles$", status, after=True))
    with pytest.raises(StorageError):
        deposit(plan_of(tmp_path), desk, readme)
    deposit(plan_of(tmp_path), desk, readme)
    (article,) = site.articles.values()
    assert article.body["keywords"] == ["Cell Painting"]


@pytest.mark.parametrize("status", [0, 504])
def test_an_unclear_publish_is_followed_by_reading(
    desk: Desk, site: SmallFigshare, tmp_path: Path, status: int
) -> None:
    deposit(plan_of(tmp_path), desk, readme)
    site.faults.append(Fault("POST", "/publish$", status, after=True))
    assert publish(desk, ["masks"]).state is DepositState.PUBLISHED
    (article,) = site.articles.values()
    assert article.version == 1


def test_a_file_that_arrives_wrong_is_named(
    desk: Desk, site: SmallFigshare, tmp_path: Path
) -> None:
    site.spoil = True
    with pytest.raises(DamagedError, match="does not arrive"):
        deposit(plan_of(tmp_path), desk, readme)


def test_licences_and_categories_are_looked_up(desk: Desk, tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    unknown = replace(plan, metadata=replace(METADATA, license="MIT"))
    with pytest.raises(UsageError, match="does not offer the licence MIT"):
        deposit(unknown, desk, readme)
    strange = replace(METADATA, answers=(("figshare.categories", "Alchemy"),))
    with pytest.raises(UsageError, match="no category 'Alchemy'"):
        deposit(replace(plan, metadata=strange), desk, readme)
    assert [q.name for q in FigshareService().asks(METADATA)] == ["figshare.categories"]


def test_a_wrong_token_is_refused_and_never_shown(site: SmallFigshare, tmp_path: Path) -> None:
    opened = Figshare(f"{site.base}/v2", Token("figshare", "wrong-secret"))
    with pytest.raises(CredentialsError) as caught:
        deposit(plan_of(tmp_path), Desk("figshare", opened, MemoryLog()), readme)
    opened.close()
    assert "wrong-secret" not in f"{caught.value.problem} {caught.value.cause} {opened!r}"
