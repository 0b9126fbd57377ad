"""Write docs/reference/checks, one page a finding, from the table of rules.

Run with `python tools/check_pages.py`; a test compares the pages with the table.
"""

from pathlib import Path

from imgdata.model.findings import Rule
from imgdata.policy.check_rules import NO_LEVEL, RULES

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference" / "checks"
GROUPS = {
    "1": "Integrity",
    "2": "Compression and earlier loss",
    "3": "Description",
    "4": "Completeness",
    "5": "Masks",
    "6": "Profiles",
    "9": "Not checked",
}


def page(rule: Rule) -> str:
    """Return one rule's page."""
    levels = [
        f"- on {'no level' if level == NO_LEVEL else f'level `{level}`'}: {severity}"
        for level, severity in rule.by_level.items()
    ]
    lines = [
        f"# {rule.id}: {rule.title}",
        "",
        f"Severity: **{rule.severity}**" + (", except" if levels else "") + "",
        *([""] if levels else []),
        *levels,
        "",
        "## Why it matters",
        "",
        rule.why,
        "",
        "## What to do",
        "",
        rule.remedy,
        "",
        "## What the rule rests on",
        "",
        f"{rule.source[:1].upper()}{rule.source[1:]}.",
        "",
        "## To change the severity",
        "",
        "In `imgdata.yaml`, with a reason that stays with the data:",
        "",
        "```yaml",
        f'checks: {{{rule.id}: {{severity: note, reason: "..."}}}}',
        "```",
        "",
    ]
    return "\n".join(lines)


def index() -> str:
    """Return the page that lists all findings."""
    lines = ["# What `imgdata check` can find", ""]
    for digit, title in GROUPS.items():
        lines += [f"## {title}", "", "| id | finding | severity |", "| --- | --- | --- |"]
        lines += [
            f"| [{r.id}]({r.id}.md) | {r.title} | {r.severity} |"
            for r in RULES
            if r.id.removeprefix("IMG-").startswith(digit)
        ]
        lines.append("")
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Return all pages by file name."""
    return {"index.md": index(), **{f"{rule.id}.md": page(rule) for rule in RULES}}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
