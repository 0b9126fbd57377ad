"""Every place public data are read from: listed first, pinned, verified, resumed, told when new."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import Struct
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from imgdata.api import init_project, open_project
from imgdata.errors import (
    CredentialsError,
    MachineError,
    PartlyDoneError,
    RefusedError,
    UsageError,
)
from imgdata.imports import Import, Importing
from imgdata.model.public_data import ChangedThere, Newer, Newest, NotAsked, Update
from imgdata.model.selection import parse_selection
from imgdata.testing import small_archives
from imgdata.testing.small_archives import SmallArchive
from imgdata.workflows.import_data import ImportPlan

FILES = {"B03_1.tif": b"one" * 200_000, "B03_2.tif": b"two" * 1000, "C04_1.tif": b"three" * 500}
MORE = {**FILES, "C04_2.tif": b"new"}
CONFIG = """version: 1
id: 5a1c0e526a534b6c9d413a0f5f0d9c11
title: NF1 pilot
creators: []
storages: {archive: {url: ../archive}}
levels:
  raw: {path: data/raw, unit: plate, key: "{well}_{site}.tif", storage: [archive]}
"""


class Place(Struct, frozen=True):
    """One kind of source: how it is filled, and what it is then expected to say."""

    name: str
    fill: Callable[[SmallArchive, dict[str, bytes], int], str]
    pinned: str
    licence: str
    citation: str
    has_checksums: bool
    newer: str
    variables: dict[str, str]


def _figshare(site: SmallArchive, files: dict[str, bytes], version: int) -> str:
    return f"figshare:{small_archives.figshare(site, files, version)}"


def _dryad(site: SmallArchive, files: dict[str, bytes], version: int) -> str:
    return f"dryad:{small_archives.dryad(site, files, 26723 + version)}"


def _bia(site: SmallArchive, files: dict[str, bytes], version: int) -> str:
    return f"bia:{small_archives.bioimage_archive(site, files, forwarded=version > 1)}"


def _idr(site: SmallArchive, files: dict[str, bytes], _version: int) -> str:
    return f"idr:{small_archives.idr(site, files)}"


def _bbbc(site: SmallArchive, files: dict[str, bytes], _version: int) -> str:
    page = "https://creativecommons.org/licenses/by/3.0/"
    return f"bbbc:{small_archives.bbbc(site, files, page)}"


def _web(site: SmallArchive, files: dict[str, bytes], _version: int) -> str:
    small_archives.folder(site, "/set/", files)
    return f"{site.base}/set/"


PLACES = (
    Place(
        "figshare",
        _figshare,
        "figshare:22233700.v1",
        "CC-BY-4.0",
        "Ada Lovelace (2026). Schwann cells alert(1). figshare. "
        "https://doi.org/10.6084/m9.figshare.22233700.v1",
        has_checksums=True,
        newer="figshare:22233700.v2",
        variables={"IMGDATA_FIGSHARE_URL": "/v2"},
    ),
    Place(
        "dryad",
        _dryad,
        "dryad:10.5061/dryad.small@26724",
        "CC0-1.0",
        "Lovelace, Ada (2026). Schwann cells. Dryad. https://doi.org/10.5061/dryad.small",
        has_checksums=True,
        newer="dryad:10.5061/dryad.small@26725",
        variables={"IMGDATA_DRYAD_URL": "/api/v2"},
    ),
    Place(
        "bia",
        _bia,
        "bia:S-BIAD634",
        "CC-BY-4.0",
        "Ada Lovelace (2025). Embryos. BioImage Archive, S-BIAD634. "
        "https://doi.org/10.6019/S-BIAD634",
        has_checksums=False,
        newer="",
        variables={"IMGDATA_BIA_URL": "/biostudies"},
    ),
    Place(
        "idr",
        _idr,
        "idr:idr0033-rohban-pathways",
        "CC0-1.0",
        "Rohban MH, Singh S (2017). Systematic morphological profiling. "
        "Image Data Resource, idr0033-rohban-pathways. https://doi.org/10.17867/10000105",
        has_checksums=False,
        newer="",
        variables={"IMGDATA_IDR_FILES_URL": "/pub/databases/IDR", "IMGDATA_IDR_URL": ""},
    ),
    Place(
        "bbbc",
        _bbbc,
        "bbbc:BBBC021",
        "CC-BY-3.0",
        "Ljosa V. et al. (2012). Broad Bioimage Benchmark Collection, image set BBBC021. "
        "Nature Methods 9, 637. https://doi.org/10.1038/nmeth.2083",
        has_checksums=False,
        newer="",
        variables={"IMGDATA_BBBC_URL": "", "IMGDATA_BBBC_DATA_URL": "/bbbc"},
    ),
    Place(
        "web",
        _web,
        "",
        "",
        "",
        has_checksums=False,
        newer="",
        variables={},
    ),
)


@pytest.fixture
def site() -> Iterator[SmallArchive]:
    with small_archives.serve() as served:
        yield served


@pytest.fixture(params=PLACES, ids=lambda place: place.name)
def place(
    request: pytest.FixtureRequest, site: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> Place:
    found: Place = request.param
    point_to(site, found, monkeypatch)
    return found


def point_to(site: SmallArchive, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, path in place.variables.items():
        monkeypatch.setenv(variable, f"{site.base}{path}")
    monkeypatch.setenv("IMGDATA_DRYAD_TOKEN", small_archives.DRYAD_TOKEN)


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("blank") / "nf1"
    init_project(root, template="minimal", title="NF1 pilot")
    (root / "imgdata.yaml").write_text(CONFIG)
    return root


@pytest.fixture
def root(blank: Path, tmp_path: Path) -> Path:
    shutil.copytree(blank, tmp_path / "nf1", symlinks=True)
    return tmp_path / "nf1"


PROGRAM = Path(sys.executable).parent / "imgdata"


def planned(root: Path, reference: str, *select: str, unit: str = "P1") -> ImportPlan:
    return Importing(open_project(root)).plan(reference, select=parse_selection(select), unit=unit)


def bring(root: Path, reference: str, *select: str, unit: str = "P1") -> Import:
    importing = Importing(open_project(root, writing=True))
    plan = importing.plan(reference, select=parse_selection(select), unit=unit)
    return importing.add(plan, list(importing.fetch(plan)))


def updates(root: Path) -> list[Update]:
    return list(Importing(open_project(root)).check_updates())


def unit_files(root: Path, unit: str) -> dict[str, bytes]:
    here = root / "data" / "raw" / unit
    return {p.relative_to(here).as_posix(): p.read_bytes() for p in here.rglob("*") if p.is_file()}


def test_it_is_listed_selected_fetched_and_remembered_with_its_version(
    place: Place, site: SmallArchive, root: Path
) -> None:
    reference = place.fill(site, FILES, 1)
    record = planned(root, reference).record
    assert record.reference == (place.pinned or reference)
    assert (record.license, record.citation) == (place.licence, place.citation)
    sizes = {file.name: file.size for file in record.files}
    assert {name: sizes[name] for name in FILES} == {n: len(d) for n, d in FILES.items()}
    assert "<script>" not in repr(record)
    assert site.fetched() == []

    done = bring(root, reference, "file=B03*", "well=B3")
    part = {name: data for name, data in FILES.items() if name.startswith("B03")}
    assert unit_files(root, "P1") == part
    assert {one.checked for one in done.fetched} == {place.has_checksums}

    opened = open_project(root)
    (unit,) = opened.clone.units.by_level["raw"]
    origin = opened.config.origins[unit.origin or ""]
    assert (origin.kind, origin.access, origin.license or "") == ("public", "open", place.licence)
    assert origin.citation == (place.citation or None)
    (event,) = [one for one in opened.clone.events if one.event == "imported"]
    assert event.text("reference") == (place.pinned or reference)
    assert event.text("unit_version") == unit.version
    assert event.text("retrieved")
    files: Any = event.details["files"]
    assert {file["name"] for file in files} == set(part)
    assert all(len(file["sha256"]) == 64 for file in files)


def test_lineage_leads_to_the_source(place: Place, site: SmallArchive, root: Path) -> None:
    bring(root, place.fill(site, FILES, 1))
    (answer,) = open_project(root).lineage(["data/raw/P1/B03_1.tif"])
    leaf = repr(answer.nodes)
    (entry,) = yaml.safe_load((root / "imgdata.yaml").read_text())["origins"].values()
    assert entry["source"] in leaf
    assert entry.get("license", "") in leaf


def test_a_killed_import_goes_on_and_fetches_only_the_rest(
    place: Place, site: SmallArchive, root: Path
) -> None:
    reference = place.fill(site, FILES, 1)
    big = next(path for path, data in site.files.items() if data == FILES["B03_1.tif"])
    site.stall.add(big)
    words = ["import", reference, "--unit", "P1", "--select", "file=B03*", "--jobs", "1"]
    with subprocess.Popen(
        [PROGRAM, "--project", root, *words], stdout=subprocess.DEVNULL
    ) as running:
        assert site.stalled.wait(60)
        arriving = root / ".dvc" / "tmp" / "imgdata" / "import"
        _until(lambda: any(p.stat().st_size for p in arriving.rglob("*.imgdata-part")))
        os.kill(running.pid, signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    site.stall.clear()
    site.seen.clear()
    bring(root, reference, "file=B03*")
    assert unit_files(root, "P1") == {n: d for n, d in FILES.items() if n.startswith("B03")}
    (again,) = [one for one in site.seen if one.method == "GET" and one.path == big]
    assert 0 < again.start < len(FILES["B03_1.tif"])


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert true()


def test_more_of_the_same_version_extends_the_unit_and_fetches_only_what_is_new(
    place: Place, site: SmallArchive, root: Path
) -> None:
    reference = place.fill(site, FILES, 1)
    bring(root, reference, "file=B03*")
    site.seen.clear()
    done = bring(root, reference, "file=*_1.tif")
    assert len(site.fetched()) == len(done.fetched) == 1
    assert done.added.nfiles == 3
    assert unit_files(root, "P1") == FILES
    first, second = (e for e in open_project(root).clone.events if e.event == "imported")
    assert second.text("extends") == first.text("unit_version") != second.text("unit_version")
    again = planned(root, reference, "file=*_1.tif")
    assert (again.files, len(again.already)) == ((), 2)


def test_a_newer_version_is_told_and_not_mixed_in(
    place: Place, site: SmallArchive, root: Path
) -> None:
    reference = place.fill(site, FILES, 1)
    pinned = place.pinned or reference
    bring(root, reference)
    before = unit_files(root, "P1")
    assert updates(root) == [Newest("raw", "P1", pinned)]
    place.fill(site, {**MORE, "C04_1.tif": b"other" * 400}, 2)
    if place.newer:
        assert updates(root) == [Newer("raw", "P1", pinned, place.newer)]
        assert planned(root, pinned).files == ()
    else:
        changes = ("changed there: C04_1.tif",)
        assert updates(root) == [ChangedThere("raw", "P1", pinned, changes)]
    with pytest.raises(RefusedError, match=r"holds|changed"):
        bring(root, reference)
    assert unit_files(root, "P1") == before


def test_a_source_that_does_not_answer_is_named_and_the_others_are_asked(
    site: SmallArchive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in PLACES[:2]:
        point_to(site, place, monkeypatch)
        bring(root, place.fill(site, FILES, 1), unit=place.name)
    monkeypatch.setenv("IMGDATA_DRYAD_URL", f"{site.base}/gone")
    figshare, dryad = updates(root)
    assert isinstance(figshare, Newest)
    assert isinstance(dryad, NotAsked)
    done = subprocess.run(
        [PROGRAM, "--project", root, "import", "--check-updates"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "raw figshare: figshare:22233700.v1   newest" in done.stdout
    assert "1 of 2 sources could not be asked" in done.stderr


def test_all_files_of_a_long_article_come_with_their_folders(
    site: SmallArchive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(site, PLACES[0], monkeypatch)
    files = {f"plate/B{n:02}_1.tif": b"x" * n for n in range(1, 25)}
    bring(root, _figshare(site, files, 1))
    assert unit_files(root, "P1") == files


def test_dryads_files_need_an_account_and_its_token_stays_with_dryad(
    site: SmallArchive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(site, PLACES[1], monkeypatch)
    reference = _dryad(site, FILES, 1)
    monkeypatch.delenv("IMGDATA_DRYAD_TOKEN")
    with pytest.raises(CredentialsError) as caught:
        bring(root, reference)
    assert "IMGDATA_DRYAD_TOKEN" in caught.value.remedy
    monkeypatch.setenv("IMGDATA_DRYAD_TOKEN", small_archives.DRYAD_TOKEN)
    with small_archives.serve() as elsewhere:
        elsewhere.files["/x.tif"] = FILES["B03_1.tif"]
        listed = site.answers["/api/v2/versions/26724/files"]({"page": ["1"]})
        moved = listed["_embedded"]["stash:files"][0]
        moved["_links"]["stash:download"]["href"] = f"{elsewhere.base}/x.tif"
        bring(root, reference)
        asked = {one.authorization for one in elsewhere.seen}
    assert asked == {None}
    assert unit_files(root, "P1") == FILES


def test_what_a_study_keeps_as_zipped_folders_comes_as_zip(
    site: SmallArchive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(site, PLACES[2], monkeypatch)
    reference = _bia(site, {"x.tif": b"a well that only its file list names"}, 1)
    bring(root, reference, "well=B3")
    assert set(unit_files(root, "P1")) == {"x.tif"}
    bring(root, reference)
    assert unit_files(root, "P1")["embryo.zarr.zip"] == b"a zipped folder"


def test_idr_is_read_also_when_omero_does_not_answer(
    site: SmallArchive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(site, PLACES[3], monkeypatch)
    reference = _idr(site, FILES, 1)
    del site.answers["/webclient/"]
    record = planned(root, reference).record
    assert record.license == ""
    assert any("licence" in remark for remark in record.remarks)


def test_a_set_without_one_licence_says_so(
    site: SmallArchive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(site, PLACES[4], monkeypatch)
    small_archives.bbbc(site, FILES, "")
    record = planned(root, "bbbc:bbbc021").record
    assert record.license == ""
    assert any("states no licence" in remark for remark in record.remarks)


@pytest.mark.specs
@pytest.mark.parametrize("name", ["figshare", "dryad"])
def test_requests_and_answers_fit_the_services_description(
    name: str, site: SmallArchive, root: Path, monkeypatch: pytest.MonkeyPatch, specs: Path
) -> None:
    place = next(one for one in PLACES if one.name == name)
    point_to(site, place, monkeypatch)
    bring(root, place.fill(site, FILES, 1))
    place.fill(site, MORE, 2)
    assert isinstance(updates(root)[0], Newer)
    api, host = _description(name, specs)
    said = [one for one in site.exchanges if one.status == 200]
    assert len(said) >= 4
    for one in said:
        request = MockRequest(
            host,
            one.method.lower(),
            one.path,
            args=dict(pair.split("=") for pair in one.query.split("&") if pair),
        )
        wrong = [*api.iter_request_errors(request)]
        wrong += api.iter_response_errors(request, MockResponse(one.answer, one.status))
        assert wrong == [], (
            f"{one.path}: {[getattr(e.__cause__, 'schema_errors', e) for e in wrong]}"
        )


def _description(name: str, specs: Path) -> tuple[OpenAPI, str]:
    """Return a service's description, with what is broken in it mended (see its NOTES)."""
    if name == "figshare":
        document = json.loads((specs / "figshare-v2.0-openapi.json").read_text())
        document["servers"] = [{"url": "https://api.figshare.com/v2"}]
        return OpenAPI.from_dict(document), "https://api.figshare.com"
    document = yaml.safe_load((specs / "dryad-openapi.yml").read_text())
    read = ("/datasets/{doi}", "/versions/{id}", "/versions/{id}/files", "/files/{id}/download")
    document["paths"] = {path: document["paths"][path] for path in read}
    answers = list(document["components"]["responses"].values())
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                operation.pop("security", None)
                answers += operation.get("responses", {}).values()
    for answer in answers:
        if "$ref" not in answer:
            answer.setdefault("description", "")
            answer.pop("examples", None)
        for content in answer.get("content", {}).values():
            content.pop("examples", None)
    affiliations = document["components"]["schemas"]["author"]["properties"]["affiliations"]
    affiliations["items"] = {"type": "object"}
    return OpenAPI.from_dict(document), "https://datadryad.org"


