"""To a data repository, and from clones that know less."""

from pathlib import Path

from tests.attackers.attempts import ATTEMPTS, EDITS, Do, Words, add, as_release_branch, push
from tests.attackers.attempts_by_content import stick, withdrawn, zipped
from tests.attackers.attempts_by_records import lineage_cut, own_origin, unit_renamed_origin
from tests.attackers.vault import Vault

# A data repository instead of a storage.


def _selected(level: str, plate: str) -> Words:
    return (level, "--select", f"plate={plate}")


def _added(v: Vault, folder: Path) -> Words:
    v.ok("add", "extra", folder, "--origin", "lab")
    return ("extra",)


def _in_a_zip(v: Vault, plate: str) -> Words:
    folder = v.source("P7")
    zipped(folder / "all.zip", v.images(plate))
    return _added(v, folder)


def _renamed(v: Vault, plate: str) -> Words:
    unit_renamed_origin(v, plate, "")
    return _selected("raw", "P7")


def _origin_edited(v: Vault, plate: str) -> Words:
    own_origin(v, f"data/raw/{plate}.dvc")
    return _selected("raw", plate)


def _rule_edited(v: Vault, plate: str) -> Words:
    v.edit(*EDITS["opened"])
    return _selected("raw", plate)


def _rule_edited_on_another_branch(v: Vault, plate: str) -> Words:
    v.edit(*EDITS["opened"])
    as_release_branch(v)
    return _selected("raw", plate)


def _input_taken_out(v: Vault, plate: str) -> Words:
    lineage_cut(v, plate)
    return _selected("masks", plate)


DEPOSITS: dict[str, Do] = {
    "as it is": lambda _, plate: _selected("raw", plate),
    "masks": lambda _, plate: _selected("masks", plate),
    "a copy added as our own": lambda v, plate: _added(v, stick(v, plate)),
    "in a zip": _in_a_zip,
    "bytes of an old plate": lambda v, plate: _added(v, withdrawn(v, plate)),
    "unit renamed, origin edited": _renamed,
    "origin edited": _origin_edited,
    "rule edited": _rule_edited,
    "rule edited, another release branch": _rule_edited_on_another_branch,
    "input taken out": _input_taken_out,
}


def _deposited(prepare: Do) -> Do:
    return lambda v, plate: ("publish", *prepare(v, plate), "--to", "shelf")


for _name, _prepare in DEPOSITS.items():
    add("to a data repository", _name, _deposited(_prepare))

# Clones that know less.


def _fresh(*options: str) -> Do:
    def do(v: Vault, plate: str) -> Words:
        source = stick(v, plate)
        fresh = v.clone(*options)
        fresh.ok("add", "raw", source, "--origin", "lab")
        return ("--project", str(fresh.root), *push("raw", "--select", "plate=P7"))

    return do


add("a clone that knows less", "no cache", _fresh())
add("a clone that knows less", "one branch", _fresh("--single-branch"))
add("a clone that knows less", "history cut", _fresh("--depth", "1"), has_twin=False)
add("a clone that knows less", "no blobs", _fresh("--filter=blob:none"))

EVERY = tuple(ATTEMPTS)
"""All attempts of all modules: each adds its own when it is imported."""
