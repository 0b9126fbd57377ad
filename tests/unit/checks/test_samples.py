"""The real images beside the repository get what their manifest says."""

import csv
from pathlib import Path

import pytest

from imgdata.images.readers import ImageReaders
from imgdata.model.findings import CheckReport, Finding, Severity
from imgdata.workflows.check import CheckOptions, check_files

pytestmark = pytest.mark.samples


@pytest.fixture(scope="session")
def report(samples: Path) -> CheckReport:
    return check_files([samples], ImageReaders(), root=samples, options=CheckOptions())


def of(report: CheckReport, path: str) -> list[Finding]:
    return [f for f in report.findings if path in f.paths]


def ids(report: CheckReport, path: str) -> set[str]:
    return {f.id for f in of(report, path) if f.severity is not Severity.NOTE}


def fact(report: CheckReport, path: str, name: str) -> object:
    one = next(f for f in report.files if f.path == path)
    found = one.reading.facts.get(name)
    return found.value if found else None


def rows(samples: Path) -> list[dict[str, str]]:
    with (samples / "manifest.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_image_of_the_manifest_is_read_and_lossless(
    samples: Path, report: CheckReport
) -> None:
    by_path = {f.path: f for f in report.files}
    for row in rows(samples):
        name = row["file"].split(".zarr/")[0] + ".zarr" if ".zarr/" in row["file"] else row["file"]
        if name.endswith((".parquet", ".cppipe")):
            continue
        reading = by_path[name].reading
        assert reading.checked, name
        assert reading.compression is not None, name
        assert str(reading.compression.packing) == "lossless", name


def test_no_original_gives_an_error(report: CheckReport) -> None:
    assert not [f for f in report.findings if f.severity is Severity.ERROR]


def test_each_row_gets_the_findings_it_says(samples: Path, report: CheckReport) -> None:
    for row in rows(samples):
        said, found = row["expected"], ids(report, row["file"])
        if "8-bit data stretched" in said:
            assert found >= {"IMG-204", "IMG-205", "IMG-301", "IMG-303"}, row["file"]
        if "binary masks" in said:
            assert "IMG-501" in found, row["file"]
            assert "IMG-204" not in found
        if "pixel size NOT in file" in said:
            assert found == {"IMG-301"}, row["file"]
        if "px 13.5504" in said:
            assert not found, row["file"]
        if "72 dpi placeholder" in row["note"]:
            assert "IMG-301" in found


def test_sizes_and_types_agree_with_two_other_readers(samples: Path, report: CheckReport) -> None:
    for row in rows(samples):
        if not row["reader1"].startswith("< n="):
            continue
        shape = row["reader1"].partition("(")[2].partition(")")[0]
        height, width = (int(part) for part in shape.split(","))
        assert fact(report, row["file"], "size_x") == width
        assert fact(report, row["file"], "size_y") == height
        assert str(fact(report, row["file"], "dtype")) in row["reader1"]


def test_a_phenix_tiff_names_its_model_and_keeps_the_serial_apart(report: CheckReport) -> None:
    path = "jump_phenix/BR00117006/r01c01f01p01-ch2sk1fk1fl1.tiff"
    assert fact(report, path, "manufacturer") == "PerkinElmer"
    assert fact(report, path, "model") == "Phenix"
    assert fact(report, path, "serial") == "1400L15075"
    assert fact(report, path, "pixel_size_x") is None


def test_an_imagexpress_tiff_is_fully_described(report: CheckReport) -> None:
    path = next(f.path for f in report.files if "TimePoint_1" in f.path and "_s1_w1" in f.path)
    assert fact(report, path, "pixel_size_x") == 13.5504
    assert fact(report, path, "objective_magnification") == 4
    assert fact(report, path, "objective_na") == 0.2
    assert fact(report, path, "exposure") == 80
    assert fact(report, path, "manufacturer") == "Molecular Devices"


def test_an_nd2_is_fully_described(report: CheckReport) -> None:
    path = "nd2/example-multichannel.nd2"
    assert fact(report, path, "pixel_size_x") == pytest.approx(0.32339, rel=1e-4)
    assert fact(report, path, "objective_magnification") == 20
    assert fact(report, path, "channels") == ("Mono", "DAPI", "FITC BP", "TRITC BP")
    assert fact(report, path, "exposure") == (20.0, 1000.0, 1000.0, 1000.0)


def test_an_ome_zarr_is_one_file(report: CheckReport) -> None:
    zarrs = [f for f in report.files if ".zarr" in f.path]
    assert [f.path for f in zarrs] == ["ome_zarr/image-02.zarr", "ome_zarr/plate-01.zarr"]


@pytest.mark.parametrize("share", [0.6, 0.95])
@pytest.mark.parametrize(
    "name",
    [
        "nd2/example-zstack.nd2",
        "example_human/AS_09125_050116030001_D03f00d0.tif",
        "nf1_plate2/images/B7_01_1_3_DAPI_001.tif",
    ],
)
def test_a_cut_original_is_truncated(
    samples: Path, tmp_path: Path, name: str, share: float
) -> None:
    data = (samples / name).read_bytes()
    path = tmp_path / Path(name).name
    path.write_bytes(data[: int(len(data) * share)])
    found = check_files([path], ImageReaders(), root=tmp_path)
    assert {f.id for f in found.findings if f.severity is Severity.ERROR} == {"IMG-101"}
