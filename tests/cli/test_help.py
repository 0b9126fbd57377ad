"""`imgdata --help`: quick, because it imports nothing heavy, and complete."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import typer

from imgdata.cli.main import COMMANDS as ROWS
from imgdata.cli.main import application
from imgdata.cli.summaries import SUMMARIES

IMGDATA = Path(sys.executable).parent / "imgdata"
HEAVY = {
    "dvc",
    "boto3",
    "datalad",
    "git",
    "obstore",
    "numpy",
    "rich",
    "jsonschema",
    "ruamel",
    "httpx",
}
BUDGET_S = 0.120
ATTEMPTS = 5
IMPORTED = "import json, sys\nfrom imgdata.cli.main import main\n"
IMPORTED += "try:\n    main(sys.argv[1:])\nfinally:\n    print(json.dumps(sorted(sys.modules)))\n"


def imported_by(*words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def cpu_s(*command: str | Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["status", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    modules = imported_by(*words)
    assert "imgdata" in modules
    assert modules & HEAVY == set()


def test_help_costs_at_most_120_ms_over_a_bare_python() -> None:
    cpu_s(IMGDATA, "--help")  # compiles what is not compiled yet
    costs = []
    for _ in range(ATTEMPTS):  # other work on the machine makes a measurement dearer, never cheaper
        help_s = median(cpu_s(IMGDATA, "--help") for _ in range(3))
        bare_s = median(cpu_s(sys.executable, "-c", "pass") for _ in range(3))
        costs.append(help_s - bare_s)
        if costs[-1] <= BUDGET_S:
            return
    pytest.fail(f"--help costs {min(costs) * 1000:.0f} ms of CPU over python -c pass")


def every_command(command: Any, name: str = "imgdata") -> list[tuple[str, Any]]:
    found = [(name, command)]
    for below, inner in getattr(command, "commands", {}).items():
        found += every_command(inner, f"{name} {below}")
    return found


COMMANDS = every_command(typer.main.get_command(application()))


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_argument_and_option_says_what_it_is(name: str, command: Any) -> None:
    assert command.help, name
    silent = [param.name for param in command.params if not getattr(param, "help", None)]
    assert silent == [] or command.hidden, name


def test_every_command_has_a_row_of_summaries_and_hidden_ones_an_empty_one() -> None:
    said = {name: command for name, command in COMMANDS if name.count(" ") == 1}
    assert set(SUMMARIES) == {module for module, _ in ROWS}
    for name, summary in SUMMARIES.values():
        assert bool(summary) != said.pop(f"imgdata {name}").hidden, name
    assert said == {}


def test_the_help_says_each_command_on_one_line_of_a_narrow_terminal() -> None:
    narrow = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        [IMGDATA, "--help"], capture_output=True, text=True, check=True, env=narrow
    )
    for name, summary in SUMMARIES.values():
        assert summary == "" or f"  {name:<13}{summary}\n" in done.stdout, name


def test_every_command_is_in_the_help() -> None:
    done = subprocess.run([IMGDATA, "--help"], capture_output=True, text=True, check=True)
    for name in ("init", "add", "run", "status", "push", "pull", "storage"):
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("group", ["storage", "level"])
def test_no_summary_of_a_command_is_cut_off_at_80_columns(group: str) -> None:
    done = subprocess.run(
        [IMGDATA, group, "--help"],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "..." not in done.stdout.partition("Commands:")[2]
