"""Which files of a deposit travel alone, which in packs, and under which names."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from msgspec import Struct, field
from msgspec.structs import replace

from imgdata.model.deposits import (
    DepositLimits,
    LevelFile,
    PackFormat,
    Packing,
    PlannedFile,
    PlannedItem,
    PlannedPack,
)
from imgdata.transfer.packing import Style, pack_size

PACK_FROM = 10
"""A unit of more files than this travels as one pack; a handful stays as it is."""

ZARR = ".zarr"
Unit = tuple[str, str]
_NEVER = frozenset({Packing.NONE, Packing.FOLDERS})


class Layout(Struct, frozen=True):
    """What a layout is asked for.

    Attributes:
        pack: By level: how it travels; absent: decided by count.
        zarrs: The version of OME-Zarr of every folder that is one, by its path; empty for one
            that is not of Zarr 3.
        reserved: Names that are taken.
    """

    pack: Mapping[str, Packing] = field(default_factory=dict)
    zarrs: Mapping[str, str] = field(default_factory=dict)
    reserved: Sequence[str] = ()

    def is_never(self, level: str) -> bool:
        """Whether a level's units are never packed."""
        return self.pack.get(level) in _NEVER

    def format(self, level: str) -> PackFormat:
        """Return what the packs of a level are."""
        return PackFormat.TAR if self.pack.get(level) is Packing.TAR else PackFormat.ZIP


class _Piece(Struct, frozen=True):
    """What counts as one file: a file, or a folder `*.zarr` with all of its."""

    root: str
    files: tuple[LevelFile, ...]


class _Group(Struct, frozen=True):
    """One unit and its pieces."""

    unit: Unit
    pieces: tuple[_Piece, ...]

    @property
    def files(self) -> tuple[LevelFile, ...]:
        return tuple(file for piece in self.pieces for file in piece.files)


def lay_out(
    files: Iterable[LevelFile], limits: DepositLimits, wanted: Layout
) -> tuple[PlannedItem, ...]:
    """Decide which files travel alone and which in packs, one pack a unit.

    Units of more than `PACK_FROM` files are packed, unless their level says otherwise; a folder
    `*.zarr` counts as one file, and travels as one where its unit is not packed. Where the limit
    on files is still exceeded, the units with most files follow, then whole levels become one pack
    each. A pack over the limit on one file is cut into parts, never a file.
    """
    groups = [
        _Group(unit, tuple(_pieces(some, wanted)))
        for unit, some in groupby(
            sorted(files, key=lambda file: (file.level, file.unit, file.path)),
            lambda file: (file.level, file.unit),
        )
    ]
    names = _Names(wanted.reserved)
    packed, by_level = _choose(groups, limits, wanted)
    packs: list[PlannedItem] = []
    if by_level:
        for level, same in groupby(groups, lambda group: group.unit[0]):
            some = tuple(same)
            if not wanted.is_never(level):
                members = tuple(file for group in some for file in group.files)
                packs += _packs((level, ""), members, limits, names, wanted)
        loose = [group for group in groups if wanted.is_never(group.unit[0])]
    else:
        for group in groups:
            if group.unit in packed:
                packs += _packs(group.unit, group.files, limits, names, wanted)
        loose = [group for group in groups if group.unit not in packed]
    pieces = [piece for group in loose for piece in group.pieces]
    names.keep_apart(_name_alone(piece, wanted) for piece in pieces)
    alone = [_alone(piece, names, wanted) for piece in pieces]
    return (*packs, *alone)


def _choose(
    groups: Sequence[_Group], limits: DepositLimits, wanted: Layout
) -> tuple[set[Unit], bool]:
    """Return the units that are packed, and whether whole levels have to be."""
    packed = {
        group.unit
        for group in groups
        if (group.unit[0] in wanted.pack or len(group.pieces) > PACK_FROM)
        and not wanted.is_never(group.unit[0])
    }
    room = (limits.files or 10**9) - len(wanted.reserved)
    for group in sorted(groups, key=lambda one: (-len(one.pieces), one.unit)):
        if _count(groups, packed) <= room:
            break
        if len(group.pieces) > 1 and not wanted.is_never(group.unit[0]):
            packed.add(group.unit)
    return packed, _count(groups, packed) > room


def _count(groups: Sequence[_Group], packed: set[Unit]) -> int:
    return sum(1 if group.unit in packed else len(group.pieces) for group in groups)


def _pieces(files: Iterable[LevelFile], wanted: Layout) -> Iterable[_Piece]:
    """Yield files, and the folders that are one file each."""
    for root, some in groupby(files, lambda file: zarr_root(file.path)):
        group = tuple(some)
        if root and wanted.pack.get(group[0].level) is not Packing.FOLDERS:
            yield _Piece(root, group)
        else:
            yield from (_Piece("", (file,)) for file in group)


