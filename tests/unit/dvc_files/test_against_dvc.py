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
H = "0123456789abcdef0123456789abcdef"
PROJECTS: dict[str, dict[str, str]] = {
    "variables": {
        "params.yaml": "train: {lr: 1e-3, on: on, steps: 1_000, oct: 0o17, word: yes}\nlist: [a, b]\n",
        "more.json": '{"deep": {"er": [1, {"x": "y z"}]}, "unused": 1}',
        "some.toml": "[model]\nname = \"m\"\nlayers = [1, 2]\n",
        "code.py": "LR = 0.1\nclass Net:\n    depth: int = 3\n    def __init__(self):\n        self.w = 2\n",
        "sub/own.yaml": "own: stage\n",
        "dvc.yaml": """\
vars:
  - more.json:deep
  - some.toml
  - code.py
  - root: ..
    train: {extra: 5}
    empty:
stages:
  a:
    cmd: run ${train.lr} ${train.on} ${train.steps} ${train.oct} ${train.word} ${list[1]} ${empty}
    desc: ${train.word}
    params: [train.lr, list]
  b:
    wdir: sub
    vars: [own.yaml, {loc: 7}]
    cmd: run ${own} ${loc} ${deep.er[1].x} ${model.layers[0]} ${LR} ${Net.depth} ${Net.w}
    deps: ["${root}/in.txt", "${own}.txt"]
    outs: ["${model.name}-out.csv"]
  escaped:
    cmd: echo \\${HOME} ${train.extra} $HOME ${ train.extra }
""",
    },
    "unpacked": {
        ".dvc/config": "[parsing]\n    bool = boolean_optional\n    list = append\n",
        "params.yaml": "opts: {lr: 0.1, name: a b, flag: true, off: false, ids: [1, x y], deep: {k: v}}\n",
        "dvc.yaml": "stages:\n  a:\n    cmd: python t.py ${opts}\n  b:\n    cmd:\n    - python t.py ${opts.deep}\n    - ls ${opts.ids[0]}\n",
    },
    "unpacked-by-default": {
        "params.yaml": "opts: {lr: 0.1, name: a b, flag: true, off: false, ids: [1, x y, 3], nothing: }\n",
        "dvc.yaml": "stages:\n  a:\n    cmd: python t.py ${opts}\n",
    },
    "foreach": {
        "params.yaml": "plates: [P1, P2]\nflags: [true, false, 3, 1.5, null]\nmap: {x: {n: 1}, y: {n: 2}}\nids: {1: a, 2: b, q: c}\n",
        "dvc.yaml": """\
stages:
  by_list:
    foreach: [a, b, true, 2, 1e3]
    do:
      cmd: run ${item}
      outs: ["${item}.out"]
  by_ref:
    foreach: ${plates}
    do:
      cmd: run ${item}
      deps: ["raw/${item}"]
      outs:
        - masks/${item}:
            cache: false
  by_flags:
    foreach: ${flags}
    do:
      cmd: run ${item}
  by_map:
    foreach: ${map}
    do:
      cmd: run ${key} ${item.n}
  by_ids:
    foreach: ${ids}
    do:
      cmd: run ${key} ${item}
  by_inline_ids:
    foreach: {1: a, 2: b, false: c}
    do:
      cmd: run ${key} ${item}
  by_dicts:
    foreach:
      - {p: 1, d: x}
      - {p: 2, d: y}
    do:
      wdir: w
      cmd: run ${item.p} ${item.d}
      frozen: true
      always_changed: true
  by_nested:
    foreach: ["${plates[0]}", "${flags[0]}", "x${plates[1]}"]
    do:
      cmd: run ${item}
  by_map_inline:
    foreach: {k1: "${plates[0]}", "k${plates[1]}": 3}
    do:
      cmd: run ${key} ${item}
  twice:
    foreach: [a, a, b]
    do:
      cmd: run ${item}
""",
    },
    "matrix": {
        "params.yaml": "years: [2002, 2003]\nflags: [true, false]\nmodels: [{name: a}, {name: b}]\nmap: {u: 1, v: 2}\n",
        "dvc.yaml": """\
stages:
  one:
    matrix:
      year: ${years}
      flag: [true, no, 1.0]
    cmd: run ${item.year} ${item.flag} ${key}
    outs: ["o/${item.year}-${item.flag}"]
  two:
    matrix:
      flag: ${flags}
      model: ${models}
    cmd: run ${item.flag} ${item.model.name} ${key}
  three:
    matrix:
      m: [{x: 1}, {x: 2}]
      l: [[1, 2], [3]]
      r: ["${years[0]}", "${flags[1]}"]
    cmd: run ${item.m.x} ${item.l[0]} ${item.r} ${key}
    desc: ${key}
  four:
    matrix:
      e: []
    cmd: run ${item.e}
""",
    },
    "outs": {
        "dvc.yaml": """\
stages:
  s:
    cmd: [make a, make b]
    deps: [./x, y/, a//b, "../outside.csv", "with space.txt", "Größe/é.tif", x/../z]
    metrics:
      - m.json: {cache: false, desc: a metric}
      - n.json
    plots:
      - p.csv: {x: a, y: b, cache: false, title: t}
      - q.csv
    outs:
      - o.bin
      - r.bin: {persist: true, push: false, remote: other, type: model, labels: [l1, l2], desc: d, meta: {k: [1]}}
      - o.bin: {cache: false}
      - folder/
      - {u.bin: {push: true}, v.bin: {persist: false}}
    meta: {anything: 1}
    desc: |
      two
      lines
metrics: [m.json]
params: [p.yaml]
plots:
  - p.csv
  - combined: {x: a, y: {p.csv: b}}
artifacts:
  model: {path: r.bin, type: model}
datasets:
  - {name: d, type: dvc, url: "https://example.org/d", path: x}
""",
        "dvc.lock": f"""\
schema: '2.0'
stages:
  s:
    cmd:
    - make a
    deps:
    - path: ./x
      md5: {H}
      size: 3
    - path: a//b
      hash: md5
      md5: {H}.dir
      size: 30
      nfiles: 3
    - path: with space.txt
      hash: md5
      md5: {H}
      size: 4
      isexec: true
    - path: Größe/é.tif
      hash: md5
      md5: {H}
      size: 5
    - path: ../outside.csv
      hash: md5
      md5: {H}
      size: 6
    outs:
    - path: folder/
      hash: md5
      md5: {H}.dir
      size: 1
      nfiles: 2
    - path: m.json
      md5: '{H[::-1]}'
      size: 0
""",
    },
    "parameters": {
        "params.yaml": "a: 1\nb: {c: 2, d: [1, 2]}\n",
        "other.json": '{"j": {"k": 1}}',
        "p.toml": "t = 1\n",
        "p.py": "X = 1\n",
        "dvc.yaml": """\
stages:
  s:
    cmd: x
    params:
      - a
      - b.c
      - other.json: [j.k]
      - p.toml:
      - p.py: [X]
      - params.yaml: [b.d]
      - p.py: [Y]
  whole:
    cmd: y
    params:
      - a
      - params.yaml:
""",
        "dvc.lock": """\
schema: '2.0'
stages:
  s:
    cmd: x
    params:
      params.yaml:
        a: 1
        b.c: 2
        b.d:
        - 1
        - 2
      other.json:
        j.k: '1e5'
      p.toml:
        t: 1
      p.py:
        X: 1.5
  whole:
    cmd: y
    params:
      params.yaml:
        a: true
        b:
          c: null
          d: on
""",
    },
    "added": {
        "data/new.dvc": f"outs:\n- md5: {H}.dir\n  size: 3\n  nfiles: 2\n  hash: md5\n  path: new\n  remote: r\n  push: false\n  meta: {{imgdata: {{origin: own}}}}\ndesc: raw plate\nmeta: {{a: b}}\n",
        "data/old.csv.dvc": f"outs:\n- md5: {H}\n  size: 3\n  path: old.csv\n  isexec: true\n  cache: false\n  persist: true\n  desc: d\n  type: t\n  labels: [l]\n",
        "data/digits.dvc": "outs:\n- md5: '12345678901234567890123456789012'\n  path: digits\n",
        "elsewhere.dvc": f"wdir: data\nouts:\n- md5: {H}\n  path: ./elsewhere.tif\n",
        "two.dvc": f"outs:\n- {{path: a.bin, md5: {H}}}\n- {{path: b.bin, hash: md5, md5: {H}}}\n- path: c.bin\n",
        "nothing.dvc": "outs:\n- path: c2.bin\n",
    },
    "imported": {
        "a.dvc": f"md5: {H}\nfrozen: true\ndeps:\n- path: data/x\n  repo:\n    url: https://example.org/r.git\n    rev: v1\n    rev_lock: 59dc74dcfbb4e0abea2d41ae59be4c8c8b1c0d88\nouts:\n- md5: {H}\n  size: 1\n  path: a\n",
        "b.dvc": f"md5: {H}\nlocked: true\ndeps:\n- path: data/x\n  repo:\n    url: git@example.org:r.git\n    rev_lock: 59dc74dcfbb4e0abea2d41ae59be4c8c8b1c0d88\nouts:\n- md5: {H}\n  path: b\n  hash: md5\n",
        "c.dvc": f"deps:\n- checksum: '\"85c45a69\"'\n  size: 7\n  path: https://example.org/c\nouts:\n- md5: {H}\n  path: c\nfrozen: true\n",
        "e.dvc": f"deps:\n- etag: 85C45A69-2\n  size: 7\n  hash: md5\n  path: s3://bucket/e\nouts:\n- md5: {H}\n  hash: md5\n  path: e\nfrozen: true\n",
        "d.dvc": f"frozen: true\ndeps:\n- db: {{connection: pg, table: t}}\nouts:\n- md5: {H}\n  hash: md5\n  path: d.csv\n",
        "f.dvc": f"frozen: true\ndeps:\n- md5: {H}\n  size: 9\n  hash: md5\n  path: /somewhere/else/f\nouts:\n- path: f\n",
    },
    "cloud": {
        "a.dvc": f"outs:\n- md5: {H}\n  size: 3\n  cloud:\n    r:\n      etag: abc\n      version_id: v7\n  path: a\n  hash: md5\n",
        "b.dvc": f"outs:\n- path: b\n  hash: md5\n  files:\n  - relpath: x/1\n    md5: {H}\n    size: 3\n    cloud: {{r: {{etag: qqq, version_id: '1'}}}}\n  - relpath: a\n    md5: {H[::-1]}\n    size: 4\n    cloud: {{r: {{etag: qqq, version_id: '2'}}}}\n",
    },
    "scattered": {
        "dvc.yaml": "",
        "sub/dvc.yaml": "stages:\n  s:\n    cmd: x\n    wdir: ..\n    outs: [out, sub/o2]\n",
        "out/dvc.yaml": "stages:\n  hidden:\n    cmd: y\n",
        "inner/.dvc/config": "",
        "inner/dvc.yaml": "stages:\n  other:\n    cmd: z\n",
        "ignored/dvc.yaml": "stages:\n  ignored:\n    cmd: z\n",
        "deep/.dvcignore": "skip\n/only\n*.tmp.dvc\n!keep.tmp.dvc\n",
        "deep/skip/dvc.yaml": "stages:\n  skipped:\n    cmd: z\n",
        "deep/x/only/dvc.yaml": "stages:\n  not_skipped:\n    cmd: z\n",
        "deep/only/dvc.yaml": "stages:\n  skipped:\n    cmd: z\n",
        "deep/a.tmp.dvc": f"outs:\n- {{path: a.tmp, md5: {H}}}\n",
        "deep/keep.tmp.dvc": f"outs:\n- {{path: keep.tmp, md5: {H}}}\n",
        ".dvcignore": "# comment\nignored/\n",
        ".gitignore": "/venv\n",
        "venv/dvc.yaml": "stages:\n  installed:\n    cmd: z\n",
        "vars/dvc.yaml": "vars:\n  - a: 1\n",
    },
    "yaml-forms": {
        "dvc.yaml": """\
stages:
  anchored: &a
    cmd: x
    deps: [q]
  merged:
    <<: *a
    cmd: y
  folded:
    cmd: >
      one
      two

      three
    deps:
      - "quo\\u0074ed"
""",
        "dvc.lock": f"""\
schema: '2.0'
stages:
  anchored: &x
    cmd: x
    deps:
    - path: q
      hash: md5
      md5: {H}
  merged: *x
  folded:
    cmd: "one two\\nthree\\n"
    deps:
    - {{path: quoted, hash: md5, md5: {H}, size: 1}}
""",
    },
}


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
    chosen = commits[:: max(1, len(commits) // 8)]
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
    """Every hand-made project as a working folder, with DVC's answer; DVC is started once."""
    top = tmp_path_factory.mktemp("projects")
    for name, files in PROJECTS.items():
        for path, text in {".dvc/config": "", **files}.items():
            file = top / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        git(top / name, "init", "-q")
    folders = {name: top / name for name in PROJECTS}
    answers = ask_dvc(*map(str, folders.values()))
    return {
        name: (folder, answer) for (name, folder), answer in zip(folders.items(), answers, strict=True)
    }


@pytest.mark.dvc
@pytest.mark.parametrize("name", PROJECTS)
def test_imgdata_reads_hand_made_projects_as_dvc_does(
    hand_made: dict[str, tuple[Path, Answer]], name: str
) -> None:
    folder, answer = hand_made[name]
    assert (answer["broken"], answer["errors"]) == (None, {})
    assert differences(read_index(FolderTree(folder)), answer) == []
