"""`imgdata add`: whatever a microscope's folder holds has a defined outcome."""

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from imgdata.api import open_project
from imgdata.images.read_ahead import MANY
from imgdata.system.files import file_md5
from imgdata.testing.lab import Lab
from imgdata.testing.programs import PROGRAMS
from imgdata.workflows.check_cache import FILE_NAME
from tests.cli.restricted import restricted

pytestmark = pytest.mark.dvc


def record(lab: Lab, name: str) -> dict[str, object]:
    out = yaml.safe_load(lab.file(f"data/raw/{name}.dvc").read_text("utf-8"))["outs"][0]
    assert isinstance(out, dict)
    return out


def clean(lab: Lab) -> bool:
    """Tell whether plain dvc sees nothing to do for raw data, and that it knows every hash."""
    said = lab.dvc("status", "--json", *[str(path) for path in lab.file("data/raw").glob("*.dvc")])
    return (said.status, said.out.strip()) == (0, "{}")


def names(lab: Lab, unit: str) -> set[str]:
    folder = lab.file(f"data/raw/{unit}")
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_becomes_a_unit_read_only_with_its_origin(lab: Lab) -> None:
    source = lab.plate("P2")
    (added,) = lab.ok("add", "raw", source, "--json").results
    assert (added["unit"], added["nfiles"], added["origin"]) == ("P2", 4, "own")
    out = record(lab, "P2")
    assert (out["remote"], out["nfiles"]) == ("archive", 4)
    assert out["meta"]["imgdata"]["origin"] == "own"  # type: ignore[index] # YAML
    for path in lab.file("data/raw/P2").iterdir():
        assert path.stat().st_mode & 0o222 == 0
        assert path.read_bytes() == (source / path.name).read_bytes()
    assert '"P2"' in lab.file("plates.yaml").read_text()
    assert "P1" in lab.git("ls-files", "data/raw")
    assert {"plates.yaml", "data/raw/P2.dvc"} <= set(
        lab.git("diff", "--cached", "--name-only").split()
    )
    assert clean(lab)


def test_odd_names_and_files_are_kept(lab: Lab) -> None:
    source = lab.microscope / "größe 日本 1"
    (source / "sub dir").mkdir(parents=True)
    kept = [
        "a b.tif",
        "größe.tif",
        "new\nline.tif",
        "Index.xml",
        "sub dir/ü.tif",
        "$x;'\".tif",
        "-f",
    ]
    for name in kept:
        (source / name).write_text(name)
    (source / "empty.tif").touch()
    answer = lab.ok("add", "raw", source)
    assert names(lab, source.name) == {*kept, "empty.tif"}
    assert clean(lab), answer.out


def test_a_name_that_is_no_utf8_is_left_out_and_told(lab: Lab) -> None:
    source = lab.plate("P2")
    Path(os.fsdecode(os.fsencode(source) + b"/caf\xe9.tif")).write_text("x")
    answer = lab.imgdata("add", "raw", source)
    assert answer.status == 9
    assert "its name is not UTF-8" in answer.err
    assert len(names(lab, "P2")) == 4
    assert clean(lab)


def test_what_cannot_be_read_stays_at_the_source_and_is_told(lab: Lab) -> None:
    source = lab.plate("P2")
    (source / "B02_1_DNA.tif").chmod(0)
    (source / "closed").mkdir()
    (source / "closed" / "x.tif").touch()
    (source / "closed").chmod(0)
    answer = restricted(lab, "add", "raw", source, "--json")
    assert answer.status == 9
    assert "2 files were not added" in answer.error["problem"]
    assert "B02_1_DNA.tif" in answer.error["cause"]
    assert "closed" in answer.error["cause"]
    assert len(names(lab, "P2")) == 3
    (source / "B02_1_DNA.tif").chmod(0o644)
    (source / "closed").chmod(0o755)
    (added,) = lab.ok("add", "raw", source, "--json").results
    assert (added["new"], added["already"]) == (["B02_1_DNA.tif", "closed/x.tif"], 3)


