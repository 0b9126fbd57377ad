"""The check over files: duplicates, sidecars, samples of pixels, cache, missing readers."""

import errno
import hashlib
import os
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from imgdata.images.readers import ImageReaders
from imgdata.model.facts import Reading, Source
from imgdata.model.findings import CheckReport, Severity, SeverityChoice
from imgdata.workflows.check import CheckOptions, Pixels, check_files

CHANCE = np.random.default_rng(11)


def image(path: Path, *, high: int = 4000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = CHANCE.integers(100, high, (64, 80), dtype=np.uint16)
    tifffile.imwrite(path, pixels, metadata=None, software="")
    return path


def check(folder: Path, **options: object) -> CheckReport:
    return check_files(
        [folder],
        ImageReaders(),
        root=folder,
        options=CheckOptions(**options),  # type: ignore[arg-type]  # each test gives what it needs
    )


def found(report: CheckReport, rule: str) -> list[tuple[str, ...]]:
    return [f.paths for f in report.findings if f.id == rule]


def errors(report: CheckReport) -> set[str]:
    return {f.id for f in report.findings if f.severity is Severity.ERROR}


def test_the_same_image_under_two_names_is_one_finding(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    image(tmp_path / "c.tif")
    shutil.copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert found(check(tmp_path), "IMG-105") == [("a.tif", "b.tif")]


def test_what_cannot_be_looked_into_is_an_error_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("open/a.tif", "closed/b.tif", "open/c.tif"):
        image(tmp_path / "P1" / name)
    whole, read = os.scandir, ImageReaders.read

    def refuse(path: Path) -> None:
        if path.name in {"closed", "c.tif"}:
            raise PermissionError(errno.EACCES, "Permission denied")

    def scandir(path: Path) -> Any:
        refuse(path)
        return whole(path)

    def reading(self: ImageReaders, path: Path) -> Reading | None:
        refuse(path)
        return read(self, path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", scandir)
        patched.setattr(ImageReaders, "read", reading)
        report = check(tmp_path / "P1", cache=tmp_path)
    assert found(report, "IMG-102") == [("closed",), ("open/c.tif",)]
    assert "IMG-102" in errors(report)
    assert not found(check(tmp_path / "P1", cache=tmp_path), "IMG-102")


def test_images_of_one_size_that_differ_in_one_byte_are_no_duplicates(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[5000] ^= 1
    (tmp_path / "b.tif").write_bytes(data)
    assert found(check(tmp_path), "IMG-105") == []


@pytest.mark.parametrize(
    ("name", "data", "rule"),
    [
        ("a.tif", b"", "IMG-103"),
        ("a.nd2", b"", "IMG-103"),
        ("a.tif", b"<!DOCTYPE html><html><body>404</body></html>", "IMG-104"),
        ("a.czi", b"<html><head><title>Sign in</title></head></html>", "IMG-104"),
        ("a.tif", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "IMG-104"),
        ("a.tif", bytes(4000), "IMG-102"),
        ("a.tif", b"\x01\x02\x03\x04\x05\x06garbage" * 100, "IMG-102"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "IMG-101"),
        ("a.czi", b"ZISRAWFILE" + bytes(40), "IMG-101"),
    ],
)
def test_what_is_no_image_under_an_image_name_is_an_error(
    tmp_path: Path, name: str, data: bytes, rule: str
) -> None:
    (tmp_path / name).write_bytes(data)
    assert errors(check(tmp_path)) == {rule}


def test_a_picture_under_another_name_is_told(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    (tmp_path / "a.tif").rename(tmp_path / "a.png")
    assert errors(check(tmp_path)) == {"IMG-104"}


def test_other_files_and_thumbs_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "P1"
    image(folder / "a.tif")
    image(folder / "a_thumb.tif")
    image(folder / ".git" / "b.tif")
    (folder / "notes.txt").write_text("x")
    report = check(folder)
    assert [f.path for f in report.files] == ["a.tif"]
    assert report.others == 2


def test_ignored_files_are_not_looked_at(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    image(tmp_path / "overview" / "b.tif")
    assert [f.path for f in check(tmp_path, ignore=("overview/",)).files] == ["a.tif"]


@pytest.mark.samples
def test_a_file_without_a_reader_is_not_checked_and_not_passed(
    tmp_path: Path, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(samples / "nd2" / "example-zstack.nd2", tmp_path)
    hide(monkeypatch, "nd2")
    report = check(tmp_path)
    assert [f.id for f in report.findings] == ["IMG-901"]
    assert report.findings[0].severity is Severity.WARNING
    assert not report.files[0].reading.checked


def hide(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make a module look as if it were not installed."""

    class Hidden:
        def find_spec(self, wanted: str, *_: object) -> None:
            if wanted == name:
                raise ModuleNotFoundError(name=wanted)

    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Hidden(), *sys.meta_path])


def test_eight_bit_data_stretched_to_sixteen_are_told_with_their_step(tmp_path: Path) -> None:
    pixels = CHANCE.integers(0, 256, (64, 80), dtype=np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", pixels, metadata=None)
    report = check(tmp_path)
    (finding,) = [f for f in report.findings if f.id == "IMG-204"]
    assert "multiples of 257" in finding.found
    assert not found(check(tmp_path, pixels=Pixels.NONE), "IMG-204")


def test_an_image_that_once_was_a_jpeg_is_told(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(256), np.arange(256)) / 2
    noisy = np.clip(ramp + CHANCE.normal(0, 12, ramp.shape), 0, 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", noisy, metadata=None)
    once = imagecodecs.jpeg_decode(imagecodecs.jpeg_encode(noisy, level=40))
    tifffile.imwrite(tmp_path / "a.tif", once, metadata=None, compression="zlib")
    assert found(check(tmp_path), "IMG-203") == [("a.tif",)]


@pytest.mark.parametrize(
    ("pixels", "rule"),
    [
        (np.kron(np.eye(8, dtype=np.uint16), np.ones((8, 8), np.uint16)) * 255, "IMG-501"),
        (np.arange(64 * 64, dtype=np.float32).reshape(64, 64), "IMG-502"),
        (np.repeat(np.array([0, 1, 2, 5], np.uint16), 1024).reshape(64, 64), "IMG-504"),
    ],
)
def test_what_is_wrong_with_a_mask(tmp_path: Path, pixels: np.ndarray, rule: str) -> None:
    tifffile.imwrite(tmp_path / "B02_mask.tif", pixels, metadata=None)
    assert [f.id for f in check(tmp_path, level="masks").findings] == [rule]


def test_a_good_mask_has_nothing_to_say(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(4, dtype=np.uint16), 1024).reshape(64, 64)
    tifffile.imwrite(tmp_path / "B02_mask.tif", labels, metadata=None)
    assert check(tmp_path).findings == ()


def test_a_lossy_mask_is_an_error(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(4, dtype=np.uint8), 1024).reshape(64, 64)
    tifffile.imwrite(tmp_path / "B02_mask.tif", labels, compression="jpeg")
    assert "IMG-201" in errors(check(tmp_path))


def test_a_changed_pixel_under_an_unchanged_header_is_found_by_its_hash(tmp_path: Path) -> None:
    path = image(tmp_path / "P1" / "a.tif")
    data = bytearray(path.read_bytes())
    recorded = {"P1/a.tif": hashlib.md5(data).hexdigest(), "P1/b.tif": "0" * 32}
    assert errors(check(tmp_path, recorded={"P1/a.tif": recorded["P1/a.tif"]})) == set()
    data[-64:] = bytes(64)
    path.write_bytes(data)
    report = check(tmp_path, recorded=recorded)
    assert found(report, "IMG-106") == [("P1/a.tif",)]
    assert found(report, "IMG-401") == [("P1/b.tif",)]


def test_the_lab_decides_about_severities(tmp_path: Path) -> None:
    image(tmp_path / "a.tif")
    choice = {"IMG-301": SeverityChoice(Severity.ERROR, "calibrated work only")}
    (finding,) = [f for f in check(tmp_path, severities=choice).findings if f.id == "IMG-301"]
    assert (finding.severity, finding.reason) == (Severity.ERROR, "calibrated work only")


def test_unknown_compression_is_an_error_for_originals_only(tmp_path: Path) -> None:
    pixels = CHANCE.integers(0, 255, (64, 64), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression="jpegxr")
    assert errors(check(tmp_path, level="raw")) == {"IMG-202"}
    assert errors(check(tmp_path, level="corrected")) == set()
    assert errors(check(tmp_path)) == set()


class Counting(ImageReaders):
    """Counts how many files were read."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, path: Path) -> Reading | None:
        self.reads += 1
        return super().read(path)


def test_an_unchanged_file_is_never_read_twice(tmp_path: Path) -> None:
    folder, cache = tmp_path / "images", tmp_path / "cache"
    image(folder / "a.tif")
    image(folder / "b.tif")
    options = CheckOptions(cache=cache)
    reader = Counting()
    first = check_files([folder], reader, root=folder, options=options)
    second = check_files([folder], reader, root=folder, options=options)
    assert reader.reads == 2
    assert second == first
    image(folder / "b.tif", high=200)
    check_files([folder], reader, root=folder, options=options)
    assert reader.reads == 3


def test_a_damaged_cache_is_no_reason_to_stop(tmp_path: Path) -> None:
    folder, cache = tmp_path / "images", tmp_path / "cache"
    image(folder / "a.tif")
    cache.mkdir()
    (cache / "check-1.sqlite").write_bytes(b"not a database" * 100)
    assert len(check(folder, cache=cache).files) == 1


HARMONY = """<?xml version="1.0" encoding="utf-8"?>
<EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5" Version="1">
<InstrumentType>Sonata</InstrumentType>
<Images Version="1">{images}</Images></EvaluationInputData>"""
HARMONY_IMAGE = """<Image Version="1"><id>{id}</id><State>Ok</State><URL>{url}</URL>
<ChannelID>1</ChannelID><ChannelName>DAPI</ChannelName>
<ImageResolutionX Unit="m">1.19595E-06</ImageResolutionX>
<ImageResolutionY Unit="m">1.19595E-06</ImageResolutionY><ImageSizeX>80</ImageSizeX>
<ImageSizeY>64</ImageSizeY><BinningX>2</BinningX>
<ObjectiveMagnification Unit="">10</ObjectiveMagnification>
<ObjectiveNA Unit="">0.3</ObjectiveNA><ExposureTime Unit="s">0.1</ExposureTime></Image>"""


def harmony(folder: Path, urls: list[str]) -> None:
    images = "".join(HARMONY_IMAGE.format(id=i, url=url) for i, url in enumerate(urls))
    (folder / "Index.xml").write_text(HARMONY.format(images=images))


def test_index_xml_tells_what_the_tiff_does_not(tmp_path: Path) -> None:
    name = "r01c01f01p01-ch1sk1fk1fl1.tiff"
    image(tmp_path / name)
    harmony(tmp_path, [name])
    report = check(tmp_path)
    facts = report.files[0].reading.facts
    assert facts["pixel_size_x"].value == pytest.approx(1.19595)
    assert facts["pixel_size_x"].source is Source.SIDECAR
    assert facts["model"].value == "Operetta CLS"
    assert facts["exposure"].value == 100
    assert not [f for f in report.findings if f.severity is not Severity.NOTE]


def test_an_image_that_index_xml_lists_and_the_folder_lacks_is_missing(tmp_path: Path) -> None:
    names = [f"r01c01f0{site}p01-ch1sk1fk1fl1.tiff" for site in (1, 2, 3)]
    for name in names[:2]:
        image(tmp_path / name)
    harmony(tmp_path, names)
    report = check(tmp_path)
    assert (names[2],) in found(report, "IMG-401")
    assert errors(report) == {"IMG-401"}


@pytest.mark.parametrize("url", ["../../etc/passwd", "..\\x.tiff", "a/../../b.tiff"])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, url: str) -> None:
    harmony(tmp_path, [url])
    assert errors(check(tmp_path)) == {"IMG-107"}


def test_an_index_that_declares_entities_is_refused(tmp_path: Path) -> None:
    text = HARMONY.format(images="").replace("?>", '?><!DOCTYPE a [<!ENTITY b "c">]>', 1)
    (tmp_path / "Index.xml").write_text(text)
    assert errors(check(tmp_path)) == {"IMG-107"}


YOKOGAWA = """<?xml version="1.0" encoding="utf-8"?>
<bts:MeasurementData bts:Version="1.0" xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0">
{rows}</bts:MeasurementData>"""
YOKOGAWA_ROW = """<bts:MeasurementRecord bts:Type="IMG" bts:Time="2023-09-18T13:58:44+02:00"
 bts:Ch="1">{name}</bts:MeasurementRecord>"""
YOKOGAWA_DETAIL = """<?xml version="1.0" encoding="utf-8"?>
<bts:MeasurementDetail xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"
 bts:TargetSystem="CV8000" bts:MeasurementSettingFileName="a.mes">
<bts:MeasurementChannel bts:Ch="1" bts:HorizontalPixelDimension="0.325"
 bts:VerticalPixelDimension="0.325" bts:HorizontalPixels="80" bts:VerticalPixels="64"/>
</bts:MeasurementDetail>"""


def test_mlf_and_mrf_tell_what_the_tiff_does_not(tmp_path: Path) -> None:
    names = [f"x_D0{c}_T0001F001L01A01Z01C01.tif" for c in range(1, 5)]
    for name in names[:3]:
        image(tmp_path / name)
    rows = "".join(YOKOGAWA_ROW.format(name=name) for name in names)
    (tmp_path / "MeasurementData.mlf").write_text("\ufeff" + YOKOGAWA.format(rows=rows), "utf-8")
    (tmp_path / "MeasurementDetail.mrf").write_text(YOKOGAWA_DETAIL)
    report = check(tmp_path)
    facts = report.files[0].reading.facts
    assert (facts["pixel_size_x"].value, facts["model"].value) == (0.325, "CV8000")
    assert facts["manufacturer"].value == "Yokogawa"
    assert found(report, "IMG-401") == [(names[3],)]


def htd(wells: str = "TRUE, TRUE", waves: int = 2) -> str:
    return "\n".join(
        [
            '"HTSInfoFile", Version 1.0',
            '"TimePoints", 1',
            '"XWells", 2',
            '"YWells", 1',
            f'"WellsSelection1", {wells}',
            '"Sites", TRUE',
            '"XSites", 2',
            '"YSites", 1',
            '"SiteSelection1", TRUE, TRUE',
            f'"NWavelengths", {waves}',
            *(f'"WaveCollect{w}", 1' for w in range(1, waves + 1)),
            '"EndFile"',
        ]
    )


def imagexpress(folder: Path) -> list[Path]:
    return [
        image(folder / "TimePoint_1" / f"plate_A0{well}_s{site}_w{wave}.TIF")
        for well in (1, 2)
        for site in (1, 2)
        for wave in (1, 2)
    ]


def test_htd_says_which_wells_sites_and_waves_must_be_there(tmp_path: Path) -> None:
    paths = imagexpress(tmp_path)
    (tmp_path / "plate.HTD").write_text(htd())
    assert errors(check(tmp_path)) == set()
    paths[5].unlink()
    report = check(tmp_path)
    assert ("plate_A02_s1_w2",) in found(report, "IMG-401")
    assert "IMG-401" in errors(report)


def test_a_wave_of_which_nothing_is_there_is_one_warning(tmp_path: Path) -> None:
    imagexpress(tmp_path)
    (tmp_path / "plate.HTD").write_text(htd(waves=3))
    report = check(tmp_path)
    assert found(report, "IMG-402") == [("plate.HTD",)]
    assert errors(report) == set()


def test_facts_that_disagree_are_told(tmp_path: Path) -> None:
    name = "r01c01f01p01-ch1sk1fk1fl1.tiff"
    image(tmp_path / name)
    harmony(tmp_path, [name])
    text = (tmp_path / "Index.xml").read_text().replace("<ImageSizeX>80", "<ImageSizeX>160")
    (tmp_path / "Index.xml").write_text(text)
    assert found(check(tmp_path), "IMG-305") == [(name,)]


@pytest.fixture(autouse=True)
def _modules() -> Iterator[None]:
    """Bring back modules that a test hid."""
    before: dict[str, ModuleType] = dict(sys.modules)
    yield
    sys.modules.update(before)


@pytest.mark.slow
def test_a_large_plane_is_measured_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    side = 12_000
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        rows = (np.full((64, side), 300 + n % 9, np.uint16) for n in range(-(-side // 64)))
        parts = (part[: side - 64 * n] for n, part in enumerate(rows))
        writer.write(parts, shape=(side, side), dtype=np.uint16, rowsperstrip=64, metadata=None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reader = ImageReaders()
    reading = reader.read(path)
    assert reading is not None
    pixels = reader.pixels(path, reading, planes=0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (pixels.error, pixels.low, pixels.high) == ("", 300, 308)
    assert grown < 150_000
