"""DataLad run records: the seven traps of real datasets, one made by hand for each."""

import json
import lzma
import os
from pathlib import Path

import pytest

from imgdata.lineage.run_records import Dataset, NoRecord, RunRecord, locate, parse_run_record
from tests.unit.lineage.repository_builder import Repository, entry, lock, md5, run_message, stage

A, B = "a" * 32, "b" * 32


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "dataset")


def test_the_run_that_made_the_content_is_the_producer(repository: Repository) -> None:
    repository.save({"in.txt": "in"})
    repository.write({"out.txt": "out"})
    run = repository.commit(run_message(inputs=["in.txt"], outputs=["out.txt"], cmd="cat in.txt"))
    answer = repository.ask("out.txt")
    assert answer.producer == f"datalad-run:{run}"
    assert answer.in_git is not None
    assert answer.in_git.produced_by is not None
    assert answer.in_git.produced_by.run_record["cmd"] == "cat in.txt"
    node = answer.nodes[0]
    assert (node.kind, node.cmd, node.wdir) == ("datalad-run", "cat in.txt", ".")
    assert [(edge.dep, edge.relation) for edge in answer.edges] == [("in.txt", "source")]


def test_runs_are_followed_to_the_runs_before_them(repository: Repository) -> None:
    repository.save({"raw": "0"})
    repository.write({"mid": "1"})
    first = repository.commit(run_message(inputs=["raw"]))
    repository.write({"out": "2"})
    second = repository.commit(run_message(inputs=["mid"]))
    answer = repository.ask("out")
    assert [node.id for node in answer.nodes] == [
        f"datalad-run:{second}", f"datalad-run:{first}",
    ]  # fmt: skip
    assert answer.in_git is not None
    assert answer.in_git.upstream_runs == (first,)


def test_a_merge_that_quotes_a_message_made_nothing(repository: Repository) -> None:
    repository.save({"base": "0"})
    repository.git("checkout", "-q", "-b", "side")
    repository.write({"out": "1"})
    run = repository.commit(run_message())
    repository.git("checkout", "-q", "main")
    repository.save({"base": "2"})
    repository.git("merge", "-q", "--no-ff", "-m", run_message("Merge of a run"), "side")
    answer = repository.ask("out")
    assert answer.producer == f"datalad-run:{run}"


def test_an_octopus_merge_is_not_the_producer(repository: Repository) -> None:
    repository.save({"base": "0"})
    made = {}
    for number in range(3):
        repository.git("checkout", "-q", "-b", f"side{number}", "main")
        repository.write({f"out{number}": str(number)})
        made[number] = repository.commit(run_message(cmd=f"make {number}"))
    repository.git("checkout", "-q", "main")
    repository.save({"base": "1"})
    repository.git("merge", "-q", "-m", "Merge results", "side0", "side1", "side2")
    for number, run in made.items():
        assert repository.ask(f"out{number}").producer == f"datalad-run:{run}"


def test_a_revert_restores_what_an_older_run_made(repository: Repository) -> None:
    repository.write({"out": "1"})
    run = repository.commit(run_message())
    repository.write({"out": "2"})
    later = repository.commit(run_message(cmd="make it again"))
    repository.write({"out": "1"})
    message = run_message('Revert "make it again"') + f"\n\nThis reverts commit {later}.\n"
    revert = repository.commit(message)
    answer = repository.ask("out")
    assert answer.producer == f"datalad-run:{run}"
    assert answer.in_git is not None
    assert answer.in_git.restored_by is not None
    assert answer.in_git.restored_by.id == revert
    assert answer.in_git.earlier_versions_by_run == (later,)
    assert revert in answer.in_git.not_the_producer


def test_a_hand_made_add_has_no_run(repository: Repository) -> None:
    repository.save({"other": "1"}, run_message())
    added = repository.save({"out": "by hand"}, "Add a file")
    answer = repository.ask("out")
    assert answer.producer is None
    assert answer.in_git is not None
    assert answer.in_git.produced_by is None
    assert answer.in_git.added_by is not None
    assert answer.in_git.added_by.id == added


def test_a_hand_edit_after_a_run_is_no_longer_the_runs(repository: Repository) -> None:
    repository.save({"out": "1"}, run_message())
    edit = repository.save({"out": "edited"}, "Correct a mask by hand")
    answer = repository.ask("out")
    assert answer.producer is None
    assert answer.in_git is not None
    assert answer.in_git.added_by is not None
    assert answer.in_git.added_by.id == edit
    assert len(answer.in_git.earlier_versions_by_run) == 1


def test_a_moved_file_is_followed_to_its_run(repository: Repository) -> None:
    repository.write({"out": "1"})
    run = repository.commit(run_message())
    repository.git("mv", "out", "moved")
    repository.commit("Move")
    answer = repository.ask("moved")
    assert answer.producer == f"datalad-run:{run}"
    assert any("moved or copied" in gap for gap in answer.gaps)


