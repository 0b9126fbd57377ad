"""How fast `imgdata lineage` answers, beside `dvc dag` and `dvc status` on the same repository.

python -m benchmarks.lineage_speed [stages] [commits]
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from imgdata.dvc_files.directory import FolderEntry, read_folder, write_folder

MD5 = "570acda0f323c18ae0a336583e9d661d"
MEMBERS = 100_000


def digest(number: int) -> str:
    """Return an md5 that stands for a number."""
    return f"{number:032x}"


def lock_text(stages: int, version: int = 0) -> str:
    """Return a lock of `make@N` stages that each read a raw folder and a script."""
    lines = ["schema: '2.0'", "stages:"]
    for one in range(stages):
        out = digest(one * 1000 + (version if one == version % max(stages, 1) else 0))
        lines += [
            f"  make@P{one}:", f"    cmd: python make.py P{one}", "    deps:",
            "    - path: make.py", "      hash: md5", f"      md5: {MD5}", "      size: 424",
            f"    - path: data/raw/P{one}", "      hash: md5",
            f"      md5: {digest(one + 7)}.dir", "      size: 424", "      nfiles: 3",
            "    outs:", f"    - path: data/made/P{one}", "      hash: md5",
            f"      md5: {out}.dir", "      size: 4224", "      nfiles: 3",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def write_repository(root: Path, stages: int, commits: int) -> None:
    """Make a git and DVC repository with a lock that changes with each commit."""
    root.mkdir(parents=True)
    names = "\n".join(f"  - P{one}" for one in range(stages))
    (root / "dvc.yaml").write_text(
        "stages:\n  make:\n    foreach: ${plates}\n    do:\n"
        "      cmd: python make.py ${item}\n      deps:\n      - make.py\n"
        "      - data/raw/${item}\n      outs:\n      - data/made/${item}\n"
    )
    (root / "params.yaml").write_text(f"plates:\n{names}\n")
    (root / "make.py").write_text("print()\n")
    (root / ".gitignore").write_text("/data\n")
    _git(root, "init", "-q", "-b", "main")
    stream: list[bytes] = []
    for number in range(commits):
        text = lock_text(stages, number).encode()
        files = {"dvc.lock": text}
        if number == 0:
            files |= {
                name: (root / name).read_bytes()
                for name in ("dvc.yaml", "params.yaml", "make.py", ".gitignore")
            }
        message = f"change {number}".encode()
        stream.append(b"commit refs/heads/main\n")
        stream.append(f"committer Ada <ada@lab.example> {1_700_000_000 + number} +0000\n".encode())
        stream.append(b"data %d\n%s\n" % (len(message), message))
        for name, data in files.items():
            stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input=b"".join(stream), check=True)
    _git(root, "checkout", "-q", "-f", "main")
    _git(root, "gc", "-q")


def _git(root: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=root, check=True)


def cpu_of(args: list[str], cwd: Path) -> tuple[float, int]:
    """Return CPU seconds of a program with its children, and its exit status."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(args, cwd=cwd, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, done.returncode


def best(measure: Callable[[], float], times: int = 3) -> float:
    """Return the smallest of some measurements: the one least disturbed by others."""
    return min(measure() for _ in range(times))


def measure_commands(stages: int = 5000, commits: int = 1) -> dict[str, float]:
    """Return CPU seconds over start-up of lineage questions, and of dvc beside them."""
    program = str(Path(sys.executable).with_name("imgdata"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        write_repository(root, stages, commits)
        start = best(lambda: cpu_of([program, "--version"], root)[0])
        asked = f"data/made/P{stages // 2}"
        found = {
            "lineage_start_s": start,
            "lineage_file_s": best(lambda: cpu_of([program, "lineage", asked], root)[0]) - start,
        }
        if commits == 1:
            graph = [program, "lineage", "--format", "html", "-o", f"{folder}/page.html"]
            found["lineage_whole_html_s"] = best(lambda: cpu_of(graph, root)[0], 1) - start
            found["lineage_html_mb"] = Path(folder, "page.html").stat().st_size / 1e6
            found |= measure_dvc(root)
    return found


def measure_dvc(root: Path) -> dict[str, float]:
    """Return CPU seconds of `dvc dag` and `dvc status` on the repository."""
    dvc = str(Path(sys.executable).with_name("dvc"))
    subprocess.run([dvc, "init", "-q"], cwd=root, check=False, capture_output=True)
    return {
        "dvc_dag_s": cpu_of([dvc, "dag", "--dot"], root)[0],
        "dvc_status_s": cpu_of([dvc, "status"], root)[0],
    }


def measure_folder_list(members: int = MEMBERS) -> dict[str, float]:
    """Return CPU seconds to find one file in the list of a large folder."""
    entries = [FolderEntry(digest(one), f"P1/{one:06d}.tif") for one in range(members)]
    data, name = write_folder(entries)
    start = time.process_time()
    listed = {entry.relpath: entry.md5 for entry in read_folder(data, name)}
    used = time.process_time() - start
    if listed["P1/000007.tif"] != digest(7):
        message = "the list does not say what was written"
        raise SystemExit(message)
    return {"folder_list_100k_s": used}


def main() -> None:
    """Print all figures as JSON."""
    stages, commits = (*(int(word) for word in sys.argv[1:]), 5000, 1000)[:2]
    found = {f"{name}_{stages}": value for name, value in measure_commands(stages).items()}
    history = measure_commands(100, commits)
    found[f"lineage_history_{commits}_commits_s"] = history["lineage_file_s"]
    print(json.dumps(found | measure_folder_list(), indent=1))


if __name__ == "__main__":
    main()
