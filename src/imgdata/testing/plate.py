"""A synthetic microscope plate: the same bytes on every machine, with full OME metadata.

Pixels come from the raw stream of one PCG64 bit generator, whose values numpy promises never to
change, and from arithmetic that IEEE 754 rounds exactly; `exp` or `normal` differ between
processors. Files are uncompressed, because compressors differ between builds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5
from zlib import crc32

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from numpy.random import PCG64

    Pixels = npt.NDArray[np.uint16]
    Floats = npt.NDArray[np.float64]

PIXEL_SIZE_UM = 0.65
MANUFACTURER = "Example Microscopes"
MODEL = "Plate Reader One"
MAGNIFICATION = 20.0
NUMERICAL_APERTURE = 0.8
EXPOSURE_MS = {"DNA": 20, "AGP": 60, "Mito": 90}
OTHER_EXPOSURE_MS = 50
ACQUIRED = "2024-01-15T09:30:00"

_CELL = 56  # one nucleus at most in each square of this many pixels
_OCCUPIED = 0.6  # how many of the squares hold a nucleus
_OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06
 http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd"
 UUID="urn:uuid:{uuid}" Creator="imgdata synthetic plate">
<Instrument ID="Instrument:0">
<Microscope Manufacturer="{manufacturer}" Model="{model}" SerialNumber="SYN-0001" Type="Inverted"/>
<Detector ID="Detector:0" Manufacturer="{manufacturer}" Model="Camera 16" Type="SCMOS"/>
<Objective ID="Objective:0" Manufacturer="{manufacturer}" Model="Plan Apo 20x" Immersion="Air"
 LensNA="{na}" NominalMagnification="{magnification}"/>
</Instrument>
<Image ID="Image:0" Name="{name}">
<AcquisitionDate>{acquired}</AcquisitionDate>
<InstrumentRef ID="Instrument:0"/>
<ObjectiveSettings ID="Objective:0"/>
<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SignificantBits="16" BigEndian="false"
 SizeX="{width}" SizeY="{height}" SizeC="1" SizeZ="1" SizeT="1"
 PhysicalSizeX="{pixel}" PhysicalSizeXUnit="&#181;m"
 PhysicalSizeY="{pixel}" PhysicalSizeYUnit="&#181;m">
<Channel ID="Channel:0:0" Name="{channel}" SamplesPerPixel="1" AcquisitionMode="WideField">
<DetectorSettings ID="Detector:0" Binning="1x1"/>
</Channel>
<TiffData IFD="0" PlaneCount="1"/>
<Plane TheC="0" TheZ="0" TheT="0" ExposureTime="{exposure}" ExposureTimeUnit="ms"/>
</Pixels>
</Image>
</OME>
"""


class Nucleus(Struct, frozen=True):
    """Where one nucleus was drawn; all in pixels."""

    row: int
    column: int
    radius: int


