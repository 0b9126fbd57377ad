"""What the Citation File Format 1.2.0 demands of the parts of it that imgdata writes.

Source: https://github.com/citation-file-format/citation-file-format (schema guide, 1.2.0).
"""

from typing import Any

_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_DATE: dict[str, Any] = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
_ORCID: dict[str, Any] = {
    "type": "string",
    "pattern": r"^https://orcid\.org/\d{4}-\d{4}-\d{4}-\d{3}[\dX]$",
}
_PERSON = (
    "address",
    "affiliation",
    "alias",
    "city",
    "country",
    "email",
    "family-names",
    "fax",
    "given-names",
    "name-particle",
    "name-suffix",
    "post-code",
    "region",
    "tel",
    "website",
)
_ENTITY = (
    "address",
    "alias",
    "city",
    "country",
    "email",
    "fax",
    "location",
    "name",
    "post-code",
    "region",
    "tel",
    "website",
)
_TOP = (
    "abstract",
    "commit",
    "contact",
    "date-released",
    "identifiers",
    "license-url",
    "preferred-citation",
    "references",
    "repository",
    "repository-artifact",
    "repository-code",
    "url",
)
CFF: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["authors", "cff-version", "message", "title"],
    "additionalProperties": False,
    "properties": {
        **{name: {} for name in _TOP},
        "cff-version": {"const": "1.2.0"},
        "message": _TEXT,
        "title": _TEXT,
        "type": {"enum": ["dataset", "software"]},
        "version": {"type": ["string", "number"]},
        "date-released": _DATE,
        "doi": {"type": "string", "pattern": r"^10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;\-.()\[\]\\]+$"},
        "keywords": {"type": "array", "minItems": 1, "uniqueItems": True, "items": _TEXT},
        "license": {"type": "string", "pattern": r"^[A-Za-z0-9.-]+$"},
        "authors": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "anyOf": [
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {**dict.fromkeys(_PERSON, _TEXT), "orcid": _ORCID},
                    },
                    {
                        "type": "object",
                        "required": ["name"],
                        "additionalProperties": False,
                        "properties": {
                            **dict.fromkeys(_ENTITY, _TEXT),
                            "orcid": _ORCID,
                            "date-start": _DATE,
                            "date-end": _DATE,
                        },
                    },
                ]
            },
        },
    },
}
