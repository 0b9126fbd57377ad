"""A tree whose files are given as bytes."""

from collections.abc import Iterator, Mapping


class MemoryTree:
    """A `Tree` like that of a commit: all files are known, nothing can change."""

    def __init__(self, files: Mapping[str, bytes | str], description: str = "memory") -> None:
        self._files = {
            path: data.encode() if isinstance(data, str) else data
            for path, data in sorted(files.items())
        }
        self._description = description

    @property
    def description(self) -> str:
        """What the tree was made from, for messages."""
        return self._description

    def read(self, path: str) -> bytes | None:
        """Return one file's bytes, or None if there is no such file."""
        return self._files.get(path)

    def files(self, under: str = "") -> Iterator[str]:
        """Yield the paths of all files below a folder, sorted."""
        prefix = f"{under}/" if under else ""
        return (path for path in self._files if path.startswith(prefix))

    def is_folder(self, path: str) -> bool:
        """Tell whether the path is a folder."""
        return path in ("", ".") or any(name.startswith(f"{path}/") for name in self._files)