def zarr_root(path: str) -> str:
    """Return the outermost folder named `*.zarr` that a path lies in, or an empty text."""
    parts = path.split("/")
    for length, part in enumerate(parts[:-1], start=1):
        if part.lower().endswith(ZARR):
            return "/".join(parts[:length])
    return ""


def _alone(piece: _Piece, names: "_Names", wanted: Layout) -> PlannedItem:
    """Return what a piece travels as where its unit is not packed."""
    first = piece.files[0]
    name = names.of_file(_name_alone(piece, wanted))
    if not piece.root:
        return PlannedFile(name, first)
    version = wanted.zarrs.get(piece.root, "")
    style = Style(PackFormat.OZX if version else PackFormat.ZIP, version)
    pack = PlannedPack(
        name=name,
        level=first.level,
        unit=first.unit,
        files=piece.files,
        size=0,
        format=style.format,
        root=piece.root,
        ome_version=version,
    )
    return _sized(pack, style)


def _name_alone(piece: _Piece, wanted: Layout) -> str:
    """Return the path a piece is named by where it is not packed with others."""
    if not piece.root:
        return piece.files[0].path
    suffix = ".ozx" if wanted.zarrs.get(piece.root, "") else ".zarr.zip"
    return f"{piece.root[: -len(ZARR)]}{suffix}"


def _sized(pack: PlannedPack, style: Style) -> PlannedPack:
    size = pack_size(((pack.inside(file.path), file.size) for file in pack.files), style)
    return replace(pack, size=size)


def _packs(
    unit: Unit,
    files: Sequence[LevelFile],
    limits: DepositLimits,
    names: "_Names",
    wanted: Layout,
) -> list[PlannedPack]:
    """Return one pack of a unit's files, or as many parts as the limit on one file asks for."""
    level, plate = unit
    stem = f"{level}_{plate}" if plate else level
    parts: list[list[LevelFile]] = [[]]
    filled = 0
    for file in files:
        # Header, directory and manifest line of a member: 400 bytes in a zip, in a tar 3 blocks.
        weight = file.size + 2_000 + 4 * len(file.path.encode())
        if limits.file is not None and parts[-1] and filled + weight > limits.file:
            parts.append([])
            filled = 0
        parts[-1].append(file)
        filled += weight
    total = len(parts)
    style = Style(wanted.format(level))
    return [
        PlannedPack(
            name=names.of_pack(
                stem if total == 1 else f"{stem}.part{number}of{total}", style.format
            ),
            level=level,
            unit=plate,
            files=tuple(part),
            size=pack_size(((file.path, file.size) for file in part), style),
            format=style.format,
        )
        for number, part in enumerate(parts, start=1)
    ]


class _Names:
    """Gives out file names that every repository takes: flat, plain, each once."""

    def __init__(self, reserved: Sequence[str]) -> None:
        self._taken = {name.lower() for name in reserved}
        self._shared: frozenset[str] = frozenset()

    def keep_apart(self, paths: Iterable[str]) -> None:
        """Let no file have a short name that others would have as well.

        Otherwise a plate added later could take the name that another's file was published under.
        """
        names = Counter(_short(path).lower() for path in paths)
        self._shared = frozenset(name for name, count in names.items() if count > 1)

    def of_pack(self, stem: str, suffix: str) -> str:
        """Return the name of a pack."""
        return self._once(f"{_plain(stem)}.{suffix}")

    def of_file(self, path: str) -> str:
        """Return the name of a file that travels alone: its own if it is still free."""
        own = _short(path)
        if own.lower() in self._taken or own.lower() in self._shared:
            own = _plain(path.replace("/", "_"))
        return self._once(own)

    def _once(self, name: str) -> str:
        stem, dot, suffix = name.rpartition(".")
        found, number = name, 2
        while found.lower() in self._taken:
            found = f"{stem}-{number}{dot}{suffix}" if dot else f"{name}-{number}"
            number += 1
        self._taken.add(found.lower())
        return found


def _short(path: str) -> str:
    return _plain(path.rpartition("/")[2])


def _plain(name: str) -> str:
    # Letters without their marks, rather than holes where they were.
    name = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    name = "".join(letter for letter in name if not unicodedata.combining(letter))
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)
    # Of a name in other letters the suffix is left: programs go by it.
    stem, dot, suffix = plain.rpartition(".")
    if dot and suffix and not name.startswith(".") and not stem.strip("._-"):
        return f"file.{suffix}"
    return plain.lstrip("._-") or "file"
