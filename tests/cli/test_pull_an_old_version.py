"""`imgdata pull --rev`: an old version comes back, and the working tree keeps the one it has."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from imgdata.system.files import TEMPORARY
from imgdata.testing.lab import Lab, flip_byte

MASK = "data/masks/P1/B02_1_DNA.tif"
OLD, NEW = b"mask threshold: 3 of ", b"mask threshold: 40 of "
SCHEMA = Path(__file__).resolve().parents[2] / "docs/reference/json/pull.schema.json"
NOTE = "imgdata-revision.json"


def files(folder: Path) -> dict[str, str]:
    """Return the md5 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def recorded(
    lab: Lab, commit: str, out: str, objects: dict[str, Path] | None = None
) -> dict[str, str]:
    """Return md5 by path as a commit records an out, by plain git and the archive's list."""
    lock = lab.git("show", f"{commit}:dvc.lock")
    md5 = lock.split(f"outs:\n    - path: {out}\n", 1)[1].split("md5: ", 1)[1].split("\n", 1)[0]
    listed = json.loads((objects or lab.objects(lab.archive))[md5].read_text())
    return {f"{out}/{one['relpath']}": one["md5"] for one in listed}


def picture(lab: Lab) -> tuple[object, ...]:
    """Return everything of the working tree that a pull of an old version may not touch."""
    tree = {
        name: md5 for name, md5 in files(lab.project).items() if name[:4] not in {".dvc", ".git"}
    }
    modes = {path: path.stat().st_mode for path in lab.file("data").rglob("*")}
    told = lab.git("status", "--porcelain"), lab.git("rev-parse", "HEAD")
    return tree, modes, told, lab.dvc("status", "--json").out, lab.file(".dvc/config").read_bytes()


def forget(lab: Lab) -> int:
    """Delete the old masks from the cache, and their file list."""
    old = [lab.git("show", "v1:dvc.lock").split("path: data/masks/P1\n", 1)[1].split()[3]]
    here = lab.objects()
    old += [name for name, path in here.items() if path.read_bytes().startswith(OLD)]
    for name in old:
        here[name].unlink(missing_ok=True)
    return len(old)


def make_old(lab: Lab) -> Lab:
    """Tag what is there v1, then make and push other masks; forget the old ones here."""
    lab.git("tag", "v1")
    lab.file("params.yaml").write_text("threshold: 40\n")
    lab.ok("run")
    lab.ok("push")
    lab.commit("Another threshold")
    assert forget(lab) == 5
    return lab