def test_an_annexed_link_that_moved_deeper_is_the_same_content(repository: Repository) -> None:
    key, run = "MD5E-s3--" + A + ".txt", ""
    for place, depth in (("out", ""), ("deep/er/out", "../../")):
        link = repository.root / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{depth}.git/annex/objects/aa/bb/{key}/{key}")
        commit = repository.commit(run_message() if place == "out" else "Move deeper")
        if place == "out":
            run = commit
            link.unlink()
    answer = repository.ask("deep/er/out")
    assert answer.producer == f"datalad-run:{run}"
    assert answer.in_git is not None
    assert answer.in_git.annex_key == key
    assert answer.status == "missing"
    assert answer.out is not None
    assert (answer.out.md5, answer.out.size, answer.out.hash) == (A, 3, "MD5E")


def test_an_unlocked_annexed_file_is_known_by_its_pointer(repository: Repository) -> None:
    key = "SHA256E-s1--" + "f" * 64 + ".tif"
    repository.save({"a.tif": f"/annex/objects/{key}\n"}, run_message())
    answer = repository.ask("a.tif")
    assert answer.in_git is not None
    assert answer.in_git.annex_key == key
    assert answer.producer is not None


def test_a_failed_run_is_flagged(repository: Repository) -> None:
    repository.save({"out": "half"}, run_message(exit=1))
    answer = repository.ask("out")
    assert answer.nodes[0].flags["failed"] is True
    assert any("exit status 1" in gap for gap in answer.gaps)


def test_an_edited_first_line_is_weak_evidence(repository: Repository) -> None:
    repository.save({"out": "1"}, run_message("Nicer words"))
    answer = repository.ask("out")
    assert answer.producer is not None
    assert any("weak evidence" in gap for gap in answer.gaps)
    assert "weak" in answer.nodes[0].flags


def test_what_changed_counts_not_what_was_declared(repository: Repository) -> None:
    repository.save({"declared": "not by the run"}, "Add by hand")
    repository.write({"undeclared": "1"})
    run = repository.commit(run_message(outputs=["declared"]))
    assert repository.ask("declared").producer is None
    assert repository.ask("undeclared").producer == f"datalad-run:{run}"


@pytest.mark.parametrize(
    ("declared", "pwd"),
    [
        ("in/x.txt", "."),
        ("x.txt", "in"),
        ("../in/x.txt", "sub"),
        ("in/x.txt", "sub"),
        ("./in//x.txt", "."),
        ("/home/other/dataset/in/x.txt", "."),
        ("in/*.txt", "."),
        ("*.txt", "in"),
    ],
)
def test_declared_inputs_are_found_however_they_are_written(
    repository: Repository, declared: str, pwd: str
) -> None:
    repository.save({"in/x.txt": "1", "sub/y": "2"})
    repository.save({"out": "1"}, run_message(inputs=[declared], pwd=pwd))
    answer = repository.ask("out")
    assert [(edge.dep, edge.relation) for edge in answer.edges] == [("in/x.txt", "source")]


def test_inputs_in_a_submodule_name_its_commit_before_the_run(
    repository: Repository, tmp_path: Path
) -> None:
    inner = Repository(tmp_path / "inner")
    first = inner.save({"a/b.txt": "1"})
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q",
                   str(inner.root), "inputs/data")  # fmt: skip
    repository.commit("Register input data")
    second = inner.save({"a/b.txt": "2"})
    repository.write({"out": "1"})
    repository.commit(run_message(inputs=["inputs/data/a/*.txt", "inputs/*/a"]))
    repository.git("-C", "inputs/data", "fetch", "-q")
    repository.git("-C", "inputs/data", "checkout", "-q", second)
    repository.commit("Update input data")
    answer = repository.ask("out")
    assert answer.in_git is not None
    assert answer.in_git.input_submodules_at_run == {"inputs/data": first}
    assert {edge.relation for edge in answer.edges} == {"import"}
    assert repository.ask("inputs/data/a/b.txt").status == "untracked"
    assert "submodule" in repository.ask("inputs/data/a/b.txt").gaps[0]


def test_an_input_folder_is_joined_to_the_runs_that_filled_it(repository: Repository) -> None:
    repository.save({"raw": "0"})
    repository.write({"mid/a": "1"})
    first = repository.commit(run_message(outputs=["mid"]))
    repository.write({"out": "1"})
    repository.commit(run_message(inputs=["mid"]))
    edge = repository.ask("out").edges[0]
    assert (edge.relation, edge.producer, edge.producer_path) == (
        "contains", f"datalad-run:{first}", "mid/a",
    )  # fmt: skip


def test_dvc_and_datalad_in_one_repository_give_one_graph(repository: Repository) -> None:
    repository.save({"raw.txt": "0"})
    repository.write({"clean.txt": "1"})
    run = repository.commit(run_message(inputs=["raw.txt"]))
    repository.save(
        {
            "dvc.yaml": {"stages": {"fit": stage("fit", ["clean.txt"], ["model"])}},
            "dvc.lock": lock(fit=entry("fit", {"clean.txt": A}, {"model": B})),
        }
    )
    answer = repository.ask("model")
    assert [node.id for node in answer.nodes] == ["dvc.lock::fit", f"datalad-run:{run}"]
    assert [(edge.consumer.split(":")[0], edge.dep, edge.producer) for edge in answer.edges] == [
        ("dvc.lock", "clean.txt", f"datalad-run:{run}"),
        ("datalad-run", "raw.txt", None),
    ]


