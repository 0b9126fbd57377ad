"""The table of report formats; a format is imported when it is asked for."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Protocol

from imgdata.errors import MachineError, UsageError
from imgdata.lineage.answer import Answer
from imgdata.system.installing import install_line

FORMATS = {
    "mermaid": "imgdata.reports.mermaid:MermaidReport",
    "prov": "imgdata.reports.prov_json:ProvReport",
    "rocrate": "imgdata.reports.process_run_crate:CrateReport",
    "html": "imgdata.reports.html_page:HtmlReport",
}


class Reporter(Protocol):
    """Writes answers in one format; the same answers always give the same text.

    Attributes:
        media_type: What the text is, as the web names it.
        file_name: The name to write under when a folder is given.
    """

    media_type: ClassVar[str]
    file_name: ClassVar[str]

    def text(self, answers: Sequence[Answer], root: Path) -> str:
        """Return the report. `root` is the repository, for formats that show pictures."""


def reporter(name: str) -> Reporter:
    """Return the reporter of a format.

    Raises:
        UsageError: There is no such format.
        MachineError: A package that it needs is not installed.
    """
    if name not in FORMATS:
        msg = f"there is no report format '{name}'"
        raise UsageError(msg, remedy=f"formats: {', '.join(FORMATS)}")
    module, _, attribute = FORMATS[name].partition(":")
    try:
        found: Reporter = getattr(import_module(module), attribute)()
    except ModuleNotFoundError as error:
        msg = f"the format {name} needs the package {error.name}, which is not installed"
        raise MachineError(msg, remedy=install_line("imgdata[deposits]")) from error
    return found


def write_report(answers: Sequence[Answer], name: str, root: Path) -> str:
    """Return answers in a format."""
    return reporter(name).text(answers, root)