@pytest.fixture(scope="module")
def aged_once(finished_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make_old(finished_lab.copy_to(tmp_path_factory.mktemp("aged") / "lab"))


@pytest.fixture
def aged(aged_once: Lab, tmp_path: Path) -> Lab:
    """A project at its second masks; the first, at the tag v1, are on the archive only."""
    return aged_once.copy_to(tmp_path / "lab")


def test_an_old_version_is_written_into_a_folder_and_nothing_else_changes(aged: Lab) -> None:
    before = picture(aged)
    into = aged.base / "old"
    answer = aged.ok("pull", "masks", "raw", "--rev", "v1", "--into", into)
    wanted = recorded(aged, "v1", "data/masks/P1")
    found = files(into)
    assert found.pop(NOTE)
    assert {name: md5 for name, md5 in found.items() if "masks" in name} == wanted
    assert {name for name in found if "raw" in name} == {
        f"data/raw/P1/{path.name}" for path in aged.file("data/raw/P1").iterdir()
    }
    assert (into / MASK).read_bytes().startswith(OLD)
    assert picture(aged) == before
    assert "masks P1: 4 files brought back" in answer.out
    assert f"is in {into}" in answer.out
    assert not (into / "data/raw/P1/B02_1_DNA.tif").stat().st_mode & 0o222
    assert json.loads((into / NOTE).read_text())["commit"] == aged.git("rev-parse", "v1").strip()


def test_without_a_folder_the_cache_is_filled_and_the_next_line_works(aged: Lab) -> None:
    before = picture(aged)
    answer = aged.ok("pull", "masks", "--rev", "v1")
    assert picture(aged) == before
    assert "masks P1: " in answer.out
    assert "from archive into the cache, verified" in answer.out
    line = "git checkout v1 && imgdata pull masks"
    assert f"to work with it:  {line}\n" in answer.out
    aged.archive.rename(aged.base / "away")
    assert aged.call("git", "checkout", "-q", "v1").status == 0
    aged.ok("pull", "masks")
    assert aged.file(MASK).read_bytes().startswith(OLD)
    aged.git("checkout", "-q", "main")
    aged.ok("pull", "masks")
    assert aged.file(MASK).read_bytes().startswith(NEW)


def test_what_the_cache_has_is_hashed_before_it_is_called_there(aged: Lab) -> None:
    aged.ok("pull", "masks", "--rev", "v1")
    assert "4 were in the cache" in aged.ok("pull", "masks", "--rev", "v1").out
    wanted = recorded(aged, "v1", "data/masks/P1")
    flip_byte(aged.objects()[wanted[MASK]])
    answer = aged.imgdata("pull", "masks", "--rev", "v1")
    assert (answer.status, f"{MASK}: damaged in the local cache" in answer.err) == (6, True)
    command = "imgdata pull masks --rev v1 --from STORAGE"
    assert f"from another copy: {command}" in answer.err
    into = aged.base / "old"
    answer = aged.imgdata("pull", "masks", "--rev", "v1", "--into", into)
    assert (answer.status, len(files(into / "data"))) == (6, 3)
    assert f"imgdata pull masks --rev v1 --into {into} --from STORAGE" in answer.err
    aged.ok("pull", "masks", "--rev", "v1", "--from", "archive")
    aged.ok("pull", "masks", "--rev", "v1", "--into", into)
    assert files(into)[MASK] == wanted[MASK]


@pytest.mark.parametrize("place", [(), ("--into", "../old")])
def test_damaged_and_missing_objects_are_named_and_the_rest_comes(
    aged: Lab, place: tuple[str, ...]
) -> None:
    wanted = recorded(aged, "v1", "data/masks/P1")
    there = aged.objects(aged.archive)
    flip_byte(there[wanted[MASK]])
    there[wanted["data/masks/P1/B03_1_AGP.tif"]].unlink()
    answer = aged.imgdata("pull", "masks", "raw", "--rev", "v1", *place)
    assert answer.status == 6
    assert f"{MASK}: damaged on archive" in answer.err
    assert "data/masks/P1/B03_1_AGP.tif: missing on archive" in answer.err
    assert "2 DAMAGED or missing" in answer.out
    if place:
        assert len(files(aged.base / "old/data/masks")) == 2
        assert len(files(aged.base / "old/data/raw")) == 4
    told = aged.imgdata("whereis", "masks", "--all-versions").out
    assert told.count("1 file at fewer places") == 1, f"damage is noted for the old version\n{told}"
    shutil.rmtree(aged.archive / "files")
    forget(aged)
    answer = aged.imgdata("pull", "--rev", "v1", *place)
    assert (answer.status, "the file list of masks P1 is" in answer.err) == (6, True)
    assert "counts P1: 1 " in answer.out, "what can be had comes all the same"


def test_a_folder_that_holds_anything_else_is_refused_and_left_alone(aged: Lab) -> None:
    into = aged.base / "old"
    into.mkdir()
    (into / "thesis.txt").write_text("mine")
    answer = aged.imgdata("pull", "masks", "--rev", "v1", "--into", into)
    assert (answer.status, "is not empty" in answer.err) == (5, True)
    assert files(into).keys() == {"thesis.txt"}
    assert aged.imgdata("pull", "--rev", "v1", "--into", into / "thesis.txt").status == 2
    other = aged.base / "other"
    aged.ok("pull", "masks", "--rev", "HEAD", "--into", other)
    answer = aged.imgdata("pull", "masks", "--rev", "v1", "--into", other)
    assert (answer.status, (other / MASK).read_bytes().startswith(NEW)) == (5, True)


@pytest.mark.parametrize(
    "place", ["data/masks/old", ".dvc/old", ".git/old", "data/raw", "link/old"]
)
def test_a_folder_of_the_project_itself_is_refused(aged: Lab, place: str) -> None:
    aged.file("link").symlink_to("data/masks")
    before = picture(aged)
    answer = aged.imgdata("pull", "masks", "--rev", "v1", "--into", place)
    assert (answer.status, "lies in" in answer.err) == (5, True)
    assert picture(aged) == before


def test_a_folder_that_git_sees_is_named_with_the_line_that_hides_it(aged: Lab) -> None:
    answer = aged.ok("pull", "masks", "--rev", "v1", "--into", "old v1")
    line = answer.err.split("out of commits: ")[1].strip()
    assert aged.call("sh", "-c", line).status == 0
    assert "old v1" not in aged.git("status", "--porcelain")
    assert "ignore" not in aged.ok("pull", "masks", "--rev", "v1", "--into", "old v1").err


def test_files_edited_in_the_folder_are_not_overwritten(aged: Lab) -> None:
    into = aged.base / "old"
    aged.ok("pull", "masks", "--rev", "v1", "--into", into)
    (into / MASK).unlink()
    (into / MASK).write_bytes(b"mine")
    (into / "data/masks/P1/notes.txt").write_bytes(b"mine too")
    answer = aged.imgdata("pull", "masks", "--rev", "v1", "--into", into)
    assert (answer.status, MASK in answer.err) == (5, True)
    assert (into / MASK).read_bytes() == b"mine"
    (into / MASK).unlink()
    half = into / "data/masks/P1" / f"{TEMPORARY}of-a-killed-pull"
    half.write_bytes(OLD)
    aged.ok("pull", "masks", "--rev", "v1", "--into", into)
    assert (into / "data/masks/P1/notes.txt").read_bytes() == b"mine too"
    assert not half.exists()


def test_the_folder_outlives_a_cache_of_symbolic_links(aged: Lab) -> None:
    assert aged.dvc("config", "--local", "cache.type", "symlink").status == 0
    aged.ok("pull", "masks", "--rev", "v1", "--into", "../old")
    shutil.rmtree(aged.file(".dvc/cache"))
    assert (aged.base / "old" / MASK).read_bytes().startswith(OLD)


def test_a_link_below_the_folder_leads_nothing_out_of_it(aged: Lab) -> None:
    into = aged.base / "old"
    aged.ok("pull", "masks", "--rev", "v1", "--into", into)
    shutil.rmtree(into / "data")
    (aged.base / "elsewhere").mkdir()
    (into / "data").symlink_to(aged.base / "elsewhere")
    answer = aged.imgdata("pull", "masks", "--rev", "v1", "--into", into)
    assert (answer.status, "leads out of" in answer.err) == (5, True)
    assert not files(aged.base / "elsewhere")


def test_branches_stashes_and_commits_are_revisions(aged: Lab) -> None:
    aged.git("branch", "model-3", "v1")
    commit = aged.git("rev-parse", "--short", "v1").strip()
    for revision in ("model-3", commit, "HEAD~2"):
        into = aged.base / revision
        aged.ok("pull", "masks", "--rev", revision, "--into", into)
        assert (into / MASK).read_bytes().startswith(OLD)
    aged.file("dvc.lock").write_text(aged.git("show", "v1:dvc.lock"))
    aged.git("stash", "-q")
    answer = aged.ok("pull", "masks", "--rev", "stash@{0}")
    assert "git checkout 'stash@{0}' && imgdata pull masks" in answer.out
    answer = aged.imgdata("pull", "--rev", "nosuch")
    assert (answer.status, "no revision 'nosuch'" in answer.err) == (2, True)
    assert aged.imgdata("pull", "--rev", "--all").status == 2
    answer = aged.imgdata("pull", "--into", "x")
    assert (answer.status, "--rev" in answer.err) == (2, True)
    answer = aged.imgdata("pull", "nosuch", "--rev", "v1")
    assert (answer.status, "its levels: raw, masks, counts" in answer.err) == (2, True)


def test_a_project_behind_a_link_is_the_same_project(aged: Lab) -> None:
    link = aged.base / "link"
    link.symlink_to(aged.project)
    aged.ok("pull", "masks", "--rev", "v1", "--into", "../old", cwd=link)
    assert (aged.base / "old" / MASK).read_bytes().startswith(OLD)
    answer = aged.imgdata("pull", "masks", "--rev", "v1", "--into", link / "data/raw/x", cwd=link)
    assert answer.status == 5


def test_a_part_is_selected_by_key_as_in_any_pull(aged: Lab) -> None:
    into = aged.base / "old"
    answer = aged.ok(
        "pull", "masks", "--rev", "v1", "--select", "well=B03", "--into", into, "--json"
    )
    assert answer.results[0]["left"] == 2
    assert {name[-13:] for name in files(into / "data")} == {"B03_1_DNA.tif", "B03_1_AGP.tif"}
    assert not list(aged.file(".dvc/tmp/imgdata").glob("partial/*"))
    assert aged.imgdata("pull", "masks", "--rev", "v1", "--select", "well=Z9").status == 2
    aged.ok("pull", "masks", "--rev", "v1", "--select", "well=B02")
    assert not [name for name, path in aged.objects().items() if not path.is_file()]


def test_a_dry_run_says_what_would_come_and_needs_no_storage(aged: Lab) -> None:
    aged.archive.rename(aged.base / "away")
    into = aged.base / "old"
    answer = aged.ok("pull", "masks", "--rev", "v1", "--into", into, "--dry-run")
    assert answer.out.startswith("masks P1: up to ")
    assert "(as remembered)" in answer.out
    assert not into.exists()
    (one,) = aged.ok("pull", "masks", "--rev", "v1", "--dry-run", "--json").results
    assert one["bytes"] > 0
    answer = aged.imgdata("pull", "masks", "--rev", "v1")
    assert answer.status == 4
    (aged.base / "away").rename(aged.archive)
    aged.ok("pull", "masks", "--rev", "v1")
    assert aged.ok("pull", "masks", "--rev", "v1", "--dry-run", "--json").results == []


def test_a_level_of_another_name_then_is_found_by_both_names(aged: Lab) -> None:
    aged.ok("level", "mv", "masks", "segmentations", "--yes")
    aged.commit("Rename")
    before = picture(aged)
    for name in ("masks", "segmentations"):
        into = aged.base / name
        (one,) = aged.ok("pull", name, "--rev", "v1", "--into", into, "--json").results
        assert one["level"] == "segmentations"
        assert (into / MASK).read_bytes().startswith(OLD), "in the folder of then"
    answer = aged.ok("pull", "segmentations", "--rev", "v1")
    assert "git checkout v1 && imgdata pull masks\n" in answer.out
    assert picture(aged) == before


def test_a_level_that_took_the_name_of_another_is_not_taken_for_it(aged: Lab) -> None:
    config, pipeline = aged.file("imgdata.yaml"), aged.file("dvc.yaml")
    config.write_text(config.read_text().split("  counts:\n")[0])
    pipeline.write_text(pipeline.read_text().split("  count:\n")[0])
    shutil.rmtree(aged.file("data/counts"))
    lock = aged.file("dvc.lock").read_text()
    parts = lock.split("  count@P1:\n")
    rest = parts[1][parts[1].find("  segment@P1:") :] if "  segment@P1:" in parts[1] else ""
    aged.file("dvc.lock").write_text(parts[0] + rest)
    aged.commit("No counts")
    aged.ok("level", "mv", "masks", "counts", "--yes")
    aged.commit("Masks are called counts now")
    aged.ok("pull", "masks", "counts", "--rev", "v1", "--into", "../old")
    assert (aged.base / "old" / MASK).read_bytes().startswith(OLD)
    assert (aged.base / "old/data/counts/P1/names.txt").is_file()


@pytest.mark.parametrize("pushed_by", ["imgdata", "dvc"])
def test_a_level_and_a_storage_that_are_no_more_are_found(aged: Lab, pushed_by: str) -> None:
    if pushed_by == "dvc":  # of such a push nothing is noted
        shutil.rmtree(aged.file(".imgdata/log"))
    config = aged.file("imgdata.yaml")
    text = config.read_text()
    head, rest = text.split("  masks:\n")
    config.write_text(head + rest[rest.index("  counts:") :].replace("    from: [masks]\n", ""))
    aged.commit("No level masks")
    aged.ok("pull", "masks", "--rev", "v1", "--into", "../old")
    assert (aged.base / "old" / MASK).read_bytes().startswith(OLD)
    forget(aged)
    config.write_text(config.read_text().replace("archive", "mirror").replace("../mirror", "../m2"))
    (aged.base / "m2").mkdir()
    config.write_text(config.read_text().replace("  mirror: {url: ../m2}\n", "", 1))
    answer = aged.imgdata("pull", "masks", "--rev", "v1", "--into", "../new")
    assert answer.status == 6, answer.out + answer.err
    assert "imgdata storage add archive ../archive" in answer.err
    aged.ok("storage", "add", "archive", "../archive")
    aged.ok("pull", "masks", "--rev", "v1", "--into", "../new")
    assert (aged.base / "new" / MASK).read_bytes().startswith(OLD)


def test_what_is_made_again_is_named_with_the_line_that_makes_it(aged: Lab) -> None:
    counts = recorded(aged, "v1", "data/counts/P1", aged.objects())
    shutil.rmtree(aged.file("data/counts"))
    for name, path in aged.objects().items():
        if name in counts.values() or path.read_bytes().count(b"names.txt"):
            path.unlink()
    before = picture(aged)
    answer = aged.ok("pull", "counts", "--rev", "v1", "--into", "../old")
    assert "counts P1: not brought back (storage: none); to make it: git worktree" in answer.out
    line = answer.out.split("to make it: ")[1].split("\n")[0]
    programs = {"PATH": f"{Path(sys.executable).parent}:{aged.environment['PATH']}"}
    lab = Lab(aged.base, aged.name, programs)
    made = lab.call("sh", "-ec", line)
    assert made.status == 0, made.err
    beside = aged.base / f"project-{aged.git('rev-parse', 'v1')[:8]}"
    assert counts.items() <= files(beside).items()
    assert picture(aged) == before


def test_the_answer_for_programs_fits_its_schema(aged: Lab) -> None:
    schema = json.loads(SCHEMA.read_text())
    commit = aged.git("rev-parse", "v1").strip()
    for words in (("--rev", "v1"), ("--rev", "v1", "--into", "../old"), ()):
        document = aged.ok("pull", *words, "--json").document
        jsonschema.validate(document, schema)
        told = [(one.get("revision"), one.get("commit")) for one in document["results"]]
        assert set(told) == {("v1", commit) if words else (None, None)}
    jsonschema.validate(aged.ok("pull", "--rev", "v1", "--dry-run", "--json").document, schema)
    shutil.rmtree(aged.archive / "files")
    forget(aged)
    answer = aged.imgdata("pull", "masks", "--rev", "v1", "--json")
    assert answer.error["kind"] == "damaged"
    jsonschema.validate(answer.document, schema)


def test_a_killed_pull_is_completed_by_the_same_command(aged: Lab, tmp_path: Path) -> None:
    plate = aged.microscope / "P2"
    plate.mkdir()
    for well in range(1, 25):
        for site in range(1, 26):
            path = plate / f"C{well:02}_{site}_DNA.tif"
            path.write_bytes(f"{well} {site}".encode() * 4000)
    aged.ok("add", "raw", plate)
    aged.ok("push", "raw")
    aged.commit("A larger plate")
    aged.git("tag", "v2")
    wanted = files(plate)
    shutil.rmtree(aged.file("data/raw/P2"))
    command = [str(Path(sys.executable).parent / "imgdata"), "pull", "raw", "--rev", "v2", "--into"]
    killed = 0
    for number in range(8):
        into = tmp_path / "old"
        shutil.rmtree(aged.file(".dvc/cache"), ignore_errors=number % 2 == 0)
        shutil.rmtree(into, ignore_errors=True)
        running = subprocess.Popen(
            [*command, str(into)], cwd=aged.project, env=aged.environment, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while running.poll() is None and time.monotonic() < deadline:
            if len(list((into / "data/raw/P2").glob("*"))) > number * 60:
                break
        running.send_signal(signal.SIGKILL)
        killed += running.wait() == -signal.SIGKILL
        here = files(into / "data/raw/P2") if into.exists() else {}
        whole = {name: md5 for name, md5 in here.items() if TEMPORARY not in name}
        assert whole.items() <= wanted.items(), "no half file under its own name"
        aged.ok("pull", "raw", "--rev", "v2", "--into", into)
        assert files(into / "data/raw/P2") == wanted
        assert not [path for path in into.rglob("*") if TEMPORARY in path.name]
    assert killed
