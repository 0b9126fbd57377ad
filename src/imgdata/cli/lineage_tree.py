"""The lineage of a file as a tree of text: the file, who made it when, each stage down to raw."""

from collections.abc import Iterator, Mapping

from imgdata.cli.text import count
from imgdata.dvc_files.places import folder_of
from imgdata.lineage.annex_keys import checksum_of
from imgdata.lineage.answer import Answer, Edge, Node
from imgdata.lineage.decisions import exclusion_words, note_words
from imgdata.lineage.index import ENTRY_MARK
from imgdata.lineage.resolve import folder_of_member
from imgdata.model.commits import Commit
from imgdata.model.sizes import format_size

SHORT_HASH = 8
SHORT_COMMIT = 7
SHOWN_PARAMS = 6
SHOWN_MEMBERS = 12
SHOWN_LINES = 12
LONG = 100

TEE, LAST, BAR, GAP = "├─ ", "└─ ", "│  ", "   "


def tree_lines(answer: Answer) -> Iterator[str]:
    """Yield the lines of one answer; control characters in names are shown, not obeyed."""
    yield _headline(answer)
    for line in (*_recorded(answer), *_row(answer), *_decisions(answer)):
        yield f"  {line}"
    nodes = {node.id: node for node in answer.nodes}
    inputs: dict[str, list[Edge]] = {}
    for edge in answer.edges:
        inputs.setdefault(edge.consumer, []).append(edge)
    if answer.producer in nodes:
        tree = _Tree(nodes, inputs)
        yield from (f"  {line}" for line in tree.node(nodes[answer.producer]))
    yield from _members(answer)
    yield from _history(answer)
    yield from _down(answer)
    yield from _diff(answer)
    yield from _gaps(answer)


def _headline(answer: Answer) -> str:
    parts = [plain(answer.file)]
    if answer.level:
        unit = f" {answer.unit}" if answer.unit else ""
        parts.append(f"level {answer.level}{plain(unit)}")
    digest = answer.out.md5 if answer.out else None
    if answer.member is not None:
        digest = answer.member_hash
    if digest:
        parts.append(f"md5 {digest[:SHORT_HASH]}")
    out = answer.out
    if out is not None and out.size is not None and answer.member is None:
        files = "" if out.nfiles is None else f", {count(out.nfiles, 'file')}"
        parts.append(f"{format_size(out.size)}{files}")
    at = f" @ {answer.commit[:SHORT_COMMIT]}" if answer.commit else ""
    parts.append(f"{answer.status.upper()}{at}")
    return "   ".join(parts)


def _recorded(answer: Answer) -> Iterator[str]:
    version = ""
    if answer.member and answer.out:
        folder = plain(folder_of_member(answer))
        yield f"inside {folder} ({plain(answer.out.md5)})"
        version = f"that version of {folder} "
    if answer.first_recorded:
        yield f"{version}first recorded {commit_words(answer.first_recorded)}"
    changed = answer.current_streak_since
    if changed and changed != answer.first_recorded:
        yield f"current since  {commit_words(changed)}"
    elsewhere = answer.first_recorded_any_path
    if elsewhere and answer.first_recorded and elsewhere.id != answer.first_recorded.id:
        yield f"content first seen elsewhere {commit_words(elsewhere)}"
    if answer.other_lock_entries:
        names = ", ".join(plain(one) for one in answer.other_lock_entries)
        yield f"also claimed by entries that are not live: {names}"
    if answer.historical_producers:
        names = ", ".join(plain(one) for one in answer.historical_producers)
        yield f"made earlier by: {names}"
    yield from _git_words(answer)


def _git_words(answer: Answer) -> Iterator[str]:
    known = answer.in_git
    if known is None:
        return
    if known.annex_key:
        yield f"git-annex key {plain(known.annex_key)}"
    if known.added_by and known.added_by != answer.first_recorded:
        yield f"added {commit_words(known.added_by)}"
    if known.restored_by:
        yield f"restored {commit_words(known.restored_by)}"
    if known.produced_by is None and known.earlier_versions_by_run:
        run = known.earlier_versions_by_run[0][:SHORT_COMMIT]
        yield f"an earlier version was made by the run {run}: --rev {run}"


def _row(answer: Answer) -> Iterator[str]:
    if answer.row is not None:
        fields = ", ".join(
            f"{plain(key)}={plain(value)}" for key, value in answer.row.fields.items()
        )
        yield f"row {answer.row.number}: {fields}"


