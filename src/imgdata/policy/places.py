"""Which storages are the same place: two names for the same bytes are one copy."""

from collections.abc import Mapping, Sequence
from typing import NewType

from msgspec import Struct

Inode = NewType("Inode", tuple[int, int])
"""Device and inode number of a folder: the same through links, bind mounts and spellings."""


class Location(Struct, frozen=True):
    """Where a storage keeps its objects, as far as this machine can tell.

    Attributes:
        storage: Its name.
        scope: What its path is a path of: a bucket with its endpoint, a server, this machine.
        path: The parts of the path in that scope, links resolved where they can be.
        inode: The folder itself, where it lies on this machine.
        above: The folder and all folders above it.
        token: What its marker says to tell it from other places; empty where nobody asked.
    """

    storage: str
    scope: str
    path: tuple[str, ...]
    inode: Inode | None = None
    above: frozenset[Inode] = frozenset()
    token: str = ""


def same_place(one: Location, two: Location) -> bool:
    """Tell whether two storages keep the same bytes, or one lies inside the other."""
    if one.inode is not None and two.inode is not None:
        return one.inode in two.above or two.inode in one.above
    if one.token and one.token == two.token:
        return True
    if one.scope != two.scope:
        return False
    shorter = min(len(one.path), len(two.path))
    return one.path[:shorter] == two.path[:shorter]


def group_places(locations: Sequence[Location]) -> Mapping[str, str]:
    """Return by storage the first storage that is the same place; its own name if none is."""
    leader: dict[str, str] = {}
    for position, location in enumerate(locations):
        same = [other for other in locations[:position] if same_place(location, other)]
        leader[location.storage] = leader[same[0].storage] if same else location.storage
        for other in same[1:]:  # this one lies in both: they are one place then
            old, new = leader[other.storage], leader[location.storage]
            leader.update({name: new for name, first in leader.items() if first == old})
    return leader
