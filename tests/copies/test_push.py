"""A push of many units asks a storage for many at once, and never for more than memory holds."""

from collections.abc import Iterator

import pytest

from imgdata.model.objects import StoredObject
from imgdata.storage.local import LocalStorage
from imgdata.workflows import push
from imgdata.workflows.push import Pushed
from tests.copies.conftest import Lab

PLATES = ("P1", "P2", "P3", "P4", "P5")
FILES = 40


@pytest.fixture
def plates(lab: Lab) -> Lab:
    for name in PLATES:
        lab.add(name, FILES)
    return lab


@pytest.mark.parametrize(("at_once", "listings"), [(500_000, 1), (2 * FILES, 3), (1, 5)])
def test_what_is_there_is_found_in_as_few_listings_as_memory_allows(
    plates: Lab, monkeypatch: pytest.MonkeyPatch, at_once: int, listings: int
) -> None:
    monkeypatch.setattr(push, "ASKED_AT_ONCE", at_once)
    listed: list[str] = []
    whole = LocalStorage.list

    def list_and_note(storage: LocalStorage, under: str = "") -> Iterator[StoredObject]:
        listed.append(storage.description)
        return whole(storage, under)

    monkeypatch.setattr(LocalStorage, "list", list_and_note)
    first = [one for one in plates.push("raw") if isinstance(one, Pushed)]
    assert [one.sent for one in first] == [FILES + 1] * len(PLATES)
    listed.clear()
    again = [one for one in plates.push("raw") if isinstance(one, Pushed)]
    assert [(one.sent, one.present) for one in again] == [(0, FILES + 1)] * len(PLATES)
    assert listed.count(str(plates.base / "archive")) == listings
