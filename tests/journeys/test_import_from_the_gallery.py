"""One plate of the Cell Painting Gallery's layout, from an unsigned S3 server."""

import gzip
import json
from collections.abc import Iterator
from os import environ
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from imgdata.api import Project, init_project, open_project
from imgdata.deposits import load_data
from imgdata.errors import DamagedError, UsageError
from imgdata.imports import Importing
from imgdata.model.public_data import ChangedThere
from imgdata.model.selection import parse_selection
from imgdata.testing.small_project import call

SOURCE = "cpg0016-jump/source_4"
BATCH = "2021_04_26_Batch1"
IMAGES = f"{SOURCE}/images/{BATCH}/images/BR00117006__2021-05-02T18/Images"
ILLUM = f"{SOURCE}/images/{BATCH}/illum/BR00117006"
LOAD_DATA = f"{SOURCE}/workspace/load_data_csv/{BATCH}/BR00117006"
PLATEMAPS = f"{SOURCE}/workspace/metadata/platemaps/{BATCH}"
BUCKET = "cellpainting-gallery"
REFERENCE = f"cpg:cpg0016/source_4/{BATCH}/BR00117006"
PACKED = "load_data_with_illum.csv.gz"
# Two wells in two channels; the name of one image is in load_data only.
TABLE = (
    "Metadata_Plate,Metadata_Well,Metadata_Site,FileName_OrigDNA,URL_OrigAGP,FileName_IllumDNA\n"
    f"BR00117006,A01,1,r01c01f01p01-ch5.tiff,s3://{BUCKET}/{IMAGES}/r01c01f01p01-ch2.tiff,DNA.npy\n"
    f"BR00117006,A02,1,r01c02f01p01-ch5.tiff,s3://{BUCKET}/{IMAGES}/gone.tiff,AGP.npy\n"
)
OBJECTS = {
    f"{IMAGES}/r01c01f01p01-ch2.tiff": b"two" * 1000,
    f"{IMAGES}/r01c01f01p01-ch5.tiff": b"five" * 1000,
    f"{IMAGES}/r01c02f01p01-ch5.tiff": b"six" * 1000,
    f"{IMAGES}/Index.idx.xml": b"<xml/>",
    f"{ILLUM}/DNA.npy": b"illumination",
    f"{LOAD_DATA}/load_data.csv": b"URL_OrigDNA,Metadata_Well\ns3://x,A01\n",
    f"{LOAD_DATA}/load_data_with_illum.csv.gz": gzip.compress(TABLE.encode()),
    f"{PLATEMAPS}/barcode_platemap.csv": b"Assay_Plate_Barcode,Plate_Map_Name\nBR00117006,x\n",
    f"{SOURCE}/images/{BATCH}/images/BR00117007__x/Images/other.tiff": b"no",
    "cpg0012-wawer/broad/images/x.tiff": b"no",
}


class Bucket:
    """The gallery's bucket on a server, to be changed by tests."""

    def __init__(self, address: str) -> None:
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=address,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",  # noqa: S106 - of a server that lives as long as a test
        )
        self.client.create_bucket(Bucket=BUCKET, ACL="public-read")

    def put(self, objects: dict[str, bytes]) -> None:
        for key, data in objects.items():
            self.client.put_object(Bucket=BUCKET, Key=key, Body=data, ACL="public-read")


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _host, port = server.get_host_and_port()
    # What an earlier server of this process held is still there.
    httpx.post(f"http://127.0.0.1:{port}/moto-api/reset").raise_for_status()
    bucket = Bucket(f"http://127.0.0.1:{port}")
    bucket.put(OBJECTS)
    monkeypatch.setenv("IMGDATA_CPG_URL", f"http://127.0.0.1:{port}")
    # The lab's own S3 has no gallery.
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    yield bucket
    bucket.client.close()
    server.stop()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    init_project(root, template="minimal", title="JUMP")
    return open_project(root, writing=True)


def _bring(project: Project, reference: str, *select: str) -> set[str]:
    importing = Importing(project)
    plan = importing.plan(reference, select=parse_selection(select), unit="BR00117006")
    importing.add(plan, list(importing.fetch(plan)))
    here = project.root / "data" / "raw" / "BR00117006"
    return {path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()}


