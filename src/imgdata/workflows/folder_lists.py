"""The lists of tracked folders (`.dir` objects) that are on this machine, cache first."""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, field

from imgdata.dvc_files.config import DvcConfig, read_config
from imgdata.dvc_files.directory import read_folder
from imgdata.errors import ImgdataError
from imgdata.model.objects import FOLDER_SUFFIX, object_key

DVC_FOLDER = ".dvc"


class FolderLists(Struct):
    """Reads `.dir` objects from the caches and local remotes of the DVC roots of a repository.

    Attributes:
        roots: The DVC roots, absolute.
        problems: Lists that are here but damaged, by object.
    """

    roots: tuple[Path, ...]
    problems: dict[str, str] = field(default_factory=dict)
    _known: dict[str, dict[str, str] | None] = field(default_factory=dict)
    _places: list[Path] | None = None

    def __call__(self, digest: str) -> dict[str, str] | None:
        """Return md5 by path of a `.dir` object, or None when no intact one is here."""
        if digest not in self._known:
            self._known[digest] = self._read(digest)
        return self._known[digest]

    def object_path(self, digest: str) -> Path | None:
        """Return where an object of the cache lies, or None if it is not here."""
        for place in self._here():
            for key in (object_key(digest), f"{digest[:2]}/{digest[2:]}"):
                if (place / key).is_file():
                    return place / key
        return None

    def _read(self, digest: str) -> dict[str, str] | None:
        path = self.object_path(digest) if digest.endswith(FOLDER_SUFFIX) else None
        if path is None:
            return None
        try:
            entries = read_folder(path.read_bytes(), digest)
        except (ImgdataError, OSError) as error:
            self.problems[digest] = str(error)
            return None
        return {entry.relpath: entry.md5 for entry in entries}

    def _here(self) -> list[Path]:
        if self._places is None:
            self._places = list(dict.fromkeys(self._find_places()))
        return self._places

    def _find_places(self) -> Iterator[Path]:
        for root in self.roots:
            config = self._config(root)
            if config is None:
                yield root / DVC_FOLDER / "cache"
                continue
            yield config.cache_dir
            for remote in config.remotes.values():
                url = remote.get("url", "").removeprefix("file://")
                if url.startswith("/"):
                    yield Path(url)

    def _config(self, root: Path) -> DvcConfig | None:
        try:
            return read_config(root / DVC_FOLDER)
        except ImgdataError as error:
            self.problems[str(root / DVC_FOLDER / "config")] = error.problem
            return None
