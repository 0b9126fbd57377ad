"""A published DOI in the project's own README.md and CITATION.cff."""

import re

from imgdata.project.editor import dump_edited, load_editable

_BADGE = re.compile(r"^\[!\[DOI\]\([^)]*\)\]\([^)]*\)$", re.MULTILINE)


def readme_with_doi(text: str, doi: str) -> str:
    """Return a README with the DOI's badge below its title; an older badge is replaced."""
    badge = f"[![DOI](https://img.shields.io/badge/DOI-{_shield(doi)}-blue)](https://doi.org/{doi})"
    if _BADGE.search(text):
        return _BADGE.sub(badge, text, count=1)
    title = re.search(r"^# .*$", text, re.MULTILINE)
    if title is None:
        return f"{badge}\n\n{text}"
    return f"{text[: title.end()]}\n\n{badge}{text[title.end() :]}"


def _shield(doi: str) -> str:
    return doi.replace("-", "--").replace("_", "__").replace("/", "%2F")


def citation_with_doi(text: str, doi: str, released: str) -> str:
    """Return a CITATION.cff with the DOI and its date; everything else stays as written."""
    found = load_editable(text)
    if not hasattr(found, "keys"):
        return text
    found["doi"] = doi
    found["date-released"] = released
    return dump_edited(found, text)
