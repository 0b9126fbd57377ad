"""Storages that the log knows and imgdata.yaml does not any more: what lies there is not lost."""

import shlex
from collections.abc import Iterable, Iterator
from functools import cached_property

from msgspec import Struct

from imgdata.errors import ImgdataError
from imgdata.policy.ledger import CopyKey
from imgdata.project.config import StorageConfig
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.workflows.clone import Clone
from imgdata.workflows.history import Version


def how_to_add(storage: StorageConfig) -> str:
    """Return the command that writes a storage down again, and its marker."""
    options = "".join(
        f" --option {shlex.quote(f'{key}={_text(value)}')}"
        for key, value in storage.options.items()
    )
    return f"imgdata storage add {storage.name} {shlex.quote(storage.url)}{options}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class FormerStorages(Struct, dict=True):
    """Answers about storages that were taken out of imgdata.yaml, or renamed there."""

    clone: Clone

    def holding(self, version: Version) -> Iterator[str]:
        """Yield those that have a whole copy of a version, as the log says."""
        for name in self._names:
            key = CopyKey(name, version.level, version.unit, version.version)
            if self.clone.ledger.copy(key).is_whole:
                yield name

    def way_back(self, version: Version) -> str:
        """Return the command that makes one that has a version known again; empty for none."""
        return self.way_to(self.holding(version))

    def way_to(self, storages: Iterable[str]) -> str:
        """Return the same for the first of some storages that imgdata.yaml does not name."""
        known = self.clone.copy_places
        name = next((one for one in storages if one not in known), None)
        if name is None:
            return ""
        found = next((one[name] for one in self._configs() if name in one), None)
        return f"imgdata storage add {name} URL" if found is None else how_to_add(found)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        noted = {key.storage for key in self.clone.ledger.copies}
        return tuple(sorted(noted - set(self.clone.copy_places)))

    def _configs(self) -> Iterator[dict[str, StorageConfig]]:
        """Yield the storages of every imgdata.yaml that was committed, newest first."""
        path = (self.clone.root.relative_to(self.clone.git.root) / CONFIG_NAME).as_posix()
        for data in self.clone.git.states_ever(path):
            try:
                yield dict(parse_config(data.decode("utf-8", "replace")).storages)
            except ImgdataError:
                continue
