"""Content that git-annex keeps: what is here, compared with what its key says."""

import hashlib
import os
from pathlib import Path

import pytest

from imgdata.lineage.annex_keys import checksum_of, is_key, key_of, size_of
from tests.unit.lineage.repository_builder import Repository, run_message


class Annex(Repository):
    """A repository with a store of git-annex, laid out as git-annex does in bare repositories."""

    def keep(self, text: str, backend: str = "MD5E") -> str:
        """Put content into the store and return its key."""
        name = hashlib.new(backend.removesuffix("E"), text.encode()).hexdigest()
        key = f"{backend}-s{len(text)}--{name}.txt"
        place = self.object_of(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return key

    def object_of(self, key: str) -> Path:
        digest = hashlib.md5(key.encode()).hexdigest()
        return self.root / ".git/annex/objects" / digest[:3] / digest[3:6] / key / key

    def link(self, path: str, key: str) -> None:
        """Make an annexed file of a key."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(os.path.relpath(self.object_of(key), place.parent))


@pytest.fixture
def annex(tmp_path: Path) -> Annex:
    return Annex(tmp_path / "dataset")


@pytest.mark.parametrize("backend", ["MD5E", "SHA256E", "SHA1"])
def test_annexed_inputs_are_verified_by_the_checksum_in_their_key(
    annex: Annex, backend: str
) -> None:
    annex.link("in.txt", annex.keep("in", backend))
    annex.commit("Add")
    annex.link("out.txt", annex.keep("out", backend))
    annex.commit(run_message(inputs=["in.txt"]))
    answer = annex.ask("out.txt", verify=True)
    assert answer.edges[0].trust == "re-verified"
    assert answer.gaps == ()


def test_an_input_that_a_run_made_in_git_is_verified_by_its_object(annex: Annex) -> None:
    annex.save({"first.txt": "1"}, run_message())
    annex.write({"second.txt": "2"})
    annex.commit(run_message(inputs=["first.txt"]))
    answer = annex.ask("second.txt", verify=True)
    assert answer.edges[0].trust == "re-verified"
    assert answer.gaps == ()


def test_an_input_that_changed_since_is_verified_in_the_store(annex: Annex) -> None:
    annex.link("in.txt", annex.keep("in"))
    annex.commit("Add")
    annex.link("out.txt", annex.keep("out"))
    annex.commit(run_message(inputs=["in.txt"]))
    annex.link("in.txt", annex.keep("later"))
    annex.commit("Change the input")
    answer = annex.ask("out.txt", verify=True)
    assert answer.edges[0].trust == "re-verified"
    assert answer.gaps == ()


def test_a_damaged_object_of_the_annex_is_found_by_verify(annex: Annex) -> None:
    key = annex.keep("good")
    annex.link("a.txt", key)
    annex.commit("Add")
    annex.object_of(key).write_text("bad!")
    answer = annex.ask("a.txt", verify=True)
    assert answer.status == "modified"
    assert any("do not match its key" in gap for gap in answer.gaps)


def test_a_key_without_a_checksum_is_said_not_to_be_verifiable(annex: Annex) -> None:
    key = "WORM-s2-m1500000000--a.txt"
    place = annex.object_of(key)
    place.parent.mkdir(parents=True)
    place.write_text("in")
    annex.link("a.txt", key)
    annex.commit("Add")
    assert any("holds no checksum" in gap for gap in annex.ask("a.txt", verify=True).gaps)


def test_an_unlocked_file_is_compared_with_its_key(annex: Annex) -> None:
    key = annex.keep("content")
    annex.save({"a.txt": f"/annex/objects/{key}\n"})
    assert annex.ask("a.txt").status == "missing"
    (annex.root / "a.txt").write_text("content")
    assert annex.ask("a.txt").status == "recorded"
    (annex.root / "a.txt").write_text("CONTENT")
    assert annex.ask("a.txt").status == "modified"


def test_a_key_of_another_kind_may_be_the_content_a_run_made(annex: Annex) -> None:
    """`git annex migrate` changes the key, not the content."""
    annex.link("out.txt", annex.keep("out", "MD5E"))
    run = annex.commit(run_message())
    annex.link("out.txt", annex.keep("out", "SHA256E"))
    annex.commit("Migrate")
    assert any(run[:7] in gap and "migrated" in gap for gap in annex.ask("out.txt").gaps)
    annex.link("out.txt", annex.keep("longer", "SHA256E"))
    annex.commit("Edit")
    assert not any("migrated" in gap for gap in annex.ask("out.txt").gaps)


@pytest.mark.parametrize(
    ("key", "checksum", "size"),
    [
        ("SHA256E-s1024--abc.nii.gz", "abc", 1024),
        ("WORM-s3-m1500000000--a--b.txt", "a--b", 3),
        ("URL--https&c%%example.org%a.tif", "https&c%%example", None),
        ("MD5-s5-S10-C1--abc", "abc", 5),
    ],
)
def test_keys_of_every_backend_are_read(key: str, checksum: str, size: int | None) -> None:
    link = f"../.git/annex/objects/aa/bb/{key}/{key}"
    assert key_of(link.encode()) == key
    assert is_key(key)
    assert (checksum_of(key), size_of(key)) == (checksum, size)
