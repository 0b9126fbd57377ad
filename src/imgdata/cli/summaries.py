"""What `imgdata --help` says of each command, so that it need not import them.

Without a row here a command is imported each time; a test keeps rows and commands equal, and each
row short enough for one line of a terminal 80 columns wide. `imgdata COMMAND --help` says more.
"""

from collections.abc import Mapping

SUMMARIES: Mapping[str, tuple[str, str]] = {
    "init": ("init", "Make a project, or adopt a git or DVC repository."),
    "add": ("add", "Take files in as the microscope left them."),
    "run": ("run", "Run what is stale, stage by stage, each run recorded."),
    "status": ("status", "What is here, its copies, the next step."),
    "lineage": ("lineage", "How files were made, down to the raw images."),
    "check": ("check", "Find damaged, lossy, undescribed or missing images."),
    "fingerprint": ("fingerprint", "Hash what images show, whatever their format."),
    "describe": ("describe", "Ask what only a person can say about the images."),
    "exclude": ("exclude", "Leave images out of what is made next, with a reason."),
    "note": ("note", "Say what was done to a file by hand, and why."),
    "whereis": ("whereis", "Where the copies are, and what the rule still asks."),
    "audit": ("audit", "Judge the project by its own rules."),
    "verify": ("verify", "Read copies back and hash them."),
    "drop": ("drop", "Delete what is recoverable, and nothing else."),
    "push": ("push", "Archive levels to their storages, checked on arrival."),
    "pull": ("pull", "Bring levels back, verified."),
    "storage": ("storage", "List, try out, add, move or give up storages."),
    "level": ("level", "Add a level, or give one another name or folder."),
    "publish": ("publish", "Deposit levels in a data repository, with a DOI."),
    "import_data": ("import", "Bring public data in: pinned, verified, cited."),
    "merge_dvc_lock": ("merge-dvc-lock", ""),
}
"""By module of `imgdata.cli`: the command and its summary; a hidden one has none."""
