"""The metadata files of a deposit: README, licence, citation, manifest, recipe."""

import csv
import hashlib
import io
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import yaml
from msgspec import Struct

from imgdata.model.deposits import Creator, Deposit, DepositMetadata, DepositPlan
from imgdata.model.makings import Making, WorkflowFile
from imgdata.model.sizes import format_size
from imgdata.reports.croissant import croissant
from imgdata.reports.redaction import Redaction
from imgdata.reports.ro_crate import CrateFile, ro_crate
from imgdata.transfer.content import BytesContent, ManifestLine, Prepared
from imgdata.transfer.pack_parts import MeasuredSource, PackSource
from imgdata.transfer.packing import Pack

MANIFEST_COLUMNS = ("file", "path", "level", "unit", "size", "md5", "sha256", "offset")
LICENSE_TEXTS = {
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/legalcode",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/legalcode",
}
# Keys of imgdata.yaml that say where a lab keeps data, not what the data are.
_PRIVATE_KEYS = frozenset({"storages", "repositories", "currency", "commit", "id", "checks"})
_PRIVATE_LEVEL_KEYS = frozenset({"storage", "copies", "verify_every_days", "accept_loss", "then"})
_CITATION_MESSAGE = "If you use these data, please cite them as below."


class Documented(Struct, frozen=True):
    """What the metadata files tell beside the plan.

    Attributes:
        plan: The deposit's plan.
        makings: How each unit was made.
        workflow: The recipe's files, as they are in the project.
        commit: The project's git commit, or empty.
        restricted_units: Names that must not appear.
        origins: Where the data that go come from; others are not named.
        is_committed: Whether that commit has the recipe as it is.
    """

    plan: DepositPlan
    makings: tuple[Making, ...]
    workflow: tuple[WorkflowFile, ...]
    commit: str
    restricted_units: frozenset[str]
    origins: frozenset[str] = frozenset()
    is_committed: bool = True


def documents(told: Documented) -> Callable[[Deposit, Prepared], Sequence[BytesContent]]:
    """Return the maker of the metadata files, for when DOI and checksums are known."""

    def make(opened: Deposit, prepared: Prepared) -> Sequence[BytesContent]:
        redaction = Redaction(told.restricted_units)
        makings = tuple(_redacted(m, redaction) for m in told.makings if _shown(m, told))
        metadata = told.plan.metadata
        workflow = workflow_zip(told.workflow, redaction, told.origins)
        small = [
            BytesContent("README.md", readme(told, opened.doi, prepared, makings).encode()),
            BytesContent("LICENSE.txt", license_note(metadata).encode()),
            BytesContent("CITATION.cff", citation(metadata, opened.doi).encode()),
            BytesContent("workflow.zip", workflow),
        ]
        lines = [*prepared.lines, *(_line_of(content) for content in small)]
        manifest = BytesContent("manifest.csv", manifest_text(lines).encode())
        files = _crate_files((*lines, _line_of(manifest)))
        learning = BytesContent("croissant.json", croissant(metadata, opened.doi, files))
        files += _crate_files((_line_of(learning),))
        crate = ro_crate(metadata, opened.doi, files, makings)
        last = BytesContent("ro-crate-metadata.json", crate)
        return (*small, manifest, learning, last)

    return make


def _crate_files(lines: Iterable[ManifestLine]) -> list[CrateFile]:
    """Return the files of a deposit; members of packs are in the manifest."""
    return [
        CrateFile(line.file, line.size, line.level, line.unit, line.md5, line.sha256)
        for line in lines
        if not (line.path and line.offset)
    ]


def _shown(making: Making, told: Documented) -> bool:
    return making.unit not in told.restricted_units


def _redacted(making: Making, redaction: Redaction) -> Making:
    return Making(
        making.level,
        making.unit,
        redaction.text(making.stage),
        redaction.text(making.command),
        tuple((redaction.text(path), md5) for path, md5 in making.inputs),
        making.version,
        making.started,
        making.ended,
    )


def _line_of(content: BytesContent) -> ManifestLine:
    sha256 = hashlib.sha256(content.data).hexdigest()
    return ManifestLine(content.name, "", "", "", content.size, content.md5, sha256, 0)


def manifest_text(lines: Iterable[ManifestLine]) -> str:
    """Write every file of the deposit and every member of its packs as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MANIFEST_COLUMNS)
    for line in sorted(lines, key=lambda one: (one.file, one.offset, one.path)):
        writer.writerow([getattr(line, column) for column in MANIFEST_COLUMNS])
    return text.getvalue()


def license_note(metadata: DepositMetadata) -> str:
    """Say under which licence the data are, and where its text is."""
    text = LICENSE_TEXTS.get(metadata.license, f"https://spdx.org/licenses/{metadata.license}")
    holders = "; ".join(creator.name for creator in metadata.creators)
    return (
        f"The data of this deposit are licensed under {metadata.license}.\n"
        f"Licence text: {text}\nSPDX-License-Identifier: {metadata.license}\n\n"
        f"{metadata.published.year} {holders}\n"
    )


def citation(metadata: DepositMetadata, doi: str) -> str:
    """Write CITATION.cff, format 1.2.0: https://github.com/citation-file-format."""
    authors = [_cff_author(creator) for creator in metadata.creators]
    document: dict[str, object] = {
        "cff-version": "1.2.0",
        "message": _CITATION_MESSAGE,
        "type": "dataset",
        "title": metadata.title,
        "authors": authors,
        "date-released": metadata.published.isoformat(),
        "license": metadata.license,
    }
    if doi:
        document["doi"] = doi
    if metadata.version:
        document["version"] = metadata.version
    if metadata.keywords:
        document["keywords"] = list(dict.fromkeys(metadata.keywords))
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _cff_author(creator: Creator) -> dict[str, str]:
    if not creator.is_person:
        return {"name": creator.name}
    author = {"family-names": creator.family}
    if creator.given:
        author["given-names"] = creator.given
    if creator.affiliation:
        author["affiliation"] = creator.affiliation
    if creator.orcid:
        author["orcid"] = f"https://orcid.org/{creator.orcid}"
    return author


