"""What plain `dvc push` would read: restricted units name no public storage."""

import pytest

from tests.attackers.vault import PARTNER, Vault

RAW = 'key: "{plate}/{well}_{site}.tif"\n    storage: archive\n  extra'


def raw_to_the_world(vault: Vault, storages: str) -> None:
    vault.edit(RAW, RAW.replace("storage: archive", f"storage: [{storages}]"))
    vault.commit()


def remote(vault: Vault, path: str) -> str:
    text = (vault.root / path).read_text()
    named = text.partition("remote: ")[2].partition("\n")[0]
    return named or ("nothing" if "push: false" in text else "default")


def test_apply_names_the_next_storage_for_the_restricted_plate_alone(vault: Vault) -> None:
    raw_to_the_world(vault, "world, archive")
    vault.apply()
    assert remote(vault, "data/raw/P9.dvc") == "world"
    assert remote(vault, "data/raw/P1.dvc") in {"archive", "default"}
    assert "remote = archive" in (vault.root / ".dvc/config").read_text()


def test_without_another_storage_plain_dvc_must_not_push_it(vault: Vault) -> None:
    raw_to_the_world(vault, "world")
    vault.apply()
    assert remote(vault, "data/raw/P1.dvc") == "nothing"
    assert remote(vault, "data/raw/P9.dvc") == "world"


def test_push_finds_a_record_that_names_a_public_remote(vault: Vault) -> None:
    raw_to_the_world(vault, "world, archive")
    vault.apply()
    record = vault.root / "data/raw/P1.dvc"
    record.write_text(record.read_text().replace("remote: archive", "remote: world"))
    answer = vault.imgdata("push", "raw")
    assert answer.status == 2
    assert "data/raw/P1.dvc: data/raw/P1 should say remote archive" in answer.said
    assert "restricted, 'world' is public" in answer.said
    assert "data/raw/P1" in vault.imgdata("status").said
    vault.apply()
    assert "world" not in record.read_text()


def test_a_plate_is_added_without_a_public_remote(vault: Vault) -> None:
    raw_to_the_world(vault, "world")
    vault.apply()
    for name, origin in (("P6", "partner"), ("P7", "lab")):
        folder = vault.source(name)
        (folder / "B02_1.tif").write_bytes(name.encode())
        vault.ok("add", "raw", folder, "--origin", origin)
    assert remote(vault, "data/raw/P6.dvc") == "nothing"
    assert remote(vault, "data/raw/P7.dvc") == "world"


def test_a_definition_that_makes_both_follows_the_stricter(vault: Vault) -> None:
    masks = 'key: "{plate}/{well}_{site}.tif"\n    storage: archive\n  pooled'
    vault.edit(masks, masks.replace("storage: archive", "storage: [world, second]"))
    vault.commit()
    vault.apply()
    assert '"data/masks/${item}": {remote: second}' in (vault.root / "dvc.yaml").read_text()


def test_once_released_on_the_release_branch_the_record_may_name_it(vault: Vault) -> None:
    raw_to_the_world(vault, "world, archive")
    vault.apply()
    vault.edit(PARTNER, "  partner: {kind: academic-collaborator, access: open}\n")
    vault.share()
    vault.apply()
    assert remote(vault, "data/raw/P1.dvc") == "world"


@pytest.mark.parametrize("words", [("storage", "add", "mirror", "../mirror", "--level", "raw")])
def test_adding_a_storage_keeps_records_off_the_public_one(
    vault: Vault, words: tuple[str, ...]
) -> None:
    raw_to_the_world(vault, "world")
    vault.apply()
    vault.ok(*words)
    assert remote(vault, "data/raw/P1.dvc") == "mirror"
