"""Public data come in pinned, verified and cited; malicious records harm nothing."""

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from imgdata.api import Project, init_project, open_project
from imgdata.deposits.public_records import InvenioRecords
from imgdata.deposits.web import Patience
from imgdata.deposits.web_folders import WebFolder
from imgdata.errors import RefusedError
from imgdata.imports import Importing
from imgdata.model.public_data import Fetched, NotFetched, PublicFile, PublicRecord
from imgdata.model.selection import parse_selection
from imgdata.testing import small_inveniordm
from imgdata.testing.inveniordm import free_port
from imgdata.testing.small_inveniordm import SmallInvenio
from imgdata.testing.small_project import call
from imgdata.transfer.fetch import PART, fetch_one
from imgdata.workflows.import_data import plan_import

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "reference" / "json" / "import.schema.json").read_text()
)
FILES = {"B03_1.tif": b"one" * 400_000, "B03_2.tif": b"two" * 1000, "C04_1.tif": b"three"}
CONFIG = """version: 1
id: 5a1c0e526a534b6c9d413a0f5f0d9c11
title: NF1 pilot
creators: []
repositories: {local: {url: "invenio:ADDRESS"}}
storages: {archive: {url: ../archive}}
levels:
  raw: {path: data/raw, unit: plate, key: "{well}_{site}.tif", storage: [archive]}   # keep me
"""


@pytest.fixture
def site() -> Iterator[SmallInvenio]:
    with small_inveniordm.serve() as served:
        _publish(served, FILES)
        yield served


def _publish(site: SmallInvenio, files: dict[str, bytes]) -> str:
    concept = next((one.concept for one in site.live), "")
    record = site.new(concept)
    record.index = len(site.live)
    record.published, record.doi = True, f"10.5072/{record.identifier}"
    record.body = {
        "metadata": {
            "title": "Plates <script>alert(1)</script>",
            "creators": [{"person_or_org": {"name": "Lovelace, Ada"}}],
            "publication_date": "2026-01-02",
            "rights": [{"id": "cc-by-4.0"}],
        }
    }
    for name, data in files.items():
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        record.files[name] = {"status": "completed", "size": len(data), "checksum": f"md5:{md5}"}
        record.data[name] = data
    return record.identifier


@pytest.fixture
def project(tmp_path: Path, site: SmallInvenio) -> Project:
    root = tmp_path / "nf1"
    init_project(root, template="minimal", title="NF1 pilot")
    (root / "imgdata.yaml").write_text(CONFIG.replace("ADDRESS", site.base))
    return open_project(root, writing=True)


def _imgdata(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return call(project.root, "imgdata", "--json", *words, check=False)


def test_a_record_becomes_a_unit_with_origin_licence_and_citation(
    project: Project, site: SmallInvenio
) -> None:
    identifier = site.live[0].identifier
    listed = json.loads(_imgdata(project, "import", f"local:{identifier}", "--dry-run").stdout)
    jsonschema.validate(listed, SCHEMA)
    assert listed["results"][0]["license"] == "CC-BY-4.0"
    assert "<script>" not in json.dumps(listed)
    assert not (project.root / "data" / "raw").exists() or not any(
        (project.root / "data" / "raw").glob("*.tif")
    )

    done = _imgdata(project, "import", f"local:{identifier}", "--unit", "P1", "--jobs", "2")
    assert done.returncode == 0, done.stderr + done.stdout
    jsonschema.validate(json.loads(done.stdout), SCHEMA)
    assert (project.root / "data/raw/P1/B03_1.tif").read_bytes() == FILES["B03_1.tif"]

    opened = open_project(project.root)
    (unit,) = opened.clone.units.by_level["raw"]
    origin = opened.config.origins[unit.origin or ""]
    assert (origin.kind, origin.license, origin.access) == ("public", "CC-BY-4.0", "open")
    assert origin.source == f"https://doi.org/10.5072/{identifier}"
    assert "# keep me" in (project.root / "imgdata.yaml").read_text()
    (event,) = [one for one in opened.clone.events if one.event == "imported"]
    assert event.text("reference") == f"local:{identifier}"
    assert event.text("retrieved")
    assert all(file["checked"] for file in event.details["files"])  # type: ignore[union-attr,call-overload,index]


def test_a_newer_version_is_told(project: Project, site: SmallInvenio) -> None:
    first = site.live[0].identifier
    assert _imgdata(project, "import", f"local:{first}", "--unit", "P1").returncode == 0
    second = _publish(site, {**FILES, "C04_2.tif": b"new"})
    document = json.loads(_imgdata(project, "import", "--check-updates").stdout)
    jsonschema.validate(document, SCHEMA)
    told = document["results"]
    assert told == [
        {
            "level": "raw",
            "unit": "P1",
            "reference": f"local:{first}",
            "newest": f"local:{second}",
            "newer": True,
            "state": "newer",
            "notes": [],
        }
    ]


@pytest.mark.parametrize(
    ("embargo", "said"),
    [
        ({"active": True, "until": "2099-06-01"}, "are under embargo until 2099-06-01"),
        ({"active": False, "reason": None}, "are restricted"),
    ],
)
def test_files_that_are_not_public_are_named_so(
    project: Project, site: SmallInvenio, embargo: dict[str, Any], said: str
) -> None:
    record = site.live[0]
    record.body["access"] = {"record": "public", "files": "restricted", "embargo": embargo}
    done = _imgdata(project, "import", f"local:{record.identifier}", "--dry-run")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, said in error["problem"]) == (4, True), error
    assert "Plates" in error["cause"]


