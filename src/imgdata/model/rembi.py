"""What a repository needs to know about images: the fields of REMBI and MIFA, as questions.

Fields that files, imgdata.yaml or the pipeline can answer are filled from there with their source;
the rest is asked from a person and kept in `metadata/rembi.yaml`. Nothing is guessed.

Source: REMBI (doi:10.1038/s41592-021-01166-8), MIFA (doi:10.1038/s41592-025-02835-8), as the
BioImage Archive asks for them.
"""

import re
from datetime import date
from types import MappingProxyType

from msgspec import Struct

from imgdata.model.facts import Source


class Field(Struct, frozen=True):
    """One thing the archive asks for.

    Attributes:
        name: `section.key`, as in metadata/rembi.yaml.
        question: What a person is asked.
        example: An answer, to show the form.
        fact: The image fact that answers it, or empty.
        kind: `text`, `list`, `date`, `taxon`, `fbbi` or `number`.
    """

    name: str
    question: str
    example: str
    fact: str = ""
    kind: str = "text"


FIELDS: tuple[Field, ...] = (
    Field("study.title", "What is the title of the study?", "NF1 Cell Painting pilot"),
    Field(
        "study.description",
        "What was studied, and why?",
        "Morphology of Schwann cells with and without NF1",
    ),
    Field("study.keywords", "Which keywords describe it?", "NF1, Cell Painting", kind="list"),
    Field("study.authors", "Who are the authors?", "Ada Lovelace", kind="list"),
    Field("study.release_date", "When may the data be public?", "2027-06-01", kind="date"),
    Field("study.licence", "Under which licence?", "CC-BY-4.0"),
    Field("component.name", "What is this part of the data called?", "raw images"),
    Field("component.description", "What does this part hold?", "5 wells in 3 channels, one plate"),
    Field("biosample.organism", "Which organism, by its scientific name?", "Homo sapiens"),
    Field("biosample.taxon", "Which NCBI taxon number?", "9606", kind="taxon"),
    Field(
        "biosample.biological_entity",
        "What was imaged: cells, tissue, organism?",
        "immortalised Schwann cells",
    ),
    Field(
        "specimen.sample_preparation",
        "How was the sample prepared and stained?",
        "fixed in 4% PFA, stained with Hoechst and phalloidin",
    ),
    Field(
        "acquisition.imaging_method",
        "Which imaging method, by its FBbi id?",
        "FBbi:00000246",
        kind="fbbi",
    ),
    Field("acquisition.manufacturer", "Who made the microscope?", "Nikon", "manufacturer"),
    Field("acquisition.model", "Which model is the microscope?", "Ti2", "model"),
    Field("acquisition.objective", "Which objective?", "20x NA 0.75", "objective_magnification"),
    Field(
        "acquisition.pixel_size_um",
        "How many micrometres is one pixel in the sample?",
        "0.325",
        "pixel_size_x",
        "number",
    ),
    Field(
        "acquisition.channels", "What does each channel show?", "DAPI: nuclei", "channels", "list"
    ),
    Field(
        "analysis.overview",
        "How were the images analysed?",
        "illumination correction, Otsu segmentation, CellProfiler features",
    ),
)
BY_NAME = MappingProxyType({field.name: field for field in FIELDS})
PERSON_FACTS = MappingProxyType(
    {
        "acquisition.manufacturer": ("manufacturer", ""),
        "acquisition.model": ("model", ""),
        "acquisition.objective": ("objective", ""),
        "acquisition.pixel_size_um": ("pixel_size_x", "um"),
    }
)
"""Answers that stand for image facts where the files are silent."""

FBBI = MappingProxyType(
    {
        "FBbi:00000222": "microscopy",
        "FBbi:00000240": "bright-field microscopy",
        "FBbi:00000241": "phase contrast microscopy",
        "FBbi:00000243": "differential interference contrast microscopy",
        "FBbi:00000246": "fluorescence microscopy",
        "FBbi:00000251": "confocal microscopy",
        "FBbi:00000253": "spinning disk confocal microscopy",
        "FBbi:00000254": "multi-photon microscopy",
        "FBbi:00000256": "electron microscopy",
        "FBbi:00000369": "light sheet microscopy (SPIM)",
    }
)
TAXA = MappingProxyType(
    {
        "9606": "Homo sapiens",
        "10090": "Mus musculus",
        "10116": "Rattus norvegicus",
        "7955": "Danio rerio",
        "7227": "Drosophila melanogaster",
        "6239": "Caenorhabditis elegans",
        "4932": "Saccharomyces cerevisiae",
        "559292": "Saccharomyces cerevisiae S288C",
        "4896": "Schizosaccharomyces pombe",
        "562": "Escherichia coli",
        "3702": "Arabidopsis thaliana",
        "9823": "Sus scrofa",
        "9544": "Macaca mulatta",
        "8355": "Xenopus laevis",
        "9031": "Gallus gallus",
        "10029": "Cricetulus griseus",
        "60711": "Chlorocebus sabaeus",
    }
)
_FBBI = re.compile(r"FBbi[:_]\d{8}")
_TAXON = re.compile(r"\d{1,8}")


class Answer(Struct, frozen=True):
    """What is known of one field, and who says so."""

    field: Field
    value: str
    source: Source
    detail: str


class Completeness(Struct, frozen=True):
    """All fields: answered ones, open questions, and answers that are not of the right form."""

    answers: tuple[Answer, ...]
    questions: tuple[Field, ...]
    problems: tuple[str, ...]

    @property
    def ready(self) -> int:
        """Fields that are answered."""
        return len(self.answers)

    @property
    def total(self) -> int:
        """All fields the archive asks for."""
        return len(self.answers) + len(self.questions)

    def sentence(self) -> str:
        """`ready for BioImage Archive: 14 of 19`."""
        return f"ready for BioImage Archive: {self.ready} of {self.total}"


def problem_of(field: Field, value: str) -> str:
    """Return why an answer is not of its field's form, or nothing. Syntax only, no look-up."""
    match field.kind:
        case "taxon" if not _TAXON.fullmatch(value):
            return f"{field.name}: an NCBI taxon is a number such as 9606, not '{value}'"
        case "fbbi" if not _FBBI.fullmatch(value):
            return f"{field.name}: an FBbi id is FBbi: and eight digits, not '{value}'"
        case "number":
            return _number_problem(field, value)
        case "date":
            return _date_problem(field, value)
        case _:
            return ""


def _number_problem(field: Field, value: str) -> str:
    try:
        good = 0 < float(value) < 1e6  # noqa: PLR2004 - no pixel is larger
    except ValueError:
        good = False
    return "" if good else f"{field.name}: a number above 0 is needed, not '{value}'"


def _date_problem(field: Field, value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        return f"{field.name}: a date is year-month-day such as 2027-06-01, not '{value}'"
    return ""


def disagreement(organism: str, taxon: str) -> str:
    """Return a sentence when a known taxon number belongs to another organism, else nothing."""
    known = TAXA.get(taxon)
    if known and organism and known.lower() != organism.strip().lower():
        return f"biosample.taxon: {taxon} is {known}, not {organism}"
    return ""