def test_a_source_that_holds_nothing_readable_is_refused(lab: Lab) -> None:
    (lab.microscope / "P2").mkdir()
    assert lab.imgdata("add", "raw", lab.microscope / "P2").status == 2
    assert lab.imgdata("add", "raw", lab.microscope / "never").status == 2
    (lab.plate("P3") / "x").touch()
    for path in (lab.microscope / "P3").iterdir():
        path.chmod(0)
    answer = restricted(lab, "add", "raw", lab.microscope / "P3")
    assert (answer.status, "could be read" in answer.err) == (8, True)
    assert not lab.file("data/raw/P3.dvc").exists()


def test_names_that_differ_in_case_are_kept_and_noted(lab: Lab) -> None:
    source = lab.plate("P2")
    (source / "b02_1_dna.TIF").write_text("other")
    (added,) = lab.ok("add", "raw", source, "--json").results
    assert added["same_but_case"] == [["B02_1_DNA.tif", "b02_1_dna.TIF"]]
    assert added["nfiles"] == 5


def test_links_are_read_through_and_circles_are_told(lab: Lab) -> None:
    real = lab.plate("real")
    source = lab.microscope / "P2"
    source.mkdir()
    (source / "one.tif").symlink_to(real / "B02_1_DNA.tif")
    (source / "folder").symlink_to(real)
    (source / "up").symlink_to(source)
    (source / "self").symlink_to("self")
    (source / "nowhere").symlink_to("nothing")
    answer = lab.imgdata("add", "raw", source)
    assert answer.status == 9
    for name in ("up", "self", "nowhere"):
        assert f"{source}/{name}: " in answer.err
    assert names(lab, "P2") == {"one.tif", *(f"folder/{path.name}" for path in real.iterdir())}
    assert not any(path.is_symlink() for path in lab.file("data/raw/P2").rglob("*"))
    assert clean(lab)


def test_a_linked_source_is_its_target(lab: Lab) -> None:
    (lab.base / "P9").symlink_to(lab.plate("P2"))
    lab.ok("add", "raw", lab.base / "P9", "--unit", "P9")
    assert len(names(lab, "P9")) == 4


def test_pipes_and_sockets_are_left_out(lab: Lab) -> None:
    source = lab.plate("P2")
    os.mkfifo(source / "pipe")
    answer = lab.imgdata("add", "raw", source)
    assert (answer.status, "pipe: not a regular file" in answer.err) == (9, True)


@pytest.mark.parametrize("name", ["P2.tif", "P2.2024-05-02.ome.tif", "P2"])
def test_a_single_file_is_a_unit(lab: Lab, name: str) -> None:
    source = lab.microscope / name
    source.write_bytes(b"image")
    (added,) = lab.ok("add", "raw", source, "--json").results
    (again,) = lab.ok("add", "raw", source, "--json").results
    assert (added["already"], again["already"]) == (0, 1)
    assert lab.file(f"data/raw/{name}").read_bytes() == b"image"
    assert record(lab, name)["md5"] == file_md5(source)
    (found,) = [one for one in lab.ok("status", "raw", "--json").results if one["unit"] != "P1"]
    assert found["unit"] == added["unit"]
    assert clean(lab)


def test_a_zarr_folder_is_a_unit_and_keeps_its_name(lab: Lab) -> None:
    source = lab.microscope / "P2.zarr"
    (source / "0").mkdir(parents=True)
    (source / "0" / ".zarray").write_text("{}")
    (source / "0" / "0.0").write_bytes(b"chunk")
    lab.ok("add", "raw", source)
    assert names(lab, "P2.zarr") == {"0/.zarray", "0/0.0"}
    lab.ok("add", "raw", source)
    assert [one["unit"] for one in lab.ok("status", "raw", "--json").results] == ["P1", "P2"]
    assert clean(lab)


def test_a_source_that_is_in_place_already_is_tracked_where_it_is(lab: Lab) -> None:
    shutil.copytree(lab.plate("P2"), lab.file("data/raw/P2"))
    lab.ok("add", "raw", "data/raw/P2")
    assert names(lab, "P2") == {path.name for path in (lab.microscope / "P2").iterdir()}
    assert all(path.stat().st_mode & 0o222 == 0 for path in lab.file("data/raw/P2").iterdir())
    assert clean(lab)


