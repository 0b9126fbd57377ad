"""The answer to "how was this file made?", as frozen values.

Field names are those of the JSON form. Paths are relative to the root of the git repository.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from imgdata.model.commits import Commit

Status = Literal["recorded", "modified", "missing", "orphan", "untracked"]
Kind = Literal["stage", "add", "import", "import-url", "datalad-run"]
Relation = Literal["exact", "contains", "inside", "source", "missing", "import", "url"]
Trust = Literal["recorded", "re-verified"]
How = Literal["map", "join", "by key, not recorded"]
ExclusionState = Literal["left out", "not left out yet", "taken back since", "excluded", "unknown"]


class Out(Struct, frozen=True):
    """What was recorded about the file, or about the tracked folder it is in.

    Attributes:
        path: As written in the record, so relative to the stage's wdir.
        hash: Name of the hash when the record names one.
        md5: The hash; ends with `.dir` for a folder.
        size: Bytes.
        nfiles: Files of a folder.
    """

    path: str
    hash: str | None = None
    md5: str | None = None
    size: int | None = None
    nfiles: int | None = None


class RunNote(Struct, frozen=True):
    """Who ran a stage, when, where and in which environment, as imgdata or DataLad noted it."""

    by: str | None = None
    host: str | None = None
    start: str | None = None
    end: str | None = None
    rc: int | None = None
    code_commit: str | None = None
    dirty_paths: tuple[str, ...] = ()
    environment: Mapping[str, object] | None = None
    commit: Commit | None = None
    record: Mapping[str, object] | None = None


class Node(Struct, frozen=True):
    """One activity: a stage, an add, an import, or a DataLad run.

    Attributes:
        id: `<lock path>::<stage>`, the path of a `.dvc` file, or `datalad-run:<commit>`.
        cmd: The command that ran, as recorded; a tuple when there were several.
        params: Values used, by parameter file and dotted key.
        flags: What is particular about it, such as `frozen`; only what is true.
        run: What was noted when it ran, if anything was.
        outs: What it made.
        level: The level its first out is on, if the project says so.
        origin: Where raw data came from.
    """

    id: str
    kind: Kind
    wdir: str
    cmd: str | tuple[str, ...] | None = None
    params: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    flags: Mapping[str, object] = field(default_factory=dict)
    run: RunNote | None = None
    outs: tuple[Out, ...] = ()
    level: str | None = None
    origin: Mapping[str, object] | None = None


class Edge(Struct, frozen=True):
    """One input of an activity, and where it came from.

    Attributes:
        consumer: Id of the activity that read it.
        dep: The input's path, or its url.
        recorded: The hash the consumer recorded.
        relation: How dep and producer are joined.
        producer: Id of the activity that made it.
        producer_path: The producer's out, where it is not the dep itself.
        producer_hash: What the producer has now.
        match: False when the producer, or the file in git, has moved on; None when no hash joins
            them.
        at: The commit at which the recorded hash was current, where it no longer is.
        git: Kind and id of the object in git.
        introduced: The commit that brought this content of a source file.
        trust: Whether the recorded hash was compared with the bytes that are here.
        url: Where an import came from.
    """

    consumer: str
    dep: str
    recorded: str | None
    relation: Relation
    producer: str | None = None
    producer_path: str | None = None
    producer_hash: str | None = None
    match: bool | None = None
    at: str | None = None
    git: str | None = None
    introduced: Commit | None = None
    trust: Trust = "recorded"
    url: str | None = None


class Member(Struct, frozen=True):
    """One input file that a file came from, directly or through others, and how that is known.

    Attributes:
        path: The input file.
        hash: Its md5 as the stage read it.
        how: The evidence for this one step.
        level: The level it is on.
        producer: Id of the activity that made it.
        of: The file it is an input of.
        label: The object's number in this mask, when a row was asked about.
    """

    path: str
    hash: str | None
    how: How
    level: str | None = None
    producer: str | None = None
    of: str | None = None
    label: str | None = None


class Row(Struct, frozen=True):
    """One row of a table, as far as it says what it was measured on."""

    number: int
    fields: Mapping[str, object] = field(default_factory=dict)


class ProducedBy(Struct, frozen=True):
    """The commit of the DataLad run that made a file."""

    commit: Commit
    run_record: Mapping[str, object]


class InGit(Struct, frozen=True):
    """What git and git-annex know about a file that DVC does not track.

    Attributes:
        git_mode: git's file mode.
        blob: Id of the object: the content, or the link to annexed content.
        annex_key: git-annex's key of the content.
        produced_by: The run that made this content; None when no run did.
        added_by: The commit that brought the content when no run did.
        restored_by: A later commit that brought the run's content back.
        not_the_producer: Later commits that touched the file without making its content.
        previous_version_by: The commit that brought the version before this one.
        earlier_versions_by_run: Commits of runs that made earlier contents.
        upstream_runs: Commits of runs that made an input of the run.
        input_submodules_at_run: Commit of each submodule that held inputs, before the run.
    """

    git_mode: str
    blob: str
    annex_key: str | None = None
    produced_by: ProducedBy | None = None
    added_by: Commit | None = None
    restored_by: Commit | None = None
    not_the_producer: tuple[str, ...] = ()
    previous_version_by: Commit | None = None
    earlier_versions_by_run: tuple[str, ...] = ()
    upstream_runs: tuple[str, ...] = ()
    input_submodules_at_run: Mapping[str, str] = field(default_factory=dict)


class Exclusion(Struct, frozen=True):
    """Files of one unit that a person left out with one decision.

    Attributes:
        level: The level they are on.
        unit: Their unit; None where the level has none.
        files: Their paths.
        reason: Why.
        list: The list that stages read it from.
        state: `left out`: the list was read as it is now. `not left out yet`: no stage of the graph
            has read this line. `taken back since`: it was left out, and is on the list no more.
            `excluded`: it is on the list; the graph reads none. `unknown`: the list that was read
            is not here.
        by: Who decided.
        at: When.
    """

    level: str
    unit: str | None
    files: tuple[str, ...]
    reason: str
    list: str
    state: ExclusionState
    by: str | None = None
    at: str | None = None


class Note(Struct, frozen=True):
    """What a person said about a file with one content.

    Attributes:
        path: The file.
        md5: The content.
        reason: What was done, and why.
        hand_edited: Whether the content was not the recorded one when the note was made.
        is_current: Whether it is the content this answer is about.
        by: Who said so.
        at: When.
    """

    path: str
    md5: str
    reason: str
    hand_edited: bool
    is_current: bool
    by: str | None = None
    at: str | None = None


class Version(Struct, frozen=True):
    """One recorded version of a file.

    Attributes:
        commit: The commit that recorded it.
        hash: What it recorded; None where it dropped the file.
        producer: Id of the entry that recorded it.
        changes: What differs from the version before, in words.
    """

    commit: Commit
    hash: str | None
    producer: str
    changes: tuple[str, ...] = ()


class Downstream(Struct, frozen=True):
    """One thing made from the file, directly or through others.

    Attributes:
        path: The out, or a member of it.
        level: The level it is on.
        producer: Id of the activity that made it.
        via: The input through which the file entered.
        stale: Whether it would be stale if the file changed: always, but for frozen stages.
        current: False when it was made from another version than the one that is recorded now.
        how: For members, how the join is known.
    """

    path: str
    level: str | None
    producer: str
    via: str
    stale: bool
    current: bool
    how: How | None = None


class Answer(Struct, frozen=True):
    """The lineage of one file."""

    file: str
    commit: str | None
    status: Status
    out: Out | None = None
    level: str | None = None
    unit: str | None = None
    member: str | None = None
    member_hash: str | None = None
    producer: str | None = None
    other_lock_entries: tuple[str, ...] = ()
    first_recorded: Commit | None = None
    entry_last_changed: Commit | None = None
    stage_last_changed: Commit | None = None
    current_streak_since: Commit | None = None
    first_recorded_any_path: Commit | None = None
    historical_producers: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    in_git: InGit | None = None
    members: tuple[Member, ...] = ()
    row: Row | None = None
    exclusions: tuple[Exclusion, ...] = ()
    notes: tuple[Note, ...] = ()
    history: tuple[Version, ...] | None = None
    down: tuple[Downstream, ...] | None = None
    diff: tuple[str, ...] | None = None
    gaps: tuple[str, ...] = ()
