"""Ways to get a restricted plate into a public place, each with a twin that must get through.

An attempt prepares a copy of the vault and returns the words of the command that would send. It is
written for any plate: with the partner's plate it must be refused, with the lab's own plate the
same steps must send, so that an attempt that fails for another reason is found out.
"""

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.attackers.vault import OLD, PARTNER, Vault, forget, record_runs

Words = tuple[str, ...]
Do = Callable[[Vault, str], Words]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way.

    Attributes:
        family: What kind of way it is.
        name: Which of them.
        do: Prepares it for a plate and returns the command's words.
        has_twin: Whether the same steps send the lab's own plate.
    """

    family: str
    name: str
    do: Do
    has_twin: bool = True


ATTEMPTS: list[Attempt] = []


def add(family: str, name: str, do: Do, *, has_twin: bool = True) -> None:
    ATTEMPTS.append(Attempt(family, name, do, has_twin))


def push(*words: str, to: str = "world") -> Words:
    return ("push", *words, "--to", to)


# As it is: every level, every way to say what and where.

WAYS: dict[str, Words] = {
    "plain": (),
    "well selected": ("--select", "well=B02"),
    "two wells": ("--select", "well=B02..B03"),
    "repair": ("--repair",),
    "one job": ("--jobs", "1"),
    "quiet": ("--quiet",),
    "json": ("--json",),
    "beside a private storage": ("--to", "second"),
    "twice": ("--to", "world"),
}
for _level in ("raw", "masks"):
    for _name, _words in WAYS.items():

        def _direct(_: Vault, plate: str, level: str = _level, words: Words = _words) -> Words:
            return push(level, "--select", f"plate={plate}", *words)

        add("as it is", f"{_level}, {_name}", _direct)
for _name, _words in {
    "pooled with open data": ("pooled",),
    "the whole level": ("raw",),
    "all levels": (),
    "by --level": ("--level", "raw", "--level", "masks"),
    "masks and what may leave": ("masks", "tables"),
}.items():
    add("as it is", _name, lambda _v, _p, words=_words: push(*words), has_twin=False)


def _by_its_own_list(v: Vault, plate: str) -> Words:
    """The level itself names the public storage: no --to is typed."""
    v.edit("path: data/masks", "path: data/masks\n    x-note: public")
    v.edit('key: "{plate}/{well}_{site}.tif"\n    storage: archive\n  pooled',
           'key: "{plate}/{well}_{site}.tif"\n    storage: [archive, world]\n  pooled')  # fmt: skip
    v.apply()
    return ("push", "masks", "--select", f"plate={plate}")


add("as it is", "the level names the public storage", _by_its_own_list)

# The rules, edited anywhere but on the shared release branch.

OPENED = PARTNER.replace("access: restricted", "access: open").replace(
    "    release_on: 2999-01-01\n", ""
)
EDITS: dict[str, tuple[str, str]] = {
    "opened": (PARTNER, OPENED),
    "access open, date kept": ("access: restricted", "access: open"),
    "a date that has passed": ("2999-01-01", "2001-01-01"),
    "of our own kind": (PARTNER, "  partner: {kind: own, access: open}\n"),
    "raw may leave": ("may_leave: [tables]", "may_leave: [tables, raw, masks, pooled]"),
    "public data": (PARTNER, "  partner: {kind: public, access: open, license: CC0-1.0}\n"),
}


def _committed(v: Vault) -> None:
    v.commit()


def _on_a_branch(v: Vault) -> None:
    v.git("checkout", "--quiet", "-b", "idea")
    v.commit()


def _as_release_branch(v: Vault) -> None:
    v.edit("release_branch: main", "release_branch: idea")
    _on_a_branch(v)


def _pushed_to_another_branch(v: Vault) -> None:
    v.edit("release_branch: main", "release_branch: idea")
    _on_a_branch(v)
    v.git("push", "--quiet", "origin", "idea")
    v.git("fetch", "--quiet")


def _tagged_main(v: Vault) -> None:
    v.commit()
    v.git("tag", "main")


def _detached(v: Vault) -> None:
    v.commit()
    v.git("checkout", "--quiet", "--detach")


def _on_another_remote(v: Vault) -> None:
    v.commit()
    v.git("init", "--quiet", "--bare", v.base / "mine.git")
    v.git("remote", "add", "aaa", v.base / "mine.git")
    v.git("push", "--quiet", "aaa", "HEAD:main")
    v.git("fetch", "--quiet", "aaa")


def _replaced(v: Vault) -> None:
    v.commit()
    v.git("replace", "origin/main", "HEAD")


def _by_variable(v: Vault) -> None:
    v.commit()
    evil = v.base / "evil"
    v.git("clone", "--quiet", v.root, evil)
    os.environ["GIT_DIR"] = str(evil / ".git")  # the test's own environment: put back after it


PLACES: dict[str, Callable[[Vault], None]] = {
    "in the working tree": lambda _: None,
    "committed here": _committed,
    "on a branch": _on_a_branch,
    "on a branch called the release branch": _as_release_branch,
    "on a pushed branch called the release branch": _pushed_to_another_branch,
    "on a tag called main": _tagged_main,
    "on no branch": _detached,
    "on another git remote": _on_another_remote,
    "by a replace ref": _replaced,
    "in the repository of GIT_DIR": _by_variable,
}
for _edit, (_before, _after) in EDITS.items():
    for _place, _put in PLACES.items():

        def _rules(
            v: Vault,
            plate: str,
            edit: tuple[str, str] = (_before, _after),
            put: Callable[[Vault], None] = _put,
        ) -> Words:
            v.edit(*edit)
            put(v)
            return push("raw", "--select", f"plate={plate}")

        add("edited rules", f"{_edit}, {_place}", _rules)

# The public storage under another name, spelling or path.


def _storage_edit(before: str, after: str, to: str, link: Callable[[Vault], None] | None) -> Do:
    def do(v: Vault, plate: str) -> Words:
        if link is not None:
            link(v)
        v.edit(before, after)
        v.apply()
        return push("raw", "--select", f"plate={plate}", to=to)

    return do


WORLD = '  world: {url: "../world", public: true}\n'
SPELLINGS: dict[str, tuple[str, Callable[[Vault], None] | None]] = {
    "the same": ("../world", None),
    "with a slash": ("../world/", None),
    "with dots": ("../project/.././world", None),
    "by a link": ("../alias", lambda v: (v.base / "alias").symlink_to(v.base / "world")),
    "by a link to its parent": ("../up/world", lambda v: (v.base / "up").symlink_to(v.base)),
    "inside it": ("../world/inner", lambda v: (v.base / "world" / "inner").mkdir()),
    "around it": ("..", None),
}
for _name, (_url, _link) in SPELLINGS.items():
    add(
        "public storage in disguise",
        f"second name, {_name}",
        _storage_edit(WORLD, f'{WORLD}  hidden: {{url: "{_url}"}}\n', "hidden", _link),
    )
    add(
        "public storage in disguise",
        f"said to be private, {_name}",
        _storage_edit(WORLD, f'  world: {{url: "{_url}", public: false}}\n', "world", _link),
    )
    add(
        "public storage in disguise",
        f"a private storage moved there, {_name}",
        _storage_edit('second: {url: "../second"}', f'second: {{url: "{_url}"}}', "second", _link),
    )
for _name, _after in {
    "public taken out": '  world: {url: "../world"}\n',
    "renamed": '  attic: {url: "../world"}\n',
    "as a file: url": '  attic: {url: "file://BASE/world"}\n',
    "absolute": '  attic: {url: "BASE/world"}\n',
}.items():

    def _disguised(v: Vault, plate: str, after: str = _after) -> Words:
        v.edit(WORLD, after.replace("BASE", str(v.base)))
        v.apply()
        v.commit()
        return push("raw", "--select", f"plate={plate}", to="attic" if "attic" in after else "world")

    add("public storage in disguise", f"committed here, {_name}", _disguised)

# The same bytes, added again as something else.


def _stick(v: Vault, plate: str, name: str = "P7") -> Path:
    folder = v.source(name)
    for number, image in enumerate(v.images(plate)):
        (folder / f"C0{number + 2}_1.tif").write_bytes(image.read_bytes())
    return folder


def _whole(v: Vault, plate: str) -> Path:
    folder = v.source("P7")
    for image in v.images(plate):
        (folder / image.name).write_bytes(image.read_bytes())
    return folder


def _one_file(v: Vault, plate: str) -> Path:
    folder = v.source("P7")
    (folder / "H12_9.tif").write_bytes(v.images(plate)[0].read_bytes())
    return folder


def _among_others(v: Vault, plate: str) -> Path:
    folder = _one_file(v, plate)
    for number in range(2, 9):
        (folder / f"A0{number}_1.tif").write_bytes(f"our own {number}".encode())
    return folder


def _hard_link(v: Vault, plate: str) -> Path:
    folder = v.source("P7")
    os.link(v.images(plate)[0], folder / "A02_1.tif")
    return folder


def _from_the_archive(v: Vault, plate: str) -> Path:
    folder = v.source("P7")
    wanted = {image.stat().st_size: image.read_bytes() for image in v.images(plate)}
    for path in (v.base / "archive/files/md5").glob("??/*"):
        if path.read_bytes() in wanted.values():
            shutil.copy(path, folder / f"A{len(list(folder.iterdir())) + 2:02d}_1.tif")
    return folder


def _masks_as_raw(v: Vault, plate: str) -> Path:
    folder = v.source("P7")
    for image in v.images(plate, "masks"):
        (folder / image.name).write_bytes(image.read_bytes())
    return folder


def _withdrawn(v: Vault, plate: str) -> Path:
    folder = v.source("P7")
    for image in (v.base / "usb" / OLD[plate]).iterdir():
        (folder / image.name).write_bytes(image.read_bytes())
    return folder


COPIES: dict[str, Callable[[Vault, str], Path]] = {
    "under other names": _stick,
    "as a whole": _whole,
    "one file": _one_file,
    "one file among others": _among_others,
    "a hard link": _hard_link,
    "objects of the archive": _from_the_archive,
    "masks as raw": _masks_as_raw,
    "of a plate that was taken out": _withdrawn,
}


def _forget_log(v: Vault) -> None:
    forget(v.root / ".imgdata")


def _forget_plate(v: Vault) -> None:
    for plate in ("P1", "P9"):
        v.git("rm", "--quiet", f"data/raw/{plate}.dvc")
    v.commit()


def _forget_cache(v: Vault) -> None:
    forget(v.root / ".dvc/cache")


AFTER: dict[str, Callable[[Vault], None]] = {
    "": lambda _: None,
    ", the log deleted": _forget_log,
    ", the plates taken out": _forget_plate,
    ", the cache deleted": _forget_cache,
}
for _copy, _make in COPIES.items():
    for _how, _forget in AFTER.items():

        def _again(
            v: Vault,
            plate: str,
            make: Callable[[Vault, str], Path] = _make,
            forget_: Callable[[Vault], None] = _forget,
        ) -> Words:
            source = make(v, plate)
            forget_(v)
            v.ok("add", "raw", source, "--origin", "lab")
            return push("raw", "--select", "plate=P7")

        add("a copy added as our own", _copy + _how, _again)
    for _level in ("masks", "tables", "extra"):

        def _elsewhere(
            v: Vault,
            plate: str,
            make: Callable[[Vault, str], Path] = _make,
            level: str = _level,
        ) -> Words:
            v.ok("add", level, make(v, plate), "--origin", "lab")
            v.commit()
            return push(level)

        add(
            "a copy on another level",
            f"{_copy}, on {_level}",
            _elsewhere,
            has_twin=_level == "extra",
        )

# Wrapped up.


def _zip(target: Path, files: Iterable[Path], how: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(target, "w", how) as archive:
        for file in files:
            archive.write(file, f"x/{file.name}")


def _tar(target: Path, files: Iterable[Path], mode: str) -> None:
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
        for file in files:
            archive.add(file, file.name)


def _zip_in_zip(target: Path, files: list[Path]) -> None:
    inner = target.with_name("inner.zip")
    _zip(inner, files)
    _zip(target, [inner])
    inner.unlink()


def _tar_in_zip(target: Path, files: list[Path]) -> None:
    inner = target.with_name("inner.bin")
    _tar(inner, files, "w:xz")
    _zip(target, [inner], zipfile.ZIP_STORED)
    inner.unlink()


def _self_extracting(target: Path, files: list[Path]) -> None:
    _zip(target, files)
    target.write_bytes(b"#!/bin/sh\nexit\n" * 60 + target.read_bytes())


WRAPPINGS: dict[str, tuple[str, Callable[[Path, list[Path]], None]]] = {
    "zip": ("all.zip", _zip),
    "zip, not pressed": ("all.zip", lambda t, f: _zip(t, f, zipfile.ZIP_STORED)),
    "zip that says it is an image": ("B02_1.tif", _zip),
    "zip with another beginning": ("run.sh", _self_extracting),
    "zip in a zip": ("two.zip", _zip_in_zip),
    "tar in a zip": ("mixed.zip", _tar_in_zip),
    "tar": ("all.tar", lambda t, f: _tar(t, f, "w")),
    "tar.gz": ("all.tar.gz", lambda t, f: _tar(t, f, "w:gz")),
    "tar.bz2": ("all.dat", lambda t, f: _tar(t, f, "w:bz2")),
    "gz of one": ("one.gz", lambda t, f: t.write_bytes(gzip.compress(f[0].read_bytes()))),
    "bz2 of one": ("one.bz2", lambda t, f: t.write_bytes(bz2.compress(f[0].read_bytes()))),
    "xz of one": ("one.bin", lambda t, f: t.write_bytes(lzma.compress(f[0].read_bytes()))),
}
for _name, (_file, _wrap) in WRAPPINGS.items():

    def _wrapped(
        v: Vault,
        plate: str,
        file: str = _file,
        wrap: Callable[[Path, list[Path]], None] = _wrap,
    ) -> Words:
        folder = v.source("P7")
        wrap(folder / file, v.images(plate))
        v.ok("add", "extra", folder, "--origin", "lab")
        return push("extra")

    add("wrapped up", _name, _wrapped)

# Units and levels under other names, with their records edited.


def _rename_unit(v: Vault, plate: str) -> None:
    record = v.root / f"data/raw/{plate}.dvc"
    v.git("mv", f"data/raw/{plate}.dvc", "data/raw/P7.dvc")
    record = v.root / "data/raw/P7.dvc"
    record.write_text(record.read_text().replace(f"path: {plate}", "path: P7"))
    (v.root / "data/raw" / plate).rename(v.root / "data/raw/P7")


def _own_origin(v: Vault, path: str) -> None:
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


for _saved in ("", ", committed"):

    def _unit_renamed(v: Vault, plate: str, saved: str = _saved) -> Words:
        _rename_unit(v, plate)
        if saved:
            v.commit()
        return push("raw", "--select", "plate=P7")

    def _unit_renamed_origin(v: Vault, plate: str, saved: str = _saved) -> Words:
        _rename_unit(v, plate)
        _own_origin(v, "data/raw/P7.dvc")
        if saved:
            v.commit()
        return push("raw", "--select", "plate=P7")

    def _origin_edited(v: Vault, plate: str, saved: str = _saved) -> Words:
        _own_origin(v, f"data/raw/{plate}.dvc")
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
        _own_origin(v, f"data/pictures/{plate}.dvc")
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
        _own_origin(v, "data/tables/P7.dvc")
        if saved:
            v.commit()
        v.apply()
        return push("tables")

    def _derived_as_added(v: Vault, plate: str, saved: str = _saved) -> Words:
        """Masks get a record of their own, as if a person had added them."""
        lock = (v.root / "dvc.lock").read_text()
        entry = lock.partition(f"path: data/masks/{plate}\n")[2]
        md5_, size, nfiles = (entry.partition(f"{key}: ")[2].partition("\n")[0].strip("'")
                              for key in ("md5: 'x"[:3], "size", "nfiles"))  # fmt: skip
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
        ("unit renamed, origin edited", _unit_renamed_origin, True),
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


def _lineage_cut(v: Vault, plate: str) -> Words:
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


add("pipeline edited", "input taken out", _lineage_cut)
add("pipeline edited", "input swapped", _lineage_swapped, has_twin=False)
add("pipeline edited", "a stage that copies", _copied_by_a_stage)


# History: old commits, branches, tags, stashes, merges, what was amended away.


def _bytes_again(v: Vault, plate: str) -> Words:
    v.ok("add", "raw", _withdrawn(v, plate), "--origin", "lab")
    return push("raw", "--select", "plate=P7")


def _old_commit(v: Vault, plate: str) -> Words:
    v.git("checkout", "--quiet", "--detach", "HEAD~1")
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

# A data repository instead of a storage.

for _name, _prepare in {
    "as it is": lambda _v, plate: ("raw", "--select", f"plate={plate}"),
    "masks": lambda _v, plate: ("masks", "--select", f"plate={plate}"),
    "a copy added as our own": lambda v, p: (
        v.ok("add", "extra", _stick(v, p), "--origin", "lab") and ("extra",)
    ),
    "in a zip": lambda v, p: _wrapped_for_deposit(v, p),
    "bytes of an old plate": lambda v, p: (
        v.ok("add", "extra", _withdrawn(v, p), "--origin", "lab") and ("extra",)
    ),
    "unit renamed, origin edited": lambda v, p: (
        _unit_renamed_origin(v, p) and ("raw", "--select", "plate=P7")
    ),
    "origin edited": lambda v, p: (
        _own_origin(v, f"data/raw/{p}.dvc") or ("raw", "--select", f"plate={p}")
    ),
    "rule edited": lambda v, p: (
        v.edit(PARTNER, OPENED) or ("raw", "--select", f"plate={p}")
    ),
    "rule edited, another release branch": lambda v, p: (
        v.edit(PARTNER, OPENED) or _as_release_branch(v) or ("raw", "--select", f"plate={p}")
    ),
    "input taken out": lambda v, p: (
        _lineage_cut(v, p) and ("masks", "--select", f"plate={p}")
    ),
}.items():  # fmt: skip
    add(
        "to a data repository",
        _name,
        lambda v, p, prepare=_prepare: ("publish", *prepare(v, p), "--to", "shelf"),
    )


def _wrapped_for_deposit(v: Vault, plate: str) -> Words:
    folder = v.source("P7")
    _zip(folder / "all.zip", v.images(plate))
    v.ok("add", "extra", folder, "--origin", "lab")
    return ("extra",)


# Clones that know less.


def _fresh(*options: str) -> Do:
    def do(v: Vault, plate: str) -> Words:
        source = _stick(v, plate)
        fresh = v.clone(*options)
        fresh.ok("add", "raw", source, "--origin", "lab")
        return ("--project", str(fresh.root), *push("raw", "--select", "plate=P7"))

    return do


add("a clone that knows less", "no cache", _fresh())
add("a clone that knows less", "one branch", _fresh("--single-branch"))
add("a clone that knows less", "history cut", _fresh("--depth", "1"), has_twin=False)
add("a clone that knows less", "no blobs", _fresh("--filter=blob:none"))
