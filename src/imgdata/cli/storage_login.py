"""`imgdata storage login`."""

import sys
from typing import Annotated

import typer

from imgdata.cli.options import session_of
from imgdata.errors import UsageError


def login(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A storage or repository.")],
) -> None:
    """Keep a token in the system's keyring: asked for unseen, or read from standard input."""
    from imgdata.system.credentials import keep_token, variable  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    config = session.open().config
    known = [*config.storages, *config.repositories]
    if name not in known:
        problem = f"'{name}' is neither a storage nor a repository of this project"
        raise UsageError(problem, cause=f"it has {', '.join(known) or 'none'}")
    same = [other for other in known if other != name and variable(other) == variable(name)]
    if same:
        problem = f"'{name}' and '{same[0]}' would both read {variable(name)}"
        raise UsageError(problem, remedy="rename one of them in imgdata.yaml")
    secret = _asked(name) if session.is_terminal else sys.stdin.readline().strip()
    if not secret:
        problem = "no token was given"
        raise UsageError(problem, remedy=f"imgdata storage login {name}, then paste it")
    keep_token(name, secret)
    session.say(f"the token for '{name}' is in the keyring")
    session.add({"name": name})


def _asked(name: str) -> str:
    return str(typer.prompt(f"token for {name}", hide_input=True, err=True)).strip()
