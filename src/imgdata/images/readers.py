"""All readers behind the one protocol that workflows know."""

from pathlib import Path

from imgdata.images import formats, sidecars
from imgdata.model.facts import PixelFacts, Reading, Sidecar

VERSION = "1"
"""Changes when readers learn something, so that remembered readings are made again."""


class ImageReaders:
    """Reads headers, sidecars and pixels of every format imgdata knows."""

    version = VERSION

    def read(self, path: Path) -> Reading | None:
        """Read one file's headers; None when it is no image by content or name."""
        if path.is_dir():
            from imgdata.images import ome_zarr  # noqa: PLC0415 - folders are rare

            return ome_zarr.read(path)
        return formats.read_image(path)

    def pixels(self, path: Path, reading: Reading, *, planes: int) -> PixelFacts:
        """Decode up to so many planes (0: all of them), one at a time."""
        from imgdata.images import pixels  # noqa: PLC0415 - numpy is heavy and not always needed

        return pixels.measure(path, reading, planes)

    def sidecar(self, path: Path) -> Sidecar | None:
        """Read a microscope's index file; None for any other file."""
        return sidecars.read_sidecar(path)