def test_a_run_that_read_what_dvc_tracks_is_joined_to_the_stage(repository: Repository) -> None:
    repository.save(
        {
            "dvc.yaml": {"stages": {"fit": stage("fit", [], ["model"])}},
            "dvc.lock": lock(fit=entry("fit", {}, {"model": B})),
            ".gitignore": "/model\n",
        }
    )
    repository.write({"figure": "1"})
    repository.commit(run_message(inputs=["model"]))
    answer = repository.ask("figure")
    assert answer.edges[0].producer == "dvc.lock::fit"
    assert [node.kind for node in answer.nodes] == ["datalad-run", "stage"]


def test_a_record_kept_in_a_sidecar_file_is_read(repository: Repository) -> None:
    record = json.dumps({"cmd": "make it", "inputs": [], "exit": 0}).encode()
    name = "0123456789abcdef"
    repository.write({f".datalad/runinfo/{name}.jsonl": lzma.compress(record), "out": "1"})
    message = (
        "[DATALAD RUNCMD] make it\n\n=== Do not change lines below ===\n"
        f'"{name}"\n^^^ Do not change lines above ^^^\n'
    )
    run = repository.commit(message)
    answer = repository.ask("out")
    assert answer.producer == f"datalad-run:{run}"
    assert answer.nodes[0].cmd == "make it"


def test_a_record_in_an_annexed_sidecar_file_is_read_where_it_is_here(
    repository: Repository,
) -> None:
    record = lzma.compress(json.dumps({"cmd": "make it", "inputs": [], "exit": 0}).encode())
    key = f"MD5E-s{len(record)}--{md5(record)}.jsonl"
    spread = md5(key)
    kept = repository.root / f".git/annex/objects/{spread[:3]}/{spread[3:6]}/{key}/{key}"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(record)
    name = "0123456789abcdef"
    link = repository.root / f".datalad/runinfo/{name}"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(kept, link.parent))
    repository.write({"out": "1"})
    run = repository.commit(
        "[DATALAD RUNCMD] make it\n\n=== Do not change lines below ===\n"
        f'"{name}"\n^^^ Do not change lines above ^^^\n'
    )
    assert repository.ask("out").producer == f"datalad-run:{run}"
    kept.unlink()
    answer = repository.ask("out")
    assert answer.producer is None
    assert len(answer.gaps) == 1
    assert "git annex get" in answer.gaps[0]


class TestParsing:
    def test_the_last_block_counts_and_several_are_weak(self) -> None:
        message = run_message(cmd="first") + "\n" + run_message(cmd="second")
        found = parse_run_record(message)
        assert isinstance(found, RunRecord)
        assert found.cmd == "second"
        assert found.weak

    def test_old_records_lack_keys_and_commands_may_be_lists(self) -> None:
        found = parse_run_record(
            "[DATALAD RUNCMD] x\n\n=== Do not change lines below ===\n"
            '{"cmd": ["a", "b c"], "exit": 0, "pwd": "."}\n^^^ Do not change lines above ^^^'
        )
        assert isinstance(found, RunRecord)
        assert (found.cmd, found.inputs, found.dsid) == ("a b c", (), "")

    def test_containers_run_is_known_by_its_extra_input(self) -> None:
        found = parse_run_record(run_message(extra_inputs=["img.sif"], cmd="singularity img.sif x"))
        assert isinstance(found, RunRecord)
        assert found.container == "img.sif"

    @pytest.mark.parametrize(
        "message",
        [
            "Fix parsing of === Do not change lines below === blocks",
            "    === Do not change lines below ===\n    {}\n    ^^^ Do not change lines above ^^^",
            "x\n\n=== Do not change lines below ===\n{\n^^^ Do not change lines above ^^^\n",
            "x\n\n=== Do not change lines below ===\n[1]\n^^^ Do not change lines above ^^^\n",
            "x\n\n=== Do not change lines below ===\n{}\n^^^ Do not change lines above ^^^\n",
            "\n=== Do not change lines below ===\n" + "[" * 9000
            + "\n^^^ Do not change lines above ^^^",
            "",
        ],
    )  # fmt: skip
    def test_words_alone_are_no_record(self, message: str) -> None:
        assert isinstance(parse_run_record(message), NoRecord)

    def test_windows_line_ends_are_read(self) -> None:
        found = parse_run_record(run_message().replace("\n", "\r\n"))
        assert isinstance(found, RunRecord)

    def test_a_path_that_leaves_the_dataset_is_not_found(self) -> None:
        dataset = Dataset("d", bool, lambda folder: [folder])
        assert locate("../../etc/passwd", ".", dataset) == ()