def test_adding_twice_changes_nothing(lab: Lab) -> None:
    before = lab.file("data/raw/P1.dvc").read_bytes()
    (added,) = lab.ok("add", "raw", lab.microscope / "P1", "--json").results
    assert (added["new"], added["already"]) == ([], 4)
    assert lab.file("data/raw/P1.dvc").read_bytes() == before
    assert lab.git("status", "--porcelain") == ""
    assert clean(lab)


def test_new_files_join_their_unit(lab: Lab) -> None:
    size = record(lab, "P1")["size"]
    new = lab.base / "more" / "P1"
    new.mkdir(parents=True)
    (new / "C05_1_DNA.tif").write_bytes(b"1234567")
    (added,) = lab.ok("add", "raw", new, "--json").results
    assert (added["new"], added["nfiles"]) == (["C05_1_DNA.tif"], 5)
    assert record(lab, "P1")["nfiles"] == 5
    assert record(lab, "P1")["size"] == size + 7  # type: ignore[operator] # YAML
    assert clean(lab)


def test_new_files_join_a_unit_that_is_here_in_part(lab: Lab) -> None:
    clone = lab.clone()
    clone.ok("pull", "raw", "--select", "well=B02")
    size = record(lab, "P1")["size"]
    new = lab.base / "more" / "P1"
    new.mkdir(parents=True)
    (new / "C05_1_DNA.tif").write_bytes(b"1234567")
    (added,) = clone.ok("add", "raw", new, "--json").results
    assert added["nfiles"] == 5
    assert record(clone, "P1")["size"] == size + 7  # type: ignore[operator] # YAML


def test_a_different_original_of_one_name_is_refused_naming_both(lab: Lab) -> None:
    other = lab.base / "other" / "P1"
    shutil.copytree(lab.microscope / "P1", other)
    (other / "B02_1_DNA.tif").write_bytes(b"something else")
    before = lab.file("data/raw/P1.dvc").read_bytes()
    answer = lab.imgdata("add", "raw", other)
    assert answer.status == 5
    assert "data/raw/P1/B02_1_DNA.tif" in answer.err
    assert str(other / "B02_1_DNA.tif") in answer.err
    assert "--unit NAME" in answer.err
    assert lab.file("data/raw/P1.dvc").read_bytes() == before
    assert lab.file("data/raw/P1/B02_1_DNA.tif").read_bytes() == b"P1 B02 DNA"


def test_files_that_lie_there_unrecorded_are_never_overwritten(lab: Lab) -> None:
    lab.file("data/raw/P2").mkdir()
    lab.file("data/raw/P2/B02_1_DNA.tif").write_bytes(b"mine")
    answer = lab.imgdata("add", "raw", lab.plate("P2"))
    assert answer.status == 5
    assert lab.file("data/raw/P2/B02_1_DNA.tif").read_bytes() == b"mine"


def test_an_original_that_changed_stops_an_add_to_its_unit(lab: Lab) -> None:
    path = lab.file("data/raw/P1/B03_1_AGP.tif")
    path.unlink()
    path.write_bytes(b"edited")
    new = lab.base / "more" / "P1"
    new.mkdir(parents=True)
    (new / "C05_1_DNA.tif").write_bytes(b"x")
    answer = lab.imgdata("add", "raw", new)
    assert (answer.status, "data/raw/P1/B03_1_AGP.tif" in answer.err) == (5, True)


def test_what_dvcignore_names_is_left_out_without_alarm(lab: Lab) -> None:
    lab.file(".dvcignore").write_text("*.tmp\nThumbs.db\ncache/\n")
    source = lab.plate("P2")
    for name in ("x.tmp", "Thumbs.db", "cache/a.tif"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).touch()
    (added,) = lab.ok("add", "raw", source, "--json").results
    assert added["nfiles"] == 4
    assert {one["path"] for one in added["left_out"]} == {"x.tmp", "Thumbs.db", "cache/a.tif"}
    assert clean(lab)


