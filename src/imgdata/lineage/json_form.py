"""The answer as JSON: PRODUCT.md section 9, described by docs/reference/json/lineage.schema.json.

What is not known is left out of edges, nodes and outs; the top level always has its main keys.
"""

import math
from collections.abc import Mapping
from datetime import date, datetime

from msgspec import Struct
from msgspec.structs import asdict

from imgdata.lineage.answer import Answer, Edge, InGit, Node, Version
from imgdata.model.commits import Commit

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

EXACT_INTEGERS = 2**53
"""JSON readers keep integers exactly up to here; larger ones are written as text."""


def answer_json(answer: Answer) -> dict[str, Json]:
    """Return one answer as JSON values."""
    shown: dict[str, Json] = {
        "file": printable(answer.file),
        "commit": answer.commit,
        "status": answer.status,
        "out": None if answer.out is None else known(answer.out),
        "level": answer.level,
        "unit": answer.unit,
        "member": _text(answer.member),
        "producer": _text(answer.producer),
        "other_lock_entries": [printable(one) for one in answer.other_lock_entries],
        "first_recorded": commit_json(answer.first_recorded),
        "entry_last_changed": commit_json(answer.entry_last_changed),
        "stage_last_changed": commit_json(answer.stage_last_changed),
        "current_streak_since": commit_json(answer.current_streak_since),
        "first_recorded_any_path": commit_json(answer.first_recorded_any_path),
        "historical_producers": [printable(one) for one in answer.historical_producers],
        "nodes": [_node(node) for node in answer.nodes],
        "edges": [_edge(edge) for edge in answer.edges],
        "members": [known(member) for member in answer.members],
        "gaps": [printable(gap) for gap in answer.gaps],
    }
    if answer.member_hash is not None:
        shown["member_hash"] = answer.member_hash
    if answer.in_git is not None:
        shown |= _in_git(answer.in_git)
    if answer.row is not None:
        shown["row"] = known(answer.row)
    shown |= _decisions(answer)
    if answer.history is not None:
        shown["history"] = [_version(version) for version in answer.history]
    if answer.down is not None:
        shown["down"] = [known(one) for one in answer.down]
    if answer.diff is not None:
        shown["diff"] = [printable(line) for line in answer.diff]
    return shown


def _decisions(answer: Answer) -> dict[str, Json]:
    """Return what people left out or edited, where anything was."""
    found = {"exclusions": answer.exclusions, "notes": answer.notes}
    return {name: [known(one) for one in some] for name, some in found.items() if some}


def commit_json(commit: Commit | None) -> dict[str, Json] | None:
    """Return a commit as the four things people ask for."""
    if commit is None:
        return None
    return {
        "commit": commit.id,
        "author": printable(commit.author),
        "date": commit.date,
        "subject": printable(commit.subject),
    }


def _node(node: Node) -> Json:
    shown: dict[str, Json] = {
        "id": printable(node.id),
        "kind": node.kind,
        "wdir": printable(node.wdir),
        "cmd": value_json(node.cmd),
        "params": value_json(node.params),
        "flags": value_json(node.flags),
        "run": None if node.run is None else known(node.run),
        "outs": [known(out) for out in node.outs],
    }
    if node.level is not None:
        shown["level"] = node.level
    if node.origin is not None:
        shown["origin"] = value_json(node.origin)
    return shown


def _edge(edge: Edge) -> Json:
    shown = known(edge)
    shown.setdefault("recorded", None)
    return shown


def _in_git(in_git: InGit) -> dict[str, Json]:
    made = in_git.produced_by
    shown = known(in_git)
    shown["produced_by"] = None
    if made is not None:
        shown["produced_by"] = {
            **(commit_json(made.commit) or {}),
            "run_record": value_json(made.run_record),
        }
    shown["annex_key"] = in_git.annex_key
    shown["restored_by"] = commit_json(in_git.restored_by)
    shown["added_by"] = commit_json(in_git.added_by)
    shown["input_submodules_at_run"] = dict(in_git.input_submodules_at_run)
    shown["upstream_run"] = in_git.upstream_runs[0] if in_git.upstream_runs else None
    return shown


def _version(version: Version) -> Json:
    return {
        **(commit_json(version.commit) or {}),
        "hash": version.hash,
        "producer": printable(version.producer),
        "changes": [printable(line) for line in version.changes],
    }


def known(value: object) -> dict[str, Json]:
    """Return the fields of a value that are known, by name."""
    if not isinstance(value, Struct):
        return {}
    return {name: value_json(item) for name, item in asdict(value).items() if item is not None}


def value_json(value: object) -> Json:
    """Return any value that a YAML or JSON file can hold as JSON values."""
    if value is None or isinstance(value, bool | int | float | str):
        return _scalar(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Commit):
        return commit_json(value)
    if isinstance(value, Mapping):
        return {printable(str(key)): value_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [value_json(item) for item in value]
    return known(value) if isinstance(value, Struct) else printable(str(value))


def _scalar(value: str | int | float | None) -> Json:  # noqa: PYI041 - a whole number is not a float here
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > EXACT_INTEGERS:
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def printable(text: str) -> str:
    """Return text without lone surrogates: names on disk need not be UTF-8, JSON must be."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _text(text: str | None) -> str | None:
    return None if text is None else printable(text)
