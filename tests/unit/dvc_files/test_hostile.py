"""Files of any wrong shape: an index always comes out, and what is left out is told in words."""

from hypothesis import given
from hypothesis import strategies as st

from imgdata.dvc_files.index import read_index
from imgdata.dvc_files.stages import Orphan, Stage
from imgdata.testing.memory_tree import MemoryTree

FRAGMENTS = """\
stages:
schema: '2.0'
vars: [params.yaml]
vars: {a: b}
  s:
  1: {cmd: y}
  null: {cmd: z}
  ? [a]
  : {cmd: q}
    cmd: x
    cmd: [1, [2], {a: b}]
    cmd: {a: b}
    foreach: ${a}
    do:
      cmd: ${item}
    matrix:
      a: [1, {b: 2}]
    outs:
    - a: {cache: 1}
    - b: null
    - 3
    outs: [{path: a, files: [{relpath: 1}], cloud: [1], md5: x}]
    outs: [{path: a, cloud: {r: 1}, hash: [1]}]
    deps: [1, null, {a: b}, [x], '']
    params: [1, null, {x: null}, {y: 3}]
    params: {a: {b: {c: 1}}, d: [1], e: }
    plots: [{a: [1, 2]}, {b: [{x: y}]}]
    metrics: x
    wdir: [a]
    wdir: ../../..
    vars: x
    frozen: maybe
    meta: 1
    - path: 1
      md5: [x]
      md5: 2020-01-01
    - {path: ../../x, md5: 012}
outs:
- path: x
  meta: 1
deps:
- repo: 1
  path: y
- db: {query: 1}
- path: [z]
[parsing]
<<<<<<< HEAD
=======
>>>>>>> branch
&x
*x
!
**\\[
""".splitlines(keepends=True)
TEXT = st.lists(st.sampled_from([*FRAGMENTS, "\t\n", "\x00", "é"]), max_size=14).map("".join)
NAMES = ("dvc.yaml", "dvc.lock", "a.dvc", "sub/b.dvc", ".dvc/config", ".dvcignore", ".gitignore")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, TEXT)), TEXT)
def test_an_index_comes_out_of_any_files(files: dict[str, str], params: str) -> None:
    index = read_index(MemoryTree({**files, "params.yaml": params or "a: [1, {x: 2}]\n"}))
    entries: list[Stage | Orphan] = [*index.stages, *index.orphans]
    for stage in entries:
        assert stage.address
        assert all(located.path for located in (*stage.recorded_deps, *stage.recorded_outs))
    for problem in index.problems:
        assert problem.file in problem.sentence
