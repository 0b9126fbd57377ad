"""Rules about origins: stated, with an end, and nothing restricted where others can read it."""

import shlex
from collections.abc import Iterator
from datetime import date

from imgdata.model.excerpts import first_names
from imgdata.policy.audit.facts import AuditFacts, Leak
from imgdata.policy.audit.remarks import Remark
from imgdata.policy.restrictions import is_ever_restricted
from imgdata.project.config import Origin

GIT = "git"
NAMED = 3
AT_ONCE = 20
"""Files one command names; the next audit names the others."""


def stated_origins(facts: AuditFacts) -> Iterator[Remark]:
    """Find raw units without an origin that imgdata.yaml states; they count as restricted."""
    for raw in facts.raw_origins:
        if not raw.origin:
            what = "has no origin, so it counts as restricted"
            step = f"edit {raw.file}: meta: {{imgdata: {{origin: NAME}}}} on the out"
        elif raw.origin not in facts.origins:
            what = f"its origin '{raw.origin}' is not stated, so it counts as restricted"
            step = f"edit imgdata.yaml: origins: {{{raw.origin}: {{kind: ...}}}}"
        else:
            continue
        yield Remark("broken", raw.title, what, step, raw.level, raw.unit)


def restrictions_end(facts: AuditFacts) -> Iterator[Remark]:
    """Tell of restrictions without an end, and of those whose day has passed."""
    for origin in facts.origins.values():
        if what := _about_end(origin, facts.today):
            key = f"edit imgdata.yaml: origins: {{{origin.name}: "
            done = origin.release_on is not None
            step = key + ("{access: open}}" if done else "{release_on: YYYY-MM-DD}}")
            yield Remark("note", origin.name, what, step)


def _about_end(origin: Origin, today: date) -> str:
    if not is_ever_restricted(origin):
        return ""
    if origin.release_on is None:
        stated = "restricted" if origin.access else f"{origin.kind} without stated access"
        return f"{stated}, with no release_on: all data are public in the end"
    if origin.release_on <= today:
        return f"its restriction ended on {origin.release_on}: the data may leave now"
    return ""


def nothing_leaked(facts: AuditFacts) -> Iterator[Remark]:
    """Find restricted content on storages and in git repositories that others can read."""
    for leak in facts.leaks:
        where = "in git" if leak.place == GIT else f"on {leak.place}"
        first = first_names(leak.names, NAMED)
        what = f"restricted, but {where} ({leak.public}): {first}; {leak.reason}"
        yield Remark(
            "broken",
            leak.title,
            what,
            _take_back(leak),
            leak.level,
            storage="" if leak.place == GIT else leak.place,
            files=leak.names,
        )


def _take_back(leak: Leak) -> str:
    if leak.place == GIT:
        return _forget(leak)
    if not leak.is_current:
        return f"edit {leak.place}: erase it there by its own means"
    drop = f"imgdata drop {leak.level} --from {leak.place}"
    return drop if leak.is_marked or not leak.add_again else f"{leak.add_again} && {drop}"


def _forget(leak: Leak) -> str:
    """Return what takes files out of git, though not out of the folder, and keeps them out."""
    commands = [f"git rm -r -q --cached -- {shlex.join(leak.in_git[:AT_ONCE])}"]
    for file, line in leak.not_ignored[:AT_ONCE]:
        name = shlex.quote(file)
        commands.append(f"printf '%s\\n' {shlex.quote(line)} >> {name} && git add {name}")
    return " && ".join(commands)


def no_public_remote(facts: AuditFacts) -> Iterator[Remark]:
    """Find restricted units that plain `dvc push` would send to a public remote."""
    for one in facts.public_remotes:
        what = f"plain dvc push would send it to {one.remote} ({one.public}); {one.reason}"
        step = f"edit imgdata.yaml: give {one.level} a storage that is not public"
        yield Remark("broken", one.title, what, step, one.level, one.unit, one.remote)


def accepted_losses(facts: AuditFacts) -> Iterator[Remark]:
    """Tell of every loss that somebody ever accepted."""
    for loss in facts.losses:
        what = f"its loss is accepted: {loss.reason} ({loss.by}, {loss.on})"
        yield Remark("note", f"{loss.level} {loss.select}", what, "", loss.level)
