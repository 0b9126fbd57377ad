"""imgdata keeps an imaging lab's data versioned, stored where it belongs, and answerable for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgdata.api import Project, open_project

__version__ = "0.1.0"
__all__ = ["Project", "__version__", "open_project"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module protocol of PEP 562
    """Import the Python API on first use, so that the command line starts fast."""
    if name in {"Project", "open_project"}:
        from imgdata import api  # noqa: PLC0415 - see above

        return getattr(api, name)
    msg = f"module 'imgdata' has no attribute {name!r}"
    raise AttributeError(msg)
