"""A study of the BioImage Archive in PageTab, as tab-separated text and as JSON.

Source: EBI's page-tab-specification; the form BioImages.v4 of BioStudies.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from imgdata.model.deposits import Creator, DepositMetadata
from imgdata.model.rembi import FBBI

ANNOTATION_WORDS = ("mask", "label", "segmentation", "annotation")
TEMPLATE = "BioImages.v4"
_NO_METHOD = "made by a stage of the analysis pipeline"


class Block(Struct, frozen=True):
    """One element of PageTab.

    Attributes:
        kind: As `Study Component`.
        accession: Its name within the study; may be empty.
        attributes: Name and value; `<Name>` refers to another element.
        table: Rows of subsections of one kind: the kind, then each row's attributes.
    """

    kind: str
    accession: str
    attributes: tuple[tuple[str, str], ...]
    table: tuple[str, tuple[Mapping[str, str], ...]] | None = None


def is_annotation(level: str) -> bool:
    """Tell whether a level holds annotations by its name; the archive keeps them apart."""
    return any(word in level.lower() for word in ANNOTATION_WORDS)


def list_name(level: str) -> str:
    """Return the name of a level's file list."""
    return f"filelist_{level}.tsv"


def root_path(metadata: DepositMetadata) -> str:
    """Return the folder of the account's space that the study's paths start from."""
    words = "".join(c if c.isalnum() and c.isascii() else "_" for c in metadata.title.lower())
    return "_".join(part for part in words.split("_") if part)[:40]


def study_blocks(metadata: DepositMetadata, levels: Sequence[str]) -> tuple[Block, ...]:
    """Return the study: submission first, then the study itself, then its sections."""
    images = [level for level in levels if not is_annotation(level)]
    marks = [level for level in levels if is_annotation(level)]
    made_from = _samples(metadata)
    titles = {block.kind: block.attributes[0][1] for block in made_from}
    affiliation = ("Name", metadata.answer("creators.affiliation"))
    return (
        _submission(metadata),
        Block(
            "Study",
            "",
            (
                ("Title", metadata.title),
                ("Description", _line(metadata.description)),
                *(("Keywords", keyword) for keyword in metadata.keywords),
                ("License", "CC0" if metadata.license == "CC0-1.0" else "CC BY 4.0"),
            ),
        ),
        *(_contact(creator, metadata) for creator in metadata.creators),
        Block("Organisation", "o1", (affiliation,)),
        *made_from,
        *(_component(number, level, titles) for number, level in enumerate(images, start=1)),
        *(_annotations(number, level, metadata) for number, level in enumerate(marks, start=1)),
    )


def _submission(metadata: DepositMetadata) -> Block:
    return Block(
        "Submission",
        "",
        (
            ("Title", metadata.title),
            ("ReleaseDate", metadata.published.isoformat()),
            ("AttachTo", "BioImages"),
            ("RootPath", root_path(metadata)),
            ("Template", TEMPLATE),
        ),
    )


def _samples(metadata: DepositMetadata) -> tuple[Block, ...]:
    """Return what was imaged and how; each block begins with its title."""
    answer = metadata.answer
    sample = f"{answer('biosample.organism')} {answer('biosample.biological_entity')}".strip()
    method = _method(answer("acquisition.imaging_method"))
    return (
        Block(
            "Biosample",
            "Biosample-1",
            (
                ("Title", sample),
                ("Organism", answer("biosample.organism")),
                ("Biological entity", answer("biosample.biological_entity")),
            ),
        ),
        Block(
            "Specimen",
            "Specimen-1",
            (
                ("Title", f"{sample}, prepared"),
                ("Sample preparation protocol", _line(answer("specimen.sample_preparation"))),
            ),
        ),
        Block(
            "Image acquisition",
            "Image acquisition-1",
            (
                ("Title", method),
                ("Imaging instrument", _joined(metadata, "manufacturer", "model")),
                ("Image acquisition parameters", _parameters(metadata)),
                ("Imaging method", method),
            ),
        ),
    )


