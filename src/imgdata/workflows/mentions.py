"""Lines that name a level in files that imgdata does not rewrite: code, notebooks, documents."""

import re
from collections.abc import Collection, Iterator

from msgspec import Struct

from imgdata.workflows.clone import Clone

OWN = (".imgdata/", ".dvc/")
_LONGEST = 200


class Mention(Struct, frozen=True):
    """One line of a file, by its path below the git repository's root."""

    path: str
    line: int
    text: str

    @property
    def sentence(self) -> str:
        """The line as editors and terminals open it."""
        return f"{self.path}:{self.line}: {self.text}"


def mentions_of(
    clone: Clone, level: str, path: str, left_out: Collection[str]
) -> Iterator[Mention]:
    """Yield the lines that hold a level's folder, or its name where that means the level.

    A name means the level in quotes, after `levels.`, and in a line that calls imgdata.

    Args:
        clone: The project.
        level: The level's name.
        path: Its folder.
        left_out: Files to leave out, relative to the project.
    """
    folder = re.compile(rf"(?<![\w.\-]){re.escape(path)}(?![\w\-])")
    word = re.escape(level)
    name = re.compile(
        rf"(['\"]){word}(?:\.\w[\w.]*)?\1|\blevels[.\[]\s*['\"]?{word}\b|\bimgdata\b.*\s{word}(?![\w/.\-])"
    )
    prefix = clone.git_prefix
    skipped = {f"{prefix}{one}" for one in left_out}
    for file, number, text in clone.git.lines_with((path, level)):
        own = file.startswith(tuple(f"{prefix}{folder_}" for folder_ in OWN))
        if own or file in skipped or file.endswith(("dvc.lock", ".dvc", ".gitignore")):
            continue
        if folder.search(text) or name.search(text):
            yield Mention(file, number, text.strip()[:_LONGEST])
