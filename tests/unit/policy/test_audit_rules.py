"""Every rule of an audit holds for a sound project, and fails for what it is about."""

from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from imgdata.policy.audit.facts import (
    AuditFacts,
    ConfigState,
    Due,
    Leak,
    LegacyUnit,
    Loss,
    ObjectsFact,
    OldVersion,
    PublicRemote,
    RawOrigin,
    StorageFact,
    Superseded,
    ToMove,
    UnitHere,
    Unproven,
    VersionFact,
)
from imgdata.policy.audit.remarks import Remark
from imgdata.policy.audit.table import RULES, audit
from imgdata.policy.evidence import CopyFact, Presence, Rule
from imgdata.policy.ledger import NOTHING, Belief, Evidence, NotThere, Unknown
from imgdata.project.config import Origin

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULE = Rule(1, timedelta(days=90))
CHECKED = Evidence(NOW - timedelta(days=1), "read")


def copy(
    belief: Belief = CHECKED,
    storage: str = "lab",
    *,
    place: str | None = None,
    presence: Presence = "not asked",
    never: str = "",
) -> CopyFact:
    return CopyFact(storage, storage if place is None else place, belief, presence, never)


def version(
    *facts: CopyFact, copies: int = 1, is_here: bool = True, is_made: bool = False
) -> VersionFact:
    objects = (ObjectsFact(facts, ("data/raw/P1/a.tif",)),)
    rule = Rule(copies, RULE.verify_every)
    return VersionFact("raw", "P1", "raw P1", rule, ("lab", "red"), objects, is_here, is_made)


def storage(name: str = "lab", **changes: object) -> StorageFact:
    found = StorageFact(name, name, ("raw",), ("raw",), "ours")
    return replace(found, **changes)


SOUND = AuditFacts(
    now=NOW,
    asked=True,
    newest=NOW,
    versions=(version(copy()),),
    storages=(storage(), storage("red")),
    origins={"own": Origin("own", "own", access="open")},
    raw_origins=(RawOrigin("raw", "P1", "raw P1", "data/raw/P1.dvc", "own"),),
)


def remarks(facts: AuditFacts) -> dict[str, tuple[Remark, ...]]:
    return {one.rule.name: one.remarks for one in audit(facts) if one.remarks}


def with_copies(*facts: CopyFact, copies: int = 1) -> AuditFacts:
    return replace(SOUND, versions=(version(*facts, copies=copies),))


def with_origin(**changes: object) -> AuditFacts:
    origin = Origin("lab", **{"kind": "own", **changes})  # type: ignore[arg-type]  # by name
    return replace(SOUND, origins={"own": SOUND.origins["own"], "lab": origin})


def old(days: int) -> Evidence:
    return Evidence(NOW - timedelta(days=days), "read")


def unit_here(*, is_raw: bool, changed: tuple[str, ...] = ("a.tif",)) -> AuditFacts:
    return replace(SOUND, here=(UnitHere("raw", "P1", "raw P1", is_raw, changed, (), ()),))


def leak(place: str = "world", **changes: object) -> AuditFacts:
    found = Leak("raw", "raw P1", place, "public: true", ("data/raw/P1/a.tif",), "of partner")
    return replace(SOUND, leaks=(replace(found, **changes),))


def config(state: str, **changes: object) -> AuditFacts:
    found = ConfigState(state, "main", "work", has_remote=True)  # type: ignore[arg-type]  # parametrized
    return replace(SOUND, config=replace(found, **changes))


