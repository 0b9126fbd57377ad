"""Read the index files microscopes write beside their images.

Harmony's Index.xml and Index.idx.xml (Opera Phenix, Operetta), Yokogawa's MeasurementData.mlf
and MeasurementDetail.mrf (CV7000, CV8000, CQ1), MetaXpress's HTD (ImageXpress).
"""

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from xml.etree.ElementTree import Element

from imgdata.images.bounded_file import LIMIT_BYTES, BoundedFile
from imgdata.images.fact_book import FactBook, milliseconds
from imgdata.images.harmony import instrument_name
from imgdata.images.safe_xml import (
    BadXmlError,
    UnsafeXmlError,
    as_number,
    attributes,
    child,
    children,
    descendants,
    first,
    parse,
)
from imgdata.model.facts import ExpectedImage, Fact, Sidecar, Source, Symptom

HARMONY = frozenset({"index.xml", "index.idx.xml"})
YOKOGAWA = "measurementdata.mlf"
YOKOGAWA_DETAIL = "measurementdetail.mrf"
MAX_EXPECTED = 5_000_000


def read_sidecar(path: Path) -> Sidecar | None:
    """Read one index file; None when the name is not that of one."""
    name = path.name.lower()
    if name in HARMONY:
        return _guarded(path, "harmony", _harmony)
    if name == YOKOGAWA:
        return _guarded(path, "yokogawa", _yokogawa)
    if name.endswith(".htd"):
        return _guarded(path, "imagexpress", _imagexpress)
    return None


def _content(path: Path) -> bytes:
    with BoundedFile(path) as file:
        return file.some(0, LIMIT_BYTES * 4)


def _guarded(path: Path, kind: str, reader: object) -> Sidecar | None:
    where = str(PurePosixPath(path))
    try:
        return reader(path, where)  # type: ignore[operator,no-any-return]  # one of the three below
    except UnsafeXmlError as error:
        return Sidecar(where, kind, symptoms=(Symptom("IMG-107", f"{path.name}: {error.problem}"),))
    except BadXmlError as error:
        found = Symptom("IMG-102", f"{path.name}: {error.problem}", "a readable index", "warning")
        return Sidecar(where, kind, symptoms=(found,))


def safe_name(text: str) -> str | None:
    """Return a listed file name as a path below the folder, or None if it leads out of it."""
    posix = text.strip().replace("\\", "/")
    if not posix or "\0" in posix:
        return None
    if PureWindowsPath(posix).drive or posix.startswith("/"):
        return PurePosixPath(posix).name or None
    if ".." in PurePosixPath(posix).parts:
        return None
    return str(PurePosixPath(posix))


def _leads_out(names: list[str], sidecar: str) -> tuple[Symptom, ...]:
    if not names:
        return ()
    found = f"{sidecar} names {len(names)} paths outside its folder, as {names[0][:80]}"
    return (Symptom("IMG-107", found, "paths below its folder"),)


def _said(node: Element | None, name: str) -> str:
    found = child(node, name)
    return (found.text or "").strip() if found is not None and found.text else ""


# Harmony ------------------------------------------------------------------------------------


def _harmony(path: Path, where: str) -> Sidecar | None:
    root = parse(_content(path))
    if (
        not root.tag.endswith(("EvaluationInputData", "HarmonyIndex"))
        and first(root, "Images") is None
    ):
        return None
    shared = FactBook(Source.SIDECAR)
    shared.put("manufacturer", "PerkinElmer", f"{path.name} (Harmony)")
    instrument = first(root, "InstrumentType")
    if instrument is not None and instrument.text:
        shared.put("model", instrument_name(instrument.text), f"{path.name} InstrumentType")
    plate = first(root, "Plates", "Plate")
    shared.put("plate_type", _said(plate, "PlateTypeName"), f"{path.name} PlateTypeName")
    channels = {node.get("ChannelID", ""): node for node in descendants(root, "Entry") if len(node)}
    by_name: dict[str, dict[str, Fact]] = {}
    expected: list[ExpectedImage] = []
    outside: list[str] = []
    images = first(root, "Images")
    for node in children(images, "Image") if images is not None else ():
        url = _said(node, "URL")
        name = safe_name(url)
        if name is None:
            outside += [url] if url else []
            continue
        by_name[name.lower()] = _harmony_image(
            path.name, node, channels.get(_said(node, "ChannelID"))
        )
        if _said(node, "State") in {"", "Ok"} and len(expected) < MAX_EXPECTED:
            expected.append(ExpectedImage(name))
    return Sidecar(
        where, "harmony", shared.facts, by_name, tuple(expected), _leads_out(outside, path.name)
    )


