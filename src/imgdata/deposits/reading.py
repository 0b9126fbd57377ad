"""What all readers of public records share: answers are read without trusting their types."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from imgdata.deposits.web import Json, Patience, Web, plain
from imgdata.errors import NothingFoundError
from imgdata.model.public_data import PublicFile


class Records:
    """A reader of one service: its connection, and reading bytes."""

    def __init__(self, base: str, headers: dict[str, str], patience: Patience) -> None:
        self._web = Web(base, headers=headers, patience=patience)

    def open(self, file: PublicFile, start: int) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file's bytes from an offset on."""
        return self._web.stream(file.url, start)

    def close(self) -> None:
        """Close the connections."""
        self._web.close()


def mapping(found: Json) -> dict[str, Any]:
    """Return a JSON object, or an empty one."""
    return found if isinstance(found, dict) else {}


def items(found: Json) -> list[Any]:
    """Return a JSON list, or an empty one."""
    return found if isinstance(found, list) else []


def known_size(found: Json) -> int | None:
    """Return a number of bytes, or None."""
    return found if type(found) is int and found >= 0 else None


def by_name(files: Iterable[PublicFile]) -> tuple[PublicFile, ...]:
    """Return files in the order every record has them."""
    return tuple(sorted(files, key=lambda file: file.name))


def citation_line(creators: list[str], year: str, title: str, publisher: str, doi: str) -> str:
    """Return how to cite a record, in one line."""
    names = "; ".join(name for name in creators if name)
    where = f" https://doi.org/{doi}" if doi else ""
    who = f"{names} ({year or 'n.d.'})".strip()
    return plain(f"{who}. {title}. {publisher}.{where}")


def unreadable(reference: str) -> NothingFoundError:
    """Return the error for an answer that is no record."""
    msg = f"the answer about '{reference}' is not that of a public record"
    return NothingFoundError(msg, remedy="open it in a browser and check its id")
