"""A token goes from a hidden prompt or a pipe into the keyring, and nowhere else."""

import subprocess
import sys
from pathlib import Path

from imgdata.api import init_project

SECRET = "a-token-nobody-sees"  # noqa: S105 - no secret
KEYRING = """
import json, pathlib
from keyring.backend import KeyringBackend

class FileKeyring(KeyringBackend):
    priority = 1
    path = pathlib.Path(__file__).with_name("kept.json")
    def get_password(self, service, username):
        return json.loads(self.path.read_text()).get(username) if self.path.exists() else None
    def set_password(self, service, username, password):
        self.path.write_text(json.dumps({username: password}))
"""


def _login(root: Path, name: str, backend: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "imgdata"
    return subprocess.run(
        [program, "--project", root, "storage", "login", name],
        input=SECRET + "\n",
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(root.parent),
            "PYTHONPATH": str(backend),
            "PYTHON_KEYRING_BACKEND": "file_keyring.FileKeyring",
        },
    )


def test_a_piped_token_is_kept_and_not_shown(tmp_path: Path) -> None:
    backend = tmp_path / "backend"
    backend.mkdir()
    (backend / "file_keyring.py").write_text(KEYRING)
    root = tmp_path / "project"
    init_project(root, template="minimal", title="T")
    config = root / "imgdata.yaml"
    config.write_text(
        f'{config.read_text()}\nrepositories: {{zenodo: {{url: "zenodo:sandbox"}}}}\n'
    )
    done = _login(root, "zenodo", backend)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert SECRET in (backend / "kept.json").read_text()
    files = [path for path in root.rglob("*") if path.is_file() and ".git/" not in str(path)]
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
    assert _login(root, "nobody", backend).returncode == 2
