"""Other names, edited records, cut pipelines, and what only history knows."""

import shutil
from collections.abc import Callable

from tests.attackers.attempts import Do, Words, add, push
from tests.attackers.attempts_by_content import withdrawn
from tests.attackers.vault import OLD, Vault, forget, record_runs

# Units and levels under other names, with their records edited.


def _rename_unit(v: Vault, plate: str) -> None:
    record = v.root / f"data/raw/{plate}.dvc"
    v.git("mv", f"data/raw/{plate}.dvc", "data/raw/P7.dvc")
    record = v.root / "data/raw/P7.dvc"
    record.write_text(record.read_text().replace(f"path: {plate}", "path: P7"))
    (v.root / "data/raw" / plate).rename(v.root / "data/raw/P7")


def own_origin(v: Vault, path: str) -> None:
    record = v.root / path
    record.write_text(record.read_text().replace("origin: partner", "origin: lab"))


def _no_meta(v: Vault, path: str) -> None:
    record = v.root / path
    record.write_text(record.read_text().partition("meta:")[0].rstrip(" -\n") + "\n")


def _renamed_level(v: Vault) -> None:
    """raw becomes pictures, at another path, for all plates."""
    v.git("mv", "data/raw", "data/pictures")
    v.edit("  raw:\n    path: data/raw\n", "  pictures:\n    path: data/pictures\n")
    if (v.root / "data/raw").exists():
        for folder in (v.root / "data/raw").iterdir():
            folder.rename(v.root / "data/pictures" / folder.name)
    v.edit("data/raw", "data/pictures", "dvc.yaml")
    v.edit("data/raw", "data/pictures", "dvc.lock")


def unit_renamed_origin(v: Vault, plate: str, saved: str) -> Words:
    _rename_unit(v, plate)
    own_origin(v, "data/raw/P7.dvc")
    if saved:
        v.commit()
    return push("raw", "--select", "plate=P7")


for _saved in ("", ", committed"):

    def _unit_renamed(v: Vault, plate: str, saved: str = _saved) -> Words:
        _rename_unit(v, plate)
        if saved:
            v.commit()
        return push("raw", "--select", "plate=P7")

    def _origin_edited(v: Vault, plate: str, saved: str = _saved) -> Words:
        own_origin(v, f"data/raw/{plate}.dvc")
        if saved:
            v.commit()
        return push("raw", "--select", f"plate={plate}")

    def _level_renamed(v: Vault, plate: str, saved: str = _saved) -> Words:
        _renamed_level(v)
        if saved:
            v.commit()
        v.apply()
        return push("pictures", "--select", f"plate={plate}")

    def _level_renamed_origin(v: Vault, plate: str, saved: str = _saved) -> Words:
        _renamed_level(v)
        own_origin(v, f"data/pictures/{plate}.dvc")
        if saved:
            v.commit()
        v.apply()
        return push("pictures", "--select", f"plate={plate}")

    def _level_name_only(v: Vault, plate: str, saved: str = _saved) -> Words:
        v.edit("  raw:\n", "  pictures:\n")
        if saved:
            v.commit()
        v.apply()
        return push("pictures", "--select", f"plate={plate}")

    def _called_what_may_leave(v: Vault, plate: str, saved: str = _saved) -> Words:
        """raw gets the name of the level that may leave, and the other way round."""
        v.edit("  tables:\n", "  other:\n")
        v.edit("  raw:\n", "  tables:\n")
        if saved:
            v.commit()
        v.apply()
        return push("tables", "--select", f"plate={plate}")

    def _moved_to_what_may_leave(v: Vault, plate: str, saved: str = _saved) -> Words:
        """The record of a raw plate is moved into the folder of the level that may leave."""
        (v.root / f"data/raw/{plate}").rename(v.root / "data/tables/P7")
        v.git("mv", f"data/raw/{plate}.dvc", "data/tables/P7.dvc")
        v.edit(f"path: {plate}", "path: P7", "data/tables/P7.dvc")
        own_origin(v, "data/tables/P7.dvc")
        if saved:
            v.commit()
        v.apply()
        return push("tables")

    def _derived_as_added(v: Vault, plate: str, saved: str = _saved) -> Words:
        """Masks get a record of their own, as if a person had added them."""
        lock = (v.root / "dvc.lock").read_text()
        entry = lock.partition(f"path: data/masks/{plate}\n")[2]
        size, nfiles = (entry.partition(f"{key}: ")[2].partition("\n")[0]
                        for key in ("size", "nfiles"))  # fmt: skip
        md5_ = entry.partition("md5: '")[2].partition("'")[0]
        (v.root / f"data/masks/{plate}").rename(v.root / "data/extra-masks")
        (v.root / "data/extra").mkdir(exist_ok=True)
        (v.root / "data/extra-masks").rename(v.root / "data/extra/P7")
        (v.root / "data/extra/P7.dvc").write_text(
            f"outs:\n- path: P7\n  hash: md5\n  md5: '{md5_}'\n  size: {size}\n"
            f"  nfiles: {nfiles}\n  meta:\n    imgdata:\n      origin: lab\n"
        )
        if saved:
            v.commit()
        return push("extra")

    for _name, _do, _twin in (
        ("unit renamed", _unit_renamed, True),
        ("unit renamed, origin edited", lambda v, p, s=_saved: unit_renamed_origin(v, p, s), True),
        ("origin edited", _origin_edited, True),
        ("level renamed", _level_renamed, True),
        ("level renamed, origin edited", _level_renamed_origin, True),
        ("level's name alone", _level_name_only, True),
        ("called what may leave", _called_what_may_leave, True),
        ("moved to what may leave", _moved_to_what_may_leave, False),
        ("a derived plate as an added one", _derived_as_added, True),
    ):
        add("other names and edited records", _name + _saved, _do, has_twin=_twin)

