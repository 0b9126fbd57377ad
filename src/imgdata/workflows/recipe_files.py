"""What stages read that git should have as it ran: code, parameters, the pipeline itself."""

import posixpath
from collections.abc import Iterable, Iterator
from pathlib import Path

from imgdata.dvc_files.stages import Stage
from imgdata.workflows.clone import Clone


def unsaved_recipe(clone: Clone, stages: Iterable[Stage]) -> tuple[Path, ...]:
    """Return the files that stages read and that a commit now would not have as they are."""
    made = {out.path for one in clone.index.stages for out in one.outs}
    read = dict.fromkeys(path for one in stages for path in _read(one) if path not in made)
    files = (clone.root / path for path in read)
    return clone.git.unsaved(path for path in files if path.is_file())


def _read(stage: Stage) -> Iterator[str]:
    yield stage.file
    for dep in stage.deps:
        if dep.is_inside:
            yield dep.path
    for name in stage.defined_params:
        yield posixpath.normpath(posixpath.join(stage.wdir, name))
