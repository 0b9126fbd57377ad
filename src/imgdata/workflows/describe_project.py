"""`metadata/rembi.yaml`: what only a person can say about the images, written for people."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from imgdata.dvc_files.yaml12 import YamlError, read_yaml
from imgdata.errors import InvalidProjectError
from imgdata.model.findings import FileCheck
from imgdata.model.rembi import BY_NAME, FIELDS, Completeness, problem_of
from imgdata.policy.rembi_rules import complete
from imgdata.project.answers import REMBI_FILE, rembi_answers
from imgdata.project.config import Config
from imgdata.system.files import write_text
from imgdata.system.folder_tree import FolderTree

SCHEMA = ".imgdata/rembi.schema.json"
HEADER = f"""\
# yaml-language-server: $schema=../{SCHEMA}
# What only a person can say about these images (REMBI). `imgdata describe` asks the open
# questions one by one; empty fields are open.
"""


def write_answers(root: Path, answers: Mapping[str, str]) -> Path:
    """Write the answers with the open questions as comments, and the schema for editors.

    Raises:
        InvalidProjectError: An answer is not of its field's form.
    """
    problems = [p for name, text in answers.items() if (p := problem_of(BY_NAME[name], text))]
    if problems:
        raise InvalidProjectError(problems[0], cause="\n".join(problems[1:]))
    lines = [HEADER, "version: 1"]
    section = ""
    for field in FIELDS:
        part, _, key = field.name.partition(".")
        if part != section:
            section = part
            lines.append(f"{part}:")
        lines.append(f"  # {field.question} For example: {field.example}")
        lines.append(f"  {key}: {_quoted(answers.get(field.name, ''))}")
    path = root / REMBI_FILE
    write_text(path, "\n".join(lines) + "\n")
    return path


def _quoted(text: str) -> str:
    if not text:
        return ""
    return (
        yaml.safe_dump(text, default_flow_style=True, width=10_000)
        .strip()
        .removesuffix("...")
        .strip()
    )


def schema() -> dict[str, object]:
    """Return the JSON Schema of the file, for editors."""
    sections: dict[str, dict[str, object]] = {}
    for field in FIELDS:
        part, _, key = field.name.partition(".")
        entry: dict[str, object] = {"description": field.question, "examples": [field.example]}
        sections.setdefault(part, {})[key] = entry
    properties: dict[str, object] = {
        part: {"type": ["object", "null"], "properties": entries, "additionalProperties": False}
        for part, entries in sections.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What only a person can say about the images",
        "type": "object",
        "properties": {"version": {"const": 1}, **properties},
        "additionalProperties": False,
    }


def known_facts(config: Config, root: Path) -> dict[str, tuple[str, str]]:
    """Return what imgdata.yaml and dvc.yaml answer: field name to (value, where)."""
    where = "imgdata.yaml"
    release = [o.release_on for o in config.origins.values() if o.release_on]
    described = [level.description for level in config.levels.values() if level.description]
    found = {
        "study.title": (config.title, f"{where} title"),
        "study.description": (config.description or "", f"{where} description"),
        "study.keywords": (", ".join(config.keywords), f"{where} keywords"),
        "study.authors": (", ".join(c.name for c in config.creators), f"{where} creators"),
        "study.release_date": (max(release).isoformat() if release else "", f"{where} origins"),
        "study.licence": (config.license or "", f"{where} license"),
        "component.name": (", ".join(config.levels), f"{where} levels"),
        "component.description": ("; ".join(described), f"{where} levels"),
    }
    stages = _stages(root)
    if stages:
        found["analysis.overview"] = (f"stages {', '.join(stages)}", "dvc.yaml")
    return found


def _stages(root: Path) -> list[str]:
    path = root / "dvc.yaml"
    if not path.is_file():
        return []
    try:
        found = read_yaml(path.read_bytes())
    except YamlError:
        return []
    stages = found.get("stages") if isinstance(found, Mapping) else None
    return list(map(str, stages)) if isinstance(stages, Mapping) else []


def completeness(root: Path, config: Config, files: Sequence[FileCheck]) -> Completeness:
    """Return how ready the project is for the BioImage Archive."""
    return complete(rembi_answers(FolderTree(root)), known_facts(config, root), files)
