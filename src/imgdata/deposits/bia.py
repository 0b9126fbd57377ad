"""A submission to the BioImage Archive: PageTab, file lists, validator, checklist.

Raw and derived images become study components, masks become annotations after MIFA. The package
is complete; sending it takes a BioStudies account and a person, so the checklist says how.

Source: BioImages.v4 template of BioStudies; EBI's page-tab-specification; REMBI
(doi:10.1038/s41592-021-01166-8); MIFA (doi:10.48550/arXiv.2311.10443).
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from imgdata.errors import UsageError
from imgdata.model.deposits import (
    Creator,
    DepositLimits,
    DepositMetadata,
    ListedFile,
    Question,
)
from imgdata.ports import Depository
from imgdata.system.credentials import Token
from imgdata.system.files import write_text
from imgdata.transfer.packing import is_safe_name

ADDRESS = "https://www.ebi.ac.uk/biostudies/submissions"
LIMITS = DepositLimits(
    files=None,
    total=None,
    file=None,
    note="free, no published limit; large data go by FTP or Aspera",
)
STUDY = "study.tsv"
CHECKLIST = "CHECKLIST.md"
SHORTEST_TITLE = 25
LICENSES = frozenset({"CC0-1.0", "CC-BY-4.0"})
ANNOTATION_WORDS = ("mask", "label", "segmentation", "annotation")
_WHERE = "metadata/rembi.yaml"
_NO_METHOD = "made by a stage of the analysis pipeline"
# Name of the answer (REMBI's, as `imgdata describe` asks for it), its question, and its file.
REQUIRED = (
    ("biosample.organism", "Which organism, by its scientific name?", _WHERE),
    ("biosample.biological_entity", "Which cells or tissue?", _WHERE),
    ("specimen.sample_preparation", "How were the samples prepared?", _WHERE),
    ("acquisition.imaging_method", "Which imaging method?", _WHERE),
    ("acquisition.manufacturer", "Who made the microscope?", _WHERE),
    ("acquisition.model", "Which model is the microscope?", _WHERE),
    ("creators.affiliation", "Which institution do the authors belong to?", "imgdata.yaml"),
    ("creators.email", "Which e-mail may the curators write to?", "imgdata.yaml"),
)
_SECTIONS = {
    "Biosample": ("Title", "Organism", "Biological entity"),
    "Specimen": ("Title", "Sample preparation protocol"),
    "Image acquisition": (
        "Title",
        "Imaging instrument",
        "Image acquisition parameters",
        "Imaging method",
    ),
    "Study Component": ("Name", "Description", "File List"),
    "Annotations": (
        "Title",
        "Annotation Overview",
        "Annotation Type",
        "Annotation Method",
        "File List",
    ),
}
_NEEDED = ("Biosample", "Specimen", "Image acquisition", "Study Component")


@dataclass(frozen=True, slots=True)
class BiaService:
    """The BioImage Archive: what it asks for. Nothing is sent by program."""

    address: str = ADDRESS
    publisher: str = "BioImage Archive"
    limits: DepositLimits = LIMITS

    def asks(self, metadata: DepositMetadata) -> tuple[Question, ...]:
        """Ask for what the form BioImages.v4 makes mandatory."""
        found = [
            Question(name, text, where, required=True)
            for name, text, where in REQUIRED
            if not metadata.answer(name)
        ]
        if len(metadata.title) < SHORTEST_TITLE:
            text = f"The archive wants a title of {SHORTEST_TITLE} letters or more; which?"
            found.append(Question("title", text, "imgdata.yaml", required=True))
        if metadata.license and metadata.license not in LICENSES:
            text = "The archive takes CC0-1.0 and CC-BY-4.0; which?"
            found.append(Question("license", text, "imgdata.yaml", required=True))
        return tuple(found)

    def connect(self, _token: Token) -> Depository:
        """Say how a package is sent: by a person, with the checklist.

        Raises:
            UsageError: Always.
        """
        msg = "a submission to the BioImage Archive is sent by a person"
        raise UsageError(msg, remedy=f"follow {CHECKLIST} in the package")

    def package(
        self, metadata: DepositMetadata, files: Sequence[ListedFile], folder: Path
    ) -> tuple[Path, ...]:
        """Write study.tsv, one file list a level, and the checklist; return what was written."""
        levels = list(dict.fromkeys(one.file.level for one in files))
        written = []
        for level in levels:
            path = folder / _list_name(level)
            write_text(path, file_list([one for one in files if one.file.level == level]))
            written.append(path)
        for name, text in (
            (STUDY, page_tab(metadata, levels)),
            (CHECKLIST, checklist(metadata, levels, files)),
        ):
            write_text(folder / name, text)
            written.append(folder / name)
        return tuple(written)


def open_bia(name: str, url: str) -> BiaService:
    """Return the BioImage Archive for `bia:`."""
    if url.partition(":")[2]:
        msg = f"repository '{name}': write its url as bia:"
        raise UsageError(msg)
    return BiaService()


def is_annotation(level: str) -> bool:
    """Tell whether a level holds annotations by its name; the archive keeps them apart."""
    return any(word in level.lower() for word in ANNOTATION_WORDS)


def _list_name(level: str) -> str:
    return f"filelist_{level}.tsv"


def file_list(files: Sequence[ListedFile]) -> str:
    """Write a file list: first column `Files`, then plate, well and whatever the key names."""
    columns = list(dict.fromkeys(name for one in files for name in one.fields))
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(["Files", *(column.capitalize() for column in columns)])
    for one in sorted(files, key=lambda listed: listed.file.path):
        writer.writerow([one.file.path, *(one.fields.get(column, "") for column in columns)])
    return text.getvalue()


def page_tab(metadata: DepositMetadata, levels: Sequence[str]) -> str:
    """Write the study in PageTab: blocks of tab-separated lines, an empty line between."""
    answer = metadata.answer
    sample = f"{answer('biosample.organism')} {answer('biosample.biological_entity')}".strip()
    acquisition = answer("acquisition.imaging_method")
    blocks: list[list[tuple[str, str]]] = [
        [
            ("Submission", ""),
            ("Title", metadata.title),
            ("ReleaseDate", metadata.published.isoformat()),
            ("AttachTo", "BioImages"),
            ("RootPath", _root_path(metadata)),
            ("Template", "BioImages.v4"),
        ],
        [
            ("Study", ""),
            ("Title", metadata.title),
            ("Description", _line(metadata.description)),
            *(("Keywords", keyword) for keyword in metadata.keywords),
            ("License", "CC0" if metadata.license == "CC0-1.0" else "CC BY 4.0"),
        ],
        *(_contact(creator, metadata) for creator in metadata.creators),
        [("Organisation", "o1"), ("Name", answer("creators.affiliation"))],
        [
            ("Biosample", "Biosample-1"),
            ("Title", sample),
            ("Organism", answer("biosample.organism")),
            ("Biological entity", answer("biosample.biological_entity")),
        ],
        [
            ("Specimen", "Specimen-1"),
            ("Title", f"{sample}, prepared"),
            ("Sample preparation protocol", _line(answer("specimen.sample_preparation"))),
        ],
        [
            ("Image acquisition", "Image acquisition-1"),
            ("Title", acquisition),
            ("Imaging instrument", _joined(metadata, "manufacturer", "model")),
            ("Image acquisition parameters", _parameters(metadata)),
            ("Imaging method", acquisition),
        ],
    ]
    images = [level for level in levels if not is_annotation(level)]
    for number, level in enumerate(images, start=1):
        blocks.append(_component(number, level))
        associations = (
            "Associations[Study Component]\tBiosample\tSpecimen\tImage acquisition",
            (
                f"{number}\t{answer('biosample.title')}\t{answer('specimen.title')}\t"
                f"{answer('acquisition.title')}"
            ),
        )
        blocks.append([(line, "") for line in associations])
    marks = [level for level in levels if is_annotation(level)]
    blocks += [_annotations(number, level, metadata) for number, level in enumerate(marks, start=1)]
    return "\n".join(
        "".join(f"{name}\t{value}\n" if value else f"{name}\n" for name, value in block)
        for block in blocks
    )


def _root_path(metadata: DepositMetadata) -> str:
    words = "".join(c if c.isalnum() and c.isascii() else "_" for c in metadata.title.lower())
    return "_".join(part for part in words.split("_") if part)[:40]


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


def _contact(creator: Creator, metadata: DepositMetadata) -> list[tuple[str, str]]:
    name = f"{creator.given} {creator.family}".strip() if creator.is_person else creator.name
    first = creator == metadata.creators[0]
    mail = [("E-mail", metadata.answer("creators.email"))] if first else []
    orcid = [("ORCID", creator.orcid)] if creator.orcid else []
    role = ("Role", "corresponding author" if first else "author")
    return [("Author", ""), ("Name", name), *mail, role, *orcid, ("<Organisation>", "o1")]


def _component(number: int, level: str) -> list[tuple[str, str]]:
    return [
        ("Study Component", f"Study Component-{number}"),
        ("Name", level),
        ("Description", f"the level '{level}': see {_list_name(level)}"),
        ("File List", _list_name(level)),
    ]


def _annotations(number: int, level: str, metadata: DepositMetadata) -> list[tuple[str, str]]:
    return [
        ("Annotations", f"Annotations-{number}"),
        ("Title", level),
        ("Annotation Overview", f"{level} of the images of this study"),
        ("Annotation Type", "segmentation_mask"),
        ("Annotation Method", _line(metadata.answer("analysis.overview")) or _NO_METHOD),
        ("File List", _list_name(level)),
    ]


def checklist(metadata: DepositMetadata, levels: Sequence[str], files: Sequence[ListedFile]) -> str:
    """Write what a person has to do, in order, each step exact."""
    size = sum(one.file.size for one in files)
    root = _root_path(metadata)
    folders = ", ".join(sorted({one.file.path.rpartition("/")[0] for one in files})[:5])
    return f"""# Submit to the BioImage Archive

