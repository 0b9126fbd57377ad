"""`imgdata storage lost`."""

from typing import Annotated

import typer

from imgdata.cli.options import Yes, session_of


def lost(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="STORAGE", help="The storage that is gone.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="What happened; kept for ever.")],
    yes: Yes = False,
) -> None:
    """Note that a storage is gone: none of its copies counts from now on."""
    session = session_of(context)
    project = session.open(writing=True)
    question = f"declare '{name}' and every copy on it lost?"
    session.confirm(question, yes=yes, why=f"this would declare every copy on '{name}' lost")
    found = project.lose_storage(name, reason)
    session.say(f"{name}: {found.copies} copies are lost")
    for title in found.owed:
        session.say(f"  below its rule now: {title}")
    if found.owed:
        session.say("  next: imgdata push   (from any good copy)")
    session.add({"storage": name, "lost": found.copies, "below_rule": list(found.owed)})
    session.finish_writing(project, f"Note the loss of {name}")
