"""Cut a window around every cell: one small image a cell, its channels as planes.

python scripts/crop.py data/corrected/P1 data/masks/P1 qc/P1.left_out.csv data/single_cell_images/P1

B02_1_17.tif is the cell that has number 17 in the mask B02_1.tif; its description names the
channels of its planes. lineage.csv says which images and mask each crop was cut from.
"""

import json
import sys
from pathlib import Path

import numpy as np
from images import (
    by_site,
    cut,
    fields_left_out,
    pixel_size,
    read,
    settings,
    window,
    write,
    write_table,
)
from scipy import ndimage


def main(corrected: Path, masks: Path, excluded: Path, crops: Path) -> None:
    size = settings("params.yaml", "crop", "size")
    skipped = fields_left_out(excluded, masks.parent.name)
    lineage = []
    for (well, site), channels in by_site(corrected).items():
        if f"{well}_{site}" in skipped:
            continue
        mask = masks / f"{well}_{site}.tif"
        labels = read(mask)
        planes = [read(path) for path in channels.values()]
        scale = pixel_size(next(iter(channels.values())))
        for number, nucleus in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
            if nucleus is None:
                continue
            square = window(nucleus, size)
            name = f"{well}_{site}_{number}.tif"
            cell = np.stack([cut(plane, square) for plane in planes])
            write(crops / name, cell, scale, text=json.dumps({"channels": list(channels)}))
            lineage += [(name, path.as_posix()) for path in (*channels.values(), mask)]
    write_table(crops / "lineage.csv", ("output", "input"), lineage)
    print(f"{len({name for name, _ in lineage})} cells cut out")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
