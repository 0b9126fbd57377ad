"""The marker at a storage's prefix that tells whose it is."""

import json
import secrets

from msgspec import Struct

from imgdata.errors import DamagedError, RefusedError
from imgdata.ports import CanWriteIfAbsent, Storage

MARKER_NAME = "imgdata-project.json"


class Marker(Struct, frozen=True):
    """What a marker says; texts are empty where it does not say.

    Attributes:
        project_id: The project's id.
        title: The project's title when the marker was written.
        place: A random text that tells this place from others, by whatever name it is reached.
    """

    project_id: str
    title: str
    place: str


def read_marker(storage: Storage) -> Marker | None:
    """Return the marker at a storage's prefix, or None where there is none."""
    found = _read_marker(storage)
    if found is None:
        return None
    names = ("id", "title", "place")
    return Marker(*(str(found.get(name, "")) for name in names))


def mark_or_refuse(storage: Storage, name: str, project_id: str, title: str) -> None:
    """Write the project's marker at a storage's prefix, or check the one that is there.

    Raises:
        RefusedError: The prefix belongs to another project.
    """
    found = _read_marker(storage)
    if found is None:
        place = secrets.token_hex(8)
        data = json.dumps({"id": project_id, "title": title, "place": place}, indent=1).encode()
        if isinstance(storage, CanWriteIfAbsent):
            storage.write_if_absent(MARKER_NAME, data)
        else:
            storage.write(MARKER_NAME, [data], len(data))
        found = _read_marker(storage)
    owner = found.get("id") if found else None
    if owner != project_id:
        shown = found.get("title") or owner if found else "unknown"
        problem = f"storage '{name}' at {storage.description} belongs to another project"
        cause = f"its {MARKER_NAME} names '{shown}', not this project"
        remedy = "give each project its own folder or prefix in imgdata.yaml"
        if found and owner and found.get("title") == title:
            cause = f"its {MARKER_NAME} names a project of the same title with id {owner}"
            remedy = (
                "if both are clones of one repository, each given an id by imgdata init of its "
                f"own: git pull, write id: {owner} into imgdata.yaml, commit it, push again\n"
                f"if they are two projects: {remedy}"
            )
        raise RefusedError(problem, cause=cause, remedy=remedy)


def _read_marker(storage: Storage) -> dict[str, str] | None:
    try:
        with storage.read(MARKER_NAME) as chunks:
            data = b"".join(chunks)
    except DamagedError:
        if storage.stat(MARKER_NAME) is None:
            return None
        raise
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