def write_plate(
    folder: Path,
    *,
    wells: Sequence[str] = ("B02", "B03", "C02"),
    sites: int = 2,
    channels: Sequence[str] = ("DNA", "AGP", "Mito"),
    size: tuple[int, int] = (256, 256),
    seed: int = 1,
) -> tuple[Path, ...]:
    """Write one uint16 OME-TIFF per well, site and channel: `B02_1_DNA.ome.tif`.

    Every image shows nuclei or cells on uneven illumination with noise; `nuclei` tells how many.
    An image depends on the seed and its own well, site and channel alone, so a larger plate holds
    the smaller one's files. The defaults make 18 files of 2.4 MB in all. Files are overwritten.

    Args:
        folder: Where the files go; made if absent.
        wells: Well names, used as they are.
        sites: Fields per well, numbered from 1.
        channels: Channel names; the first shows nuclei, the others cells around them.
        size: Height and width in pixels.
        seed: Another seed is another plate.

    Returns:
        The files in the order of wells, sites, channels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for well in wells:
        for site in range(1, sites + 1):
            cells = nuclei(well, site, size=size, seed=seed)
            for index, channel in enumerate(channels):
                path = folder / f"{well}_{site}_{channel}.ome.tif"
                stream = _stream(seed, well, site, channel)
                pixels = _draw(cells, size, stream, spread=2 if index else 1)
                _write_image(path, pixels, channel)
                written.append(path)
    return tuple(written)


def nuclei(
    well: str, site: int, *, size: tuple[int, int] = (256, 256), seed: int = 1
) -> tuple[Nucleus, ...]:
    """Return the nuclei `write_plate` draws in one field; none touches another or an edge."""
    stream = _stream(seed, well, site, "nuclei")
    found = []
    for top in range(0, size[0] - _CELL + 1, _CELL):
        for left in range(0, size[1] - _CELL + 1, _CELL):
            here, down, right, radius = (int(value) for value in stream.random_raw(4))
            if here % 100 < _OCCUPIED * 100:
                half, jitter = _CELL // 2, 9
                found.append(
                    Nucleus(
                        row=top + half + down % jitter - jitter // 2,
                        column=left + half + right % jitter - jitter // 2,
                        radius=11 + radius % 5,
                    )
                )
    return tuple(found)


def illumination(size: tuple[int, int] = (256, 256)) -> "Floats":
    """Return the light on every image of the plate: 1 at its brightest, less to the corners."""
    import numpy as np  # noqa: PLC0415 - heavy

    rows, columns = np.ogrid[: size[0], : size[1]]
    vertical = (rows - 0.4 * size[0]) / size[0]
    horizontal = (columns - 0.55 * size[1]) / size[1]
    return np.asarray(1.0 - 0.9 * (vertical * vertical + horizontal * horizontal))


def _stream(seed: int, *names: object) -> "PCG64":
    import numpy as np  # noqa: PLC0415 - heavy

    return np.random.PCG64([seed, crc32("/".join(str(name) for name in names).encode())])


def _draw(
    cells: Sequence[Nucleus], size: tuple[int, int], stream: "PCG64", *, spread: int
) -> "Pixels":
    """Draw blobs of `spread` times the nuclear radius, light falling off to the corners, noise."""
    import numpy as np  # noqa: PLC0415 - heavy

    rows, columns = np.ogrid[: size[0], : size[1]]
    signal = np.full(size, 400.0)
    for cell in cells:
        squared = ((rows - cell.row) ** 2 + (columns - cell.column) ** 2) / (
            cell.radius * spread
        ) ** 2
        inside = np.maximum(0.0, 1.0 - squared)
        brightness = 4000 + int(stream.random_raw()) % 3000
        signal += brightness * (inside * (2.0 - inside) if spread == 1 else inside * inside)
    return np.clip(np.rint(signal * illumination(size)) + _noise(size, stream), 0, 65535).astype(
        np.uint16
    )


def _noise(size: tuple[int, int], stream: "PCG64") -> "Floats":
    """Return noise around zero, about 37 grey levels strong: a sum of bytes is nearly normal."""
    import numpy as np  # noqa: PLC0415 - heavy

    count = size[0] * size[1]
    words = stream.random_raw(count).astype("<u8").view(np.uint8).reshape(count, 8)
    total = words[:, :4].sum(axis=1, dtype=np.int64) - 510
    return np.asarray(total.reshape(size) // 4, dtype=np.float64)


def _write_image(path: Path, pixels: "Pixels", channel: str) -> None:
    import tifffile  # noqa: PLC0415 - heavy

    height, width = pixels.shape
    name = path.name.removesuffix(".ome.tif")
    description = _OME.format(
        uuid=uuid5(NAMESPACE_URL, f"imgdata/synthetic/{name}"),
        manufacturer=MANUFACTURER,
        model=MODEL,
        na=NUMERICAL_APERTURE,
        magnification=MAGNIFICATION,
        name=name,
        acquired=ACQUIRED,
        width=width,
        height=height,
        pixel=PIXEL_SIZE_UM,
        channel=channel,
        exposure=EXPOSURE_MS.get(channel, OTHER_EXPOSURE_MS),
    )
    tifffile.imwrite(
        path,
        pixels,
        byteorder="<",
        photometric="minisblack",
        description=description.encode("ascii"),
        software="imgdata synthetic plate",
        metadata=None,
        ome=False,
    )


if __name__ == "__main__":
    import sys

    for written in write_plate(Path(sys.argv[1] if len(sys.argv) > 1 else "P1")):
        sys.stdout.write(f"{written}\n")
