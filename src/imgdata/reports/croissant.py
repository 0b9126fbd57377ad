"""Describe a deposit's files in Croissant 1.0, for machine learning and search engines.

Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from imgdata.model.deposits import Creator, DepositMetadata
from imgdata.reports.ro_crate import CrateFile

SPECIFICATION = "http://mlcommons.org/croissant/1.0"
# The context the specification gives.
_CROISSANT = (
    "citeAs",
    "column",
    "dataBiases",
    "dataCollection",
    "extract",
    "field",
    "fileProperty",
    "fileObject",
    "fileSet",
    "format",
    "includes",
    "isLiveDataset",
    "jsonPath",
    "key",
    "md5",
    "parentField",
    "path",
    "personalSensitiveInformation",
    "recordSet",
    "references",
    "regex",
    "repeated",
    "replace",
    "separator",
    "source",
    "subField",
    "transform",
)
_CONTEXT: dict[str, object] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in _CROISSANT},
}
_FORMATS = {
    ".zip": "application/zip",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".parquet": "application/vnd.apache.parquet",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".json": "application/json",
    ".md": "text/markdown",
    ".txt": "text/plain",
}


def croissant(metadata: DepositMetadata, doi: str, files: Sequence[CrateFile]) -> bytes:
    """Return croissant.json; files are named relative to it, as they lie in the deposit."""
    where = f"https://doi.org/{doi}" if doi else ""
    names = "; ".join(creator.name for creator in metadata.creators)
    document: dict[str, object] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": SPECIFICATION,
        "name": metadata.title,
        "description": metadata.description or metadata.title,
        "license": f"https://spdx.org/licenses/{metadata.license}",
        "url": where,
        "creator": [_creator(one) for one in metadata.creators],
        "datePublished": metadata.published.isoformat(),
        "version": _semantic(metadata.version),
        "keywords": list(metadata.keywords),
        "citeAs": f"{names} ({metadata.published.year}). {metadata.title}. {where}".strip(),
        "distribution": [_file(number, one) for number, one in enumerate(files, start=1)],
    }
    known = {name: value for name, value in document.items() if value}
    return (json.dumps(known, indent=2, ensure_ascii=False) + "\n").encode()


def _semantic(version: str) -> str:
    """Return `v1.2` as `1.2.0`, which the specification asks for; other words as they are."""
    found = re.fullmatch(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", version)
    return ".".join(number or "0" for number in found.groups()) if found else version


def _creator(creator: Creator) -> dict[str, str]:
    found = {"@type": "sc:Person" if creator.is_person else "sc:Organization", "name": creator.name}
    return {**found, "url": f"https://orcid.org/{creator.orcid}"} if creator.orcid else found


def _file(number: int, file: CrateFile) -> dict[str, str]:
    suffix = PurePosixPath(file.name).suffix.lower()
    return {
        "@type": "cr:FileObject",
        "@id": f"file-{number}",
        "name": file.name,
        "contentUrl": file.name,
        "contentSize": f"{file.size} B",
        "encodingFormat": _FORMATS.get(suffix, "application/octet-stream"),
        "md5": file.md5,
        "sha256": file.sha256,
    }
