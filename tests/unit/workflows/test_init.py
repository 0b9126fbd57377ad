"""What `init` writes into a template's imgdata.yaml; its comments stay where they belong."""

from pathlib import Path

from imgdata.workflows.init import InitOptions, edit_config

TEXT = """\
version: 1

# Where data comes from.
origins:
  own:
    kind: own        # or: public
    access: open     # or: restricted

# Where copies are kept.
storages:
  archive: {url: /mnt/archive}   # a disk

# What is kept.
levels:
  raw:
    path: data/raw
    origin: own
    storage: [archive]
"""


def written(
    *, storages: dict[str, str] | None = None, origins: dict[str, str] | None = None
) -> str:
    options = InitOptions(
        template=Path(),
        title="T",
        license="CC-BY-4.0",
        creators=(),
        storages=storages or {},
        origins=origins or {},
        year=2026,
        version="1",
    )
    return edit_config(TEXT, options, keep_unused=True)[0]


def test_an_origin_stands_below_the_others_and_above_what_is_said_of_storages() -> None:
    expected = TEXT.replace("origin: own", "origin: partner").replace(
        "    access: open     # or: restricted\n",
        "    access: open     # or: restricted\n  partner:\n    kind: academic-collaborator\n",
    )
    assert written(origins={"partner": "academic-collaborator"}) == expected


def test_a_storage_stands_below_the_others_and_above_what_is_said_of_levels() -> None:
    expected = TEXT.replace(" [archive]", "\n      - s3-lab").replace(
        "   # a disk\n", "   # a disk\n  s3-lab:\n    url: s3://lab/nf1\n"
    )
    assert written(storages={"raw": "s3://lab/nf1"}) == expected


def test_an_origin_of_a_name_that_is_there_takes_its_place() -> None:
    expected = TEXT.replace("    access: open     # or: restricted\n", "").replace(
        "kind: own        # or: public", "kind: public"
    )
    assert written(origins={"own": "public"}) == expected
