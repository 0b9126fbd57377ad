"""DVC's cache as a storage."""

from imgdata.dvc_files.config import require_cache
from imgdata.storage.local import LocalStorage


class CacheFolder(LocalStorage):
    """A cache holds nothing that is not elsewhere: where its folder is missing, it is empty.

    Writing needs the folder: a shared cache whose disk is not mounted must not fill another disk.
    """

    def _require_root(self) -> None:
        """Ask for nothing: questions have an answer without the folder."""

    def _make_temporary(self, path: str) -> tuple[int, str]:
        if self._shared is None:
            require_cache(self.root)
        return super()._make_temporary(path)