@pytest.mark.parametrize("name", [".dvcignore", "dvc.yaml", "x.dvc", "dvc.lock", ".gitignore"])
def test_files_that_mean_something_to_dvc_do_not_break_the_project(lab: Lab, name: str) -> None:
    source = lab.plate("P2")
    (source / name).write_text("*.tif\n")
    answer = lab.imgdata("add", "raw", source)
    assert answer.status in {0, 9}
    assert (answer.status == 9) == (name not in names(lab, "P2"))
    assert lab.ok("status").out
    assert clean(lab)


@pytest.mark.parametrize("line", ["data/", "*.dvc", "/data/raw/*"])
def test_what_git_ignores_is_not_said_to_be_added(lab: Lab, line: str) -> None:
    with lab.file(".gitignore").open("a") as ignored:
        ignored.write(f"{line}\n")
    done = lab.imgdata("add", "raw", lab.plate("P2"))
    assert done.status == 2
    assert "git ignores data/raw/P2.dvc, and DVC with it" in done.err
    assert "git check-ignore -v data/raw/P2.dvc" in done.err
    assert not lab.file("data/raw/P2").exists()


def test_evidence_is_committed_whatever_git_ignores(lab: Lab) -> None:
    with lab.file(".gitignore").open("a") as ignored:
        ignored.write("*.json*\n.imgdata/\n")
    lab.commit()
    lab.ok("push", "raw")
    staged = lab.git("diff", "--cached", "--name-only").split()
    assert [name for name in staged if name.startswith(".imgdata/log/")]


def test_a_unit_can_be_named(lab: Lab) -> None:
    lab.ok("add", "raw", lab.plate("P2"), "--unit", "2024-05-02 plate")
    assert len(names(lab, "2024-05-02 plate")) == 4


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "x.dvc", "a\nb"])
def test_a_name_that_cannot_be_a_units_is_refused(lab: Lab, name: str) -> None:
    answer = lab.imgdata("add", "raw", lab.plate("P2"), "--unit", name)
    assert answer.status == 2
    assert not lab.file("data/raw/P2.dvc").exists()


def test_questions_that_make_no_sense_are_answered(lab: Lab) -> None:
    one, other = lab.plate("P2"), lab.base / "other" / "P2"
    shutil.copytree(one, other)
    questions: tuple[tuple[list[str | Path], str], ...] = (
        (["raw", one, "--origin", "nobody"], "'nobody' is not an origin"),
        (["row", one], "'row' is not a level"),
        (["masks", one], "is made by stages"),
        (["raw", one, other], "two sources would both become raw P2"),
        (["raw", one, other, "--unit", "P3"], "--unit names one unit"),
    )
    for words, said in questions:
        answer = lab.imgdata("add", *words)
        assert (answer.status, said in answer.err) == (2, True), answer.err
    assert not lab.file("data/raw/P2.dvc").exists()


def test_the_origin_of_a_unit_stays_when_files_join(lab: Lab) -> None:
    lab.ok("add", "raw", lab.plate("P2"), "--origin", "partner")
    new = lab.base / "more" / "P2"
    new.mkdir(parents=True)
    (new / "C05_1_DNA.tif").write_bytes(b"x")
    lab.ok("add", "raw", new)
    meta = record(lab, "P2")["meta"]
    assert meta["imgdata"]["origin"] == "partner"  # type: ignore[index] # YAML
    (new / "C06_1_DNA.tif").write_bytes(b"y")
    answer = lab.imgdata("add", "raw", new, "--origin", "own")
    assert answer.status == 5
    assert "partner" in answer.err


