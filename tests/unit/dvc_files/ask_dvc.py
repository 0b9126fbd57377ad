"""Prints what DVC itself reads from a project, as JSON: `ask_dvc.py FOLDER [REV...]`.

Run as a program of its own, since nothing of imgdata imports dvc. Without revisions the working
folder is read. One JSON line a revision.
"""

import json
import logging
import os
import sys

from dvc.dependency import DbDependency, ParamsDependency, RepoDependency
from dvc.fs import LocalFileSystem
from dvc.repo import Repo
from dvc.repo.index import Index


def relative(repo, path):
    """Seen from the top of git; a revision's files lie below `/`."""
    if isinstance(repo.fs, LocalFileSystem):
        return os.path.relpath(path, repo.scm.root_dir)
    return os.path.relpath(path, "/")


def digest(thing):
    info = thing.hash_info
    if not info or not info.value:
        return None
    return [info.name, info.value]


def meta(thing):
    found = thing.meta
    if found is None:
        return [None, None, False]
    return [found.size, found.nfiles, bool(found.isexec)]


def place(repo, thing):
    if "://" in thing.def_path:
        return thing.def_path
    return relative(repo, thing.fs_path)


def dep_of(repo, dep):
    if isinstance(dep, DbDependency):
        return {"db": dep.db_info}
    if isinstance(dep, RepoDependency):
        return {"path": dep.def_path, "repo": dep.def_repo}
    if not hasattr(dep, "fs_path") or dep.fs_path is None:
        return {"path": dep.def_path, "dataset": True}
    return {
        "path": place(repo, dep),
        "written": dep.def_path,
        "hash": digest(dep),
        "meta": meta(dep),
    }


def out_of(repo, out):
    return {
        "path": place(repo, out),
        "written": out.def_path,
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
    }


def stage_of(repo, stage):
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


def answer(folder, rev):
    errors = {}

    def failed(path, error):
        errors[path] = str(error)

    try:
        repo = Repo(folder, rev=rev) if rev else Repo(folder)
    except Exception as error:  # noqa: BLE001 - whatever keeps DVC from opening it is its answer
        return {"rev": rev, "broken": repr(error), "stages": [], "errors": {}}
    with repo:
        try:
            index = Index.from_repo(repo, onerror=failed)
        except Exception as error:  # noqa: BLE001 - a crash of DVC is its answer too
            return {"rev": rev, "broken": repr(error), "stages": [], "errors": {}}
        stages = [stage_of(repo, stage) for stage in index.stages]
    return {"rev": rev, "broken": None, "stages": stages, "errors": errors}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    project = sys.argv[1]
    os.chdir(project)
    for revision in sys.argv[2:] or [None]:
        print(json.dumps(answer(project, revision), default=str))
