"""The folder a level had: git of other clones, whose data lie there still, must not take them.

Git moves what it keeps, the `.gitignore` beside the data too. So the project's own `.gitignore`
names the former folder: it comes with the renaming, and merges with whatever a branch from before
it added under the old name.
"""


def with_former_ignored(text: str, former: str, now: str, *, has_units: bool) -> str:
    """Return the project's `.gitignore` with a level's former folder, and without its new one.

    Args:
        text: What it says.
        former: The folder the level leaves.
        now: The folder it moves to, which a level may have left before.
        has_units: Whether it has a folder a unit, beside the `.dvc` files that git keeps.
    """
    own = {pattern(now, has_units=kind) for kind in (True, False)}
    lines = [line for line in text.splitlines() if line not in own]
    line = pattern(former, has_units=has_units)
    return "".join(f"{one}\n" for one in (*lines, *([] if line in lines else [line])))


def pattern(folder: str, *, has_units: bool) -> str:
    """Return the line that ignores the data of a folder, but no record in it."""
    return f"/{folder}/*/" if has_units else f"/{folder}/*"
