"""Which storages strangers can read: by what is written, by where they lie, and by looking."""

from collections.abc import Iterator

from msgspec import Struct, field

from imgdata.errors import ImgdataError
from imgdata.policy.places import Location, same_place
from imgdata.ports import CanTellAudience, Storage
from imgdata.project.config import StorageConfig
from imgdata.workflows.clone import Clone
from imgdata.workflows.marker import read_marker
from imgdata.workflows.places import location_of
from imgdata.workflows.release_rules import ReleaseRules

PUBLIC_KINDS = ("git:", "git-lfs:")
GIT_SERVER = (
    "a git server may show it to anyone (public: false on the release branch says otherwise)"
)


class PublicPlaces(Struct):
    """Tells public storages from others; what is written is read once."""

    clone: Clone
    rules: ReleaseRules
    _stated: dict[str, str] = field(default_factory=dict)

    def stated(self, storage: StorageConfig) -> str:
        """Say why a storage is public by what any reading of imgdata.yaml says; else empty.

        Asks no network. Another name, path, link or spelling of a public place is public too.
        """
        if storage.name not in self._stated:
            self._stated[storage.name] = self.says(storage) or self._elsewhere(storage)
        return self._stated[storage.name]

    def _elsewhere(self, storage: StorageConfig) -> str:
        """Say which public storage of any reading a storage is, by name or place."""
        here = location_of(self.clone, storage)
        for name, one, why in self._public:
            if one.name == storage.name and one.url == storage.url:
                return f"{why} on the release branch"
            if one.name == storage.name:
                return f"{why} on the release branch, where it is at {one.url}"
            if one.url == storage.url or same_place(here, name):
                return f"the same place as '{one.name}', which is {why}"
        return ""

    def seen(self, storage: StorageConfig, opened: Storage, *, thoroughly: bool) -> str:
        """Say why a storage is public by looking at it; else empty.

        Raises:
            StorageError: It could not be found out.
        """
        if isinstance(opened, CanTellAudience):
            found = opened.public_because(thoroughly=thoroughly)
            if found:
                return found
        return self._is_alias(storage, opened)

    def says(self, storage: StorageConfig) -> str:
        """Say why a storage is public by its own options and kind; else empty."""
        if storage.options.get("public") is True:
            return "public: true"
        if storage.options.get("anonymous") is True:
            return "anonymous: true"
        if storage.url.lower().startswith(PUBLIC_KINDS) and not self._is_private(storage):
            return GIT_SERVER
        return ""

    def _is_private(self, storage: StorageConfig) -> bool:
        """Tell whether working tree and release branches agree that a git server is private."""
        committed = [
            one
            for config in self.rules.committed
            for one in config.storages.values()
            if one.url == storage.url
        ]
        return bool(committed) and all(
            one.options.get("public") is False for one in (storage, *committed)
        )

    @property
    def _public(self) -> Iterator[tuple[Location, StorageConfig, str]]:
        for config in self.rules.readings:
            for one in config.storages.values():
                if why := self.says(one):
                    yield location_of(self.clone, one), one, why

    def _is_alias(self, storage: StorageConfig, opened: Storage) -> str:
        """Compare markers: each place has its own, by whatever address it is reached."""
        public = {one.url: one for _, one, _ in self._public if one.name != storage.name}
        if not public:
            return ""
        marker = read_marker(opened)
        for one in public.values() if marker is not None and marker.place else ():
            try:
                other = read_marker(self.clone.open_storage(one))
            except ImgdataError:
                continue  # nobody can tell from here, and nothing can be sent there from here
            if other is not None and marker is not None and other.place == marker.place:
                return f"the same place as '{one.name}', which is public"
        return ""