def _method(said: str) -> str:
    """Return an imaging method in words, with its FBbi id where that is known."""
    words = FBBI.get(said.strip().replace("_", ":"), "")
    return f"{words} ({said})" if words else said


def _joined(metadata: DepositMetadata, *names: str) -> str:
    found = (metadata.answer(f"acquisition.{name}") for name in names)
    return _line(" ".join(text for text in found if text))


def _parameters(metadata: DepositMetadata) -> str:
    """Return what is known of the settings; the archive wants something to stand here."""
    named = (("objective", "objective"), ("pixel_size_um", "pixel size in um"))
    known = [
        f"{words}: {metadata.answer(f'acquisition.{name}')}"
        for name, words in (*named, ("channels", "channels"))
        if metadata.answer(f"acquisition.{name}")
    ]
    return _line("; ".join(known)) or "as stored in the image files"


def _line(text: str) -> str:
    return " ".join(text.split())


def _contact(creator: Creator, metadata: DepositMetadata) -> Block:
    name = f"{creator.given} {creator.family}".strip() if creator.is_person else creator.name
    first = creator == metadata.creators[0]
    mail = [("E-mail", metadata.answer("creators.email"))] if first else []
    orcid = [("ORCID", creator.orcid)] if creator.orcid else []
    role = ("Role", "corresponding author" if first else "author")
    return Block("Author", "", (("Name", name), *mail, role, *orcid, ("<Organisation>", "o1")))


def _component(number: int, level: str, titles: Mapping[str, str]) -> Block:
    return Block(
        "Study Component",
        f"Study Component-{number}",
        (
            ("Name", level),
            ("Description", f"the level '{level}': see {list_name(level)}"),
            ("File List", list_name(level)),
        ),
        ("Associations", (titles,)),
    )


def _annotations(number: int, level: str, metadata: DepositMetadata) -> Block:
    return Block(
        "Annotations",
        f"Annotations-{number}",
        (
            ("Title", level),
            ("Annotation Overview", f"{level} of the images of this study"),
            ("Annotation Type", "segmentation_mask"),
            ("Annotation Method", _line(metadata.answer("analysis.overview")) or _NO_METHOD),
            ("File List", list_name(level)),
        ),
    )


def tab_separated(blocks: Sequence[Block]) -> str:
    """Write blocks of tab-separated lines, an empty line between."""
    parts = []
    for block in blocks:
        rows = [(block.kind, block.accession), *block.attributes]
        parts.append(
            "".join(f"{name}\t{value}\n" if value else f"{name}\n" for name, value in rows)
        )
        if block.table is not None:
            parts.append(_table(block, *block.table))
    return "\n".join(parts)


def _table(block: Block, kind: str, rows: Sequence[Mapping[str, str]]) -> str:
    head = "\t".join([f"{kind}[{block.accession}]", *rows[0]])
    number = block.accession.rpartition("-")[2]
    lines = [
        "\t".join([f"{kind}-{number}-{index}", *row.values()])
        for index, row in enumerate(rows, start=1)
    ]
    return "\n".join([head, *lines]) + "\n"


def json_form(blocks: Sequence[Block]) -> dict[str, object]:
    """Return the submission as the JSON of PageTab, which drafts are made of."""
    submission, study, *sections = blocks
    return {
        "type": "submission",
        "attributes": _attributes(submission),
        "section": {
            "type": study.kind,
            "attributes": _attributes(study),
            "subsections": [_section(block) for block in sections],
        },
    }


def _section(block: Block) -> dict[str, object]:
    found: dict[str, object] = {"type": block.kind, "attributes": _attributes(block)}
    if block.accession:
        found["accno"] = block.accession
    if block.table is not None:
        kind, rows = block.table
        found["subsections"] = [
            [
                {
                    "type": kind,
                    "attributes": [{"name": name, "value": value} for name, value in row.items()],
                }
                for row in rows
            ]
        ]
    return found


def _attributes(block: Block) -> list[dict[str, object]]:
    return [
        {"name": name.strip("<>"), "value": value, "reference": True}
        if name.startswith("<")
        else {"name": name, "value": value}
        for name, value in block.attributes
    ]
