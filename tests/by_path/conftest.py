"""A DVC repository that imgdata does not know, made with plain dvc, and the commands in it."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, field

from imgdata.testing.small_project import call, environment

PIPELINE = """\
stages:
  count:
    foreach: [P1, P2]
    do:
      cmd: mkdir -p counts && ls data/${item} > counts/${item}.txt
      deps: [data/P1]
      outs: ["counts/${item}.txt"]
  sum:
    cmd: cat counts/*.txt > sum.txt && echo 1 > metrics.json
    deps: [counts/P1.txt, counts/P2.txt]
    outs:
      - sum.txt: {remote: other}
    metrics:
      - metrics.json: {cache: false}
  scratch:
    cmd: echo x > scratch.txt
    outs:
      - scratch.txt: {push: false}
"""


class Repository(Struct, frozen=True):
    """A folder with `repo` and its remotes `store` and `other` beside it."""

    base: Path
    name: str = "repo"
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The repository."""
        return self.base / self.name

    @property
    def environment(self) -> dict[str, str]:
        """DVC's state rows go to a folder of the test."""
        return {**environment(), "DVC_SITE_CACHE_DIR": str(self.base / "site"), **self.variables}

    def imgdata(
        self, *words: str | Path, status: int = 0, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run imgdata, which must end with a status."""
        done = call(cwd or self.root, "imgdata", *words, check=False, env=self.environment)
        assert done.returncode == status, f"{words}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def results(self, *words: str | Path, status: int = 0) -> list[dict[str, Any]]:
        """Run imgdata with `--json` and return its results."""
        found: list[dict[str, Any]] = json.loads(
            self.imgdata(*words, "--json", status=status).stdout
        )["results"]
        return found

    def dvc(self, *words: str | Path) -> str:
        """Run plain dvc, which must end well."""
        return call(self.root, "dvc", *words, env=self.environment).stdout

    def dvc_says(self, *words: str) -> Any:
        """Return what plain dvc answers as JSON."""
        return json.loads(self.dvc(*words, "--json"))

    def git(self, *words: str | Path) -> str:
        """Run git."""
        return call(self.root, "git", *words, env=self.environment).stdout

    def clone(self, name: str = "clone") -> "Repository":
        """Return a fresh git clone beside it."""
        call(self.base, "git", "clone", "--quiet", self.root, self.base / name)
        return Repository(self.base, name, self.variables)

    def is_untouched(self) -> bool:
        """Tell whether git sees no change and imgdata left nothing of its own."""
        own = [name for name in ("imgdata.yaml", ".imgdata") if (self.root / name).exists()]
        return not own and not self.git("status", "--porcelain", "--untracked-files=all")


def start(base: Path, name: str = "repo") -> Repository:
    """Make an empty DVC repository."""
    repository = Repository(base, name)
    repository.root.mkdir(parents=True)
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.dvc("init", "--quiet")
    return repository


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository, run and committed, with nothing pushed; not to be changed."""
    base = tmp_path_factory.mktemp("by-path")
    home = {"HOME": str(base), "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@lab.example"}
    committer = {"GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@lab.example"}
    repository = Repository(base, "repo", {**home, **committer})
    root = repository.root
    for plate in ("P1", "P2"):
        (root / "data" / plate / "sub").mkdir(parents=True)
        for number in range(3):
            (root / "data" / plate / f"{number}.tif").write_text(f"{plate} {number}")
        (root / "data" / plate / "sub" / "a.tif").write_text(f"{plate} a")
    program = root / "tool.bin"
    program.write_text("a program")
    program.chmod(0o755)
    (root / "empty").mkdir()
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.dvc("init", "--quiet")
    (root / ".dvc" / "config").write_text(
        "[core]\n    remote = store\n['remote \"store\"']\n    url = ../../store\n"
        "['remote \"other\"']\n    url = ../../other\n"
        "['remote \"bucket\"']\n    url = gs://bucket/x\n"
    )
    repository.dvc("add", "--quiet", "data/P1", "data/P2", "tool.bin", "empty")
    (root / "dvc.yaml").write_text(PIPELINE)
    repository.dvc("repro", "--quiet")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "-m", "Plain DVC")
    return base


@pytest.fixture
def repository(made: Path, tmp_path: Path) -> Repository:
    """A copy of the repository to work on and to spoil."""
    base = tmp_path / "work"
    shutil.copytree(made / "repo", base / "repo", symlinks=True)
    return Repository(base)
