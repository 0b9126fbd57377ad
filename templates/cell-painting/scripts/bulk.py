"""Summarise the cells of every well with pycytominer: one row a well.

python scripts/bulk.py data/single_cell_profiles/P1.parquet data/bulk_profiles/P1.parquet
"""

import sys
from pathlib import Path

import pandas as pd
from images import settings
from pycytominer import aggregate


def main(cells: Path, wells: Path) -> None:
    profiles = aggregate(
        pd.read_parquet(cells),
        strata=["Metadata_Plate", "Metadata_Well"],
        operation=settings("params.yaml", "bulk", "operation"),
        compute_object_count=True,
    )
    wells.parent.mkdir(parents=True, exist_ok=True)
    profiles.to_parquet(wells, index=False)
    print(f"{len(profiles)} wells")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
