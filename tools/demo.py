"""The main job, start to end, on a plate this script draws: `make demo`.

Needs no network and no images of others. Prints each command as a person would type it, and what
it says. The project is left in `demo-project/` to look around in.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from imgdata.testing.plate import write_plate

HERE = Path.cwd()
ENOUGH = 80
FOLDER = HERE / "demo-project"
MICROSCOPE = FOLDER / "microscope" / "P1"
PROJECT = FOLDER / "pilot"
PERSON = {
    "GIT_AUTHOR_NAME": "Demo Person",
    "GIT_AUTHOR_EMAIL": "demo@lab.example",
    "GIT_COMMITTER_NAME": "Demo Person",
    "GIT_COMMITTER_EMAIL": "demo@lab.example",
}


def environment() -> dict[str, str]:
    """Return the environment of the commands: this Python's programs first."""
    programs = str(Path(sys.executable).parent)
    return {**os.environ, **PERSON, "PATH": os.pathsep.join((programs, os.environ["PATH"]))}


def heading(text: str) -> None:
    """Print what comes next."""
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def shell(line: str, *, cwd: Path = PROJECT) -> None:
    """Print a command and run it; stop the demo when it fails."""
    print(f"$ {line}", flush=True)
    done = subprocess.run(line, shell=True, cwd=cwd, env=environment(), check=False)
    if done.returncode:
        sys.exit(f"the demo stopped: exit status {done.returncode}")


def used(*folders: Path) -> int:
    """Return the bytes on disk below folders, blocks that several names share counted once."""
    found = (path.lstat() for folder in folders for path in folder.rglob("*"))
    return sum({one.st_ino: one.st_blocks * 512 for one in found}.values())


def hashes(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder by its path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def compare(before: dict[str, bytes]) -> None:
    """Compare all data with what it was; stop the demo when a byte differs."""
    same = hashes(PROJECT / "data") == before
    print(f"byte for byte as before: {'yes' if same else 'NO'}", flush=True)
    if not same:
        sys.exit(1)


def free_the_disk(before: dict[str, bytes]) -> None:
    """Delete what is recoverable by evidence, measure, and bring it back."""
    data, cache = PROJECT / "data", PROJECT / ".dvc" / "cache"
    heading("free 80 % of the disk without losing anything")
    print("raw images get a second copy; the code goes to a git remote, where a proof needs it")
    shell("git init -q --bare ../code.git && git remote add origin ../code.git")
    shell("imgdata storage add mirror ../mirror --level raw --quiet && imgdata push raw")
    shell("git commit -qm 'A second copy of raw' && git push -q origin main")
    print("single_cell_images are stored nowhere: made again in a clean checkout, and compared")
    shell("imgdata run single_cell_images --prove")
    shell("git commit -qm 'Prove single_cell_images' && git push -q origin main")

    print("somebody edits a mask by hand: its only copy")
    edited = data / "masks" / "P1" / "B02_1.tif"
    recorded = edited.read_bytes()
    edited.unlink()
    edited.write_bytes(recorded[::-1])
    shell("imgdata drop masks --dry-run --remote")
    edited.unlink()
    edited.write_bytes(recorded)

    print("what could go, largest first")
    shell("imgdata drop --remote")
    full = used(data, cache)
    shell("imgdata drop raw corrected masks single_cell_images --yes")
    left = used(data, cache)
    share = 100 * (full - left) / full
    print(f"on disk before: {full:,} bytes, after: {left:,} bytes; {share:.0f} % freed", flush=True)
    if share < ENOUGH:
        sys.exit(f"the demo stopped: less than {ENOUGH} % freed")

    print("and back: stored levels are pulled, single_cell_images are made again")
    shell("imgdata pull")
    shell("imgdata run single_cell_images")
    compare(before)
    shell("git commit -qm 'Note what was dropped and made again'")


def main() -> None:
    """Run the demo."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    heading("a microscope writes a plate: 3 wells, 2 sites, 3 channels")
    images = write_plate(MICROSCOPE)
    print(f"{len(images)} images in {MICROSCOPE.relative_to(HERE)}, such as {images[0].name}")

    heading("a project for it, with an archive folder beside it")
    shell("imgdata init pilot --title 'Cell Painting pilot'", cwd=FOLDER)
    shell("git commit -qm 'Start the project'")

    heading("the raw images go in: hashed once, read-only, tracked")
    shell("imgdata add raw ../microscope/P1")
    shell("git commit -qm 'Add P1 to raw'")

    heading("from raw images to profiles, stage by stage; every run is recorded")
    shell("imgdata run")
    shell("git commit -qm 'Run the pipeline'")

    heading("what is where, and what is owed")
    shell("imgdata status")

    heading("every level goes where imgdata.yaml says, checked on arrival")
    shell("imgdata push")
    shell("git commit -qm 'Note copies'")
    before = hashes(PROJECT / "data")

    free_the_disk(before)

    heading("the worst case: workspace and cache are gone, nobody asked")
    shell("rm -rf data/*/P1 data/*/P1.parquet .dvc/cache")
    shell("imgdata status")

    heading("and come back, verified; what is stored nowhere is made again")
    shell("imgdata pull")
    shell("imgdata run single_cell_images")
    compare(before)

    heading("how was this made?")
    shell("imgdata lineage data/bulk_profiles/P1.parquet")
    shell("imgdata lineage data/masks/P1/B02_1.tif")

    print(f"\nThe project is in {PROJECT.relative_to(HERE)}. Look around: imgdata --help")


if __name__ == "__main__":
    main()
