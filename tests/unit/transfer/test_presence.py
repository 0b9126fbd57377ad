"""What a place holds is looked up without holding all that it holds."""

import tracemalloc
from collections.abc import Iterator

from imgdata.model.objects import StoredObject, object_key
from imgdata.transfer.presence import present_objects
from tests.unit.transfer.places import Memory, md5


class LargeStorage(Memory):
    """Holds the objects of many other projects, too."""

    def list(self, under: str = "") -> Iterator[StoredObject]:
        yield from super().list(under)
        for number in range(50_000):
            yield StoredObject(f"files/md5/00/{number:030x}", 1, None)


def test_a_listing_of_others_is_not_kept() -> None:
    storage = LargeStorage()
    keys = [object_key(md5(str(number).encode())) for number in range(5_000)]
    for key in keys[:100]:
        storage.write(key, [b"x"], 1)
    tracemalloc.start()
    found = present_objects(storage, keys)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.keys() == set(keys[:100])
    assert most < 4_000_000
