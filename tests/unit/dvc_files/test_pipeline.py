"""dvc.yaml: what cannot be resolved is named, the rest still comes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.dvc_files.interpolation import Variables, interpolate, write_out
from imgdata.dvc_files.pipeline import Pipeline, read_pipeline
from imgdata.testing.memory_tree import MemoryTree

GOOD = "  good:\n    cmd: make\n"


def pipeline_of(stages: str, **files: str) -> Pipeline:
    named = {name.replace("_", "."): text for name, text in files.items()}
    return read_pipeline(MemoryTree({"dvc.yaml": f"stages:\n{stages}{GOOD}", **named}), "dvc.yaml")


@pytest.mark.parametrize(
    ("stages", "unit", "named"),
    [
        ("  bad:\n    cmd: run ${nothing}\n", "bad", "there is no variable 'nothing'"),
        ("  bad:\n    cmd: run ${a b..c}\n", "bad", "'${a b..c}' is not the name of a variable"),
        ("  bad:\n    deps: [x]\n", "bad", "it has no command"),
        ("  bad: just text\n", "bad", "its definition is not a mapping"),
        ("  bad:\n    cmd: x\n    deps: y\n", "bad", "its deps are not a list"),
        ("  bad:\n    cmd: x\n    outs: {a: b}\n", "bad", "its outs are not a list"),
        ("  bad:\n    cmd: x\n    outs: [[a]]\n", "bad", "neither a path nor a mapping"),
        ("  bad:\n    cmd: x\n    outs: [{a: yes}]\n", "bad", "the flags of 'a' are not a mapping"),
        ("  bad:\n    cmd: x\n    params: [{p.yaml: a}]\n", "bad", "params of 'p.yaml'"),
        ("  bad:\n    foreach: 3\n    do: {cmd: x}\n", "bad", "foreach needs a list or a mapping"),
        ("  bad:\n    foreach: [a]\n", "bad", "needs a stage below 'do'"),
        ("  bad:\n    matrix: [a]\n    cmd: x\n", "bad", "a matrix needs a mapping of lists"),
        ("  bad:\n    matrix: {a: 1}\n    cmd: x\n", "bad", "'a' of the matrix is not a list"),
        ('  bad:\n    cmd: x\n    deps: ["${m}"]\n', "bad", "is a mapping, which cannot stand"),
        ("  bad:\n    cmd: x ${l}\n", "bad", "is a list, which cannot stand in 'cmd'"),
        ("  bad:\n    cmd: x ${deep}\n", "bad", "a list of lists, which no command can take"),
        ("  bad:\n    cmd: x\n    vars: [none.yaml]\n", "bad", "'none.yaml' does not exist"),
        ("  bad:\n    cmd: x\n    vars: [{m: 1}]\n", "bad", "'m' from vars[0] is defined already"),
        ('  bad:\n    cmd: x\n    vars: ["${m}"]\n', "bad", "vars cannot hold ${...}"),
    ],
)
def test_a_stage_that_cannot_be_resolved_is_named_and_the_others_come_out(
    stages: str, unit: str, named: str
) -> None:
    params = "m: {k: 1}\nl: [1]\ndeep: {x: [[1]]}\n"
    pipeline = pipeline_of(stages, params_yaml=params)
    assert "good" in pipeline.stages
    assert [problem.unit for problem in pipeline.problems] == [unit]
    assert named in pipeline.problems[0].sentence
    assert "bad" in pipeline.unresolved


@pytest.mark.parametrize(
    ("items", "named"),
    [
        ("[params.yaml:a, params.yaml]", "'params.yaml:a' is loaded already"),
        ("[more.yaml:x, more.yaml]", "'more.yaml' is loaded already"),
        ("[more.yaml:x, 'more.yaml:x,y']", "'more.yaml:x,y' is loaded already"),
        ("[more.yaml:none]", "there is no 'none' in 'more.yaml'"),
        ("[{a: 2}]", "'a' from vars[0] is defined already"),
        ("[{m: {k: 2}}]", "'m.k' from vars[0] is defined already"),
        ("['${a}']", "vars cannot hold"),
        ("[3]", "vars[0] is neither a file nor a mapping"),
        ("{a: 1}", "vars is not a list"),
    ],
)
def test_variables_are_never_redefined_in_silence(items: str, named: str) -> None:
    files = {"params.yaml": "a: 1\nm: {k: 1}\n", "more.yaml": "x: 1\ny: 2\n"}
    text = f"vars: {items}\nstages:\n{GOOD}"
    pipeline = read_pipeline(MemoryTree({"dvc.yaml": text, **files}), "dvc.yaml")
    (problem,) = pipeline.problems
    assert (problem.unit, named in problem.message) == ("vars", True)
    assert list(pipeline.stages) == ["good"]


def test_variables_are_loaded_whole_twice_and_in_parts() -> None:
    files = {"params.yaml": "m: {k: 1}\n", "sub/more.yaml": "x: 1\ny: 2\nz: 3\n"}
    text = (
        "vars: [params.yaml, sub/more.yaml:x, 'sub/more.yaml:y', {m: {n: 2}}]\n"
        "stages:\n  s:\n    cmd: ${m.k} ${m.n} ${x} ${y}\n"
    )
    pipeline = read_pipeline(MemoryTree({"dvc.yaml": text, **files}), "dvc.yaml")
    assert pipeline.problems == ()
    assert pipeline.stages["s"].cmd == "1 2 1 2"


def test_items_cannot_be_overwritten_by_the_stages_own_variables() -> None:
    pipeline = pipeline_of(
        "  g:\n    foreach: [a]\n    do:\n      vars: [{item: b}]\n      cmd: run ${item}\n"
    )
    assert list(pipeline.stages) == ["good"]
    assert "reserved" in pipeline.problems[0].message


def test_a_matrix_without_end_is_refused() -> None:
    axes = ", ".join(f"a{n}: [{', '.join('x' * 10)}]" for n in range(9))
    pipeline = pipeline_of(f"  bad:\n    matrix: {{{axes}}}\n    cmd: x\n")
    assert "1000000000 stages" in pipeline.problems[0].message
    assert list(pipeline.stages) == ["good"]


def test_one_bad_item_of_a_group_costs_only_its_stage() -> None:
    pipeline = pipeline_of(
        "  g:\n    foreach: [{a: 1}, {b: 2}]\n    do:\n      cmd: run ${item.a}\n"
    )
    assert list(pipeline.stages) == ["g@0", "good"]
    assert [problem.unit for problem in pipeline.problems] == ["g@1"]


def test_a_broken_params_file_costs_only_the_stages_that_use_it() -> None:
    pipeline = pipeline_of("  uses:\n    cmd: run ${lr}\n", params_yaml="lr: [")
    assert list(pipeline.stages) == ["good"]
    assert [problem.unit for problem in pipeline.problems] == ["vars", "uses"]
    assert "params.yaml" in pipeline.problems[0].sentence


@pytest.mark.parametrize("text", ["a: [", "[]", "text", "a: 1\na: 2\n"])
def test_a_dvc_yaml_that_cannot_be_read_is_named(text: str) -> None:
    pipeline = read_pipeline(MemoryTree({"sub/dvc.yaml": text}), "sub/dvc.yaml")
    assert (dict(pipeline.stages), pipeline.readable) == ({}, False)
    assert [problem.file for problem in pipeline.problems] == ["sub/dvc.yaml"]


@pytest.mark.parametrize("text", ["", "stages:\n", "stages: {}\n", "vars: [{a: 1}]\n", "# none\n"])
def test_a_dvc_yaml_without_stages_is_no_problem(text: str) -> None:
    pipeline = read_pipeline(MemoryTree({"dvc.yaml": text}), "dvc.yaml")
    assert (dict(pipeline.stages), pipeline.problems, pipeline.readable) == ({}, (), True)


def test_what_imgdata_does_not_need_is_tolerated() -> None:
    pipeline = pipeline_of(
        "  s:\n    cmd: x\n    unknown_key: 1\n    outs:\n    - o: {checkpoint: true, other: 1}\n"
        "    live: {dvclive: {summary: true}}\n"
    )
    assert [out.path for out in pipeline.stages["s"].outs] == ["o", "dvclive"]
    assert pipeline.problems == ()


def test_a_foreach_item_is_kept_with_its_stage() -> None:
    pipeline = pipeline_of(
        "  f:\n    foreach: {a: {n: 1}}\n    do: {cmd: x}\n"
        "  m:\n    matrix: {x: [1, 2], y: [u]}\n    cmd: y\n"
    )
    items = {name: stage.item for name, stage in pipeline.stages.items()}
    assert items == {
        "f@a": {"n": 1},
        "m@1-u": {"x": 1, "y": "u"},
        "m@2-u": {"x": 2, "y": "u"},
        "good": None,
    }
    assert dict(pipeline.groups) == {"f": "", "m": ""}


SIMPLE = st.booleans() | st.integers() | st.text(st.sampled_from("ab ${}\\'\"\n"), max_size=8)


@given(SIMPLE)
def test_an_exact_reference_gives_the_value_itself(value: object) -> None:
    assert interpolate("${v}", Variables({"v": value}), "deps") == value


@given(SIMPLE, st.text(st.sampled_from("xy /-"), min_size=1, max_size=5))
def test_a_reference_in_text_is_written_out(value: object, text: str) -> None:
    result = interpolate(f"{text}${{v}}", Variables({"v": value}), "cmd")
    assert result == f"{text}{write_out(value)}".replace("\\${", "${")


@given(st.text(st.sampled_from("ab{}$\\. []:-\n"), max_size=30))
def test_no_text_makes_the_resolver_fail_otherwise(text: str) -> None:
    tree = MemoryTree({"dvc.yaml": f"stages:\n  s:\n    cmd: {text!r}\n    deps: [{text!r}]\n"})
    pipeline = read_pipeline(tree, "dvc.yaml")
    assert pipeline.stages or pipeline.problems
