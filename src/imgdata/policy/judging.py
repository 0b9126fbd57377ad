"""Turn symptoms into findings: the level's severity, the lab's choices, one line per cause."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from imgdata.model.facts import Symptom
from imgdata.model.findings import Finding, Severity, SeverityChoice
from imgdata.policy.check_rules import BY_ID, severity_of

Severities = Mapping[str, SeverityChoice]


def judge(symptom: Symptom, paths: tuple[str, ...], level: str, severities: Severities) -> Finding:
    """Return the finding a symptom amounts to on a level, by the lab's choice if it made one."""
    rule = BY_ID[symptom.rule]
    severity = severity_of(rule, level)
    if symptom.weight and Severity(symptom.weight).rank < severity.rank:
        severity = Severity(symptom.weight)
    choice = severities.get(rule.id)
    if choice is not None:
        severity = choice.severity
    expected = f", expected {symptom.expected}" if symptom.expected else ""
    return Finding(
        id=rule.id,
        severity=severity,
        paths=paths,
        found=symptom.found,
        expected=symptom.expected,
        message=_sentence(rule.title, symptom.found) + expected,
        remedy=rule.remedy,
        source=rule.source,
        reason=choice.reason if choice else "",
    )


def _sentence(title: str, found: str) -> str:
    return found if found.startswith(title) else f"{title}: {found}"


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings: the most severe first, then by id and path."""
    return tuple(sorted(findings, key=lambda f: (-f.severity.rank, f.id, f.paths, f.found)))


def grouped(findings: Iterable[Finding]) -> tuple[tuple[Finding, int], ...]:
    """Return one finding for each cause with all its paths, and how many findings it stands for.

    A cause is the rule and the severity; what was found is kept where all agree, and counted
    otherwise.
    """
    causes: dict[tuple[str, Severity], list[Finding]] = defaultdict(list)
    for finding in findings:
        causes[finding.id, finding.severity].append(finding)
    out = []
    for (rule_id, severity), members in causes.items():
        first = members[0]
        kinds = dict.fromkeys(m.message for m in members)
        message = first.message if len(kinds) == 1 else _several(rule_id, list(kinds))
        paths = tuple(dict.fromkeys(p for m in members for p in m.paths))
        one = Finding(
            rule_id,
            severity,
            paths,
            first.found,
            first.expected,
            message,
            first.remedy,
            first.source,
            first.reason,
        )
        out.append((one, len(members)))
    return tuple(sorted(out, key=lambda pair: (-pair[0].severity.rank, pair[0].id)))


def _several(rule_id: str, messages: list[str]) -> str:
    title = BY_ID[rule_id].title
    shown = messages[0].removeprefix(f"{title}: ")
    others = len(messages) - 1
    return f"{title}: {shown} (and {others} other {'case' if others == 1 else 'cases'})"