def test_a_file_that_is_still_written_is_not_added(lab: Lab) -> None:
    source = lab.plate("P2")
    script = (
        "import sys, time\n"
        "with open(sys.argv[1], 'ab', buffering=0) as out:\n"
        "    print('go', flush=True)\n"
        "    while True: out.write(b'x' * 1000); time.sleep(0.0002)\n"
    )
    import subprocess

    growing = source / "growing.tif"
    growing.write_bytes(os.urandom(5_000_000))
    with subprocess.Popen([sys.executable, "-c", script, growing], stdout=-1) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        answer = lab.imgdata("add", "raw", source)
        writer.kill()
    assert answer.status == 9
    assert "growing.tif: still being written" in answer.err
    assert len(names(lab, "P2")) == 4


def test_a_dry_run_changes_nothing(lab: Lab) -> None:
    objects = set(lab.objects())
    answer = lab.ok("add", "raw", lab.plate("P2"), "--dry-run")
    assert "raw P2: 4 files" in answer.out
    assert set(lab.objects()) == objects
    assert not lab.file("data/raw/P2").exists()
    assert lab.git("status", "--porcelain") == ""


def test_two_clones_that_each_add_a_plate_merge(lab: Lab) -> None:
    clone = lab.clone()
    for one, plate in ((lab, "P2"), (clone, "P3")):
        one.ok("add", "raw", one.plate(plate))
        one.commit(f"Add {plate}")
    lab.git("pull", "--quiet", "--no-rebase", "--no-edit", clone.project, "main")
    units = [one["unit"] for one in lab.ok("status", "raw", "--json").results]
    assert units == ["P1", "P2", "P3"]
    assert lab.call(PROGRAMS / "dvc", "stage", "list").status == 0


def lose_lists(place: Path) -> None:
    for path in (place / "files" / "md5").rglob("*.dir"):
        path.chmod(0o644)
        path.unlink()


def test_a_clone_without_the_file_list_takes_it_from_the_storage(lab: Lab) -> None:
    clone = lab.clone()
    clone.ok("add", "raw", lab.plate("P1", wells=("B02", "B03", "B04")))
    assert clone.ok("--json", "status", "raw").results[0]["files"] == 6
    assert clone.dvc("status", "data/raw/P1.dvc").status == 0


def test_a_list_that_is_nowhere_is_made_anew_from_the_whole_unit_or_told(lab: Lab) -> None:
    before = lab.file("data/raw/P1.dvc").read_text()
    clone = lab.clone()
    lose_lists(lab.archive)
    more = lab.base / "more" / "P1"
    more.mkdir(parents=True)
    (more / "C05_1_DNA.tif").write_bytes(b"another well")
    refused = clone.imgdata("add", "raw", more)
    assert refused.status == 6
    assert "raw P1 has 4 files already, and the list of them" in refused.err
    assert "imgdata add raw SOURCE --unit NAME" in refused.err
    assert clone.file("data/raw/P1.dvc").read_text() == before
    clone.ok("add", "raw", lab.microscope / "P1")
    assert clone.file("data/raw/P1.dvc").read_text() == before, "the same version, found again"
    clone.ok("add", "raw", more)
    assert clone.ok("--json", "status", "raw").results[0]["files"] == 5
    clone.ok("push", "raw")
    assert "in sync" in clone.dvc("status", "-c", "data/raw/P1.dvc").out


def test_the_headers_of_a_large_folder_are_read_while_it_is_added(lab: Lab) -> None:
    source = lab.microscope / "large"
    source.mkdir()
    for number in range(MANY):
        (source / f"{number}.tif").write_bytes(b"II*\0" + number.to_bytes(4, "little"))
    project = open_project(lab.project, writing=True)
    (added,) = project.add(project.plan_add("raw", [source]))
    assert added.nfiles == MANY
    readings = lab.file(f".dvc/tmp/imgdata/{FILE_NAME}")
    with closing(sqlite3.connect(readings)) as table:
        read = table.execute("SELECT path FROM reading WHERE path LIKE '%/large/%'").fetchall()
    assert {path for (path,) in read} == {
        str(path) for path in lab.file("data/raw/large").iterdir()
    }
    ahead = lab.imgdata("check", "data/raw/large", "--json").results
    readings.unlink()
    assert lab.imgdata("check", "data/raw/large", "--json").results == ahead
    assert clean(lab)
