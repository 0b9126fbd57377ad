"""Buckets of other kinds than a plain one, as labs are given them."""

from pathlib import Path

import pytest

from imgdata.testing.servers import BUCKET, S3Server
from imgdata.testing.small_project import call, write_random_plate
from tests.journeys.conftest import OnS3

pytestmark = [pytest.mark.dvc, pytest.mark.server]


@pytest.mark.parametrize("folder", ["100%25 a+b", "Größe/a b"])
def test_plain_dvc_finds_what_lies_in_a_folder_with_an_odd_name(
    on_s3: OnS3, moto_s3: S3Server, tmp_path: Path, folder: str
) -> None:
    project = on_s3(f"s3://{BUCKET}/{folder}", moto_s3.endpoint)
    source = write_random_plate(tmp_path / "new" / "P 1+ü%20#x")
    project.imgdata("add", "raw", source)
    project.imgdata("push", "raw")
    project.commit("Push")
    clone = project.clone(tmp_path / "clone")
    clone.dvc("pull", "-R", "data/raw")
    call(tmp_path, "diff", "-r", source, clone.root / "data" / "raw" / source.name)
