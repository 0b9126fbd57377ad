"""Which objects a place holds, asked the cheaper way: one listing, or an object at a time."""

from collections.abc import Collection, Mapping
from itertools import islice

from imgdata.errors import NotListableError
from imgdata.model.objects import StoredObject
from imgdata.ports import Storage
from imgdata.transfer.move import DEFAULT_JOBS, in_parallel

OBJECTS_FOLDER = "files/md5"
FEW = 32
LISTED_PER_OBJECT = 20
LISTED_AT_LEAST = 20_000


def present_objects(
    storage: Storage, keys: Collection[str], *, jobs: int = DEFAULT_JOBS
) -> Mapping[str, StoredObject]:
    """Return what the storage holds of the keys.

    Few keys are asked for one by one. Many are looked up in a listing of the whole storage (a
    thousand a request on S3), unless that turns out to be far longer than the keys themselves.
    """
    if len(keys) > FEW:
        wanted = set(keys)
        limit = max(LISTED_AT_LEAST, LISTED_PER_OBJECT * len(wanted))
        is_current = all(key.startswith(f"{OBJECTS_FOLDER}/") for key in wanted)
        listed = _listed(storage, OBJECTS_FOLDER if is_current else "", limit + 1)
        if listed is not None and len(listed) <= limit:
            return {found.key: found for found in listed if found.key in wanted}
    asked = in_parallel(lambda key: (key, storage.stat(key)), keys, jobs)
    return {key: found for key, found in asked if found is not None}


def _listed(storage: Storage, under: str, limit: int) -> list[StoredObject] | None:
    try:
        return list(islice(storage.list(under), limit))
    except NotListableError:
        return None
