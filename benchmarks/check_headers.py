"""Check the headers of ten thousand TIFF files: CPU and wall time, then again from the cache.

Run with `python -m benchmarks.check_headers [FILES]`. The files are different small 16-bit images
with a MetaSeries description, as an ImageXpress writes them.
"""

import resource
import struct
import sys
import tempfile
import time
from pathlib import Path

from imgdata.images.readers import ImageReaders
from imgdata.workflows.check import CheckOptions, Pixels, check_files

DESCRIPTION = (
    '<MetaData><prop id="Description" type="string" value="Exposure: 80 ms&#13;&#10;Binning: 2'
    ' x 2&#13;&#10;Region: 64 x 64, offset at (0, 0)"/><PlaneInfo>'
    '<prop id="spatial-calibration-state" type="bool" value="on"/>'
    '<prop id="spatial-calibration-x" type="float" value="0.65"/>'
    '<prop id="spatial-calibration-y" type="float" value="0.65"/>'
    '<prop id="spatial-calibration-units" type="string" value="um"/>'
    '<prop id="_IllumSetting_" type="string" value="DAPI"/>'
    '<prop id="_MagSetting_" type="string" value="20X Plan Apo"/>'
    '<prop id="_MagNA_" type="float" value="0.75"/>'
    + "".join(f'<prop id="key-{n}" type="int" value="{n}"/>' for n in range(40))
    + '<custom-prop id="ImageXpress Micro X" type="float" value="{number}"/>'
    "</PlaneInfo></MetaData>"
)


def tiff(number: int) -> bytes:
    """Return a 32 x 32 image with 16 strips and a description of 3 kB."""
    text = DESCRIPTION.replace("{number}", str(number)).encode() + b"\0"
    strips = 16
    pixels = number.to_bytes(4, "little") * 512
    entries = [
        (254, 4, 1, 0),
        (256, 3, 1, 32),
        (257, 3, 1, 32),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (270, 2, len(text), 2500),
        (273, 4, strips, 2300),
        (277, 3, 1, 1),
        (278, 3, 1, 2),
        (279, 4, strips, 2400),
        (305, 2, 11, 2470),
    ]
    offsets = struct.pack(f"<{strips}I", *(8 + 128 * n for n in range(strips)))
    counts = struct.pack(f"<{strips}I", *[128] * strips)
    data = bytearray(2500 + len(text))
    data[:8] = b"II*\0" + struct.pack("<I", 2100)
    data[8:2056] = pixels
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    directory = struct.pack("<H", len(entries)) + body + bytes(4)
    data[2100 : 2100 + len(directory)] = directory
    data[2300:2364], data[2400:2464] = offsets, counts
    data[2470:2481] = b"MetaSeries\0"
    data[2500:] = text
    return bytes(data)


def measure(folder: Path, cache: Path) -> None:
    """Check a folder once and print what it cost."""
    cpu, wall = time.process_time(), time.monotonic()
    options = CheckOptions(pixels=Pixels.NONE, cache=cache)
    report = check_files([folder], ImageReaders(), root=folder, options=options)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{len(report.files)} files, {len(report.findings)} findings: "
        f"{time.process_time() - cpu:.2f} s CPU, {time.monotonic() - wall:.2f} s, {memory} MB"
    )


def main() -> None:
    """Write the files, check them, and check them again."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name) / "plate", Path(name) / "cache"
        folder.mkdir()
        for number in range(count):
            row, column = divmod(number // 4 % 384, 24)
            field, wave = number // 1536 + 1, number % 4 + 1
            path = folder / f"p_{chr(65 + row)}{column + 1:02d}_s{field}_w{wave}.TIF"
            path.write_bytes(tiff(number))
        measure(folder, cache)
        measure(folder, cache)


if __name__ == "__main__":
    main()
