"""A submission to the BioImage Archive: PageTab, file lists, validator, checklist.

Raw and derived images become study components, masks become annotations after MIFA. The package
is complete; sending it takes a BioStudies account and a person, so the checklist says how.

Source: BioImages.v4 template of BioStudies; EBI's page-tab-specification; REMBI
(doi:10.1038/s41592-021-01166-8); MIFA (doi:10.48550/arXiv.2311.10443).
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from msgspec import Struct

from imgdata.deposits.addresses import address_of
from imgdata.deposits.bia_page_tab import (
    json_form,
    list_name,
    root_path,
    study_blocks,
    tab_separated,
)
from imgdata.deposits.biostudies import FileToSend, signed_in
from imgdata.deposits.web import PATIENT, Patience
from imgdata.errors import RefusedError, UsageError
from imgdata.model.deposits import (
    DepositLimits,
    DepositMetadata,
    ListedFile,
    Package,
    PackageDraft,
    Question,
)
from imgdata.model.sizes import format_size
from imgdata.ports import Depository
from imgdata.system.credentials import Token
from imgdata.system.files import write_text
from imgdata.system.progress import SILENT, Progress
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
_WHERE = "metadata/rembi.yaml"
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
    "Study": ("Title", "Description", "Keywords", "License"),
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


class BiaService(Struct, frozen=True):
    """The BioImage Archive: what it asks for. Nothing is sent by program."""

    address: str = ADDRESS
    publisher: str = "BioImage Archive"
    limits: DepositLimits = LIMITS
    patience: Patience = PATIENT

    def asks(self, metadata: DepositMetadata) -> tuple[Question, ...]:
        """Ask for what the form BioImages.v4 makes mandatory."""
        found = [
            Question(name, text, where, required=True)
            for name, text, where in REQUIRED
            if not metadata.answer(name)
        ]
        if not metadata.keywords:
            text = "Under which keywords? The archive wants one at least."
            found.append(Question("study.keywords", text, _WHERE, required=True))
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
            path = folder / list_name(level)
            write_text(path, file_list([one for one in files if one.file.level == level]))
            written.append(path)
        for name, text in (
            (STUDY, tab_separated(study_blocks(metadata, levels))),
            (CHECKLIST, checklist(metadata, levels, files)),
        ):
            write_text(folder / name, text)
            written.append(folder / name)
        return tuple(written)

    def draft(
        self, package: Package, token: Token, known: str = "", progress: Progress = SILENT
    ) -> PackageDraft:
        """Send a package into the account's space and keep it there as a draft.

        Raises:
            CredentialsError: The account is refused.
            RefusedError: BioStudies finds a file list wrong, or a file is too large.
        """
        root = root_path(package.metadata)
        lists = [list_name(level) for level in package.levels]
        files = [
            FileToSend(one.file.path, Path(one.file.local), one.file.size) for one in package.files
        ]
        files += [
            FileToSend(
                name, package.folder / name, (package.folder / name).stat().st_size, always=True
            )
            for name in (STUDY, *lists)
        ]
        study = json_form(study_blocks(package.metadata, package.levels))
        with signed_in(self.address, token, self.patience) as account:
            sent, already = account.send(root, files, progress)
            problems = [line for name in lists for line in account.check_list(root, name)]
            if problems:
                msg = f"BioStudies finds {len(problems)} problems in the file lists"
                raise RefusedError(msg, cause="\n".join(problems[:10]))
            key = account.keep_draft(study, known)
        return PackageDraft(key, f"{self.address}/submissions/edit/{key}", sent, already)


def open_bia(name: str, url: str) -> BiaService:
    """Return the BioImage Archive for `bia:`."""
    if url.partition(":")[2]:
        msg = f"repository '{name}': write its url as bia:"
        raise UsageError(msg)
    return BiaService(address_of("biostudies", ADDRESS))


def file_list(files: Sequence[ListedFile]) -> str:
    """Write a file list: first column `Files`, then plate, well and whatever the key names."""
    columns = list(dict.fromkeys(name for one in files for name in one.fields))
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(["Files", *(column.capitalize() for column in columns)])
    for one in sorted(files, key=lambda listed: listed.file.path):
        writer.writerow([one.file.path, *(one.fields.get(column, "") for column in columns)])
    return text.getvalue()


def checklist(metadata: DepositMetadata, levels: Sequence[str], files: Sequence[ListedFile]) -> str:
    """Write what a person has to do, in order, each step exact."""
    size = sum(one.file.size for one in files)
    root = root_path(metadata)
    folders = ", ".join(sorted({one.file.path.rpartition("/")[0] for one in files})[:5])
    return f"""# Submit to the BioImage Archive

