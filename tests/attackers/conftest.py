"""One vault for all attempts of a worker; each attempt spoils a copy."""

import os
from pathlib import Path

import pytest

from tests.attackers.vault import Vault, make_vault


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """The vault nobody touches."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada Lovelace\n\temail = ada@lab.example\n[init]\n\tdefaultBranch = main\n"
    )
    before = os.environ.get("HOME", "")
    os.environ["HOME"] = str(home)
    try:
        return make_vault(tmp_path_factory.mktemp("sealed"))
    finally:
        os.environ["HOME"] = before


@pytest.fixture
def vault(sealed: Vault, tmp_path: Path) -> Vault:
    """A copy to attack."""
    return sealed.copy_to(tmp_path / "vault")
