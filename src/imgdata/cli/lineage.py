"""`imgdata lineage`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgdata.cli.options import session_of
from imgdata.errors import Exit, UsageError

if TYPE_CHECKING:
    from imgdata.cli.session import Session
    from imgdata.lineage.answer import Answer

TREE, JSON = "tree", "json"
FORMATS = (TREE, JSON, "mermaid", "prov", "rocrate", "html")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(lineage)


def lineage(  # noqa: PLR0913 - the options of the command
    context: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE|LEVEL]...", help="Files, folders or levels; all without."),
    ] = None,
    *,
    rev: Annotated[
        str | None, typer.Option(metavar="REV", help="At a branch, tag or commit.")
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="List every version.")] = False,
    diff: Annotated[
        str | None, typer.Option(metavar="REV", help="Say what differs from a revision.")
    ] = None,
    down: Annotated[bool, typer.Option("--down", help="List what was made from it.")] = False,
    row: Annotated[
        int | None, typer.Option(metavar="N", help="A row of a table, counted from 0.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash what is here and compare with the record.")
    ] = False,
    output_format: Annotated[
        str, typer.Option("--format", metavar="|".join(FORMATS), help="How to write it.")
    ] = TREE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="A file to write to.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Leave out people, machines, restricted data.")
    ] = False,
) -> None:
    """Say how files were made: inputs, commands, parameters, people, down to raw data."""
    # What `imgdata.api` offers under the same name; the whole API would double the start-up.
    from imgdata.tracking.git_lineage import lineage as ask_lineage  # noqa: PLC0415 - see above
    from imgdata.workflows.lineage import Question  # noqa: PLC0415 - keeps --help fast

    session = session_of(context)
    if output_format not in FORMATS:
        problem = f"--format takes {', '.join(FORMATS)}, not '{output_format}'"
        raise UsageError(problem)
    question = Question(rev, history, diff, down, row, verify, public)
    answers = ask_lineage(files or (), path=session.project, question=question)
    _render(session, answers, output_format, output)
    if not answers or all(one.status == "untracked" for one in answers):
        session.ok = False
        raise typer.Exit(Exit.FINDINGS)


def _render(
    session: "Session", answers: "tuple[Answer, ...]", output_format: str, output: Path | None
) -> None:
    from imgdata.lineage.json_form import answer_json  # noqa: PLC0415 - keeps --help fast

    if session.as_json or output_format == JSON:
        session.results += [answer_json(one) for one in answers]
    if output_format == JSON and output is not None:
        import json  # noqa: PLC0415 - keeps --help fast

        document = {"v": 1, "ok": True, "command": "lineage", "results": session.results}
        _write(session, json.dumps(document, indent=2, ensure_ascii=False) + "\n", output)
        session.results = []
        return
    if output_format == JSON:
        session.as_json = True
        return
    if output_format == TREE:
        _write(session, _tree(answers), output)
        return
    from imgdata.reports.formats import reporter  # noqa: PLC0415 - keeps --help fast
    from imgdata.tracking.git_history import find_root  # noqa: PLC0415 - keeps --help fast

    chosen = reporter(output_format)
    if output is not None and (output.is_dir() or not output.suffix):
        output.mkdir(parents=True, exist_ok=True)
        output = output / chosen.file_name
    _write(session, chosen.text(answers, find_root(session.project.absolute())), output)


def _tree(answers: "tuple[Answer, ...]") -> str:
    from imgdata.cli.lineage_tree import tree_lines  # noqa: PLC0415 - keeps --help fast

    return "\n\n".join("\n".join(tree_lines(one)) for one in answers) + "\n"


def _write(session: "Session", text: str, output: Path | None) -> None:
    if output is None:
        if not session.as_json:
            sys.stdout.write(text)
        return
    from imgdata.system.files import write_text  # noqa: PLC0415 - keeps --help fast

    write_text(output, text)
    session.note(f"wrote {output}")