def _harmony_image(name: str, node: Element, shared: Element | None) -> dict[str, Fact]:
    book = FactBook(Source.SIDECAR)
    for source in (node, shared):
        if source is None:
            continue
        for axis in "XY":
            key = f"ImageResolution{axis}"
            size = child(source, key)
            if size is not None:
                book.put_length(
                    f"pixel_size_{axis.lower()}",
                    as_number(size.text),
                    size.get("Unit", "m"),
                    f"{name} {key}",
                )
        book.put(
            "objective_magnification",
            as_number(_said(source, "ObjectiveMagnification")),
            f"{name} ObjectiveMagnification",
        )
        book.put("objective_na", as_number(_said(source, "ObjectiveNA")), f"{name} ObjectiveNA")
        exposure = child(source, "ExposureTime")
        if exposure is not None:
            book.put(
                "exposure",
                milliseconds(as_number(exposure.text), exposure.get("Unit", "s")),
                f"{name} ExposureTime",
                "ms",
            )
        book.put_channels([_said(source, "ChannelName")], f"{name} ChannelName")
        book.put("camera", _said(source, "CameraType"), f"{name} CameraType")
        binning = as_number(_said(source, "BinningX"))
        book.put("binning", int(binning) if binning else None, f"{name} BinningX")
        for fact, key in (
            ("excitation_wavelength", "MainExcitationWavelength"),
            ("emission_wavelength", "MainEmissionWavelength"),
        ):
            book.put(fact, as_number(_said(source, key)), f"{name} {key}", "nm")
        for fact, key in (("size_x", "ImageSizeX"), ("size_y", "ImageSizeY")):
            size_px = as_number(_said(source, key))
            book.put(fact, int(size_px) if size_px else None, f"{name} {key}")
        book.put("acquired", _said(source, "AbsTime"), f"{name} AbsTime")
    return book.facts


# Yokogawa -----------------------------------------------------------------------------------


def _yokogawa(path: Path, where: str) -> Sidecar | None:
    root = parse(_content(path))
    shared, channels = _yokogawa_detail(path.parent)
    by_name: dict[str, dict[str, Fact]] = {}
    expected: list[ExpectedImage] = []
    outside: list[str] = []
    for node in descendants(root, "MeasurementRecord"):
        said = attributes(node)
        if said.get("Type") != "IMG":
            continue
        name = safe_name(node.text or "")
        if name is None:
            outside.append(node.text or "")
            continue
        book = FactBook(Source.SIDECAR)
        book.put("acquired", said.get("Time"), f"{path.name} Time")
        by_name[name.lower()] = {**channels.get(said.get("Ch", ""), {}), **book.facts}
        if len(expected) < MAX_EXPECTED:
            expected.append(ExpectedImage(name))
    return Sidecar(
        where, "yokogawa", shared.facts, by_name, tuple(expected), _leads_out(outside, path.name)
    )


def _yokogawa_detail(folder: Path) -> tuple[FactBook, dict[str, dict[str, Fact]]]:
    shared = FactBook(Source.SIDECAR)
    channels: dict[str, FactBook] = {}
    detail = next((p for p in folder.iterdir() if p.name.lower() == YOKOGAWA_DETAIL), None)
    settings = ""
    if detail is not None:
        root = parse(_content(detail))
        said = attributes(root)
        shared.put("manufacturer", "Yokogawa", f"{detail.name} (bts schema)")
        shared.put("model", said.get("TargetSystem"), f"{detail.name} TargetSystem")
        settings = said.get("MeasurementSettingFileName", "")
        for node in descendants(root, "MeasurementChannel"):
            _yokogawa_channel(channels, attributes(node), detail.name)
    _yokogawa_settings(folder, settings, channels)
    return shared, {name: book.facts for name, book in channels.items()}


