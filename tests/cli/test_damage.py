"""A damaged object is named, never sent and never checked out; good files are left alone."""

import shutil
import subprocess

import pytest

from imgdata.system.files import file_md5
from imgdata.testing.lab import Lab, flip_byte
from imgdata.testing.programs import PROGRAMS

NAME = "data/raw/P1/B02_1_DNA.tif"


def md5_of(lab: Lab, name: str = NAME) -> str:
    return file_md5(lab.file(name))


def test_a_flipped_byte_in_the_storage_is_found_by_pull(lab: Lab) -> None:
    flip_byte(lab.objects(lab.archive)[md5_of(lab)])
    clone = lab.clone()
    answer = clone.imgdata("pull", "raw", "--json")
    assert answer.status == 6
    assert NAME in answer.error["cause"]
    assert not clone.file(NAME).exists()
    here = {path.name for path in clone.file("data/raw/P1").iterdir()}
    assert here == {"B02_1_AGP.tif", "B03_1_AGP.tif", "B03_1_DNA.tif"}
    assert md5_of(lab) not in clone.objects()


def test_damage_that_pull_found_is_offered_to_be_committed(lab: Lab) -> None:
    flip_byte(lab.objects(lab.archive)[md5_of(lab)])
    clone = lab.clone()
    answer = clone.imgdata("pull", "raw")
    assert 'to commit:  git commit -m "Note what a pull of raw found"' in answer.out
    assert clone.git("diff", "--cached", "--name-only").startswith(".imgdata/log/")
    past = lab.clone("past").imgdata("pull", "raw", "--rev", "HEAD")
    assert 'to commit:  git commit -m "Note what a pull of raw found"' in past.out


def test_copies_made_before_a_command_stops_are_offered_to_be_committed(lab: Lab) -> None:
    config = lab.file("imgdata.yaml")
    text = config.read_text("utf-8").replace(
        "levels:", "repositories: {z: {url: zenodo:sandbox}}\nlevels:"
    )
    config.write_text(text.replace("storage: none", "storage: [mirror, z]"), "utf-8")
    lab.ok("storage", "apply", "--yes")
    lab.commit()
    answer = lab.imgdata("push", "counts")
    assert (answer.status, "counts P1 -> mirror: 2 objects sent" in answer.out) == (2, True)
    assert 'to commit:  git commit -m "Note copies of counts"' in answer.out


def test_another_storage_heals_what_one_has_damaged(lab: Lab) -> None:
    lab.ok("push", "raw", "--to", "mirror")
    lab.commit()
    flip_byte(lab.objects(lab.archive)[md5_of(lab)])
    clone = lab.clone()
    (pulled,) = clone.ok("pull", "raw", "--json").results
    assert pulled["healed"] == [NAME]
    assert md5_of(clone) == md5_of(lab)


def test_a_flipped_byte_in_the_cache_is_found_by_pull(lab: Lab) -> None:
    flip_byte(lab.objects()[md5_of(lab)])
    shutil.rmtree(lab.file("data/raw/P1"))
    answer = lab.imgdata("pull", "raw")
    assert answer.status == 6
    assert f"{NAME}: damaged in the local cache" in answer.err
    assert not lab.file(NAME).exists()
    assert len(list(lab.file("data/raw/P1").iterdir())) == 3
    lab.ok("pull", "raw", "--from", "archive")
    assert lab.file(NAME).read_bytes() == b"P1 B02 DNA"


def test_a_flipped_byte_in_the_cache_is_never_sent(lab: Lab) -> None:
    flip_byte(lab.objects()[md5_of(lab)])
    answer = lab.imgdata("push", "raw", "--to", "mirror")
    assert answer.status == 6
    assert NAME in answer.err
    sent = lab.objects(lab.base / "mirror")
    assert len(sent) == 3
    assert not any(name.endswith(".dir") for name in sent)
    assert all(file_md5(path) == name for name, path in sent.items())


def test_a_cache_that_was_damaged_beside_good_files_can_be_healed(lab: Lab) -> None:
    path = lab.file(NAME)
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)  # a file of its own, as `cache.type copy` makes them
    good = file_md5(path)
    flip_byte(lab.objects()[good])
    assert lab.imgdata("push", "raw", "--to", "mirror").status == 6
    lab.ok("pull", "raw", "--from", "archive")
    assert file_md5(lab.objects()[good]) == good
    lab.ok("push", "raw", "--to", "mirror")


def test_a_truncated_object_at_the_storage_is_named_and_repaired(lab: Lab) -> None:
    stored = lab.objects(lab.archive)[md5_of(lab)]
    stored.chmod(0o644)
    stored.write_bytes(b"P1")
    answer = lab.imgdata("push", "raw")
    assert (answer.status, NAME in answer.err, "--repair" in answer.err) == (6, True, True)
    assert stored.read_bytes() == b"P1"
    lab.ok("push", "raw", "--repair")
    assert file_md5(stored) == md5_of(lab)


def test_an_object_missing_everywhere_is_named(lab: Lab) -> None:
    lab.objects(lab.archive)[md5_of(lab)].unlink()
    clone = lab.clone()
    answer = clone.imgdata("pull", "raw")
    assert (answer.status, NAME in answer.err) == (6, True)
    assert len(list(clone.file("data/raw/P1").iterdir())) == 3


def test_a_damaged_file_list_is_named_and_nothing_is_checked_out(lab: Lab) -> None:
    record = lab.file("data/raw/P1.dvc").read_text()
    stored = lab.objects(lab.archive)
    (name,) = (name for name in stored if name.endswith(".dir") and name in record)
    flip_byte(stored[name])
    clone = lab.clone()
    answer = clone.imgdata("pull", "raw")
    assert (answer.status, "the file list of raw P1 is damaged" in answer.err) == (6, True)
    assert not clone.file("data/raw/P1").exists()


@pytest.mark.dvc
def test_a_whole_pull_is_clean_for_plain_dvc(lab: Lab) -> None:
    clone = lab.clone()
    answer = clone.ok("pull", "--json")
    (nowhere,) = [one for one in answer.results if "not_pulled" in one]
    assert nowhere["level"] == "counts"
    assert "imgdata run counts" in clone.ok("pull").out
    assert clone.dvc("status", "segment@P1", "data/raw/P1.dvc", "--json").out.strip() == "{}"
    clone.ok("run", "counts")
    assert clone.file("data/counts/P1/names.txt").is_file()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_has_read_enough_hides_no_failure(lab: Lab, unbuffered: str) -> None:
    """As `imgdata pull | head -1`: nobody reads any more, and the rest is done all the same."""
    flip_byte(lab.objects(lab.archive)[md5_of(lab)])
    clone = lab.clone()
    with subprocess.Popen(
        [PROGRAMS / "imgdata", "pull"],
        cwd=clone.project,
        env={**clone.environment, "PYTHONUNBUFFERED": unbuffered},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as pulling:
        assert pulling.stdout is not None
        assert pulling.stderr is not None
        pulling.stdout.close()
        said = pulling.stderr.read()
    assert pulling.returncode == 6
    assert f"{NAME}: damaged" in said
    assert "Traceback" not in said
    assert "BrokenPipe" not in said
    assert len(list(clone.file("data/masks/P1").iterdir())) == 4, "what came after it"


def test_a_refusal_stays_one_when_neither_stream_is_read(lab: Lab) -> None:
    line = f"{PROGRAMS / 'imgdata'} drop counts --yes 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    expected = lab.imgdata("drop", "counts", "--yes").status
    assert expected == 5
    assert lab.call("bash", "-c", line).status == expected
