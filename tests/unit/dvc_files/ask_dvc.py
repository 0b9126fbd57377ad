"""Prints what DVC itself reads, one JSON line for each `FOLDER` or `FOLDER@REVISION` named.

Run as a program of its own, since nothing of imgdata imports dvc.
"""

import json
import logging
import os
import sys

from dvc.dependency import DbDependency, Dependency, ParamsDependency, RepoDependency
from dvc.fs import LocalFileSystem
from dvc.output import Output
from dvc.repo import Repo
from dvc.repo.index import Index
from dvc.stage import Stage

Answer = dict[str, object]


def relative(repo: Repo, path: str) -> str:
    """Seen from the top of git; a revision's files lie below `/`."""
    if isinstance(repo.fs, LocalFileSystem):
        return os.path.relpath(path, repo.scm.root_dir)
    return os.path.relpath(path, "/")


def digest(thing: Output) -> list[str] | None:
    info = thing.hash_info
    return [info.name, info.value] if info and info.value else None


def meta(thing: Output) -> list[object]:
    found = thing.meta
    return [found.size, found.nfiles, bool(found.isexec)] if found else [None, None, False]


def place(repo: Repo, thing: Output) -> str:
    written = str(thing.def_path)
    return written if "://" in written or written[0] == "/" else relative(repo, thing.fs_path)


def dep_of(repo: Repo, dep: Dependency) -> Answer:
    if isinstance(dep, DbDependency):
        return {"db": dep.db_info}
    if isinstance(dep, RepoDependency):
        return {"path": dep.def_path, "repo": dep.def_repo}
    if dep.fs_path is None:
        return {"path": dep.def_path, "dataset": True}
    return {"path": place(repo, dep), "hash": digest(dep), "meta": meta(dep)}


def out_of(repo: Repo, out: Output) -> Answer:
    return {
        "path": place(repo, out),
        "hash": digest(out),
        "meta": meta(out),
        "cache": out.use_cache,
        "push": out.can_push,
        "remote": out.remote or "",
        "persist": bool(out.persist),
        "kind": "metric" if out.metric else "plot" if out.plot else "out",
        "desc": out.annot.desc or "",
        "type": out.annot.type or "",
        "labels": list(out.annot.labels),
        "meta_of_project": out.annot.meta or {},
    }


def stage_of(repo: Repo, stage: Stage) -> Answer:
    params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
    deps = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
    return {
        "dvc_name": stage.addressing,
        "file": relative(repo, stage.path),
        "name": getattr(stage, "name", None),
        "wdir": relative(repo, stage.wdir),
        "cmd": stage.cmd,
        "frozen": bool(stage.frozen),
        "always_changed": bool(stage.always_changed),
        "desc": stage.desc or "",
        "deps": [dep_of(repo, dep) for dep in deps],
        "outs": [out_of(repo, out) for out in stage.outs],
        "params": {
            dep.def_path: [list(dep.params), dep.hash_info.value if dep.hash_info else None]
            for dep in params
        },
    }


def answer(folder: str, rev: str | None) -> Answer:
    errors: dict[str, str] = {}

    def failed(path: str, error: Exception) -> None:
        errors[path] = str(error)

    try:
        with Repo(folder, rev=rev) if rev else Repo(folder) as repo:
            index = Index.from_repo(repo, onerror=failed)
            stages = [stage_of(repo, stage) for stage in index.stages]
    except Exception as error:  # noqa: BLE001 - whatever keeps DVC from reading is its answer
        return {"rev": rev, "broken": repr(error), "stages": [], "errors": errors}
    return {"rev": rev, "broken": None, "stages": stages, "errors": errors}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for argument in sys.argv[1:]:
        project, _, revision = argument.partition("@")
        os.chdir(project)
        sys.stdout.write(json.dumps(answer(project, revision or None), default=str) + "\n")
