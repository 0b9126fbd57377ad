"""The same bytes, added again as something else: copies, other levels, archives."""

import bz2
import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.attackers.attempts import Words, add, push
from tests.attackers.vault import OLD, Vault, forget


def stick(v: Vault, plate: str, name: str = "P7") -> Path:
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


def withdrawn(v: Vault, plate: str) -> Path:
    folder = v.source("P7")
    for image in (v.base / "usb" / OLD[plate]).iterdir():
        (folder / image.name).write_bytes(image.read_bytes())
    return folder


COPIES: dict[str, Callable[[Vault, str], Path]] = {
    "under other names": stick,
    "as a whole": _whole,
    "one file": _one_file,
    "one file among others": _among_others,
    "a hard link": _hard_link,
    "objects of the archive": _from_the_archive,
    "masks as raw": _masks_as_raw,
    "of a plate that was taken out": withdrawn,
}


def _forget_log(v: Vault) -> None:
    forget(v.root / ".imgdata")


def _forget_plate(v: Vault) -> None:
    for plate in ("P1", "P9"):
        v.git("rm", "--quiet", f"data/raw/{plate}.dvc")
    v.commit()


def _forget_cache(v: Vault) -> None:
    forget(v.root / ".dvc/cache")


NEW_LEVELS = {
    "extra": "",
    "spare": "  spare: {path: data/spare, unit: plate, storage: archive}\n",
    "flat": "  flat: {path: data/flat, unit: none, storage: archive}\n",
}

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
    for _level in NEW_LEVELS:

        def _elsewhere(
            v: Vault,
            plate: str,
            make: Callable[[Vault, str], Path] = _make,
            level: str = _level,
        ) -> Words:
            v.edit("levels:\n", f"levels:\n{NEW_LEVELS[level]}")
            v.ok("add", level, make(v, plate), "--origin", "lab")
            v.commit()
            return push(level)

        add("a copy on another level", f"{_copy}, on {_level}", _elsewhere)

# Wrapped up.


def zipped(target: Path, files: Iterable[Path], how: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(target, "w", how) as archive:
        for file in files:
            archive.write(file, f"x/{file.name}")


def _tar(target: Path, files: Iterable[Path], mode: str) -> None:
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
        for file in files:
            archive.add(file, file.name)


def _zip_in_zip(target: Path, files: list[Path]) -> None:
    inner = target.with_name("inner.zip")
    zipped(inner, files)
    zipped(target, [inner])
    inner.unlink()


def _tar_in_zip(target: Path, files: list[Path]) -> None:
    inner = target.with_name("inner.bin")
    _tar(inner, files, "w:xz")
    zipped(target, [inner], zipfile.ZIP_STORED)
    inner.unlink()


def _self_extracting(target: Path, files: list[Path]) -> None:
    zipped(target, files)
    target.write_bytes(b"#!/bin/sh\nexit\n" * 60 + target.read_bytes())


def _pressed(how: Callable[[bytes], bytes]) -> Callable[[Path, list[Path]], None]:
    def press(target: Path, files: list[Path]) -> None:
        target.write_bytes(how(files[0].read_bytes()))

    return press


WRAPPINGS: dict[str, tuple[str, Callable[[Path, list[Path]], None]]] = {
    "zip": ("all.zip", zipped),
    "zip, not pressed": ("all.zip", lambda t, f: zipped(t, f, zipfile.ZIP_STORED)),
    "zip that says it is an image": ("B02_1.tif", zipped),
    "zip with another beginning": ("run.sh", _self_extracting),
    "zip in a zip": ("two.zip", _zip_in_zip),
    "tar in a zip": ("mixed.zip", _tar_in_zip),
    "tar": ("all.tar", lambda t, f: _tar(t, f, "w")),
    "tar.gz": ("all.tar.gz", lambda t, f: _tar(t, f, "w:gz")),
    "tar.bz2": ("all.dat", lambda t, f: _tar(t, f, "w:bz2")),
    "gz of one": ("one.gz", _pressed(gzip.compress)),
    "bz2 of one": ("one.bz2", _pressed(bz2.compress)),
    "xz of one": ("one.bin", _pressed(lzma.compress)),
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
