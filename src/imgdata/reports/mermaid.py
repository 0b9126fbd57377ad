"""A flow chart for Mermaid, which GitHub, GitLab and most wikis draw."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from imgdata.lineage.answer import Answer
from imgdata.reports.graph import Graph, build_graph, command_text, short_hash

LONGEST = 80
_UNSAFE = '"<>&#`\\[]{}()|;'


class MermaidReport:
    """Activities as boxes, files as arrows' ends, data flowing downwards."""

    media_type: ClassVar[str] = "text/vnd.mermaid"
    file_name: ClassVar[str] = "lineage.mmd"

    def text(self, answers: Sequence[Answer], root: Path) -> str:  # noqa: ARG002 - shows no picture
        """Return the chart."""
        return "\n".join(_lines(build_graph(answers))) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    yield "flowchart TD"
    activities = {one: f"a{place}" for place, one in enumerate(graph.nodes)}
    files = {one: f"f{place}" for place, one in enumerate(graph.files)}
    for node_id, node in graph.nodes.items():
        command = command_text(node)
        label = f"{escaped(node_id)}<br/>{escaped(command)}" if command else escaped(node_id)
        yield f'  {activities[node_id]}["{label}"]'
    for (path, digest), name in files.items():
        short = f"<br/>{escaped(short_hash(digest))}" if digest else ""
        yield f'  {name}(["{escaped(path)}{short}"])'
    for node_id, path, digest in graph.made:
        yield f"  {activities[node_id]} --> {files[path, digest]}"
    for (node_id, path, digest), edge in graph.used.items():
        if node_id in activities:
            arrow = "-. stale .->" if edge.match is False else "-->"
            yield f"  {files[path, digest]} {arrow} {activities[node_id]}"
    for whole, part in graph.parts:
        yield f"  {files[whole.path, whole.hash]} --- {files[part.path, part.hash]}"
    for place, (remark, file) in enumerate(graph.remarks.items()):
        yield f'  r{place}>"{escaped(remark.text)}"]'
        yield f"  r{place} -.- {files[file.path, file.hash]}"


def escaped(text: str) -> str:
    """Return text that cannot end a label or start markup."""
    line = " ".join(text.split())
    line = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    return "".join(
        f"#{ord(char)};" if char in _UNSAFE else char for char in line if char.isprintable()
    )
