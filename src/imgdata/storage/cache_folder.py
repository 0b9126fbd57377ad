"""DVC's cache as a storage."""

from imgdata.errors import MachineError
from imgdata.storage.local import LocalStorage


class CacheFolder(LocalStorage):
    """A cache holds nothing that is not elsewhere: where its folder is missing, it is empty.

    Writing needs the folder: a shared cache whose disk is not mounted must not fill another disk.
    """

    def _require_root(self) -> None:
        """Ask for nothing: questions have an answer without the folder."""

    def _make_temporary(self, path: str) -> tuple[int, str]:
        if self._shared is None and not self.root.is_dir():
            problem = f"DVC's cache {self.root} is not there"
            cause = "its disk is not mounted, or the folder was never made"
            remedy = f"mount the disk, or for a new cache: mkdir -p {self.root}"
            raise MachineError(problem, cause=cause, remedy=remedy)
        return super()._make_temporary(path)
