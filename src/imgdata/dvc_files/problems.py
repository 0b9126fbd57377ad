"""What could not be understood in a DVC file, as a sentence with its place."""

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One unit of a file that was left out, or is doubtful, and why.

    Attributes:
        file: Path of the file, relative to the root of its tree.
        unit: The stage, or the part of it; empty when the whole file is meant.
        message: What is wrong, one clause without a full stop.
    """

    file: str
    unit: str
    message: str

    @property
    def sentence(self) -> str:
        """The problem as one line for people."""
        place = f"{self.file}, {self.unit}" if self.unit else self.file
        return f"{place}: {self.message}"
