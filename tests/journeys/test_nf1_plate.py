import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tifffile
import yaml

from tests.journeys.conftest import contents, replace

Command = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = [pytest.mark.samples, pytest.mark.dvc, pytest.mark.xdist_group("nf1")]


@pytest.fixture(scope="module")
def plate(samples: Path, tmp_path_factory: pytest.TempPathFactory, shell: Command) -> Path:
    """A project with the real plate added, run and pushed; everything committed."""
    project = tmp_path_factory.mktemp("nf1") / "pilot"
    shell("imgdata init pilot --title 'NF1 pilot' --yes", project.parent)
    replace(
        project / "imgdata.yaml",
        'key: "{plate}/{well}_{site}_{channel}.ome.tif"',
        "key: nf1",
    )
    replace(project / "params.yaml", "channel: DNA", "channel: DAPI")
    shell("git add -A && git commit -qm start", project)
    shell(f"imgdata add raw {samples}/nf1_plate2/images --unit Plate_2", project)
    shell("imgdata run", project)
    shell("git commit -qm run", project)
    shell("imgdata push", project)
    shell("git commit -qm copies", project)
    return project


@pytest.fixture
def copy(plate: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the project to spoil, with its own archive; hard links are kept apart."""
    project = tmp_path / "pilot"
    shutil.copytree(plate, project, symlinks=True)
    shutil.copytree(plate.parent / "pilot-archive", tmp_path / "pilot-archive")
    for name in ("imgdata.yaml", ".dvc/config"):
        replace(
            project / name, str(plate.parent / "pilot-archive"), str(tmp_path / "pilot-archive")
        )
    yield project
    for path in [tmp_path, *tmp_path.rglob("*")]:
        if path.is_dir():
            path.chmod(0o700)


def clone(plate: Path, folder: Path, shell: Command) -> Path:
    shell(f"git clone -q {plate} clone", folder)
    return folder / "clone"


def test_each_field_has_as_many_nuclei_as_the_lab_counted(plate: Path) -> None:
    masks = sorted((plate / "data/masks/Plate_2").glob("*.tif"))
    counts = [int(tifffile.imread(mask).max()) for mask in masks]
    assert len(counts) == 5
    assert all(29 <= count <= 37 for count in counts), counts


def test_the_archive_holds_exactly_the_levels_that_belong_there(plate: Path) -> None:
    stored = [p for p in (plate.parent / "pilot-archive" / "files").rglob("*") if p.is_file()]
    lock = yaml.safe_load((plate / "dvc.lock").read_text("utf-8"))["stages"]
    crops = lock["crop@Plate_2"]["outs"][0]["md5"]
    names = {path.parent.name + path.name for path in stored}
    assert crops not in names
    assert {lock["segment@Plate_2-masks"]["outs"][0]["md5"]} <= names
    assert len([name for name in names if name.endswith(".dir")]) == 3
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in stored)


def test_a_fresh_clone_pulls_the_same_bytes_and_dvc_agrees(
    plate: Path, tmp_path: Path, shell: Command
) -> None:
    fresh = clone(plate, tmp_path, shell)
    told = shell("imgdata pull", fresh).stdout
    assert "imgdata run single_cell_images" in told

    wanted = contents(plate / "data")
    missing = {path for path in wanted if path.startswith("single_cell_images/")}
    assert contents(fresh / "data") == {k: v for k, v in wanted.items() if k not in missing}
    status = shell("dvc status", fresh).stdout.replace("\t", "").splitlines()
    assert [line.strip() for line in status] == [
        "crop@Plate_2:",
        "changed outs:",
        "not in cache:       data/single_cell_images/Plate_2",
    ]

    shell("imgdata run single_cell_images", fresh)
    assert contents(fresh / "data") == wanted
    assert "up to date" in shell("dvc status", fresh).stdout


def test_plain_dvc_pulls_the_same_bytes(plate: Path, tmp_path: Path, shell: Command) -> None:
    fresh = clone(plate, tmp_path, shell)
    shell("dvc pull -q --allow-missing", fresh)
    wanted = contents(plate / "data")
    missing = {path for path in wanted if path.startswith("single_cell_images/")}
    assert contents(fresh / "data") == {k: v for k, v in wanted.items() if k not in missing}


def test_raw_files_are_the_originals_and_read_only(plate: Path, samples: Path) -> None:
    assert contents(plate / "data/raw/Plate_2") == contents(samples / "nf1_plate2/images")
    assert not any(p.stat().st_mode & 0o222 for p in (plate / "data/raw/Plate_2").iterdir())


def test_pull_by_well_fetches_only_that_well(plate: Path, tmp_path: Path, shell: Command) -> None:
    fresh = clone(plate, tmp_path, shell)
    shell("imgdata pull raw --select well=B07", fresh)
    assert sorted(path.name for path in (fresh / "data/raw/Plate_2").iterdir()) == [
        "B7_01_1_3_DAPI_001.tif",
        "B7_01_2_3_GFP_001.tif",
        "B7_01_3_3_RFP_001.tif",
    ]
    assert len(list((fresh / ".dvc/cache/files/md5").glob("*/*"))) == 4
    refused = shell("imgdata run corrected --force", fresh, status=5).stderr
    assert "12 missing" in refused
    shell("imgdata pull raw", fresh)
    assert contents(fresh / "data/raw/Plate_2") == contents(plate / "data/raw/Plate_2")


def test_a_second_push_sends_nothing(plate: Path, shell: Command) -> None:
    said = json.loads(shell("imgdata push --json", plate).stdout)
    assert said["ok"]
    assert sum(one.get("sent", 0) + one.get("checked", 0) for one in said["results"]) == 0
    assert shell("git status --porcelain", plate).stdout == ""


def test_a_changed_parameter_shows_as_itself(copy: Path, shell: Command) -> None:
    replace(copy / "params.yaml", "size: 64", "size: 32")
    plan = shell("imgdata run --dry-run", copy).stdout
    assert "crop@Plate_2: parameter crop changed: size 64 -> 32" in plan
    assert "segment" not in plan


def test_a_changed_script_shows_as_itself(copy: Path, shell: Command) -> None:
    script = copy / "scripts/segment.py"
    script.write_text(script.read_text("utf-8") + "# a remark\n", "utf-8")
    plan = shell("imgdata run masks --dry-run", copy).stdout
    assert plan == "segment@Plate_2-masks: scripts/segment.py changed\n"
    ran = shell("imgdata run", copy).stdout
    assert "crop@Plate_2: up to date after all" in ran


def test_a_changed_raw_file_stops_everything(copy: Path, shell: Command) -> None:
    image = copy / "data/raw/Plate_2/B7_01_1_3_DAPI_001.tif"
    data = image.read_bytes()
    image.unlink()
    image.write_bytes(data[:-1] + b"\0")
    assert "CHANGED" in shell("imgdata status raw", copy).stdout
    refused = shell("imgdata run --force", copy, status=5).stderr
    assert "B7_01_1_3_DAPI_001.tif" in refused
    stopped = shell("imgdata pull raw", copy, status=5).stderr
    assert "B7_01_1_3_DAPI_001.tif" in stopped


def flip(path: Path) -> None:
    """Change one byte and leave time and mode as they were, as a failing disk does."""
    status = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.chmod(0o444)


def object_path(folder: Path, project: Path, image: str) -> Path:
    md5 = hashlib.md5((project / image).read_bytes()).hexdigest()
    return folder / "files/md5" / md5[:2] / md5[2:]


def test_a_flipped_byte_in_the_archive_is_named_and_not_checked_out(
    copy: Path, tmp_path: Path, shell: Command
) -> None:
    image = "data/raw/Plate_2/D6_01_1_2_DAPI_001.tif"
    flip(object_path(tmp_path / "pilot-archive", copy, image))
    shell("git commit -qam 'move the archive'", copy)
    shell(f"git clone -q {copy} fresh", tmp_path)
    fresh = tmp_path / "fresh"
    stopped = shell("imgdata pull raw", fresh, status=6)
    assert f"{image}: damaged on archive" in stopped.stderr
    assert not (fresh / image).exists()
    assert len(list((fresh / "data/raw/Plate_2").iterdir())) == 14
    named = shell("imgdata push raw", copy, status=6).stderr
    assert image in named
    shell("imgdata push raw --repair", copy)
    shell("imgdata pull raw", fresh)
    assert (fresh / image).read_bytes() == (copy / image).read_bytes()


def test_a_flipped_byte_in_the_cache_is_named_and_not_sent(
    copy: Path, tmp_path: Path, shell: Command
) -> None:
    image = "data/raw/Plate_2/D6_01_1_2_DAPI_001.tif"
    stored = object_path(tmp_path / "pilot-archive", copy, image)
    cached = object_path(copy / ".dvc/cache", copy, image)
    good = stored.read_bytes()
    stored.unlink()
    (copy / image).unlink()
    flip(cached)
    named = shell("imgdata push raw", copy, status=6).stderr
    assert f"{image}: damaged on {copy}/.dvc/cache" in named
    assert not stored.exists()
    stopped = shell("imgdata pull raw", copy, status=6).stderr
    assert f"{image}: damaged in the local cache" in stopped
    assert not (copy / image).exists()
    stored.parent.mkdir(exist_ok=True)
    stored.write_bytes(good)
    shell("imgdata pull raw --from archive", copy)
    assert (copy / image).read_bytes() == good


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_lineage_of_the_bulk_profile_leads_to_the_raw_plate_hash_by_hash(
    plate: Path, shell: Command
) -> None:
    said = json.loads(
        shell("imgdata lineage data/bulk_profiles/Plate_2.parquet --json", plate).stdout
    )
    (answer,) = said["results"]
    assert answer["status"] == "recorded"
    assert answer["producer"] == "dvc.lock::bulk@Plate_2"
    assert answer["out"]["md5"] == md5_of(plate / "data/bulk_profiles/Plate_2.parquet")
    kinds = {node["id"]: node["kind"] for node in answer["nodes"]}
    assert kinds["data/raw/Plate_2.dvc"] == "add"
    stages = {name.partition("::")[2].partition("@")[0] for name in kinds if "::" in name}
    assert stages == {"bulk", "profile", "segment", "correct", "select", "qc"}
    lock = yaml.safe_load((plate / "dvc.lock").read_text("utf-8"))["stages"]
    recorded = {
        (f"dvc.lock::{stage}", dep["path"]): dep["md5"]
        for stage, entry in lock.items()
        for dep in entry["deps"]
    }
    assert answer["edges"]
    for edge in answer["edges"]:
        assert edge["recorded"] == recorded[edge["consumer"], edge["dep"]]
        assert edge["relation"] in {"exact", "source"}
        assert edge.get("match", True)
    raw = {one["path"]: one["hash"] for one in answer["members"] if one["level"] == "raw"}
    assert raw == {
        f"data/raw/Plate_2/{name}": md5
        for name, md5 in contents(plate / "data/raw/Plate_2").items()
    }


def test_lineage_of_one_mask_leads_to_its_own_raw_images(plate: Path, shell: Command) -> None:
    said = json.loads(shell("imgdata lineage data/masks/Plate_2/B07_3.tif --json", plate).stdout)
    (answer,) = said["results"]
    image = "data/raw/Plate_2/B7_01_1_3_DAPI_001.tif"
    raw = {one["path"]: one["hash"] for one in answer["members"] if one["level"] == "raw"}
    assert raw == {image: md5_of(plate / image)}
    assert answer["gaps"] == []


def test_one_row_of_the_bulk_profile_leads_to_its_wells_images_and_back(
    plate: Path, shell: Command
) -> None:
    table = "data/bulk_profiles/Plate_2.parquet"
    said = json.loads(shell(f"imgdata lineage {table} --row 0 --json", plate).stdout)
    raw = {one["path"] for one in said["results"][0]["members"] if one["level"] == "raw"}
    images = (plate / "data/raw/Plate_2").glob("B7_*.tif")
    assert raw == {image.relative_to(plate).as_posix() for image in images}
    down = shell(f"imgdata lineage {min(raw)} --down", plate).stdout
    assert table in down
    assert "data/masks/Plate_2/B07_3.tif" in down