def _yokogawa_channel(channels: dict[str, FactBook], said: dict[str, str], name: str) -> None:
    book = channels.setdefault(said.get("Ch", ""), FactBook(Source.SIDECAR))
    for axis, key in (("x", "HorizontalPixelDimension"), ("y", "VerticalPixelDimension")):
        book.put_length(f"pixel_size_{axis}", as_number(said.get(key)), "um", f"{name} {key}")
    for fact, key in (("size_x", "HorizontalPixels"), ("size_y", "VerticalPixels")):
        count = as_number(said.get(key))
        book.put(fact, int(count) if count else None, f"{name} {key}")


def _yokogawa_settings(folder: Path, named: str, channels: dict[str, FactBook]) -> None:
    wanted = safe_name(named)
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".mes")
    chosen = [p for p in files if wanted and p.name.lower() == wanted.lower()] or files[:1]
    for path in chosen:
        for node in descendants(parse(_content(path)), "Channel"):
            said = attributes(node)
            book = channels.setdefault(said.get("Ch", ""), FactBook(Source.SIDECAR))
            book.put("objective", said.get("Objective"), f"{path.name} Objective")
            book.put(
                "objective_magnification",
                as_number(said.get("Magnification")),
                f"{path.name} Magnification",
            )
            book.put(
                "exposure",
                milliseconds(as_number(said.get("ExposureTime")), "ms"),
                f"{path.name} ExposureTime",
                "ms",
            )
            book.put_channels(
                [said.get("Fluorophore") or said.get("Acquisition") or said.get("Target", "")],
                f"{path.name} Channel",
            )


# ImageXpress --------------------------------------------------------------------------------


def _imagexpress(path: Path, where: str) -> Sidecar | None:
    said = dict(_htd_lines(_content(path)))
    if "HTSInfoFile" not in said:
        return None
    shared = FactBook(Source.SIDECAR)
    shared.put("manufacturer", "Molecular Devices", f"{path.name} (HTSInfoFile)")
    return Sidecar(where, "imagexpress", shared.facts, {}, tuple(_htd_images(path.stem, said)))


def _htd_lines(data: bytes) -> Iterator[tuple[str, list[str]]]:
    lines = data.decode("latin-1").splitlines()
    for row in csv.reader(lines[:10000], skipinitialspace=True):
        if row:
            yield row[0].strip(), [part.strip() for part in row[1:]]


def _count(said: dict[str, list[str]], name: str, most: int) -> int:
    found = as_number((said.get(name) or ["0"])[0])
    return int(found) if found is not None and 0 < found <= most else 0


def _selected(said: dict[str, list[str]], prefix: str, rows: int) -> Iterator[tuple[int, int]]:
    for row in range(1, rows + 1):
        for column, chosen in enumerate(said.get(f"{prefix}{row}", []), start=1):
            if chosen.upper() == "TRUE":
                yield row, column


def _letter(row: int) -> str:
    above, below = divmod(row - 1, 26)
    return (chr(ord("A") + above - 1) if above else "") + chr(ord("A") + below)


def _flag(said: dict[str, list[str]], name: str) -> bool:
    return (said.get(name) or [""])[0].upper() == "TRUE"


def _htd_images(stem: str, said: dict[str, list[str]]) -> Iterator[ExpectedImage]:
    wells = [
        f"{_letter(r)}{c:02d}"
        for r, c in _selected(said, "WellsSelection", _count(said, "YWells", 64))
    ]
    sites = _htd_sites(said)
    waves = range(1, _count(said, "NWavelengths", 64) + 1)
    times = range(1, _count(said, "TimePoints", 100_000) + 1)
    several = len(waves) > 1
    for well in wells:
        for site in sites:
            for wave in waves if several else (0,):
                name = f"{stem}_{well}" + (f"_s{site}" if site else "")
                name += f"_w{wave}" if wave else ""
                every = (said.get(f"WaveCollect{wave or 1}") or ["1"])[0] == "1"
                for time in times if every and len(times) > 1 else (0,):
                    yield ExpectedImage(
                        name, exact=False, folder=f"TimePoint_{time}" if time else ""
                    )


def _htd_sites(said: dict[str, list[str]]) -> list[int]:
    if not _flag(said, "Sites"):
        return [0]
    columns = _count(said, "XSites", 64)
    chosen = list(_selected(said, "SiteSelection", _count(said, "YSites", 64)))
    return [(row - 1) * columns + column for row, column in chosen] or [0]
