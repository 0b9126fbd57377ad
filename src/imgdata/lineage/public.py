"""Lineage that may be shown to anyone: without names, machines, home folders, restricted data."""

import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from imgdata.lineage.answer import Answer, Edge, InGit, Node, RunNote
from imgdata.model.commits import Commit

SOMEBODY = "(not public)"
RESTRICTED = "(restricted)"
_HOMES = re.compile(r"(?:/home|/Users|/root|/data/home|[A-Za-z]:\\Users|[A-Za-z]:/Users)"
                    r"(?:[\\/][^\s'\":;,\\/]+)?")  # fmt: skip
_MAIL = re.compile(r"<?[\w.+-]+@[\w-]+(?:\.[\w-]+)+>?")


def public_answer(answer: Answer, restricted: Sequence[str], root: str) -> Answer:
    """Return an answer without anything that says who, where on which machine, or restricted data.

    Args:
        answer: The whole answer.
        restricted: Paths of restricted units and of what was made from them.
        root: Absolute path of the repository, cut from all texts.
    """
    cleaner = _Cleaner(root, tuple(restricted))
    hidden = {node.id for node in answer.nodes if cleaner.hides_node(node)}
    for edge in answer.edges:
        if cleaner.hides(edge.dep) and edge.producer:
            hidden.add(edge.producer)
    edges = [cleaner.edge(edge, hidden) for edge in answer.edges if edge.consumer not in hidden]
    members = tuple(one for one in answer.members if not cleaner.hides(one.path))
    left_out = len(answer.members) - len(members)
    gaps = [cleaner.text(gap) for gap in answer.gaps if not cleaner.mentions(gap)]
    if hidden or left_out:
        gaps.append("restricted data are left out of this public answer")
    return replace(
        answer,
        first_recorded=cleaner.commit(answer.first_recorded),
        entry_last_changed=cleaner.commit(answer.entry_last_changed),
        stage_last_changed=cleaner.commit(answer.stage_last_changed),
        current_streak_since=cleaner.commit(answer.current_streak_since),
        first_recorded_any_path=cleaner.commit(answer.first_recorded_any_path),
        nodes=tuple(cleaner.node(node) for node in answer.nodes if node.id not in hidden),
        edges=tuple(edges),
        in_git=cleaner.in_git(answer.in_git),
        members=members,
        exclusions=tuple(
            replace(one, reason=cleaner.text(one.reason), by=None)
            for one in answer.exclusions if not any(map(cleaner.hides, one.files))
        ),
        notes=tuple(
            replace(one, reason=cleaner.text(one.reason), by=None)
            for one in answer.notes if not cleaner.hides(one.path)
        ),
        history=None if answer.history is None else tuple(
            replace(one, commit=cleaner.known(one.commit),
                    changes=tuple(cleaner.text(line) for line in one.changes
                                  if not cleaner.mentions(line)))
            for one in answer.history
        ),
        down=None if answer.down is None else tuple(
            one for one in answer.down if not cleaner.hides(one.path)
        ),
        diff=None if answer.diff is None else tuple(
            cleaner.text(line) for line in answer.diff if not cleaner.mentions(line)
        ),
        gaps=tuple(dict.fromkeys(gaps)),
    )  # fmt: skip


class _Cleaner:
    def __init__(self, root: str, restricted: tuple[str, ...]) -> None:
        self._root = root
        self._restricted = restricted
        longest_first = sorted(filter(None, restricted), key=len, reverse=True)
        names = "|".join(map(re.escape, longest_first))
        self._names = re.compile(rf"(?:{names})[^\s'\":;,|<>&()]*") if names else None

    def hides(self, path: str) -> bool:
        """Tell whether a path is restricted, or lies in what is."""
        return any(path == one or path.startswith(f"{one}/") for one in self._restricted)

    def mentions(self, text: str) -> bool:
        """Tell whether a text names a restricted path."""
        return any(one in text for one in self._restricted)

    def hides_node(self, node: Node) -> bool:
        """Tell whether an activity is about restricted data alone."""
        return any(self.mentions(out.path) for out in node.outs) or self.mentions(node.id)

    def text(self, text: str) -> str:
        """Return text without mail addresses, folders of people and restricted paths."""
        if self._names is not None:
            text = self._names.sub(RESTRICTED, text)
        shorter = text.replace(self._root, ".") if len(self._root) > 1 else text
        return _MAIL.sub(SOMEBODY, _HOMES.sub("~", shorter))

    def value(self, value: object) -> object:
        """Return a parameter without the same."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def known(self, commit: Commit) -> Commit:
        """Return a commit without its author; the subject may name people, so it goes too."""
        return replace(commit, author=SOMEBODY, subject=SOMEBODY)

    def commit(self, commit: Commit | None) -> Commit | None:
        """Return a commit without its author, or None."""
        return None if commit is None else self.known(commit)

    def node(self, node: Node) -> Node:
        """Return an activity without who ran it where."""
        commands = node.cmd if isinstance(node.cmd, tuple) else (node.cmd or "",)
        cleaned = tuple(self.text(one) for one in commands)
        params = {
            file: {key: self.value(item) for key, item in values.items()}
            for file, values in node.params.items()
        }
        return replace(
            node,
            cmd=cleaned if isinstance(node.cmd, tuple) else cleaned[0] or None,
            params=params,
            flags={key: self.value(item) for key, item in node.flags.items()},
            run=self._run(node.run),
        )

    def _run(self, run: RunNote | None) -> RunNote | None:
        if run is None:
            return None
        return replace(
            run,
            by=None,
            host=None,
            commit=self.commit(run.commit),
            record=self._record(run.record),
            dirty_paths=tuple(path for path in run.dirty_paths if not self.hides(path)),
        )

    def _record(self, record: Mapping[str, object] | None) -> Mapping[str, object] | None:
        if record is None:
            return None
        return {key: self.value(value) for key, value in record.items()}

    def edge(self, edge: Edge, hidden: set[str]) -> Edge:
        """Return an input; one that is restricted keeps its place but loses name and hash."""
        if self.hides(edge.dep) or edge.producer in hidden:
            return Edge(edge.consumer, RESTRICTED, None, edge.relation)
        return replace(
            edge,
            dep=self.text(edge.dep),
            url=None if edge.url is None else self.text(edge.url),
            introduced=self.commit(edge.introduced),
        )

    def in_git(self, known: InGit | None) -> InGit | None:
        """Return what git knows without the people."""
        if known is None:
            return None
        made = known.produced_by
        return replace(
            known,
            produced_by=None if made is None else replace(
                made, commit=self.known(made.commit), run_record=self._record(made.run_record) or {}
            ),
            added_by=self.commit(known.added_by),
            restored_by=self.commit(known.restored_by),
            previous_version_by=self.commit(known.previous_version_by),
        )  # fmt: skip