@pytest.mark.server
@pytest.mark.usefixtures("gallery")
def test_one_plate_comes_with_its_load_data_and_lineage_knows_it(project: Project) -> None:
    root = project.root
    words = ("--project", root, "--json", "import", REFERENCE, "--unit", "BR00117006")
    done = call(root.parent, "imgdata", *words)
    listed = json.loads(done.stdout)["results"][0]
    assert listed["reference"] == REFERENCE.replace("cpg0016", "cpg0016-jump")
    assert listed["license"] == "CC0-1.0"
    here = root / "data" / "raw" / "BR00117006"
    found = {p.relative_to(here).as_posix(): p.read_bytes() for p in here.rglob("*") if p.is_file()}
    assert found == {
        "images/Images/r01c01f01p01-ch2.tiff": b"two" * 1000,
        "images/Images/r01c01f01p01-ch5.tiff": b"five" * 1000,
        "images/Images/r01c02f01p01-ch5.tiff": b"six" * 1000,
        "images/Images/Index.idx.xml": b"<xml/>",
        "illum/DNA.npy": b"illumination",
        "load_data_csv/load_data.csv": OBJECTS[f"{LOAD_DATA}/load_data.csv"],
        f"load_data_csv/{PACKED}": OBJECTS[f"{LOAD_DATA}/{PACKED}"],
        "metadata/platemaps/barcode_platemap.csv": OBJECTS[f"{PLATEMAPS}/barcode_platemap.csv"],
    }
    opened = open_project(root)
    (unit,) = opened.clone.units.by_level["raw"]
    origin = opened.config.origins[unit.origin or ""]
    source = f"s3://{BUCKET}/{REFERENCE[4:].replace('16/', '16-jump/')}"
    assert (origin.kind, origin.source) == ("public", source)
    (event,) = [one for one in opened.clone.events if one.event == "imported"]
    checks = {file["name"]: file["checked"] for file in event.details["files"]}  # type: ignore[union-attr,call-overload,index]
    assert checks["images/Images/r01c01f01p01-ch2.tiff"] is True

    (answer,) = opened.lineage(["data/raw/BR00117006/images/Images/r01c01f01p01-ch5.tiff"])
    (leaf,) = answer.nodes
    assert (leaf.kind, leaf.level) == ("add", "raw")
    assert leaf.origin is not None
    assert (leaf.origin["source"], leaf.origin["license"]) == (source, "CC0-1.0")


@pytest.mark.server
@pytest.mark.usefixtures("gallery")
def test_a_well_comes_by_load_data_with_what_describes_the_plate(project: Project) -> None:
    found = _bring(project, REFERENCE, "well=A1")
    assert {name for name in found if name.startswith("images/")} == {
        "images/Images/r01c01f01p01-ch2.tiff",
        "images/Images/r01c01f01p01-ch5.tiff",
    }
    assert {"illum/DNA.npy", "load_data_csv/load_data_with_illum.csv.gz"} < found
    more = _bring(project, REFERENCE, "well=A02", "channel=DNA")
    assert more - found == {"images/Images/r01c02f01p01-ch5.tiff"}
    with pytest.raises(UsageError, match="nothing matches --select well=H12") as caught:
        _bring(project, REFERENCE, "well=H12")
    assert "A01, A02" in caught.value.cause


@pytest.mark.server
@pytest.mark.usefixtures("gallery")
def test_what_load_data_names_and_the_gallery_lacks_is_told(project: Project) -> None:
    remarks = Importing(project).plan(REFERENCE).record.remarks
    table = "load_data_with_illum.csv.gz names 1"
    assert f"{table} images that are not there: gone.tiff" in remarks
    assert f"{table} illumination functions that are not there: AGP.npy" in remarks


@pytest.mark.server
def test_a_load_data_that_cannot_be_read_stops_nothing(gallery: Bucket, project: Project) -> None:
    gallery.put({f"{LOAD_DATA}/load_data_with_illum.csv.gz": b"no gzip"})
    plan = Importing(project).plan(REFERENCE)
    assert len(plan.files) == 8
    assert any("cannot be read" in remark for remark in plan.record.remarks)


def test_a_load_data_that_unpacks_without_end_is_refused() -> None:
    bomb = gzip.compress(b"\0" * (load_data.LARGEST + 1))
    assert len(bomb) < 1_000_000
    with pytest.raises(DamagedError, match="larger than any"):
        load_data.read(iter([bomb]), packed=True)


@pytest.mark.server
def test_a_folder_of_any_public_bucket_comes_and_its_changes_are_told(
    gallery: Bucket, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", environ["IMGDATA_CPG_URL"])
    odd = f"{IMAGES}/a plate +&%41 ü.tiff"
    gallery.put({odd: b"odd"})
    reference = f"s3://{BUCKET}/{IMAGES}"
    found = _bring(project, reference)
    assert found == {
        key.rpartition("/")[2] for key in [*OBJECTS, odd] if key.startswith(f"{IMAGES}/")
    }
    gallery.put({f"{IMAGES}/r01c01f01p01-ch2.tiff": b"TWO" * 1000})
    (update,) = Importing(open_project(project.root)).check_updates()
    changes = ("changed there: r01c01f01p01-ch2.tiff",)
    assert update == ChangedThere("raw", "BR00117006", reference, changes)