def test_data_of_ones_own_never_take_on_a_public_origin(
    site: SmallArchive, root: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "B09_1.tif").write_bytes(b"not published yet")
    project = open_project(root, writing=True)
    list(project.add(project.plan_add("raw", [own], unit="P1")))
    with pytest.raises(RefusedError, match="raw P1 exists and was not imported"):
        bring(root, _web(site, FILES, 1))
    assert site.fetched() == []
    (unit,) = open_project(root).clone.units.by_level["raw"]
    assert unit.origin is None


def test_a_level_without_units_is_extended_too(site: SmallArchive, root: Path) -> None:
    config = root / "imgdata.yaml"
    config.write_text(config.read_text().replace("unit: plate", "unit: none"))
    reference = _web(site, FILES, 1)
    bring(root, reference, "file=B03*")
    bring(root, reference, unit="ignored")
    here = root / "data" / "raw"
    assert {p.name for p in here.iterdir() if p.suffix == ".tif"} == set(FILES)
    with pytest.raises(RefusedError, match="raw holds"):
        bring(root, f"{reference}B03_1.tif")


def test_a_file_with_another_checksum_is_not_kept_and_comes_when_it_is_right(
    site: SmallArchive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(site, PLACES[0], monkeypatch)
    reference = _figshare(site, FILES, 1)
    (path,) = [path for path, data in site.files.items() if data == FILES["C04_1.tif"]]
    site.files[path] = FILES["C04_1.tif"][::-1]
    with pytest.raises(PartlyDoneError, match="1 of 3 files") as caught:
        bring(root, reference)
    assert caught.value.cause == "C04_1.tif: C04_1.tif is not what its source says"
    assert not (root / "data" / "raw" / "P1").exists()
    site.files[path] = FILES["C04_1.tif"]
    site.seen.clear()
    bring(root, reference)
    assert site.fetched() == [path]
    assert unit_files(root, "P1") == FILES


def test_one_record_is_fetched_by_one_import_at_a_time(site: SmallArchive, root: Path) -> None:
    importing = Importing(open_project(root, writing=True))
    plan = importing.plan(_web(site, FILES, 1), unit="P1")
    first = importing.fetch(plan, jobs=1)
    next(first)
    with pytest.raises(MachineError, match="another import of the same record"):
        list(importing.fetch(plan))
    importing.add(plan, [*first, *importing.fetch(plan)])
    assert unit_files(root, "P1") == FILES


@pytest.mark.parametrize("unit", ["a/b", ".hidden", "x.dvc", "a\nb"])
def test_a_name_that_is_no_units_is_refused_before_anything_is_fetched(
    site: SmallArchive, root: Path, unit: str
) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a unit"):
        bring(root, _web(site, FILES, 1), unit=unit)
    assert site.fetched() == []


def test_a_page_for_people_is_not_taken_for_a_file(site: SmallArchive, root: Path) -> None:
    site.answers["/dataset"] = "<html>a landing page</html>"
    with pytest.raises(UsageError, match="is a page for people"):
        planned(root, f"{site.base}/dataset")


def test_a_collection_is_told_from_an_article(root: Path) -> None:
    with pytest.raises(UsageError, match="is a collection"):
        planned(root, "doi:10.6084/m9.figshare.c.1234567.v1")


def test_the_id_of_all_versions_gives_the_newest_and_that_one_is_pinned(
    site: SmallArchive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGDATA_ZENODO_URL", site.base)
    newest = {
        "id": "102",
        "parent": {"id": "100"},
        "pids": {"doi": {"identifier": "10.5281/zenodo.102"}},
        "metadata": {"title": "Cells", "version": "v2", "rights": [{"id": "cc-by-4.0"}]},
    }
    # Zenodo leads from the concept id, and from `latest`, to the newest record.
    for path in ("100", "102", "101/versions/latest", "102/versions/latest"):
        site.answers[f"/api/records/{path}"] = newest
    site.answers["/api/records/101"] = {**newest, "id": "101"}
    data = FILES["C04_1.tif"]
    for record in ("101", "102"):
        site.files[f"/api/records/{record}/files/C04_1.tif/content"] = data
        entry = {"key": "C04_1.tif", "size": len(data), "checksum": f"md5:{md5(data).hexdigest()}"}
        site.answers[f"/api/records/{record}/files"] = {"entries": [entry]}
    done = bring(root, "doi:10.5281/zenodo.100", unit="P2")
    assert done.added.nfiles == 1
    bring(root, "zenodo:101", unit="P1")
    assert updates(root) == [
        Newest("raw", "P2", "zenodo:102"),
        Newer("raw", "P1", "zenodo:101", "zenodo:102"),
    ]
