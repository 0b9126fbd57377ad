"""How a unit was made, as a deposit tells it."""

from msgspec import Struct


class Making(Struct, frozen=True):
    """One run of a stage that made one unit.

    Attributes:
        level: The level made.
        unit: The unit made, or empty.
        stage: The stage's name.
        command: What ran, one line a command.
        inputs: (path, md5) of each recorded dep.
        version: The md5 of what was made.
        started: ISO 8601, UTC; empty when no run was recorded.
        ended: As started.
    """

    level: str
    unit: str
    stage: str
    command: str
    inputs: tuple[tuple[str, str], ...]
    version: str
    started: str = ""
    ended: str = ""


class WorkflowFile(Struct, frozen=True):
    """A file of the recipe that goes along: dvc.yaml, a script, a list of packages."""

    path: str
    data: bytes
