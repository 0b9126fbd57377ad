"""The answers only a person can give: `metadata/*.yaml`, by dotted name. The one reader of them.

`metadata/rembi.yaml` holds the fields of REMBI, as `imgdata describe` writes them; another file's
name stands before its names: `description` in `study.yaml` is `study.description`.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

import yaml

from imgdata.errors import InvalidProjectError
from imgdata.model.rembi import BY_NAME
from imgdata.ports import Tree
from imgdata.system.yaml_limits import TooMuchError, check_aliases, check_nesting

FOLDER = "metadata"
REMBI = "rembi"
REMBI_FILE = f"{FOLDER}/{REMBI}.yaml"
LARGEST = 2**20
_WITHOUT_PREFIX = frozenset({REMBI, "answers"})
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
# Texts stay as they are written: no `no` becomes false, no 1.10 becomes 1.1.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def read_answers(tree: Tree) -> dict[str, str]:
    """Return all answers of a working tree or commit by dotted name; open ones are left out.

    Raises:
        InvalidProjectError: A file is not YAML, or rembi.yaml has fields that REMBI has not.
    """
    answers: dict[str, str] = {}
    for path in map(PurePosixPath, tree.files(FOLDER)):
        data = tree.read(str(path)) if path.suffix in {".yaml", ".yml"} else None
        if data is None or len(data) > LARGEST or str(path.parent) != FOLDER:
            continue
        prefix = "" if path.stem in _WITHOUT_PREFIX else f"{path.stem}."
        found = dict(_flat(_parsed(path, data), prefix))
        if path.stem == REMBI:
            _refuse_unknown(path, [name for name in found if name != "version"])
            found.pop("version", None)
        answers.update({name: text for name, text in found.items() if text not in _NOTHING})
    return answers


def rembi_answers(tree: Tree) -> dict[str, str]:
    """Return the answers that are fields of REMBI.

    Raises:
        InvalidProjectError: As `read_answers`.
    """
    return {name: text for name, text in read_answers(tree).items() if name in BY_NAME}


def _parsed(path: PurePosixPath, data: bytes) -> Mapping[object, object]:
    problem = f"{path} is not valid YAML"
    try:
        text = data.decode("utf-8")
        check_nesting(text)
        found = yaml.load(text, Loader=_LOADER)  # noqa: S506 - it makes texts, lists and mappings
        check_aliases(text, found)
    except (yaml.YAMLError, TooMuchError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidProjectError(problem, cause=str(error)) from error
    if found in ("", None):
        return {}
    if isinstance(found, dict):
        return found
    if path.stem == REMBI:
        problem = f"{path} must hold sections such as study and biosample"
        raise InvalidProjectError(problem)
    return {}


def _refuse_unknown(path: PurePosixPath, names: Iterable[str]) -> None:
    sections = {name.partition(".")[0] for name in BY_NAME}
    unknown = [name for name in names if name not in BY_NAME and name not in sections]
    if not unknown:
        return
    problem = f"{path} has fields that do not exist: {', '.join(unknown)}"
    near = difflib.get_close_matches(unknown[0], BY_NAME, n=1)
    raise InvalidProjectError(
        problem,
        cause=f"known are {', '.join(BY_NAME)}",
        remedy=f"did you mean {near[0]}?" if near else "",
    )


def _flat(value: Mapping[object, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{key}.")
        elif isinstance(item, list):
            yield f"{prefix}{key}", ", ".join(str(one).strip() for one in item)
        else:
            yield f"{prefix}{key}", str(item).strip()
