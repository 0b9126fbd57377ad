"""Imported data go to a public storage only under a licence that lets them be passed on."""

import pytest

from imgdata.policy.licenses import sharing_fault
from tests.attackers.vault import PARTNER, Vault

OPEN = ("CC0-1.0", "CC0", "CC BY 4.0", "cc-by-4.0", "CC-BY-NC-4.0", "CC-BY-SA-4.0", "MIT",
        "https://creativecommons.org/licenses/by-nc/4.0/", "GPL-3.0-only",
        "https://creativecommons.org/publicdomain/zero/1.0/")  # fmt: skip
CLOSED = ("", "all rights reserved", "proprietary", "other-closed", "see the paper", "unknown")
NO_DERIVATIVES = ("CC-BY-ND-4.0", "CC-BY-NC-ND-4.0", "CC BY-ND 4.0")


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("is_derived", [False, True])
def test_open_licences_let_data_be_passed_on(name: str, is_derived: bool) -> None:
    assert sharing_fault(name, is_derived=is_derived) == ""


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("is_derived", [False, True])
def test_what_is_not_known_to_allow_it_does_not(name: str, is_derived: bool) -> None:
    assert "licence" in sharing_fault(name, is_derived=is_derived)


@pytest.mark.parametrize("name", NO_DERIVATIVES)
def test_no_derivatives_lets_the_original_go_and_nothing_made_of_it(name: str) -> None:
    assert sharing_fault(name, is_derived=False) == ""
    assert "derived" in sharing_fault(name, is_derived=True)


def licensed(vault: Vault, origin: str) -> None:
    vault.edit(PARTNER, f"  partner: {{{origin}}}\n")
    vault.share()


def push(vault: Vault, level: str) -> tuple[int, str]:
    answer = vault.imgdata("push", level, "--select", "plate=P1", "--to", "world")
    return answer.status, answer.said


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ("kind: public, access: open", "its licence is not stated"),
        ("kind: public, access: open, license: All rights reserved", "'All rights reserved'"),
        ("kind: academic-collaborator, access: open, license: proprietary", "'proprietary'"),
    ],
)
def test_a_licence_that_does_not_allow_it_is_refused(
    vault: Vault, origin: str, reason: str
) -> None:
    licensed(vault, origin)
    for level in ("raw", "masks"):
        status, said = push(vault, level)
        assert status == 5, said
        assert "origin 'partner'" in said
        assert reason in said
    assert vault.escaped() == set()


def test_no_derivatives_on_the_way_to_a_public_storage(vault: Vault) -> None:
    licensed(vault, "kind: public, access: open, license: CC-BY-ND-4.0")
    assert push(vault, "raw")[0] == 0
    status, said = push(vault, "masks")
    assert status == 5
    assert "CC-BY-ND-4.0 allows no derived works" in said


@pytest.mark.parametrize(
    "origin",
    [
        "kind: public, access: open, license: CC-BY-4.0",
        "kind: public, access: open, license: unknown, may_leave: [raw, masks]",
        "kind: academic-collaborator, access: open",
        "kind: own",
    ],
)
def test_a_licence_that_allows_it_or_a_written_rule_lets_it_go(vault: Vault, origin: str) -> None:
    licensed(vault, origin)
    for level in ("raw", "masks"):
        status, said = push(vault, level)
        assert status == 0, said


def test_a_private_storage_asks_for_no_licence(vault: Vault) -> None:
    licensed(vault, "kind: public, access: open, license: All rights reserved")
    vault.ok("push", "raw", "--to", "second")
