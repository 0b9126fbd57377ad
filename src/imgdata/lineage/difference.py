"""What differs between two versions of a file's lineage, in words, stage by stage."""

from collections.abc import Iterator, Mapping

from imgdata.dvc_files.lock import LockEntry
from imgdata.lineage.annex_keys import checksum_of
from imgdata.lineage.answer import Answer, Edge, Node
from imgdata.lineage.resolve import hash_of

SHORT = 8
LONG = 200
NAMED = 5
"""Changed files of a folder that are named; more are counted."""


def answer_differences(
    old: Answer, new: Answer, lists: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Yield what differs from an old to a new lineage of one file; nothing when all is the same.

    Args:
        old: The lineage then.
        new: The lineage now.
        lists: Files by path of the tracked folders whose lists are here, by their hash.
    """
    then, now = _content(old), _content(new)
    if then != now:
        yield f"{new.file}: the content changed from {_hash(then)} to {_hash(now)}"
    elif old.nodes != new.nodes:
        yield f"{new.file}: the content is the same ({_hash(now)})"
    if old.producer != new.producer:
        yield f"{new.file} was made by {old.producer or 'nothing recorded'}, now by {new.producer}"
    before = {node.id: node for node in old.nodes}
    after = {node.id: node for node in new.nodes}
    for node in new.nodes:
        if node.id not in before:
            yield f"{node.id}: new in this lineage"
            continue
        yield from _node_differences(before[node.id], node)
        yield from _input_differences(node.id, old, new, lists)
    yield from (
        f"{node.id}: no longer in this lineage" for node in old.nodes if node.id not in after
    )


def _content(answer: Answer) -> str | None:
    if answer.member is not None:
        return answer.member_hash
    if answer.out is not None and answer.out.md5:
        return answer.out.md5
    return None if answer.in_git is None else answer.in_git.annex_key or answer.in_git.blob


def _node_differences(old: Node, new: Node) -> Iterator[str]:
    yield from command_differences(new.id, old.cmd, new.cmd)
    yield from parameter_differences(new.id, old.params, new.params)
    if old.wdir != new.wdir:
        yield f"{new.id}: runs in {new.wdir} instead of {old.wdir}"
    then = old.run.environment if old.run else None
    now = new.run.environment if new.run else None
    if then is not None and now is not None and then != now:
        yield (
            f"{new.id}: the environment changed from {_hash(then.get('hash'))} to "
            f"{_hash(now.get('hash'))}"
        )


def command_differences(name: str, old: object, new: object) -> Iterator[str]:
    """Yield how the command changed, if it did."""
    if old != new:
        yield f"{name}: the command changed from {_short(_command(old))} to {_short(_command(new))}"


def parameter_differences(
    name: str,
    old: Mapping[str, Mapping[str, object]],
    new: Mapping[str, Mapping[str, object]],
) -> Iterator[str]:
    """Yield each parameter that changed, came or went, by dotted key."""
    for file in dict.fromkeys((*new, *old)):
        before, after = flat(old.get(file, {})), flat(new.get(file, {}))
        for key in dict.fromkeys((*after, *before)):
            if key not in before:
                yield f"{name}: parameter {key} is new: {_short(after[key])} ({file})"
            elif key not in after:
                yield f"{name}: parameter {key} is gone, it was {_short(before[key])} ({file})"
            elif before[key] != after[key]:
                yield f"{name}: {key} {_short(before[key])} -> {_short(after[key])} ({file})"


def flat(values: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Return nested values by dotted key."""
    found: dict[str, object] = {}
    waiting: list[tuple[str, object]] = [(f"{above}{key}", item) for key, item in values.items()]
    while waiting:
        key, item = waiting.pop(0)
        if isinstance(item, Mapping) and item:
            waiting[:0] = [(f"{key}.{name}", below) for name, below in item.items()]
        else:
            found[key] = item
    return found


def _input_differences(
    name: str, old: Answer, new: Answer, lists: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    before = {edge.dep: edge for edge in old.edges if edge.consumer == name}
    after = {edge.dep: edge for edge in new.edges if edge.consumer == name}
    for dep in dict.fromkeys((*after, *before)):
        if dep not in before:
            yield f"{name}: input {dep} was added"
        elif dep not in after:
            yield f"{name}: input {dep} was dropped"
        else:
            yield from _edge_difference(name, before[dep], after[dep], lists)


def _edge_difference(
    name: str, old: Edge, new: Edge, lists: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    if old.recorded == new.recorded and (old.recorded is not None or old.git == new.git):
        return
    kind = "code" if new.relation == "source" else "input"
    then, now = old.recorded or old.git, new.recorded or new.git
    line = f"{name}: {kind} {new.dep} changed from {_hash(then)} to {_hash(now)}"
    if new.introduced is not None:
        who = new.introduced
        line += f" ({who.date[:10]} by {who.author} in {who.id[:7]}: {who.subject})"
    yield line
    before, after = lists.get(old.recorded or ""), lists.get(new.recorded or "")
    if before is not None and after is not None:
        yield from folder_differences(f"{name}: {new.dep}", before, after)


def folder_differences(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Yield how many files of a folder were added, dropped and changed, and the first names."""
    for word, paths in (
        ("added", sorted(new.keys() - old.keys())),
        ("dropped", sorted(old.keys() - new.keys())),
        ("changed", sorted(path for path in new.keys() & old.keys() if new[path] != old[path])),
    ):
        if paths:
            named = ", ".join(paths[:NAMED]) + (", ..." if len(paths) > NAMED else "")
            count = "1 file" if len(paths) == 1 else f"{len(paths)} files"
            yield f"{name}: {count} {word}: {named}"


def entry_differences(name: str, old: LockEntry | None, new: LockEntry) -> Iterator[str]:
    """Yield what changed between two recorded versions of one stage."""
    if old is None:
        return
    yield from command_differences(name, old.cmd, new.cmd)
    yield from parameter_differences(name, old.params, new.params)
    before = {dep.path: hash_of(dep) for dep in old.deps}
    after = {dep.path: hash_of(dep) for dep in new.deps}
    for dep in dict.fromkeys((*after, *before)):
        if dep not in before:
            yield f"{name}: input {dep} was added"
        elif dep not in after:
            yield f"{name}: input {dep} was dropped"
        elif before[dep] != after[dep]:
            then, now = _hash(before[dep]), _hash(after[dep])
            yield f"{name}: input {dep} changed from {then} to {now}"


def _command(value: object) -> str:
    if isinstance(value, tuple):
        return "; ".join(str(part) for part in value)
    return "nothing" if value is None else str(value).strip()


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"


def _hash(value: object) -> str:
    if value is None:
        return "nothing recorded"
    text = checksum_of(str(value))
    kind, _, digest = text.rpartition(" ")
    return f"{kind} {digest[:SHORT]}".strip()
