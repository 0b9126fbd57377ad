"""The table of all rules, and the audit itself."""

from imgdata.policy.audit import copies, restricted, upkeep
from imgdata.policy.audit.facts import AuditFacts
from imgdata.policy.audit.remarks import AuditRule, Judged

RULES: tuple[AuditRule, ...] = (
    AuditRule("copies", "every version has the copies its level asks for", copies.too_few_copies),
    AuditRule("checked", "every copy was checked recently enough", copies.overdue_checks),
    AuditRule("undamaged", "no copy is known to be damaged or missing", copies.damaged_copies),
    AuditRule(
        "versions-stored",
        "every version of a branch, tag or stash is stored",
        copies.unstored_versions,
    ),
    AuditRule(
        "recomputable",
        "what is stored nowhere is proven to be recomputable",
        copies.recoverable_without_storage,
    ),
    AuditRule("places", "a level's storages are different places", copies.one_place_each),
    AuditRule("markers", "every storage is this project's", copies.own_markers, needs_remote=True),
    AuditRule("answers", "every storage answers", copies.storages_answer, needs_remote=True),
    AuditRule("leaks", "nothing restricted is where others can read it", restricted.nothing_leaked),
    AuditRule(
        "public-remotes",
        "plain DVC sends nothing restricted to a public remote",
        restricted.no_public_remote,
    ),
    AuditRule("origins", "every raw unit has a stated origin", restricted.stated_origins),
    AuditRule(
        "restrictions-end", "every restriction has an end to come", restricted.restrictions_end
    ),
    AuditRule("raw", "raw files here are the recorded originals", upkeep.raw_unchanged),
    AuditRule("outputs", "no output here was edited by hand", upkeep.outputs_unedited),
    AuditRule("dvc-files", "DVC's files agree with imgdata.yaml", upkeep.dvc_agrees),
    AuditRule(
        "rules-committed", "imgdata.yaml is that of the release branch", upkeep.rules_committed
    ),
    AuditRule("records", "the log and DVC's files can be read", upkeep.records_readable),
    AuditRule("clock", "this machine's clock is not behind the log", upkeep.clock_right),
    AuditRule("merge-driver", "git here merges dvc.lock stage by stage", upkeep.merge_driver_known),
    AuditRule("keep", "nothing is kept longer than 'keep' asks", upkeep.nothing_due),
    AuditRule("versions", "no more versions are kept than asked", upkeep.nothing_superseded),
    AuditRule("then", "everything has moved on as 'then' says", upkeep.nothing_to_move),
    AuditRule("losses", "no loss was ever accepted", restricted.accepted_losses),
    AuditRule("decisions", "nothing was excluded or noted by hand", upkeep.decisions_told),
)
"""In the order of an audit: what can be lost first, then what can leak, then upkeep."""


def audit(facts: AuditFacts) -> tuple[Judged, ...]:
    """Judge a project by every rule."""
    return tuple(
        Judged(rule, (), is_judged=False)
        if rule.needs_remote and not facts.asked
        else Judged(rule, tuple(rule.judge(facts)), is_judged=True)
        for rule in RULES
    )