@pytest.mark.parametrize("removed", [False, True])
def test_a_record_that_is_not_there_is_named(
    project: Project, site: SmallInvenio, *, removed: bool
) -> None:
    record = site.live[0]
    record.removed = "by its owner" if removed else ""
    asked = record.identifier if removed else "99999-small"
    error = json.loads(_imgdata(project, "import", f"local:{asked}").stdout)["error"]
    assert (error["kind"], asked in error["problem"]) == ("nothing-found", True), error
    assert ("removed" in error["problem"]) is removed


def test_a_host_that_does_not_answer_is_named(project: Project) -> None:
    done = _imgdata(project, "import", f"http://127.0.0.1:{free_port()}/set/", "--dry-run")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["problem"].startswith("127.0.0.1:")) == (4, True), error


def test_a_part_is_selected_by_the_key_or_by_name(project: Project, site: SmallInvenio) -> None:
    importing = Importing(project)
    for text, names in (("well=B3", ["B03_1.tif", "B03_2.tif"]), ("file=C04*", ["C04_1.tif"])):
        plan = importing.plan(f"local:{site.live[0].identifier}", select=parse_selection([text]))
        assert [file.name for file in plan.files] == names


@pytest.mark.parametrize(
    "name", ["../evil.tif", "/etc/cron.d/x", "a/../../b", "c:\\x", "a\x1b[2J", "B03_1.tif/x"]
)
def test_names_that_would_leave_the_folder_are_refused(
    project: Project, site: SmallInvenio, name: str
) -> None:
    identifier = _publish(site, {**FILES, name: b"x"})
    with pytest.raises(RefusedError, match="not safe"):
        Importing(project).plan(f"local:{identifier}")
    done = _imgdata(project, "import", f"local:{identifier}")
    assert done.returncode == 5
    assert "\x1b" not in done.stdout + done.stderr


def test_ten_thousand_entries_are_planned_quickly(project: Project) -> None:
    files = tuple(PublicFile(f"d/{n:05d}.tif", "http://x/", 1) for n in range(10_000))
    record = PublicRecord("zenodo:1", "x", "t", "", "", "", "", "", files)
    plan = plan_import(project.clone, record, "", parse_selection([]), "")
    assert len(plan.files) == 10_000


def test_a_file_that_is_not_what_the_record_says_is_not_kept(
    site: SmallInvenio, tmp_path: Path
) -> None:
    record = site.live[0]
    record.data["C04_1.tif"] = b"evil!"
    source = InvenioRecords(site.base, "local:")
    found = source.record(record.identifier)
    outcomes = [fetch_one(source, file, tmp_path) for file in found.files]
    source.close()
    (bad,) = [one for one in outcomes if isinstance(one, NotFetched)]
    assert bad.file.name == "C04_1.tif"
    assert not (tmp_path / "C04_1.tif").exists()


class _Ranged(BaseHTTPRequestHandler):
    """Serves one file, cuts the first answers short, and understands ranges."""

    data = bytes(range(256)) * 4000
    cuts = 2
    starts: list[int]
    protocol_version = "HTTP/1.0"

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        said = self.headers.get("Range", "")
        start = int(said[6:-1]) if said else 0
        self.starts.append(start)
        rest = self.data[start:]
        self.send_response(206 if said else 200)
        self.send_header("Content-Length", str(len(rest)))
        if said:
            whole = len(self.data)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()
        cut = len(self.starts) <= self.cuts
        self.wfile.write(rest[: len(rest) // 2] if cut else rest)


@pytest.fixture
def ranged() -> Iterator[tuple[str, type[_Ranged]]]:
    handler = type("Handler", (_Ranged,), {"starts": []})
    with _serving(handler) as base:
        yield f"{base}/file.bin", handler


class _serving:  # noqa: N801 - reads as a verb in with statements
    def __init__(self, handler: Any) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_a_dropped_download_goes_on_where_it_stopped(
    ranged: tuple[str, type[_Ranged]], tmp_path: Path
) -> None:
    url, handler = ranged
    source = WebFolder(Patience(tries=1, timeout=5))
    file = PublicFile("file.bin", url, len(handler.data))
    outcome = fetch_one(source, file, tmp_path)
    source.close()
    assert isinstance(outcome, Fetched)
    assert not outcome.checked
    assert (tmp_path / "file.bin").read_bytes() == handler.data
    assert not (tmp_path / f"file.bin{PART}").exists()
    assert handler.starts[0] == 0
    assert 0 < handler.starts[1] < handler.starts[2]


def test_a_web_folder_is_walked_and_nothing_beside_it(tmp_path: Path, project: Project) -> None:
    served = tmp_path / "served"
    (served / "set" / "inner").mkdir(parents=True)
    (served / "secret.txt").write_text("outside")
    (served / "set" / "a b.tif").write_bytes(b"a")
    (served / "set" / "inner" / "c.tif").write_bytes(b"cc")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with _serving(partial(quiet, directory=served)) as base:
        done = _imgdata(project, "import", f"{base}/set/", "--unit", "web")
        assert done.returncode == 0, done.stderr + done.stdout
    found = project.root / "data" / "raw" / "web"
    names = {p.relative_to(found).as_posix() for p in found.rglob("*") if p.is_file()}
    assert names == {"a b.tif", "inner/c.tif"}


@pytest.mark.parametrize(
    "reference",
    ["nonsense", "zenodo:../../x", "bia:x", "idr:1", "bbbc:1", "cpg:x", "s3:", "10.1/x y"],
)
def test_a_reference_that_makes_no_sense_is_a_sentence(project: Project, reference: str) -> None:
    done = _imgdata(project, "import", reference, "--dry-run")
    assert done.returncode in {1, 2, 4}, done.stdout
    assert json.loads(done.stdout)["error"]["problem"]
