"""W3C PROV as PROV-JSON: files are entities, stages and runs activities, people agents.

Source: PROV-DM (W3C Recommendation, 30 April 2013) and PROV-JSON (W3C Member Submission).
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from prov.model import ProvDocument

from imgdata.lineage.answer import Answer, Node
from imgdata.lineage.json_form import printable
from imgdata.reports.graph import File, Graph, Remark, build_graph, command_text

NAMESPACE = "https://imgdata.example/lineage#"


class ProvReport:
    """Writes PROV-JSON through the `prov` library, which checks what it is given."""

    media_type: ClassVar[str] = "application/json"
    file_name: ClassVar[str] = "lineage.prov.json"

    def text(self, answers: Sequence[Answer], root: Path) -> str:  # noqa: ARG002 - shows no picture
        """Return the document, keys sorted."""
        document = _document(build_graph(answers))
        value = json.loads(document.serialize(format="json"))
        return json.dumps(_named(value), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _document(graph: Graph) -> ProvDocument:
    document = ProvDocument()
    document.add_namespace("imgdata", NAMESPACE)
    for file in graph.files.values():
        document.entity(_file_id(file), _file_facts(file))
    for person in _people(graph):
        facts = {"prov:type": "prov:Person", "prov:label": printable(person)}
        document.agent(_person_id(person), facts)
    for node in graph.nodes.values():
        _add_activity(document, node)
    for node_id, path, digest in graph.made:
        document.wasGeneratedBy(_file_id(File(path, digest)), _activity_id(node_id))
    for node_id, path, digest in graph.used:
        if node_id in graph.nodes:
            document.used(_activity_id(node_id), _file_id(File(path, digest)))
    _add_members(document, graph)
    return document


def _add_members(document: ProvDocument, graph: Graph) -> None:
    """Add what files hold, and what people decided about them."""
    for whole, part in graph.parts:
        document.hadMember(_file_id(whole), _file_id(part))
    for remark, file in graph.remarks.items():
        _add_remark(document, remark, file)


def _people(graph: Graph) -> list[str]:
    ran = {node.run.by for node in graph.nodes.values() if node.run and node.run.by}
    return sorted(ran | {remark.by for remark in graph.remarks if remark.by})


def _add_remark(document: ProvDocument, remark: Remark, file: File) -> None:
    """Write a decision of a person as an entity that influenced the file."""
    digest = hashlib.sha256(printable(remark.text).encode()).hexdigest()[:16]
    name = f"imgdata:decision/{digest}"
    facts = {"prov:label": printable(remark.text), "prov:type": "imgdata:Decision"}
    if remark.at:
        facts["imgdata:at"] = remark.at
    document.entity(name, facts)
    document.wasInfluencedBy(_file_id(file), name)
    if remark.by:
        document.wasAttributedTo(name, _person_id(remark.by))


def _add_activity(document: ProvDocument, node: Node) -> None:
    run = node.run
    facts: dict[str, Any] = {"prov:label": printable(node.id), "imgdata:kind": node.kind}
    if command_text(node):
        facts["imgdata:command"] = printable(command_text(node))
    if node.params:
        facts["imgdata:parameters"] = json.dumps(node.params, sort_keys=True, default=str)
    for flag in sorted(node.flags):
        facts[f"imgdata:{flag}"] = str(node.flags[flag])
    start = None if run is None else _time(run.start)
    end = None if run is None else _time(run.end)
    document.activity(_activity_id(node.id), start, end, facts)
    if run is not None and run.by:
        document.wasAssociatedWith(_activity_id(node.id), _person_id(run.by))


def _file_facts(file: File) -> dict[str, Any]:
    facts: dict[str, Any] = {"prov:label": printable(file.path)}
    if file.hash is not None:
        facts["imgdata:hash"] = file.hash
    if file.size is not None:
        facts["imgdata:size"] = file.size
    return facts


def _file_id(file: File) -> str:
    version = f"@{file.hash}" if file.hash else ""
    return f"imgdata:file/{quote(printable(file.path) + version, safe='/@')}"


def _activity_id(node_id: str) -> str:
    return f"imgdata:activity/{quote(printable(node_id), safe='/@')}"


def _person_id(name: str) -> str:
    return f"imgdata:person/{quote(printable(name), safe='')}"


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _named(value: dict[str, Any]) -> dict[str, Any]:
    """Number the relations in the order of their content, so that the same graph reads the same."""
    for kind, records in value.items():
        if kind in {"prefix", "entity", "activity", "agent"} or not isinstance(records, dict):
            continue
        ordered = sorted(records.values(), key=lambda one: json.dumps(one, sort_keys=True))
        value[kind] = {f"_:{kind}{place}": one for place, one in enumerate(ordered)}
    return value
