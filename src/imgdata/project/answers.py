"""The REMBI answers only a person can give: `metadata/*.yaml`, by dotted name."""

from collections.abc import Iterator
from pathlib import PurePosixPath

import yaml

from imgdata.errors import InvalidProjectError
from imgdata.ports import Tree

FOLDER = "metadata"
LARGEST = 2**20


def read_answers(tree: Tree) -> dict[str, str]:
    """Return all answers; `study.yaml` with `description: x` answers `study.description`.

    A file named `rembi.yaml` or `answers.yaml` holds the names without prefix.

    Raises:
        InvalidProjectError: A file is not YAML.
    """
    answers: dict[str, str] = {}
    for path in map(PurePosixPath, tree.files(FOLDER)):
        data = tree.read(str(path)) if path.suffix in {".yaml", ".yml"} else None
        if data is None or len(data) > LARGEST or str(path.parent) != FOLDER:
            continue
        try:
            found = yaml.safe_load(data.decode("utf-8", "replace"))
        except yaml.YAMLError as error:
            msg = f"{FOLDER}/{path.name} is not valid YAML"
            raise InvalidProjectError(msg, cause=str(error)) from error
        prefix = "" if path.stem in {"rembi", "answers"} else f"{path.stem}."
        answers.update(_flat(found, prefix) if isinstance(found, dict) else ())
    return answers


def _flat(value: dict[object, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{key}.")
        elif isinstance(item, list):
            yield f"{prefix}{key}", ", ".join(str(one) for one in item)
        elif item is not None and str(item).strip():
            yield f"{prefix}{key}", str(item).strip()
