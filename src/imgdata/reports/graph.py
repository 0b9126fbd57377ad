"""All answers of a question as one graph of activities and the files between them."""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from imgdata.lineage.annex_keys import checksum_of
from imgdata.lineage.answer import Answer, Edge, Node, Out
from imgdata.lineage.decisions import exclusion_words, note_words
from imgdata.lineage.resolve import folder_of_member

SHORT_HASH = 8
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


class File(Struct, frozen=True):
    """A file in one version.

    Attributes:
        path: From the repository's root; a url for what came from elsewhere.
        hash: What was recorded; None if nothing was.
        size: Bytes, None if not known.
    """

    path: str
    hash: str | None
    size: int | None = None


class Remark(Struct, frozen=True):
    """An exclusion or a note of a person.

    Attributes:
        text: In words, with reason, person and day.
        by: Who, None if not known or not public.
        at: When.
    """

    text: str
    by: str | None
    at: str | None


class Graph(Struct):
    """Activities by id, files, and who used and made which. Everything in the order found."""

    nodes: dict[str, Node] = field(default_factory=dict)
    files: dict[tuple[str, str | None], File] = field(default_factory=dict)
    used: dict[tuple[str, str, str | None], Edge] = field(default_factory=dict)
    made: dict[tuple[str, str, str | None], None] = field(default_factory=dict)
    parts: dict[tuple[File, File], None] = field(default_factory=dict)
    """(whole, part): a folder and something inside it."""
    remarks: dict["Remark", File] = field(default_factory=dict)
    """What people decided, each with the file it is about."""

    def add(self, path: str, digest: str | None, size: int | None = None) -> File:
        """Return the file, known from now on."""
        key = path, digest
        known = self.files.get(key)
        if known is None or (known.size is None and size is not None):
            self.files[key] = File(path, digest, size)
        return self.files[key]


def build_graph(answers: Sequence[Answer]) -> Graph:
    """Join answers into one graph."""
    graph = Graph()
    for answer in answers:
        for node in answer.nodes:
            graph.nodes.setdefault(node.id, node)
        _add_target(graph, answer)
        for edge in answer.edges:
            _add_edge(graph, edge)
    _add_outs(graph)
    for answer in answers:
        _add_remarks(graph, answer)
    return graph


def _add_outs(graph: Graph) -> None:
    """Add what else the activities made.

    An out that something read is there already, under the hash by which it was read: git-annex's
    key or git's own, where a run's record has an md5 or none.
    """
    known = {(node_id, path) for node_id, path, _ in graph.made}
    for node in graph.nodes.values():
        for path, out in outs_of(node):
            if (node.id, path) not in known:
                graph.add(path, out.md5, out.size)
                graph.made.setdefault((node.id, path, out.md5))


def _add_remarks(graph: Graph, answer: Answer) -> None:
    """Put each decision of a person to the file it is about, or the folder that holds it."""
    for note in answer.notes:
        remark = Remark(note_words(note), note.by, note.at)
        graph.remarks.setdefault(remark, _nearest(graph, note.path, answer.file))
    for one in answer.exclusions:
        remark = Remark(exclusion_words(one), one.by, one.at)
        graph.remarks.setdefault(remark, _nearest(graph, one.files[0], answer.file))


def _nearest(graph: Graph, path: str, default: str) -> File:
    holding = [
        file for file in graph.files.values() if path == file.path or _holds(file.path, path)
    ]
    longest = max(holding, key=lambda file: len(file.path), default=None)
    return longest or next(file for file in graph.files.values() if file.path == default)


def _holds(folder: str, path: str) -> bool:
    return path.startswith(f"{folder}/")


def _add_target(graph: Graph, answer: Answer) -> None:
    digest = answer.member_hash if answer.member else (answer.out.md5 if answer.out else None)
    if answer.in_git is not None:
        digest = answer.in_git.annex_key or answer.in_git.blob
    size = answer.out.size if answer.out and not answer.member else None
    file = graph.add(answer.file, digest, size)
    if answer.producer in graph.nodes and answer.member is None:
        graph.made.setdefault((str(answer.producer), file.path, file.hash))
    elif answer.producer in graph.nodes and answer.member is not None and answer.out is not None:
        whole = graph.add(folder_of_member(answer), answer.out.md5, answer.out.size)
        graph.parts.setdefault((whole, file))


def _add_edge(graph: Graph, edge: Edge) -> None:
    used = graph.add(edge.dep, edge.recorded)
    graph.used.setdefault((edge.consumer, edge.dep, edge.recorded), edge)
    if edge.producer is None or edge.producer not in graph.nodes:
        return
    if edge.producer_path is None:
        graph.made.setdefault((edge.producer, edge.dep, edge.producer_hash or edge.recorded))
        graph.add(edge.dep, edge.producer_hash or edge.recorded)
        return
    made = graph.add(edge.producer_path, edge.producer_hash)
    graph.made.setdefault((edge.producer, made.path, made.hash))
    graph.parts.setdefault((used, made) if edge.relation == "contains" else (made, used))


def outs_of(node: Node) -> Iterator[tuple[str, Out]]:
    """Yield an activity's outs with their paths from the repository's root."""
    base = [] if node.wdir in {"", "."} or node.kind == "datalad-run" else node.wdir.split("/")
    for out in node.outs:
        parts = list(base)
        for part in out.path.replace("\\", "/").split("/"):
            if part == ".." and parts and parts[-1] != "..":
                parts.pop()
            elif part not in {"", "."}:
                parts.append(part)
        yield "/".join(parts), out


def short_hash(recorded: str) -> str:
    """Return the first digits of a hash, or of the checksum in a key of git-annex."""
    return checksum_of(recorded)[:SHORT_HASH]


def identifier_of(recorded: str) -> str:
    """Return a hash as an identifier; only DVC's says by a prefix that it is an md5.

    Others speak for themselves, or may be many things: a key, an object of git, an etag.
    """
    return f"md5:{recorded}" if _MD5.fullmatch(recorded) else recorded


def command_text(node: Node) -> str:
    """Return the command of an activity as one text."""
    if node.cmd is None:
        return ""
    return node.cmd if isinstance(node.cmd, str) else "\n".join(node.cmd)
