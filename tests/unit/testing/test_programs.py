"""A command in a fork is like the installed program, whatever ran in a fork before."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imgdata.testing.programs import PROGRAMS, run


def in_a_new_process(
    *line: str, cwd: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[bytes]:
    words = [str(PROGRAMS / line[0]), *line[1:]]
    return subprocess.run(
        words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


@pytest.mark.parametrize(
    "line",
    [
        ("imgdata", "--version"),
        ("imgdata", "nonsense", "--json"),
        ("imgdata", "status"),
        ("imgdata", "check", "."),
        ("imgdata", "audit", "--help"),
        pytest.param(("dvc", "--version"), marks=pytest.mark.dvc),
        pytest.param(("dvc", "status"), marks=pytest.mark.dvc),
    ],
)
@pytest.mark.parametrize("warned", [{}, {"PYTHONWARNINGS": "default"}])
def test_it_ends_and_says_what_a_new_process_does(
    line: tuple[str, ...], warned: dict[str, str], tmp_path: Path
) -> None:
    env, folder = {**os.environ, **warned}, tmp_path / "here"
    folder.mkdir()
    forked = run(*line, cwd=folder, env=env)
    new = in_a_new_process(*line, cwd=folder, env=env)

    assert (forked.returncode, forked.stdout) == (new.returncode, new.stdout)
    assert forked.stderr == new.stderr


def test_it_sees_the_environment_and_folder_of_its_own_call_only(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        env = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
        done = run("imgdata", "init", "made", "--template", "minimal", "--yes", cwd=folder, env=env)
        assert done.returncode == 0, done.stderr
    assert (first / "made/imgdata.yaml").is_file()
    assert (second / "made/imgdata.yaml").is_file()

    done = run("imgdata", "status", cwd=first / "made", env={**os.environ, "PATH": str(first)})
    assert done.returncode == 8
    assert b"git" in done.stderr
    assert run("imgdata", "status", cwd=second / "made", env=os.environ).returncode == 0


def test_many_run_at_once(tmp_path: Path) -> None:
    def version(number: int) -> bytes:
        words = ("--version",) if number % 2 else ("--nonsense", str(number))
        return run("imgdata", *words, cwd=tmp_path, env=os.environ).stdout

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(version, range(12)))
    assert [text.startswith(b"imgdata ") for text in said] == [False, True] * 6
