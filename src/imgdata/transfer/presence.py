"""Which objects a place holds, asked the cheaper way: one listing, or an object at a time."""

from collections.abc import Collection, Container, Mapping

from imgdata.errors import ForbiddenError, NotListableError
from imgdata.model.objects import StoredObject
from imgdata.ports import Storage
from imgdata.transfer.move import DEFAULT_JOBS, in_parallel

OBJECTS_FOLDER = "files/md5"
FEW = 32
JOBS = DEFAULT_JOBS
LISTED_PER_OBJECT = 20
LISTED_AT_LEAST = 20_000


def present_objects(
    storage: Storage, keys: Collection[str], *, jobs: int = DEFAULT_JOBS
) -> Mapping[str, StoredObject]:
    """Return what the storage holds of the keys.

    Few keys are asked for one by one. Many are looked up in a listing of the whole storage (a
    thousand a request on S3), unless that turns out to be far longer than the keys themselves.
    """
    under = OBJECTS_FOLDER if all(map(_is_current, keys)) else ""
    if len(keys) > FEW:
        listed = _listing(storage, len(keys), under, keep=frozenset(keys))
        if listed is not None:
            return listed
    asked = in_parallel(lambda key: (key, storage.stat(key)), keys, jobs)
    return {key: found for key, found in asked if found is not None}


def _is_current(key: str) -> bool:
    """Tell whether an object lies in the layout of DVC 3."""
    return key.startswith(f"{OBJECTS_FOLDER}/")


def _listing(
    storage: Storage,
    wanted: int,
    under: str = OBJECTS_FOLDER,
    *,
    keep: Container[str] | None = None,
) -> Mapping[str, StoredObject] | None:
    """Return all objects of a storage, or those to keep; None where they are far more than wanted.

    None also where the storage cannot list at all, or lets these credentials only read.
    """
    limit = max(LISTED_AT_LEAST, LISTED_PER_OBJECT * wanted)
    found: dict[str, StoredObject] = {}
    try:
        for count, one in enumerate(storage.list(under), 1):
            if count > limit:
                return None
            if keep is None or one.key in keep:
                found[one.key] = one
    except (NotListableError, ForbiddenError):
        return None
    return found


class Inventory:
    """What a storage holds, asked for many versions by one listing; good for one plan.

    What is asked again later is answered as it was at first, so a plan sees one state. Make a new
    one for the next plan.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._listed: Mapping[str, StoredObject] | None = None
        self._asked: dict[str, StoredObject | None] = {}

    def of(self, keys: Collection[str]) -> Mapping[str, StoredObject]:
        """Return what the storage holds of the keys."""
        current = [key for key in keys if _is_current(key)]
        if self._listed is None and len(current) > FEW:
            self._listed = _listing(self._storage, len(current))
        listed = self._listed
        found = {key: listed[key] for key in current if key in listed} if listed else {}
        rest = keys if listed is None else [key for key in keys if not _is_current(key)]
        new = [key for key in rest if key not in self._asked]
        for key, one in in_parallel(lambda key: (key, self._storage.stat(key)), new, JOBS):
            self._asked[key] = one
        return found | {key: one for key in rest if (one := self._asked[key]) is not None}