def _decisions(answer: Answer) -> Iterator[str]:
    """Yield what people left out or edited, the file itself first."""
    yield from (plain(note_words(one, answer.file)) for one in answer.notes)
    yield from (plain(exclusion_words(one, answer.file)) for one in answer.exclusions)


class _Tree:
    """Writes each node once; a second mention points to the first."""

    def __init__(self, nodes: Mapping[str, Node], inputs: Mapping[str, list[Edge]]) -> None:
        self._nodes = nodes
        self._inputs = inputs
        self._shown: set[str] = set()

    def node(self, start: Node) -> Iterator[str]:
        """Yield the lines of a node and all below it. Depth is bounded by no recursion limit."""
        stack: list[tuple[str, str, Node | None]] = [("", "", start)]
        while stack:
            lead, text, node = stack.pop()
            if node is None:
                yield text
                continue
            if text:
                yield text
            if node.id in self._shown:
                yield f"{lead}{plain(node.id)} (shown above)"
                continue
            self._shown.add(node.id)
            yield from (f"{lead}{line}" for line in node_lines(node))
            edges = self._inputs.get(node.id, [])
            for place in range(len(edges) - 1, -1, -1):
                last = place == len(edges) - 1
                edge = edges[place]
                line = f"{lead}{LAST if last else TEE}{edge_words(edge)}"
                upstream = self._nodes.get(edge.producer or "")
                stack.append((f"{lead}{GAP if last else BAR}", line, upstream))


def node_lines(node: Node) -> Iterator[str]:
    """Yield what one activity was: id, command, parameters, who ran it."""
    flags = ", ".join(plain(flag) for flag in node.flags)
    is_said = node.kind == "stage" or node.id.startswith(f"{node.kind}:")
    kind = "" if is_said else f"   {node.kind}"
    place = f"   in {plain(node.wdir)}" if node.cmd and node.wdir != _own_folder(node) else ""
    yield f"{plain(node.id)}{kind}{place}{f'   [{flags}]' if flags else ''}"
    commands = (node.cmd,) if isinstance(node.cmd, str) else node.cmd or ()
    for command in commands:
        yield from _command_lines(command)
    params = [
        f"{key}={_value(value)}" for values in node.params.values() for key, value in values.items()
    ]
    if params:
        more = f" and {len(params) - SHOWN_PARAMS} more" if len(params) > SHOWN_PARAMS else ""
        yield f"  params: {', '.join(params[:SHOWN_PARAMS])}{more}"
    if node.run is not None:
        yield f"  {_run_words(node)}"
    if node.origin:
        words = ", ".join(f"{plain(key)} {plain(value)}" for key, value in node.origin.items())
        yield f"  origin: {words}"


def _own_folder(node: Node) -> str:
    """Return the folder of the file that records an activity: where its command runs by itself."""
    if node.kind == "datalad-run":
        return "."
    return folder_of(node.id.split(ENTRY_MARK, maxsplit=1)[0]) or "."


def _command_lines(command: str) -> Iterator[str]:
    """Yield a command line by line: joined, a comment would swallow what follows it."""
    lines = command.strip().split("\n")
    for place, line in enumerate(lines[:SHOWN_LINES]):
        yield f"  {'  ' if place else '$ '}{shortened(plain(line.rstrip()))}"
    if len(lines) > SHOWN_LINES:
        yield f"    and {len(lines) - SHOWN_LINES} more lines (--format json has all)"


def _run_words(node: Node) -> str:
    run = node.run
    if run is None:
        return ""
    parts = ["ran"]
    parts += [plain(run.start or run.end)[:16].replace("T", " ")] if run.start or run.end else []
    parts += [f"by {plain(run.by)}"] if run.by else []
    parts += [f"on {plain(run.host)}"] if run.host else []
    parts += [f"at code {run.code_commit[:SHORT_COMMIT]}"] if run.code_commit else []
    if run.dirty_paths:
        parts.append(f"with {count(len(run.dirty_paths), 'uncommitted file')}")
    if run.environment:
        shown = str(run.environment.get("hash") or "")[:SHORT_HASH]
        parts.append(f"in environment {plain(run.environment.get('source'))} {shown}".rstrip())
    if run.rc:
        parts.append(f"FAILED with exit status {run.rc}")
    return " ".join(parts)


