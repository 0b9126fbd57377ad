"""A Process Run Crate: the metadata file of an RO-Crate with one CreateAction an activity.

Files are described, not packed: each is named by its path and version as an absolute identifier,
so that the description stays true wherever the bytes are.

Source: RO-Crate 1.1 (DOI 10.5281/zenodo.5146228) and the Process Run Crate profile 0.5.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from imgdata.lineage.answer import Answer, Node
from imgdata.lineage.json_form import printable
from imgdata.reports.graph import File, Graph, Remark, build_graph, command_text, identifier_of

CONTEXT = "https://w3id.org/ro/crate/1.1/context"

CRATE = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
NO_DATE = "1970-01-01T00:00:00+00:00"
COMPLETED = "http://schema.org/CompletedActionStatus"
FAILED = "http://schema.org/FailedActionStatus"
LONGEST_NAME = 120


class CrateReport:
    """Writes `ro-crate-metadata.json`."""

    media_type: ClassVar[str] = "application/ld+json"
    file_name: ClassVar[str] = "ro-crate-metadata.json"

    def text(self, answers: Sequence[Answer], root: Path) -> str:  # noqa: ARG002 - packs no file
        """Return the metadata file."""
        graph = build_graph(answers)
        entities = list(_entities(answers, graph))
        document = {"@context": CONTEXT, "@graph": entities}
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _entities(answers: Sequence[Answer], graph: Graph) -> Iterator[dict[str, Any]]:
    yield {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": CRATE},
        "about": {"@id": "./"},
    }
    names = ", ".join(printable(answer.file) for answer in answers)
    used = list(graph.files.values())
    comments = [_comment(number, *pair) for number, pair in enumerate(graph.remarks.items())]
    actions = [node for node in graph.nodes.values() if node.kind != "add"]
    yield {
        "@id": "./",
        "@type": "Dataset",
        "name": _short(f"Lineage of {names}"),
        "description": f"How these files were made, as recorded: {names}",
        "datePublished": _date(answers),
        "license": {"@id": "#licence"},
        "conformsTo": {"@id": PROFILE},
        "hasPart": [{"@id": _file_id(file)} for file in used],
        "mentions": [{"@id": _action_id(node)} for node in actions],
        **({"comment": [{"@id": one["@id"]} for one in comments]} if comments else {}),
    }
    yield {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    yield {
        "@id": "#licence",
        "@type": "CreativeWork",
        "name": "The licence of the project these files are part of",
        "description": "Data keep the licence the project and the origins of its data state.",
    }
    yield from (_file(file) for file in used)
    for node in actions:
        yield _action(node, graph)
        yield _program(node)
    yield from comments
    yield from _people(actions, graph)


def _comment(number: int, remark: Remark, file: File) -> dict[str, Any]:
    """Return a decision of a person: what was left out or edited, and why."""
    found: dict[str, Any] = {
        "@id": f"#decision/{number}",
        "@type": "Comment",
        "name": _short(remark.text),
        "text": printable(remark.text),
        "about": {"@id": _file_id(file)},
    }
    if remark.at:
        found["dateCreated"] = remark.at
    if remark.by:
        found["author"] = {"@id": _person_id(remark.by)}
    return found


def _action(node: Node, graph: Graph) -> dict[str, Any]:
    used = [File(path, digest) for one, path, digest in graph.used if one == node.id]
    made = [File(path, digest) for one, path, digest in graph.made if one == node.id]
    failed = bool(node.flags.get("failed")) or (node.run is not None and bool(node.run.rc))
    found: dict[str, Any] = {
        "@id": _action_id(node),
        "@type": "CreateAction",
        "name": _short(node.id),
        "instrument": {"@id": _program_id(node)},
        "object": [{"@id": _file_id(file)} for file in used],
        "result": [{"@id": _file_id(file)} for file in made],
        "actionStatus": {"@id": FAILED if failed else COMPLETED},
    }
    if command_text(node):
        found["description"] = printable(command_text(node))
    if node.run is not None:
        if node.run.start:
            found["startTime"] = node.run.start
        if node.run.end:
            found["endTime"] = node.run.end
        if node.run.by:
            found["agent"] = {"@id": _person_id(node.run.by)}
    return found


def _program(node: Node) -> dict[str, Any]:
    command = command_text(node)
    return {
        "@id": _program_id(node),
        "@type": "SoftwareApplication",
        "name": _short(command.split("\n")[0] or f"{node.kind} of DVC"),
        "description": printable(command) or f"Data taken in: {node.kind}",
    }


def _people(nodes: Sequence[Node], graph: Graph) -> Iterator[dict[str, Any]]:
    names = dict.fromkeys(node.run.by for node in nodes if node.run is not None and node.run.by)
    names |= dict.fromkeys(remark.by for remark in graph.remarks if remark.by)
    for name in names:
        yield {"@id": _person_id(name), "@type": "Person", "name": printable(name.split(" <")[0])}


def _file(file: File) -> dict[str, Any]:
    found: dict[str, Any] = {
        "@id": _file_id(file),
        "@type": "File",
        "name": _short(file.path),
        "alternateName": printable(file.path),
    }
    if file.size is not None:
        found["contentSize"] = str(file.size)
    if file.hash is not None:
        found["identifier"] = identifier_of(file.hash)
    return found


def _file_id(file: File) -> str:
    if "://" in file.path and not file.hash:
        return quote(printable(file.path), safe=":/?&=%#+,;@~-._")
    version = f"@{file.hash}" if file.hash else ""
    return f"urn:imgdata:file:{quote(printable(file.path) + version, safe='/@')}"


def _action_id(node: Node) -> str:
    return f"#run/{quote(printable(node.id), safe='/@')}"


def _program_id(node: Node) -> str:
    return f"#program/{quote(printable(node.id), safe='/@')}"


def _person_id(name: str) -> str:
    return f"#person/{quote(printable(name), safe='')}"


def _short(text: str) -> str:
    line = " ".join(printable(text).split())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"


def _date(answers: Sequence[Answer]) -> str:
    """Return when the newest of the files was recorded, so that no clock is needed."""
    known = (answer.current_streak_since or answer.first_recorded for answer in answers)
    return max((commit.date for commit in known if commit is not None), default=NO_DATE)
