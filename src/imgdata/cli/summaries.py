"""What `imgdata --help` says of each command, so that it need not import them.

Without a row here a command is imported each time; a test keeps rows and commands equal.
"""

from collections.abc import Mapping

SUMMARIES: Mapping[str, tuple[str, str]] = {
    "init": (
        "init",
        "Make a project in a new folder, adopt an existing repository, or complete a project.",
    ),
    "add": ("add", "Take files as the microscope left them; each SOURCE becomes a unit."),
    "run": ("run", "Run what is stale, stage by stage, through DVC; each run is recorded."),
    "status": (
        "status",
        "Show every level and unit: what is here, how it was made, its copies, the next step.",
    ),
    "lineage": (
        "lineage",
        "Say how files were made: inputs, commands, parameters, people, down to raw data.",
    ),
    "check": ("check", "Find damaged, lossy, undescribed, missing or doubled images."),
    "fingerprint": (
        "fingerprint",
        "Hash what images show, whatever their format: proves that a conversion lost nothing.",
    ),
    "describe": (
        "describe",
        "Ask what only a person can say about the images, and tell how complete it is.",
    ),
    "exclude": (
        "exclude",
        "Leave images out of what is made next, with a reason; no image is deleted.",
    ),
    "note": (
        "note",
        "Say what was done to a file by hand; lineage tells it for this very content.",
    ),
    "whereis": (
        "whereis",
        "Say where the copies are, when each was checked, and what the rule still asks.",
    ),
    "verify": ("verify", "Read copies back and hash them, those checked longest ago first."),
    "drop": (
        "drop",
        "Delete what is recoverable, here or from a storage; without a level, say what could go.",
    ),
    "push": ("push", "Archive levels to their storages; what is there already is not sent again."),
    "pull": ("pull", "Bring levels back, verified; files edited by hand are never overwritten."),
    "storage": (
        "storage",
        "Storages: list, try out, add, and bring DVC's files in line with imgdata.yaml.",
    ),
    "publish": (
        "publish",
        (
            "Deposit levels in a data repository: draft, upload, verify, stop; "
            "--publish mints the DOI."
        ),
    ),
    "import_data": (
        "import",
        "Bring public data in: listed first, pinned to a version, verified, cited.",
    ),
    "merge_dvc_lock": ("merge-dvc-lock", ""),
}
"""By module of `imgdata.cli`: the command and its summary; a hidden one has none."""
