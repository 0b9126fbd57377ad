"""What imgdata reads equals what DVC reads: stages, deps, outs with flags, commands, params."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from imgdata.dvc_files.index import Index, read_index
from imgdata.dvc_files.places import Where
from imgdata.dvc_files.recorded import Recorded
from imgdata.dvc_files.stages import Dep, Out, Stage
from imgdata.system.folder_tree import FolderTree
from imgdata.testing.memory_tree import MemoryTree

ASK_DVC = Path(__file__).with_name("ask_dvc.py")
REPOSITORIES = (
    "calkit__example-basic",
    "dringtech__social-value-data-explorer",
    "iterative__demo-bank-customer-churn",
    "mitchellhenke__lodes",
    "petebachant__boundary-layer-turbulence-modeling",
)
Answer = dict[str, Any]


def written_projects() -> dict[str, dict[str, str]]:
    """The hand-made projects beside this file: name to path to content."""
    projects: dict[str, dict[str, str]] = {}
    files: dict[str, str] = {}
    path = ""
    text = Path(__file__).with_name("projects.txt").read_text(encoding="utf-8")
    for line in text.splitlines(keepends=True):
        mark, _, name = line.strip().partition(" ")
        if mark == "===":
            files = projects[name] = {}
        elif mark == "---" and name:
            path = name
            files[path] = ""
        elif projects:
            files[path] += line
    return projects


PROJECTS = written_projects()


def git(folder: Path, *args: str) -> bytes:
    return subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True).stdout


def ask_dvc(*subjects: str) -> list[Answer]:
    """Return DVC's answer for each `FOLDER` or `FOLDER@REVISION`."""
    done = subprocess.run(
        [sys.executable, str(ASK_DVC), *subjects], check=True, capture_output=True, text=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def tree_at(folder: Path, revision: str) -> MemoryTree:
    data = git(folder, "archive", "--format=tar", revision)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return MemoryTree(
            {
                member.name: found.read()
                for member in archive
                if member.isfile() and (found := archive.extractfile(member)) is not None
            }
        )


def differences(index: Index, answer: Answer) -> list[str]:
    """Return in words what imgdata and DVC read differently."""
    failed = {path.lstrip("./") for path in answer["errors"]}
    theirs = {(stage["file"], stage["name"]): stage for stage in answer["stages"]}
    ours = {
        (stage.file, stage.name if stage.file.endswith("dvc.yaml") else None): stage
        for stage in index.stages
    }
    found = [
        f"only imgdata has {key}"
        for key in ours.keys() - theirs.keys()
        if not any(failed_path.endswith(key[0]) for failed_path in failed)
    ]
    found += [f"only DVC has {key}" for key in theirs.keys() - ours.keys()]
    for key in ours.keys() & theirs.keys():
        wanted, got = dvc_view(theirs[key]), own_view(ours[key])
        found += [
            f"{key}: {name}: DVC {wanted[name]}, imgdata {got[name]}"
            for name in wanted
            if wanted[name] != got[name]
        ]
    return found


def dvc_view(stage: Answer) -> dict[str, object]:
    return {
        "wdir": stage["wdir"],
        "cmd": stage["cmd"],
        "frozen": stage["frozen"],
        "always_changed": stage["always_changed"],
        "desc": stage["desc"],
        "deps": [dvc_dep(dep) for dep in stage["deps"]],
        "outs": [dvc_out(out) for out in stage["outs"]],
        "params": stage["params"],
    }


def dvc_dep(dep: Answer) -> object:
    if "repo" in dep:
        return ["repo", dep["path"], dep["repo"]["url"], dep["repo"].get("rev_lock", "")]
    if "db" in dep:
        return ["db", dep["db"]]
    return [dep["path"], dep["hash"], dep["meta"]]


def dvc_out(out: Answer) -> object:
    flags = ("cache", "push", "remote", "persist", "kind", "desc", "type", "labels")
    return [out["path"], out["hash"], out["meta"], *(out[flag] for flag in flags)]


def own_view(stage: Stage) -> dict[str, object]:
    cmd = stage.defined_cmd
    return {
        "wdir": stage.wdir or ".",
        "cmd": (list(cmd) if isinstance(cmd, tuple) else cmd) or None,
        "frozen": stage.frozen,
        "always_changed": stage.always_changed,
        "desc": stage.desc,
        "deps": [own_dep(dep) for dep in stage.deps],
        "outs": [own_out(out) for out in stage.outs],
        "params": own_params(stage),
    }


def own_dep(dep: Dep) -> object:
    if dep.repo is not None:
        return ["repo", dep.path, dep.repo.url, dep.repo.rev_lock]
    if dep.database is not None:
        return ["db", {"connection": dep.database.connection, "table": dep.database.table}]
    return [dep.path, *record_view(dep.recorded, dep.place.where)]


def own_out(out: Out) -> object:
    flags = out.flags
    return [
        out.path,
        *record_view(out.recorded, out.place.where),
        flags.cache,
        flags.push,
        flags.remote,
        flags.persist,
        flags.kind,
        flags.desc,
        flags.type,
        list(flags.labels),
    ]


def record_view(recorded: Recorded | None, where: Where) -> list[object]:
    if recorded is None:
        return [None, [None, None, False]]
    digest = [recorded.hash.name, recorded.hash.value] if recorded.hash else None
    if digest and where is Where.OUTSIDE and digest[0] == "md5-dos2unix":
        digest[0] = "md5"  # DVC calls it so for files outside the project, whatever wrote it
    return [digest, [recorded.size, recorded.nfiles, recorded.isexec]]


def own_params(stage: Stage) -> dict[str, object]:
    return {
        file: [list(keys), used_values(stage, file, keys)]
        for file, keys in stage.defined_params.items()
    }


def used_values(stage: Stage, file: str, keys: tuple[str, ...]) -> object:
    recorded = stage.params.get(file)
    if not recorded:
        return None
    used = {key: recorded[key] for key in keys or recorded if key in recorded}
    return json.loads(json.dumps(used, default=str)) or None


@pytest.mark.corpora
@pytest.mark.dvc
@pytest.mark.parametrize("name", REPOSITORIES)
def test_imgdata_reads_real_projects_as_dvc_does(corpora: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    git(tmp_path, "clone", "-q", str(corpora / f"{name}.bundle"), str(folder))
    commits = git(folder, "rev-list", "HEAD").decode().split()
    chosen = commits[:: max(1, len(commits) // (2 if "lodes" in name else 8))]
    answers = ask_dvc(*(f"{folder}@{revision}" for revision in chosen))
    found = [
        f"{revision[:8]}: {line}"
        for revision, answer in zip(chosen, answers, strict=True)
        if answer["broken"] is None
        for line in differences(read_index(tree_at(folder, revision)), answer)
    ]
    assert found == []


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Answer]]:
    """Every hand-made project as a working folder, with DVC's answer; DVC is started once.

    A name with a slash is a project below the top of its git repository.
    """
    top = tmp_path_factory.mktemp("projects")
    for name, files in PROJECTS.items():
        for path, text in {".dvc/config": "", **files}.items():
            file = top / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        git(top / name.partition("/")[0], "init", "-q")
    answers = ask_dvc(*(str(top / name) for name in PROJECTS))
    return {name: (top, answer) for name, answer in zip(PROJECTS, answers, strict=True)}


@pytest.mark.dvc
@pytest.mark.parametrize("name", PROJECTS)
def test_imgdata_reads_hand_made_projects_as_dvc_does(
    hand_made: dict[str, tuple[Path, Answer]], name: str
) -> None:
    folder, answer = hand_made[name]
    assert (answer["broken"], answer["errors"]) == (None, {})
    repository, _, root = name.partition("/")
    assert differences(read_index(FolderTree(folder / repository), root), answer) == []


@pytest.mark.dvc
@pytest.mark.parametrize("name", PROJECTS)
def test_stages_are_named_as_one_types_them_to_dvc(
    hand_made: dict[str, tuple[Path, Answer]], name: str
) -> None:
    folder, answer = hand_made[name]
    repository, _, root = name.partition("/")
    index = read_index(FolderTree(folder / repository), root)
    assert sorted(stage.dvc_name for stage in index.stages) == sorted(
        stage["dvc_name"] for stage in answer["stages"]
    )