def readme(told: Documented, doi: str, prepared: Prepared, makings: Sequence[Making]) -> str:
    """Write what a reader needs: what it is, how to cite, find, check and remake it."""
    metadata, plan = told.plan.metadata, told.plan
    names = "; ".join(creator.name for creator in metadata.creators)
    where = f" https://doi.org/{doi}" if doi else ""
    parts = [
        f"# {metadata.title}",
        metadata.description.strip(),
        (
            f"Cite as: {names} ({metadata.published.year}). {metadata.title}."
            f"{f' {metadata.version}.' if metadata.version else ''}{where}"
        ),
        f"Licence: {metadata.license}. Keywords: {', '.join(metadata.keywords) or 'none'}.",
        "## What is here",
        _level_table(prepared),
        "## Find and check one image",
        (
            "`manifest.csv` lists every file and every member of a zip with size, md5, sha256 and "
            "offset. The zips are uncompressed: the bytes `offset` to `offset + size - 1` of a zip "
            "are the image itself, so one HTTP range request brings it."
        ),
        "Paths in the zips are those of the project: unpacked in one folder they give its tree.",
    ]
    if makings:
        parts += ["## How it was made", _made_table(makings)]
        changed = "" if told.is_committed else " with changes that were not committed"
        commit = f" (commit `{told.commit}`{changed})" if told.commit else ""
        parts.append(
            f"`workflow.zip` holds the pipeline{commit}: dvc.yaml, dvc.lock, parameters, "
            "scripts, lists of packages."
        )
    if plan.held:
        count = len(plan.held)
        parts += [
            "## What is not here",
            (
                f"{count} unit{'s are' if count > 1 else ' is'} left out: "
                "an agreement with its owner does not allow publication."
            ),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _level_table(prepared: Prepared) -> str:
    rows = ["| level | unit | files | size |", "| --- | --- | --- | --- |"]
    data = sorted(
        (line for line in prepared.lines if line.path), key=lambda line: (line.level, line.unit)
    )
    for (level, unit), group in groupby(data, key=lambda line: (line.level, line.unit)):
        lines = list(group)
        size = format_size(sum(line.size for line in lines))
        rows.append(f"| {level} | {unit or '-'} | {len(lines)} | {size} |")
    return "\n".join(rows)


def _made_table(makings: Sequence[Making]) -> str:
    rows = ["| level | unit | stage | command |", "| --- | --- | --- | --- |"]
    for making in makings:
        command = " ; ".join(making.command.splitlines()).replace("|", "\\|")
        rows.append(f"| {making.level} | {making.unit or '-'} | {making.stage} | `{command}` |")
    return "\n".join(rows)


def workflow_zip(
    files: Sequence[WorkflowFile], redaction: Redaction, origins: frozenset[str]
) -> bytes:
    """Pack the recipe, each file without hosts, e-mails, homes, storages and restricted names."""
    kept: dict[str, bytes] = {}
    for file in files:
        data = _public_config(file.data, origins) if file.path == "imgdata.yaml" else file.data
        clean = redaction.data(data)
        if clean is not None:
            kept[redaction.text(file.path)] = clean
    return _zip_of(kept)


def _public_config(data: bytes, known: frozenset[str]) -> bytes:
    """Return imgdata.yaml without storages, comments and what origins say in private.

    Of origins, only those that the deposit's data come from: who else gives data is not public.
    """
    found = yaml.safe_load(data)
    if not isinstance(found, dict):
        return b""
    kept = {k: v for k, v in found.items() if k not in _PRIVATE_KEYS and not str(k).startswith("x")}
    levels = kept.get("levels")
    if isinstance(levels, dict):
        kept["levels"] = {
            name: {
                key: value
                for key, value in level.items()
                if key not in _PRIVATE_LEVEL_KEYS and (key != "origin" or value in known)
            }
            for name, level in levels.items()
            if isinstance(level, dict)
        }
    origins = kept.get("origins")
    if isinstance(origins, dict):
        kept["origins"] = {
            name: {k: v for k, v in origin.items() if k not in {"note", "source"}}
            for name, origin in origins.items()
            if isinstance(origin, dict) and name in known
        }
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True).encode()


def _zip_of(files: dict[str, bytes]) -> bytes:
    """Return a zip of small files in the one format of packs."""
    measured = [
        MeasuredSource(
            PackSource(name, "", len(data), ""),
            hashlib.md5(data, usedforsecurity=False).hexdigest(),
            hashlib.sha256(data).hexdigest(),
            zlib.crc32(data),
        )
        for name, data in files.items()
    ]
    return b"".join(Pack(measured, held=files).chunks())