CASES = {
    "a copy nobody made": (with_copies(copy(NOTHING)), "copies", "broken", "imgdata push raw"),
    "a lost copy": (
        with_copies(copy(NotThere(NOW, "lost"))), "copies", "broken", "imgdata push raw"),
    "a dropped copy": (
        with_copies(copy(NotThere(NOW, "dropped"))), "copies", "broken", "imgdata push raw"),
    "one copy of two": (
        with_copies(copy(), copy(NOTHING, "red"), copies=2),
        "copies", "broken", "imgdata push raw"),
    "one place by two names": (
        with_copies(copy(), copy(storage="red", place="lab"), copies=2),
        "copies", "broken", "edit imgdata.yaml: give raw a storage at another place"),
    "a copy in the own cache": (
        with_copies(copy(place="")),
        "copies", "broken", "edit imgdata.yaml: give raw a storage at another place"),
    "only a drive in a drawer": (
        with_copies(copy(storage="red", presence="offline")), "copies", "broken",
        "imgdata push raw"),
    "no copy and nothing here": (
        replace(SOUND, versions=(version(copy(NOTHING), is_here=False),)),
        "copies", "broken", "in the clone where it was added: imgdata push raw"),
    "nothing anywhere, but a stage": (
        replace(SOUND, versions=(version(copy(NOTHING), is_here=False, is_made=True),)),
        "copies", "broken", "imgdata run raw"),
    "purged scratch": (
        replace(with_copies(copy(never="a place that is purged")),
                storages=(storage(purged=True),)),
        "copies", "broken", "edit imgdata.yaml: give raw a storage at another place"),
    "a check of long ago": (
        with_copies(copy(old(91))), "checked", "broken", "imgdata verify raw --on lab"),
    "size alone": (
        with_copies(copy(Evidence(NOW, "size"))), "checked", "broken",
        "imgdata verify raw --on lab"),
    "a check in the future": (
        with_copies(copy(old(-9))), "checked", "broken", "imgdata verify raw --on lab"),
    "damaged": (
        with_copies(copy(NotThere(NOW, "damaged"))),
        "undamaged", "broken", "imgdata verify raw --on lab --repair"),
    "missing": (
        with_copies(copy(NotThere(NOW, "missing"))),
        "undamaged", "broken", "imgdata verify raw --on lab --repair"),
    "gone now": (
        with_copies(copy(presence="absent")),
        "undamaged", "broken", "imgdata verify raw --on lab --repair"),
    "clones disagree": (
        with_copies(copy(Unknown(("a", "b")))), "undamaged", "broken",
        "imgdata verify raw --on lab"),
    "an old version nowhere": (
        replace(SOUND, old=(OldVersion("raw", "P1", "raw P1", "ab" * 16, "v1"),)),
        "versions-stored", "broken", "git checkout v1 && imgdata push raw && git checkout -"),
    "an old version of this very branch": (
        replace(SOUND, old=(
            OldVersion("raw", "P1", "raw P1", "ab" * 16, "main", is_checked_out=True),)),
        "versions-stored", "broken", "git stash && imgdata push raw && git stash pop"),
    "recorded by old dvc": (
        replace(SOUND, legacy=(LegacyUnit("raw", "P1", "raw P1", "md5-dos2unix"),)),
        "versions-stored", "broken", "dvc cache migrate --dvc-files"),
    "never proven": (
        replace(SOUND, unproven=(
            Unproven("masks", "P1", "masks P1", "never proven", "imgdata run masks --prove"),)),
        "recomputable", "broken", "imgdata run masks --prove"),
    "the same place": (
        replace(SOUND, storages=(storage(), storage("red", place="lab"))),
        "places", "broken", "edit imgdata.yaml: give red a place of its own"),
    "inside the cache": (
        replace(SOUND, storages=(storage(place=""),)),
        "places", "broken", "edit imgdata.yaml: give lab a place of its own"),
    "no marker": (
        replace(SOUND, storages=(storage(marker="absent"),)),
        "markers", "broken", "imgdata push raw --to lab"),
    "another project's marker": (
        replace(SOUND, storages=(storage(marker="foreign", detail="theirs"),)),
        "markers", "broken", "edit imgdata.yaml: give lab a folder or prefix of its own"),
    "no answer": (
        replace(SOUND, storages=(storage(marker="unreachable", detail="refused"),)),
        "answers", "broken", "imgdata storage test lab"),
    "a drive away": (
        replace(SOUND, storages=(storage(marker="offline"),)), "answers", "note", ""),
    "on a public storage": (leak(), "leaks", "broken", "imgdata drop raw --from world"),
    "there without a marker": (
        leak(is_marked=False, add_again="imgdata storage add world /w"),
        "leaks", "broken", "imgdata storage add world /w && imgdata drop raw --from world"),
    "an old version there": (
        leak(is_current=False), "leaks", "broken",
        "edit world: erase it there by its own means"),
    "in git": (leak("git", in_git=("data/raw/P1",), not_ignored=(("data/raw/.gitignore", "/P1"),)),
        "leaks", "broken",
        ("git rm -r -q --cached -- data/raw/P1 && "
        "printf '%s\\n' /P1 >> data/raw/.gitignore && git add data/raw/.gitignore")),
    "a public remote": (
        replace(SOUND, public_remotes=(
            PublicRemote("raw", "P1", "raw P1", "world", "public: true", "of partner"),)),
        "public-remotes", "broken", "edit imgdata.yaml: give raw a storage that is not public"),
    "no origin": (
        replace(SOUND, raw_origins=(RawOrigin("raw", "P1", "raw P1", "P1.dvc", ""),)),
        "origins", "broken", "edit P1.dvc: meta: {imgdata: {origin: NAME}} on the out"),
    "an origin nobody states": (
        replace(SOUND, raw_origins=(RawOrigin("raw", "P1", "raw P1", "P1.dvc", "x"),)),
        "origins", "broken", "edit imgdata.yaml: origins: {x: {kind: ...}}"),
    "restricted for ever": (
        with_origin(access="restricted"), "restrictions-end", "note",
        "edit imgdata.yaml: origins: {lab: {release_on: YYYY-MM-DD}}"),
    "a collaborator's, access not stated": (
        with_origin(kind="industry-collaborator"), "restrictions-end", "note",
        "edit imgdata.yaml: origins: {lab: {release_on: YYYY-MM-DD}}"),
    "a restriction that has ended": (
        with_origin(access="restricted", release_on=date(2026, 11, 21)),
        "restrictions-end", "note", "edit imgdata.yaml: origins: {lab: {access: open}}"),
    "raw changed": (unit_here(is_raw=True), "raw", "broken", "imgdata status raw --verbose"),
    "raw partly gone": (
        replace(SOUND, here=(UnitHere("raw", "P1", "raw P1", True, (), ("a.tif",), ()),)),
        "raw", "broken", "imgdata pull raw"),
    "edited by hand": (
        unit_here(is_raw=False), "outputs", "broken", "imgdata status raw --verbose"),
    "DVC says otherwise": (
        replace(SOUND, differences=(".dvc/config: remote 'lab' is not /x",)),
        "dvc-files", "broken", "imgdata storage apply"),
    "rules not committed": (
        config("uncommitted"), "rules-committed", "broken",
        "git add imgdata.yaml && git commit -m 'Change the rules' imgdata.yaml"),
    "rules not pushed": (
        config("unpushed"), "rules-committed", "broken", "git push origin main"),
    "no release branch here": (
        config("nowhere"), "rules-committed", "broken", "git fetch origin main"),
    "no release branch at all": (
        config("nowhere", has_remote=False), "rules-committed", "broken", "git branch main"),
    "rules of another branch": (
        config("other branch"), "rules-committed", "note",
        "git diff origin/main -- imgdata.yaml"),
    "half a line in the log": (
        replace(SOUND, unreadable=(".imgdata/log/2026-11/x.jsonl:1: bad",)),
        "records", "broken", "git checkout HEAD -- .imgdata/log/2026-11/x.jsonl"),
    "a stage that cannot be read": (
        replace(SOUND, doubts=("dvc.yaml, stages.a: it is not a mapping",)),
        "records", "broken", "edit dvc.yaml: what cannot be read is left out"),
    "a clock that went back": (
        replace(SOUND, newest=NOW + timedelta(days=2)), "clock", "broken",
        "timedatectl set-ntp true"),
    "no merge driver": (
        replace(SOUND, driver_missing=True), "merge-driver", "note", "imgdata init"),
    "due here": (
        replace(SOUND, due=(Due("masks", ("P1",), "", "recompute", 5, ""),)),
        "keep", "due", "imgdata drop masks --due"),
    "due on a storage": (
        replace(SOUND, due=(Due("masks", ("P1",), "lab", "until 2026-01-01", 5, ""),)),
        "keep", "due", "imgdata drop masks --due --from lab"),
    "due, but the last copy": (
        replace(SOUND, due=(Due("masks", ("P1",), "lab", "until 2026-01-01", 5,
             "imgdata run masks --prove"),)),
        "keep", "due",
        "imgdata run masks --prove"),
    "superseded": (
        replace(SOUND, superseded=(Superseded("masks", "last 1", "lab", 3, 9),)),
        "versions", "due", "imgdata drop masks --old-versions --from lab"),
    "should have moved": (
        replace(SOUND, to_move=(ToMove("masks", ("P1",), "lab", "archive", "keep: x"),)),
        "then", "due", "imgdata storage move masks --due --from lab --to archive"),
    "a loss": (
        replace(SOUND, losses=(Loss("raw", "P7", "wrong plate", "A. Lee", "2026-11-20"),)),
        "losses", "note", ""),
    "decisions": (
        replace(SOUND, decisions={"excluded": 2, "note": 0}), "decisions", "note",
        "imgdata lineage"),
}  # fmt: skip


