"""One plate of the Cell Painting Gallery's layout, from an unsigned S3 server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from imgdata.api import init_project, open_project

PLATE = "cpg0016-jump/source_4/images/2021_04_26_Batch1/images/BR00117006__2021-05-02T18"
LOAD_DATA = "cpg0016-jump/source_4/workspace/load_data_csv/2021_04_26_Batch1/BR00117006"
OBJECTS = {
    f"{PLATE}/Images/r01c01f01p01-ch2sk1fk1fl1.tiff": b"two" * 1000,
    f"{PLATE}/Images/r01c01f01p01-ch5sk1fk1fl1.tiff": b"five" * 1000,
    f"{LOAD_DATA}/load_data.csv": b"URL_OrigDNA,Metadata_Well\ns3://x,A01\n",
    "cpg0016-jump/source_4/images/2021_04_26_Batch1/images/BR00117007__x/Images/other.tiff": b"no",
    "cpg0012-wawer/broad/images/x.tiff": b"no",
}


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _host, port = server.get_host_and_port()
    address = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",  # noqa: S106 - of a server that lives as long as a test
    )
    client.create_bucket(Bucket="cellpainting-gallery", ACL="public-read")
    for key, data in OBJECTS.items():
        client.put_object(Bucket="cellpainting-gallery", Key=key, Body=data, ACL="public-read")
    client.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
    yield
    server.stop()


@pytest.mark.server
@pytest.mark.usefixtures("gallery")
def test_one_plate_comes_with_its_load_data_and_lineage_knows_it(tmp_path: Path) -> None:
    root = tmp_path / "project"
    init_project(root, template="minimal", title="JUMP")
    program = Path(sys.executable).parent / "imgdata"
    reference = "cpg:cpg0016/source_4/2021_04_26_Batch1/BR00117006"
    done = subprocess.run(
        [program, "--project", root, "--json", "import", reference, "--unit", "BR00117006"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listed = json.loads(done.stdout)["results"][0]
    assert listed["reference"] == "cpg:cpg0016-jump/source_4/2021_04_26_Batch1/BR00117006"
    assert listed["license"] == "CC0-1.0"
    here = root / "data" / "raw" / "BR00117006"
    found = {p.relative_to(here).as_posix(): p.read_bytes() for p in here.rglob("*") if p.is_file()}
    assert found == {
        "images/Images/r01c01f01p01-ch2sk1fk1fl1.tiff": b"two" * 1000,
        "images/Images/r01c01f01p01-ch5sk1fk1fl1.tiff": b"five" * 1000,
        "load_data_csv/load_data.csv": OBJECTS[f"{LOAD_DATA}/load_data.csv"],
    }
    project = open_project(root)
    (unit,) = project.clone.units.by_level["raw"]
    origin = project.config.origins[unit.origin or ""]
    assert origin.kind == "public"
    assert origin.source == f"s3://cellpainting-gallery/{reference[4:].replace('16/', '16-jump/')}"
    (event,) = [one for one in project.clone.events if one.event == "imported"]
    checks = {file["name"]: file["checked"] for file in event.details["files"]}  # type: ignore[union-attr,call-overload,index]
    assert checks["images/Images/r01c01f01p01-ch2sk1fk1fl1.tiff"] is True
