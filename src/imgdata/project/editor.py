"""Edit YAML files that people wrote: comments, order and quotes stay."""

from copy import copy
from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruamel.yaml import YAML


def _yaml() -> "YAML":
    from ruamel.yaml import YAML  # noqa: PLC0415 - only for editing; half a status otherwise

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def load_editable(text: str) -> Any:  # noqa: ANN401 - ruamel's own types
    """Return the content of a YAML text as mappings and lists that remember their comments."""
    return _yaml().load(text)


def dump_edited(value: Any, text_before: str) -> str:  # noqa: ANN401 - ruamel's own types
    """Return the edited content as text; lists are indented the way they were before."""
    yaml = _yaml()
    if not _indents_lists(text_before):
        yaml.indent(mapping=2, sequence=2, offset=0)
    out = StringIO()
    yaml.dump(value, out)
    return out.getvalue()


def append_entry(section: Any, name: str, entry: dict[str, Any]) -> None:  # noqa: ANN401 - ruamel's own types
    """Put an entry last in a section; lines between the section and what follows stay there.

    ruamel keeps such lines with the last value before them.
    """
    kept = _comment_behind(section)
    new = load_editable("{}")
    new.fa.set_block_style()
    new.update(entry)
    section[name] = new
    own, _, gap = kept.value.partition("\n") if kept else ("", "", "")
    if kept and gap:
        behind = copy(kept)
        behind.value = f"\n{gap}"
        new.ca.items[[*new][-1]] = [None, None, behind, None]
        kept.value = f"{own}\n"


def _comment_behind(node: Any) -> Any:  # noqa: ANN401 - ruamel's own types
    """Return the comment, with empty lines, behind the last value of a block; None for none."""
    if not node or not hasattr(node, "ca"):
        return None
    is_mapping = isinstance(node, dict)
    last = [*node][-1] if is_mapping else len(node) - 1
    below = node[last]
    if below and hasattr(below, "ca") and not below.fa.flow_style():
        return _comment_behind(below)
    return node.ca.items.get(last, (None, None, None))[2 if is_mapping else 0]


def _indents_lists(text: str) -> bool:
    """Tell whether the first list of a text is indented below its key."""
    lines = [
        line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    for above, line in pairwise(lines):
        if line.lstrip().startswith("- ") and above.rstrip().endswith(":"):
            return len(line) - len(line.lstrip()) > len(above) - len(above.lstrip())
    return True
