"""A pack as an uncompressed tar (pax), for readers and tape libraries that want one.

Members lie in the order of their names, dated 1970-01-01, with mode 0644 and no owner. Same files,
same names: same bytes. The manifest is the last member, as in a zip.

Source: POSIX.1-2001, pax interchange format.
"""

import tarfile
from collections.abc import Sequence

from imgdata.transfer.pack_parts import (
    MANIFEST_NAME,
    Layout,
    MeasuredSource,
    Placing,
    manifest_text,
)

BLOCK = 512
END = bytes(2 * BLOCK)


def lay_out_tar(ordered: Sequence[MeasuredSource]) -> Layout:
    """Place headers, members, padding, the manifest and the end."""
    placing = Placing()
    for measured in ordered:
        placing.data(_header(measured.source.name, measured.source.size))
        placing.source(measured)
        placing.data(bytes(-measured.source.size % BLOCK))
    manifest = manifest_text(placing.members).encode()
    placing.data(_header(MANIFEST_NAME, len(manifest)))
    placing.data(manifest + bytes(-len(manifest) % BLOCK) + END)
    return placing.done()


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(format=tarfile.PAX_FORMAT, encoding="utf-8")