# A pipeline that no longer says what was made from what.


def lineage_cut(v: Vault, plate: str) -> Words:
    v.edit('deps: ["data/raw/${item}"]', "deps: [plates.yaml]", "dvc.yaml")
    lock = v.root / "dvc.lock"
    text = lock.read_text()
    before, mark, after = text.partition(f"    - path: data/raw/{plate}\n")
    lock.write_text(f"{before}    - path: data/raw/P9\n{after}" if mark else text)
    return push("masks", "--select", f"plate={plate}")


def _lineage_swapped(v: Vault, plate: str) -> Words:
    v.edit('deps: ["data/raw/${item}"]', "deps: [data/raw/P9]", "dvc.yaml")
    lock = v.root / "dvc.lock"
    lock.write_text(lock.read_text().replace("path: data/raw/P1\n", "path: data/raw/P9\n"))
    v.commit()
    return push("masks", "--select", f"plate={plate}")


def _copied_by_a_stage(v: Vault, plate: str) -> Words:
    """A stage that reads more than it says: its output is the restricted plate."""
    target = v.root / "data/extra/P7"
    target.mkdir(parents=True)
    for image in v.images(plate):
        (target / image.name).write_bytes(image.read_bytes())
    stages = f"  steal:\n    cmd: cp -r data/raw/{plate} data/extra/P7\n"
    stages += "    deps: [data/raw/P9]\n    outs: [data/extra/P7]\n"
    with (v.root / "dvc.yaml").open("a") as file:
        file.write(stages)
    old = (v.root / "dvc.lock").read_text()
    record_runs(v, [("steal", ["data/raw/P9"], ["data/extra/P7"])])
    new = (v.root / "dvc.lock").read_text()
    (v.root / "dvc.lock").write_text(old + new.partition("stages:\n")[2])
    v.commit()
    return push("extra")


add("pipeline edited", "input taken out", lineage_cut)
add("pipeline edited", "input swapped", _lineage_swapped, has_twin=False)
add("pipeline edited", "a stage that copies", _copied_by_a_stage)


# History: old commits, branches, tags, stashes, merges, what was amended away.


def _bytes_again(v: Vault, plate: str) -> Words:
    v.ok("add", "raw", withdrawn(v, plate), "--origin", "lab")
    return push("raw", "--select", "plate=P7")


