"""What a rule says of a project where it does not simply hold."""

from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import Struct

from imgdata.policy.audit.facts import AuditFacts

State = Literal["broken", "due", "note"]
"""`broken`: the rule does not hold; `due`: it allows something now; `note`: a person should know.

Only a broken rule makes an audit fail.
"""


class Remark(Struct, frozen=True):
    """One thing a rule has to say.

    Attributes:
        subject: What it is about: `raw P1`, a storage, a file.
        what: What is found, in a clause.
        next_step: A command to paste, or `edit ...` where only a person can decide; may be empty.
        files: The files concerned, where they can be named.
    """

    state: State
    subject: str
    what: str
    next_step: str
    level: str = ""
    unit: str | None = None
    storage: str = ""
    files: tuple[str, ...] = ()


class AuditRule(Struct, frozen=True):
    """One rule of the project.

    Attributes:
        name: Stable, for `--json`.
        asks: What must be true, in a sentence without a full stop.
        judge: Says where it does not hold.
        needs_remote: Whether it can be judged only when storages were asked.
    """

    name: str
    asks: str
    judge: Callable[[AuditFacts], Iterator[Remark]]
    needs_remote: bool = False


class Judged(Struct, frozen=True):
    """One rule after the audit; `is_judged` is False where storages would have to be asked."""

    rule: AuditRule
    remarks: tuple[Remark, ...]
    is_judged: bool

    @property
    def is_broken(self) -> bool:
        """Whether it does not hold."""
        return any(one.state == "broken" for one in self.remarks)