{len(files)} files, {format_size(size)}, levels: {", ".join(levels)}.

- [ ] Read `{STUDY}` and the file lists once; they were checked by imgdata.
- [ ] Make a BioStudies account and sign in: {ADDRESS}
- [ ] Let imgdata bring it there (files below 20 GB each): set `IMGDATA_BIA_TOKEN=E-MAIL:PASSWORD`
      (`BIA` is the repository's name in imgdata.yaml), then
      `imgdata publish {" ".join(levels)} --to bia --draft`.
      It sends what is missing, lets BioStudies check the file lists, and keeps one draft.
      Go on at "Open the draft". Or by hand:
  - [ ] In the web tool open "FTP/Aspera": it shows the server and your secret folder.
  - [ ] Upload the project's folders ({folders}) into the folder `{root}` there,
        keeping the paths, so that `{root}/{files[0].file.path if files else "..."}` exists.
  - [ ] Upload `{STUDY}` and all `filelist_*.tsv` into `{root}` too.
  - [ ] In the web tool choose "Submit from file" (PageTab) with `{STUDY}`;
        it checks the file lists against what was uploaded and names what is missing.
- [ ] Open the draft in the web tool, look through every page of the form.
- [ ] Submit. The curators answer by e-mail; the accession is S-BIAD and a number,
      the archive gives the DOI, and the data open on {metadata.published.isoformat()}
      (change ReleaseDate in `{STUDY}` for a later day).
- [ ] Write the DOI into CITATION.cff and README.md and commit them.
- [ ] When the study is public: `imgdata import bia:S-BIADnnn --dry-run` lists what came to stand
      there; compare its number of files with the {len(files)} above.
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
    titles = {(kind, values.get("Title", "")) for kind, values in blocks}
    problems += [f"no section '{needed}'" for needed in _NEEDED if needed not in kinds]
    if "Author" not in kinds:
        problems.append("no contact with organisation and role")
    for kind, values in blocks:
        for name in _SECTIONS.get(kind, ()):
            if not values.get(name):
                problems.append(f"{kind}: '{name}' is missing")
        if kind.startswith("Associations["):
            problems += _problems_of_associations(kind, values, titles)
        listed = values.get("File List")
        if listed:
            problems += _problems_of_list(folder / listed, root)
    return tuple(problems)


def _blocks(text: str) -> list[tuple[str, dict[str, str]]]:
    """Return kind and values of each block; a table keeps its whole head and its whole rows."""
    blocks = []
    for chunk in text.split("\n\n"):
        rows = [line.partition("\t") for line in chunk.splitlines() if line.strip()]
        if rows:
            kind, _, rest = rows[0]
            head = f"{kind}\t{rest}" if "[" in kind else kind
            blocks.append((head, {name: value for name, _, value in rows[1:]}))
    return blocks


def _problems_of_associations(
    head: str, rows: Mapping[str, str], titles: set[tuple[str, str]]
) -> Iterator[str]:
    """Check that what a component is made from is a section of this study, by its title."""
    kinds = head.split("\t")[1:]
    for row in rows.values():
        for kind, title in zip(kinds, row.split("\t"), strict=False):
            if (kind, title) not in titles:
                yield f"Associations: there is no {kind} '{title}'"


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
