"""One self-contained page: the graph to zoom, search and click, a table, and a print style.

Everything from the repository is hostile input: it travels as JSON in which no `<` survives, and
the page puts it into the document as text only. A content security policy forbids any request.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from imgdata.lineage.answer import Answer, Edge, Node
from imgdata.lineage.decisions import exclusion_words, note_words
from imgdata.lineage.json_form import printable, value_json
from imgdata.model.commits import Commit
from imgdata.reports.graph import Graph, build_graph, command_text, outs_of
from imgdata.reports.thumbnails import thumbnails

MARK = "/*DATA*/"
PAGE = "lineage_page.html"
COLLAPSED_FROM = 60
"""Activities from which on levels begin collapsed."""
SHOWN_IMAGES = 24
SHOWN_INPUTS = 200


class HtmlReport:
    """Writes the page; the same answers and pictures give the same bytes."""

    media_type: ClassVar[str] = "text/html"
    file_name: ClassVar[str] = "lineage.html"

    def text(self, answers: Sequence[Answer], root: Path) -> str:
        """Return the page."""
        page = (resources.files("imgdata.reports") / PAGE).read_text("utf-8")
        data = json.dumps(_data(answers, root), ensure_ascii=True, separators=(",", ":"))
        safe = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        return page.replace(MARK, safe)


def _data(answers: Sequence[Answer], root: Path) -> dict[str, Any]:
    graph = build_graph(answers)
    targets = {answer.producer for answer in answers if answer.producer}
    inputs: dict[str, list[Edge]] = {}
    for (consumer, _, _), edge in graph.used.items():
        inputs.setdefault(consumer, []).append(edge)
    nodes = [
        _node(node, inputs.get(node.id, []), node.id in targets) for node in graph.nodes.values()
    ]
    leaves = {one["id"]: one for one in _leaves(graph)}
    shown = [answer.file for answer in answers][:SHOWN_IMAGES]
    members = [member.path for answer in answers for member in answer.members][:SHOWN_IMAGES]
    first = answers[0].file if answers else ""
    more = f" and {len(answers) - 1} more" if len(answers) > 1 else ""
    groups = Counter(str(one["group"]) for one in (*nodes, *leaves.values()))
    return {
        "title": printable(f"Lineage of {first}{more}"),
        "nodes": [*nodes, *leaves.values()],
        "links": list(_links(graph)),
        "groups": dict(groups),
        "collapse": len(nodes) >= COLLAPSED_FROM,
        "images": thumbnails(root, [*shown, *members]),
        "answers": [_answer(answer) for answer in answers[:SHOWN_INPUTS]],
    }


def _commit_words(commit: Commit | None) -> str | None:
    if commit is None:
        return None
    return (
        f"{commit.date[:16].replace('T', ' ')} by {commit.author}: {commit.subject} ({commit.id})"
    )


def _answer(answer: Answer) -> dict[str, Any]:
    digest = answer.member_hash or (answer.out.md5 if answer.out else None)
    facts: list[tuple[str, object]] = [
        ("state", answer.status),
        ("commit", answer.commit),
        ("level", answer.level),
        ("unit", answer.unit),
        ("hash", digest),
        ("made by", answer.producer),
        ("first recorded", _commit_words(answer.first_recorded)),
        ("also claimed by", list(answer.other_lock_entries)),
        ("row", None if answer.row is None else dict(answer.row.fields)),
        ("came from", [f"{one.path} ({one.how})" for one in answer.members[:SHOWN_INPUTS]]),
        ("left out", [exclusion_words(one, answer.file) for one in answer.exclusions]),
        ("notes", [note_words(one, answer.file) for one in answer.notes]),
        ("differences", list(answer.diff or ())),
        ("gaps", list(answer.gaps)),
    ]
    paths = [answer.file, *(one.path for one in answer.members)]
    return {
        "file": printable(answer.file),
        "facts": _facts(facts),
        "images": [printable(one) for one in paths],
    }


def _facts(facts: Sequence[tuple[str, object]]) -> list[list[Any]]:
    return [[name, value_json(value)] for name, value in facts if value not in (None, [], {}, "")]


def _node(node: Node, edges: Sequence[Edge], is_target: bool) -> dict[str, Any]:  # noqa: FBT001 - private
    command = command_text(node)
    run = node.run
    environment = None if run is None or run.environment is None else dict(run.environment)
    who = "" if run is None else " ".join(part for part in (run.by, run.start or run.end) if part)
    inputs = [_input_words(edge) for edge in edges[:SHOWN_INPUTS]]
    facts: list[tuple[str, object]] = [
        ("kind", node.kind),
        ("level", node.level),
        ("command", command),
        ("folder", node.wdir),
        ("parameters", node.params),
        ("flags", sorted(node.flags)),
        ("inputs", inputs),
        (
            "outputs",
            [f"{path} {out.md5 or ''}" for path, out in list(outs_of(node))[:SHOWN_INPUTS]],
        ),
        ("ran", who),
        ("on", None if run is None else run.host),
        ("code at commit", None if run is None else run.code_commit),
        ("recorded in", None if run is None else _commit_words(run.commit)),
        ("environment", environment),
        ("origin", node.origin),
    ]
    words = [node.id, command, *inputs, *(path for path, _ in outs_of(node))]
    return {
        "id": printable(node.id),
        "label": printable(node.id),
        "note": printable(command.replace("\n", " ") or node.kind),
        "kind": node.kind,
        "level": node.level,
        "group": printable(_group(node)),
        "command": printable(command),
        "inputs": [printable(one) for one in inputs],
        "who": printable(who),
        "target": is_target,
        "facts": _facts(facts),
        "text": printable("\n".join(words).lower()),
        "images": [],
    }


def _group(node: Node) -> str:
    """Return what a node collapses into: its level, or the group of stages it is one of."""
    if node.level:
        return f"level {node.level}"
    return node.id.split("@", 1)[0] if "@" in node.id else node.kind


def _input_words(edge: Edge) -> str:
    parts = [edge.dep, edge.recorded or edge.git or "", edge.relation]
    if edge.match is False:
        parts.append(f"STALE, was at {edge.at}" if edge.at else "STALE")
    return " ".join(part for part in parts if part)


def _leaves(graph: Graph) -> Iterator[dict[str, Any]]:
    """Yield a box for each input that no activity of the graph made."""
    for edge in graph.used.values():
        if edge.producer in graph.nodes:
            continue
        facts: list[tuple[str, object]] = [
            ("kind", edge.relation),
            ("hash", edge.recorded),
            ("git", edge.git),
            ("brought by", _commit_words(edge.introduced)),
            ("from", edge.url),
        ]
        yield {
            "id": printable(f"file:{edge.dep}"),
            "label": printable(edge.dep),
            "note": edge.relation,
            "kind": "missing" if edge.relation == "missing" else "source",
            "level": None,
            "group": printable(_leaf_group(edge)),
            "command": "",
            "inputs": [],
            "who": "",
            "target": False,
            "facts": _facts(facts),
            "text": printable(edge.dep.lower()),
            "images": [printable(edge.dep)],
        }


def _leaf_group(edge: Edge) -> str:
    """Return what an input collapses into: its folder."""
    kind = "missing" if edge.relation == "missing" else "files"
    return f"{kind} in {edge.dep.rpartition('/')[0] or 'the top folder'}"


def _links(graph: Graph) -> Iterator[dict[str, Any]]:
    for (consumer, dep, _), edge in graph.used.items():
        source = edge.producer if edge.producer in graph.nodes else f"file:{dep}"
        yield {
            "from": printable(str(source)),
            "to": printable(consumer),
            "stale": edge.match is False,
        }