def edge_words(edge: Edge) -> str:
    """Return one input in a line."""
    parts = [plain(edge.dep)]
    if edge.recorded:
        parts.append(short_hash(edge.recorded))
    parts += _relation_words(edge)
    if edge.match is False:
        at = f" (it was at {edge.at[:SHORT_COMMIT]})" if edge.at else ""
        parts.append(f"STALE: another version is current now{at}")
    if edge.trust == "re-verified":
        parts.append("re-verified")
    return "   ".join(parts)


def _relation_words(edge: Edge) -> list[str]:
    parts: list[str] = []
    if edge.relation == "contains" and edge.producer_path:
        parts.append(f"holds {plain(edge.producer_path)}")
    elif edge.relation == "inside" and edge.producer_path:
        parts.append(f"in {plain(edge.producer_path)}")
    elif edge.relation == "import" and edge.url is None:
        parts.append("in a submodule, at that commit of it")
    elif edge.relation in {"import", "url"}:
        parts.append(f"{edge.relation} {plain(edge.url or '')}".rstrip())
    elif edge.relation == "source":
        parts.append("in git")
        if edge.introduced:
            parts.append(f"since {edge.introduced.id[:SHORT_COMMIT]} {edge.introduced.date[:10]}")
    elif edge.relation == "missing":
        parts.append("MISSING: nothing tells where it came from")
    return parts


def _members(answer: Answer) -> Iterator[str]:
    if not answer.members:
        return
    yield "  from these files:"
    for member in answer.members[:SHOWN_MEMBERS]:
        digest = f"   {member.hash[:SHORT_HASH]}" if member.hash else ""
        level = f"   {member.level}" if member.level else ""
        label = f"   label {plain(member.label)}" if member.label else ""
        yield f"    {plain(member.path)}{digest}{level}{label}   ({member.how})"
    if len(answer.members) > SHOWN_MEMBERS:
        yield f"    and {len(answer.members) - SHOWN_MEMBERS} more (--format json lists all)"


def _history(answer: Answer) -> Iterator[str]:
    if answer.history is None:
        return
    yield f"  recorded versions: {len(answer.history)}"
    now = answer.in_git.annex_key or answer.in_git.blob if answer.in_git is not None else None
    now = now or (None if answer.out is None else answer.out.md5)
    current = next((one for one in answer.history if one.hash and one.hash == now), None)
    for version in answer.history:
        digest = short_hash(version.hash) if version.hash else "dropped"
        made = f"   {plain(version.producer)}" if version.producer else ""
        mark = "   current" if version is current else ""
        yield f"    {digest}   {commit_words(version.commit)}{made}{mark}"
        yield from (f"      {plain(line)}" for line in version.changes)


def _down(answer: Answer) -> Iterator[str]:
    if answer.down is None:
        return
    yield f"  made from it: {len(answer.down)}"
    for one in answer.down:
        level = f"   level {one.level}" if one.level else ""
        words = "would be stale if it changed" if one.stale else "frozen: would be kept as it is"
        old = "" if one.current else "   made from an older version"
        yield f"    {plain(one.path)}{level}   by {plain(one.producer)}   {words}{old}"


def _diff(answer: Answer) -> Iterator[str]:
    if answer.diff is None:
        return
    yield "  differences:"
    yield from (f"    {plain(line)}" for line in answer.diff or ("none",))


def _gaps(answer: Answer) -> Iterator[str]:
    if not answer.gaps:
        yield "  gaps: none"
        return
    yield "  gaps:"
    yield from (f"    - {plain(gap)}" for gap in answer.gaps)


def commit_words(commit: Commit) -> str:
    """Return a commit as date, person, id and subject."""
    when = commit.date[:16].replace("T", " ")
    return (
        f"{when} by {plain(commit.author)} in {commit.id[:SHORT_COMMIT]} ({plain(commit.subject)})"
    )


def _value(value: object) -> str:
    return shortened(plain(value), LONG // 2)


def short_hash(recorded: str) -> str:
    """Return the first digits of a hash, or of the checksum in a key of git-annex."""
    return plain(checksum_of(recorded)[:SHORT_HASH])


def shortened(text: str, limit: int = LONG) -> str:
    """Return text that is not longer than the limit; the tree points, JSON has it all."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def plain(value: object) -> str:
    """Return any value as one line of text, without control characters or lone surrogates."""
    text = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
