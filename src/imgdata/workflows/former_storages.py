"""Storages that the log knows and imgdata.yaml does not any more: what lies there is not lost."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property

from msgspec import Struct

from imgdata.errors import ImgdataError
from imgdata.project.config import StorageConfig
from imgdata.project.loader import CONFIG_NAME, parse_config
from imgdata.workflows.clone import Clone
from imgdata.workflows.conform import option_text
from imgdata.workflows.copies import key_of
from imgdata.workflows.history import Version
from imgdata.workflows.versions import current_versions


def how_to_add(storage: StorageConfig) -> str:
    """Return the command that writes a storage down again, and its marker."""
    options = "".join(
        f" --option {shlex.quote(f'{key}={option_text(value)}')}"
        for key, value in storage.options.items()
    )
    return f"imgdata storage add {storage.name} {shlex.quote(storage.url)}{options}"


class FormerStorages(Struct, dict=True):
    """Answers about storages that were taken out of imgdata.yaml, or renamed there."""

    clone: Clone

    def holding(self, version: Version) -> Iterator[str]:
        """Yield those that have a whole copy of a version, as the log says."""
        for name in self._names:
            if self._has(name, version):
                yield name

    def _has(self, name: str, version: Version) -> bool:
        return self.clone.ledger.copy(key_of(version, name)).is_whole

    def way_back(self, version: Version) -> str:
        """Return the command that makes one that has a version known again; empty for none."""
        return self.way_to(self.holding(version))

    def way_to(self, storages: Iterable[str]) -> str:
        """Return the same for the first of some storages that imgdata.yaml does not name."""
        known = self.clone.copy_places
        name = next((one for one in storages if one not in known), None)
        return self._how_to_add(name) if name is not None else ""

    def _how_to_add(self, name: str) -> str:
        found = self._known.get(name)
        return f"imgdata storage add {name} URL" if found is None else how_to_add(found)

    def alone(self) -> Iterator[str]:
        """Yield a sentence for each that alone has recorded data, and how it is made known again.

        Goes by the log; reads former imgdata.yaml files only where there is such a storage.
        """
        held: dict[str, Counter[str]] = {}
        for version in current_versions(self.clone, tuple(self.clone.units.by_level)):
            if not any(self._has(name, version) for name in self.clone.copy_places):
                for name in self.holding(version):
                    held.setdefault(name, Counter())[version.level] += 1
        for name, units in held.items():
            what = ", ".join(
                f"{level} ({count} unit{'s' * (count != 1)})" for level, count in units.items()
            )
            yield (
                f"'{name}' is not in imgdata.yaml any more, and no other storage has its {what}; "
                f"to know it again: {self._how_to_add(name)}"
            )

    @cached_property
    def _names(self) -> tuple[str, ...]:
        noted = {key.storage for key in self.clone.ledger.copies}
        return tuple(sorted(noted - set(self.clone.copy_places)))

    @cached_property
    def _known(self) -> Mapping[str, StorageConfig]:
        """The storages of every imgdata.yaml that was committed, each as it was last."""
        path = f"{self.clone.git_prefix}{CONFIG_NAME}"
        found: dict[str, StorageConfig] = {}
        for data in self.clone.git.states_ever(path):  # the newest first
            with suppress(ImgdataError):
                found = {**parse_config(data.decode("utf-8", "replace")).storages, **found}
        return found
