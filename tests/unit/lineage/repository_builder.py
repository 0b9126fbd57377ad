"""Makes small git repositories with DVC files and DataLad messages, commit by commit."""

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from imgdata.lineage.answer import Answer
from imgdata.lineage.json_form import answer_json
from imgdata.tracking.git_lineage import open_repository
from imgdata.workflows.lineage import Question
from imgdata.workflows.lineage_questions import answer


def md5(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Repository:
    """A working tree under construction."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")
        self.clock = 1_700_000_000

    def git(self, *args: str) -> str:
        done = subprocess.run(["git", *args], cwd=self.root, check=True, capture_output=True)
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def write(self, files: Mapping[str, Any]) -> "Repository":
        """Write files; a mapping becomes YAML, bytes stay, None deletes."""
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            elif isinstance(content, bytes):
                path.write_bytes(content)
            elif isinstance(content, str):
                path.write_text(content)
            else:
                path.write_text(yaml.safe_dump(content, sort_keys=False, width=80))
        return self

    def commit(self, message: str = "change", **files: Any) -> str:
        self.write(files)
        self.git("add", "-A")
        self.clock += 60
        when = f"{self.clock} +0100"
        subprocess.run(
            ["git", "commit", "-q", "--allow-empty", "-F", "-"],
            cwd=self.root,
            check=True,
            input=message.encode(),
            env={
                "PATH": "/usr/bin:/bin:/usr/local/bin",
                "HOME": str(self.root.parent),
                "GIT_AUTHOR_NAME": "Ada Lovelace",
                "GIT_AUTHOR_EMAIL": "ada@lab.example",
                "GIT_COMMITTER_NAME": "Ada Lovelace",
                "GIT_COMMITTER_EMAIL": "ada@lab.example",
                "GIT_AUTHOR_DATE": when,
                "GIT_COMMITTER_DATE": when,
            },
        )
        return self.git("rev-parse", "HEAD")

    def save(self, files: Mapping[str, Any], message: str = "change") -> str:
        """Write files and commit them."""
        self.write(files)
        return self.commit(message)

    @contextmanager
    def opened(self) -> Iterator[Any]:
        with open_repository(self.root) as repository:
            yield repository

    def ask(self, path: str, **question: Any) -> Answer:
        with open_repository(self.root) as repository:
            found = answer(repository, path, Question(**question))
        json.dumps(answer_json(found))
        return found


def record(path: str, digest: str | None, **more: Any) -> dict[str, Any]:
    """A dep or out as DVC 3 writes it."""
    known = {} if digest is None else {"hash": "md5", "md5": digest}
    return {"path": path, **known, **more}


def entry(
    cmd: str, deps: Mapping[str, str], outs: Mapping[str, str], **more: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {"cmd": cmd}
    if deps:
        found["deps"] = [record(path, digest) for path, digest in deps.items()]
    found |= more
    if outs:
        found["outs"] = [record(path, digest) for path, digest in outs.items()]
    return found


def lock(**stages: Any) -> dict[str, Any]:
    return {
        "schema": "2.0",
        "stages": {name.replace("__", "@"): one for name, one in stages.items()},
    }


def stage(cmd: str, deps: list[Any], outs: list[Any], **more: Any) -> dict[str, Any]:
    return {"cmd": cmd, "deps": deps, "outs": outs, **more}


RUN_RECORD: Mapping[str, Any] = {
    "chain": [],
    "cmd": "make it",
    "dsid": "0000",
    "exit": 0,
    "extra_inputs": [],
    "inputs": [],
    "outputs": [],
    "pwd": ".",
}


def run_message(subject: str = "[DATALAD RUNCMD] make it", **more: Any) -> str:
    """A commit message as `datalad run` writes it."""
    body = json.dumps({**RUN_RECORD, **more}, indent=1, sort_keys=True)
    return (
        f"{subject}\n\n=== Do not change lines below ===\n{body}\n"
        "^^^ Do not change lines above ^^^\n"
    )