def test_a_sound_project_leaves_nothing_to_say() -> None:
    judged = audit(SOUND)
    assert remarks(SOUND) == {}
    assert all(one.is_judged and not one.is_broken for one in judged)


@pytest.mark.parametrize("case", CASES)
def test_what_a_rule_is_about_is_found_by_that_rule_alone(case: str) -> None:
    facts, rule, state, step = CASES[case]
    found = remarks(facts)
    assert list(found) == [rule]
    assert [(one.state, one.next_step) for one in found[rule]] == [(state, step)]
    broken = [one.rule.name for one in audit(facts) if one.is_broken]
    assert broken == ([rule] if state == "broken" else [])


def test_every_rule_has_a_case_that_it_finds() -> None:
    assert {rule for _, rule, _, _ in CASES.values()} == {rule.name for rule in RULES}


def test_what_needs_the_storages_is_not_judged_without_asking_them() -> None:
    facts = replace(SOUND, asked=False, storages=(storage(marker="foreign"),))
    left = [one.rule.name for one in audit(facts) if not one.is_judged]
    assert left == ["markers", "answers"]
    assert remarks(facts) == {}


def test_a_drive_that_is_away_is_to_be_plugged_in_before_it_is_checked() -> None:
    facts = replace(with_copies(copy(old(200))), storages=(storage(is_unplugged=True),))
    assert "plug it in first" in remarks(facts)["checked"][0].what