def _old_commit(v: Vault, plate: str) -> Words:
    v.git("checkout", "--quiet", "--detach", "HEAD~1")
    v.apply()
    return push("raw", "--select", f"plate={OLD[plate]}")


def _only_elsewhere(keep: Callable[[Vault], None]) -> Do:
    """A plate is recorded once, in a way that leaves the branches; then its bytes come back."""

    def do(v: Vault, plate: str) -> Words:
        origin = "partner" if plate == "P1" else "lab"
        folder = v.source("P5")
        (folder / "B02_1.tif").write_bytes(f"new bytes of {origin}".encode())
        v.ok("add", "raw", folder, "--origin", origin)
        keep(v)
        again = v.source("P7")
        shutil.copy(folder / "B02_1.tif", again / "A02_1.tif")
        v.apply()
        v.ok("add", "raw", again, "--origin", "lab")
        v.commit()
        return push("raw", "--select", "plate=P7")

    return do


def _amended(v: Vault) -> None:
    v.commit()
    v.git("rm", "--quiet", "data/raw/P5.dvc")
    v.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "Nothing happened")


def _reset(v: Vault) -> None:
    v.commit()
    v.git("reset", "--quiet", "--hard", "origin/main")


def _stashed(v: Vault) -> None:
    v.git("add", "--all")
    v.git("stash", "--quiet")


def _left_on_a_branch(v: Vault) -> None:
    v.git("checkout", "--quiet", "-b", "side")
    v.commit()
    v.git("checkout", "--quiet", "main")


def _left_on_a_tag(v: Vault) -> None:
    v.commit()
    v.git("tag", "-a", "old", "-m", "old")
    v.git("reset", "--quiet", "--hard", "origin/main")


def _in_a_merge(v: Vault) -> None:
    """The record is in no parent of a merge, only in the merge itself."""
    v.git("stash", "--quiet", "--include-untracked")
    v.git("checkout", "--quiet", "-b", "side")
    v.git("commit", "--quiet", "--allow-empty", "-m", "Side")
    v.git("checkout", "--quiet", "main")
    v.git("commit", "--quiet", "--allow-empty", "-m", "Main")
    v.git("merge", "--quiet", "--no-commit", "--no-ff", "side")
    v.git("stash", "pop", "--quiet")
    v.git("add", "--all")
    v.git("commit", "--quiet", "-m", "Merge")
    v.git("rm", "--quiet", "data/raw/P5.dvc")
    v.commit()
    v.git("reflog", "expire", "--expire=now", "--all")


def _in_a_worktree(v: Vault) -> None:
    v.git("checkout", "--quiet", "-b", "side")
    v.commit()
    v.git("checkout", "--quiet", "main")
    v.git("worktree", "add", "--quiet", v.base / "tree", "side")


for _name, _keep in {
    "amended away": _amended,
    "reset away": _reset,
    "in a stash": _stashed,
    "on a branch": _left_on_a_branch,
    "on a tag": _left_on_a_tag,
    "in a merge alone": _in_a_merge,
    "in a worktree": _in_a_worktree,
}.items():
    add("known to history alone", _name, _only_elsewhere(_keep))
add("known to history alone", "an old commit checked out", _old_commit)
add("known to history alone", "the bytes of an old plate", _bytes_again)


def _replaced_plate(v: Vault, plate: str) -> Words:
    """The plate is recorded anew with other bytes; then the old ones come back."""
    kept = [image.read_bytes() for image in v.images(plate)]
    v.git("rm", "--quiet", f"data/raw/{plate}.dvc")
    forget(v.root / f"data/raw/{plate}")
    folder = v.source(plate)
    (folder / "B02_1.tif").write_bytes(b"a phantom")
    v.ok("add", "raw", folder, "--origin", "lab")
    v.share()
    again = v.source("P7")
    (again / "B02_1.tif").write_bytes(kept[0])
    v.ok("add", "raw", again, "--origin", "lab")
    v.share()
    return push("raw", "--select", "plate=P7")


add("known to history alone", "the plate replaced by a phantom", _replaced_plate)