{len(files)} files, {size} bytes, levels: {", ".join(levels)}.

- [ ] Read `{STUDY}` and the file lists once; they were checked by imgdata.
- [ ] Make a BioStudies account and sign in: {ADDRESS}
- [ ] In the web tool open "FTP/Aspera": it shows the server and your secret folder.
- [ ] Upload the project's folders ({folders}) into the folder `{root}` there,
      keeping the paths, so that `{root}/{files[0].file.path if files else "..."}` exists.
      Below 20 GB the web tool itself takes them.
- [ ] Upload `{STUDY}` and all `filelist_*.tsv` into `{root}` too.
- [ ] In the web tool choose "Submit from file" (PageTab) with `{STUDY}`;
      it checks the file lists against what was uploaded and names what is missing.
- [ ] Submit. The curators answer by e-mail; the accession is S-BIAD and a number,
      the archive gives the DOI, and the data open on {metadata.published.isoformat()}
      (change ReleaseDate in `{STUDY}` for a later day).
- [ ] Bring the accession back: `imgdata note` it, and cite it in CITATION.cff.
"""


def validate_package(folder: Path, today: date, root: Path | None = None) -> tuple[str, ...]:
    """Return what is wrong with a package, one sentence each; empty when it may be sent.

    Args:
        folder: Where study.tsv and the file lists lie.
        today: The release date may not be before it.
        root: Where listed files must exist; None does not look.
    """
    study = folder / STUDY
    if not study.is_file():
        return (f"{STUDY} is missing",)
    blocks = _blocks(study.read_text("utf-8"))
    problems = list(_problems_of_submission(blocks, today))
    kinds = [kind for kind, _ in blocks]
    problems += [f"no section '{needed}'" for needed in _NEEDED if needed not in kinds]
    if "Author" not in kinds:
        problems.append("no contact with organisation and role")
    for kind, values in blocks:
        for name in _SECTIONS.get(kind, ()):
            if not values.get(name):
                problems.append(f"{kind}: '{name}' is missing")
        listed = values.get("File List")
        if listed:
            problems += _problems_of_list(folder / listed, root)
    return tuple(problems)


def _blocks(text: str) -> list[tuple[str, dict[str, str]]]:
    blocks = []
    for chunk in text.split("\n\n"):
        rows = [line.split("\t") for line in chunk.splitlines() if line.strip()]
        if rows:
            values = {row[0]: row[1] if len(row) > 1 else "" for row in rows[1:]}
            blocks.append((rows[0][0], values))
    return blocks


def _problems_of_submission(
    blocks: Sequence[tuple[str, dict[str, str]]], today: date
) -> Sequence[str]:
    if not blocks or blocks[0][0] != "Submission":
        return [f"{STUDY} does not begin with 'Submission'"]
    values = blocks[0][1]
    problems = []
    if len(values.get("Title", "")) < SHORTEST_TITLE:
        problems.append(f"the title has fewer than {SHORTEST_TITLE} letters")
    if values.get("AttachTo") != "BioImages":
        problems.append("AttachTo is not BioImages")
    if not values.get("RootPath"):
        problems.append("RootPath is missing")
    try:
        if date.fromisoformat(values.get("ReleaseDate", "")) < today:
            problems.append("ReleaseDate is in the past")
    except ValueError:
        problems.append("ReleaseDate is not a date such as 2027-06-01")
    return problems


def _problems_of_list(path: Path, root: Path | None) -> list[str]:
    """Check a file list: its header, its paths, and that each file exists and is listed once."""
    if not path.is_file():
        return [f"the file list {path.name} is missing"]
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8")), delimiter="\t"))
    if not rows or not rows[0] or rows[0][0] != "Files":
        return [f"{path.name}: the first cell is not 'Files'"]
    problems, seen = [], set[str]()
    for number, row in enumerate(rows[1:], start=2):
        found = _problems_of_row(row, len(rows[0]), seen, root)
        problems += [f"{path.name}:{number}: {problem}" for problem in found]
        seen.add(row[0] if row else "")
    if len(rows) == 1:
        problems.append(f"{path.name} lists no file")
    return problems


def _problems_of_row(
    row: Sequence[str], width: int, seen: set[str], root: Path | None
) -> Iterator[str]:
    name = row[0] if row else ""
    if not is_safe_name(name):
        yield f"{name!r} is not a path below RootPath"
    elif name in seen:
        yield f"{name} is listed twice"
    elif root is not None and not (root / name).is_file():
        yield f"{name} does not exist"
    if len(row) != width:
        yield f"{len(row)} cells, the header has {width}"
