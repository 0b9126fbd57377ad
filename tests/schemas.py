"""The JSON Schemas that commands promise for what they print with `--json`."""

import json
from pathlib import Path
from typing import Any

import jsonschema

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference" / "json"


def document_of(name: str, printed: str) -> dict[str, Any]:
    """Return the document a command printed, which fits the schema of that name."""
    document: dict[str, Any] = json.loads(printed)
    jsonschema.validate(document, json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8")))
    return document
