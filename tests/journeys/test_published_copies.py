"""A published deposit is a copy: listed, counted, read back, and the last place to pull from."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from imgdata.api import Project, init_project, open_project
from imgdata.model.selection import parse_selection
from imgdata.repositories import DepositOptions, Publishing
from imgdata.testing import small_figshare, small_inveniordm
from imgdata.testing.inveniordm import RealInvenio
from imgdata.testing.small_figshare import SmallFigshare
from imgdata.testing.small_inveniordm import SmallInvenio
from imgdata.testing.small_project import call
from imgdata.testing.small_site import Fault, SmallSite
from imgdata.workflows.drop_plan import DropOptions
from imgdata.workflows.pull_unit import Pulled, PullOptions
from imgdata.workflows.verify import Verified, VerifyOptions
from imgdata.workflows.whereis import WhereisOptions

CONFIG = """
version: 1
id: 5a1c0e526a534b6c9d413a0f5f0d9c11
title: NF1 pilot
description: Schwann cells, two plates.
license: CC-BY-4.0
creators: [{name: Ada Lovelace}]
keywords: [Cell Painting]
commit: never
origins: {own: {kind: own, access: open, license: CC-BY-4.0}}
storages: {archive: {url: ../archive}}
repositories: {zenodo: {url: "URL"}}
levels:
  raw: {path: data/raw, unit: plate, key: "{plate}/{well}_{site}.tif", origin: own,
        storage: [archive, zenodo]}
"""
SIZE = 3_000


class Site(Struct):
    """A repository to publish in: its url in imgdata.yaml, its token, and the small server."""

    url: str
    token: str
    small: SmallSite | None


@pytest.fixture
def invenio() -> Iterator[Site]:
    with small_inveniordm.serve() as served:
        yield Site(f"invenio:{served.base}", small_inveniordm.TOKEN, served)


@pytest.fixture
def figshare() -> Iterator[Site]:
    with small_figshare.serve() as served:
        yield Site(f"figshare:{served.base}/v2", small_figshare.TOKEN, served)


@pytest.fixture
def real(inveniordm: RealInvenio) -> Site:
    return Site(f"invenio:{inveniordm.address}", inveniordm.token, None)


REAL = pytest.param("real", marks=[pytest.mark.server, pytest.mark.xdist_group("inveniordm")])
EVERY = ["invenio", "figshare", REAL]


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Site:
    found: Site = request.getfixturevalue(getattr(request, "param", "invenio"))
    return found


@pytest.fixture
def project(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A plate of 24 images and one of 3, committed and published; no token any more."""
    root = tmp_path / "nf1"
    init_project(root, template="minimal", title="NF1 pilot")
    (root / "imgdata.yaml").write_text(CONFIG.replace("URL", site.url))
    (root / "metadata" / "figshare.yaml").write_text("categories: Cell Biology\n")
    for plate, count in (("P1", 24), ("P2", 3)):
        source = tmp_path / "microscope" / plate
        source.mkdir(parents=True)
        for number in range(count):
            name = f"{'ABCDEFGH'[number // 3]}03_{number % 3 + 1}.tif"
            (source / name).write_bytes(f"{plate} {name} ".encode() * (SIZE // 12))
        opened = open_project(root, writing=True)
        list(opened.add(opened.plan_add("raw", [source])))
    call(root, "git", "add", "-A")
    call(root, "git", "commit", "-qm", "All")
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", site.token)
    publishing = Publishing(open_project(root, writing=True).clone, "zenodo")
    publishing.deposit(publishing.plan(["raw"]))
    publishing.publish(["raw"])
    monkeypatch.delenv("IMGDATA_ZENODO_TOKEN")
    call(root, "git", "add", "-A")
    call(root, "git", "commit", "-qm", "Publish")
    if site.small is not None:
        site.small.sent.clear()
        site.small.requests.clear()
    return open_project(root, writing=True)


def empty(project: Project) -> None:
    """Remove workspace and cache."""
    call(project.root, "chmod", "-R", "u+w", "data", ".dvc/cache")
    shutil.rmtree(project.root / "data" / "raw" / "P1")
    shutil.rmtree(project.root / "data" / "raw" / "P2")
    shutil.rmtree(project.root / ".dvc" / "cache")


def pull(root: Path, *, select: str = "", source: str = "") -> list[Pulled]:
    selection = parse_selection([select] if select else [])
    options = PullOptions((source,) if source else (), selection)
    found = list(open_project(root, writing=True).pull(["raw"], options))
    return [one for one in found if isinstance(one, Pulled)]


def images(root: Path) -> dict[str, bytes]:
    raw = root / "data" / "raw"
    return {p.relative_to(raw).as_posix(): p.read_bytes() for p in raw.rglob("*.tif")}


@pytest.mark.parametrize("site", EVERY, indirect=True)
def test_whereis_lists_it_and_drop_counts_it(project: Project) -> None:
    found = list(project.whereis(["raw"], WhereisOptions(remote=True)))
    for one in found:
        (line,) = [line for line in one.lines if line.storage == "zenodo"]
        assert (line.files, line.how, line.counts, line.cost) == (one.files, "checksum", True, None)
        assert "https://doi.org/10." in line.place
        assert one.short == ()
    plan = project.plan_drop(["raw"], DropOptions())
    assert plan.unsafe == ()
    assert plan.files == 27
    assert {why.why for version in plan.versions for why in version.safe} == {
        "1 checked copy (zenodo)"
    }


@pytest.mark.parametrize("site", EVERY, indirect=True)
def test_a_fresh_clone_gets_all_back_without_storage_and_token(
    project: Project, tmp_path: Path, site: Site
) -> None:
    before = images(project.root)
    call(tmp_path, "git", "clone", "-q", project.root, tmp_path / "clone")
    done = pull(tmp_path / "clone")
    assert images(tmp_path / "clone") == before
    assert [(one.bad, one.sources) for one in done] == [((), ("zenodo",))] * 2
    if site.small is not None:
        assert not any("Authorization" in one.headers for one in site.small.requests)
        packs = [one for one in site.small.sent if one.size > 24 * SIZE // 2]
        assert len(packs) == 1, "neighbours are read by one request"


@pytest.mark.parametrize("site", EVERY, indirect=True)
def test_one_image_is_one_range_request(project: Project, site: Site) -> None:
    before = images(project.root)
    empty(project)
    (one, _) = pull(project.root, select="well=C03", source="zenodo")
    assert (one.placed, one.left, one.bad) == (3, 21, ())
    assert images(project.root) == {k: v for k, v in before.items() if "C03" in k}
    if site.small is None:
        return
    first = [sent for sent in site.small.sent if sent.range]
    assert len(first) == 1
    assert first[0].size < 4 * SIZE
    site.small.sent.clear()
    pull(project.root, select="site=1")
    assert sum(sent.size for sent in site.small.sent if sent.range) < 24 * (SIZE + 300)


@pytest.mark.parametrize("site", ["invenio", "figshare"], indirect=True)
def test_a_server_without_ranges_gives_the_pack_once(project: Project, site: Site) -> None:
    assert site.small is not None
    before = images(project.root)
    empty(project)
    site.small.ranges = False
    pull(project.root, select="well=C03")
    assert images(project.root) == {k: v for k, v in before.items() if "C03" in k}
    whole = [sent for sent in site.small.sent if sent.size > 20 * SIZE]
    assert len(whole) == 2, "refused as a range, then taken as a whole"
    pull(project.root)
    assert images(project.root) == before
    assert not list((project.root / ".dvc" / "tmp" / "imgdata").glob("tmp*"))


@pytest.mark.parametrize("site", ["invenio", "figshare"], indirect=True)
def test_a_dropped_connection_goes_on_where_it_stopped(project: Project, site: Site) -> None:
    assert site.small is not None
    before = images(project.root)
    empty(project)
    site.small.faults.append(Fault("GET", r"P1\.zip|/files/\d+$", 0, cut=5_000, times=2))
    pull(project.root)
    assert images(project.root) == before


@pytest.mark.parametrize("site", ["invenio", "figshare"], indirect=True)
def test_a_rate_limit_is_waited_for(project: Project, site: Site) -> None:
    assert site.small is not None
    before = images(project.root)
    empty(project)
    limit = Fault("GET", r"P1\.zip|/files/\d+$", 429, headers={"Retry-After": "0"}, times=2)
    site.small.faults.append(limit)
    pull(project.root)
    assert images(project.root) == before


@pytest.mark.parametrize("site", EVERY, indirect=True)
def test_it_is_read_back_and_its_evidence_is_renewed(project: Project) -> None:
    done = list(project.verify(["raw"], VerifyOptions(on=("zenodo",))))
    assert all(isinstance(one, Verified) and not one.bad for one in done)
    assert sum(one.checked for one in done if isinstance(one, Verified)) == 27 + 2
    for one in open_project(project.root).whereis(["raw"], WhereisOptions()):
        (line,) = [line for line in one.lines if line.storage == "zenodo"]
        assert line.how == "read"


def test_a_budget_reads_a_part_and_the_next_run_the_rest(project: Project) -> None:
    def verify() -> Verified:
        options = VerifyOptions(on=("zenodo",), budget=12 * SIZE)
        found = list(open_project(project.root, writing=True).verify(["raw"], options))
        return next(one for one in found if isinstance(one, Verified) and one.checked)

    first, second = verify(), verify()
    assert first.left > 0
    assert first.checked + second.checked > 12


def spoil(site: Site, change: Callable[[bytes], bytes]) -> None:
    """Change the pack's bytes behind the repository's back."""
    if isinstance(site.small, SmallInvenio):
        (record,) = site.small.live
        record.data["raw_P1.zip"] = change(record.data["raw_P1.zip"])
    elif isinstance(site.small, SmallFigshare):
        (article,) = site.small.live
        (pack,) = [one for one in article.versions[1] if one.name == "raw_P1.zip"]
        data = change(pack.data)
        pack.parts = {1: data}


@pytest.mark.parametrize("site", ["invenio", "figshare"], indirect=True)
def test_a_file_inside_a_pack_that_differs_is_named(project: Project, site: Site) -> None:
    spoil(site, lambda data: data.replace(b"P1 C03_2.tif P1", b"P1 C03_2.tif P7", 1))
    done = list(project.verify(["raw"], VerifyOptions(on=("zenodo",))))
    bad = [file for one in done if isinstance(one, Verified) for file in one.bad]
    assert [file.names for file in bad] == [("data/raw/P1/C03_2.tif",)]
    empty(project)
    (project.root.parent / "archive").mkdir()
    (one, _) = pull(project.root)
    assert [line.split(":")[0] for line in one.bad] == ["data/raw/P1/C03_2.tif"]
    assert not (project.root / "data/raw/P1/C03_2.tif").exists()
    assert one.placed == 23


def test_a_changed_checksum_does_not_count_any_more(project: Project, site: Site) -> None:
    assert isinstance(site.small, SmallInvenio)
    (record,) = site.small.live
    record.files["raw_P1.zip"]["checksum"] = "md5:" + "0" * 32
    plan = project.plan_drop(["raw"], DropOptions())
    assert sum(len(one.names) for one in plan.unsafe) == 24
    assert all("another size or checksum there" in one.why for one in plan.unsafe)


@pytest.mark.parametrize("site", ["invenio", "figshare"], indirect=True)
def test_a_removed_record_is_found_and_noted(project: Project, site: Site) -> None:
    if isinstance(site.small, SmallInvenio):
        (record,) = site.small.live
        record.removed = "asked for by its owner"
    elif isinstance(site.small, SmallFigshare):
        site.small.articles.clear()
    assert project.plan_drop(["raw"], DropOptions()).files == 0
    done = list(project.verify(["raw"], VerifyOptions(on=("zenodo",))))
    bad = [file for one in done if isinstance(one, Verified) for file in one.bad]
    assert {file.how for file in bad} == {"missing"}
    assert all("10." in why for one in done if isinstance(one, Verified) for why in one.why)
    for one in open_project(project.root).whereis(["raw"], WhereisOptions()):
        (line,) = [line for line in one.lines if line.storage == "zenodo"]
        assert (line.files, line.counts) == (0, False)


def test_a_draft_is_no_copy(
    project: Project, site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "microscope" / "P3"
    source.mkdir()
    (source / "B03_1.tif").write_bytes(b"P3")
    list(project.add(project.plan_add("raw", [source])))
    call(project.root, "git", "add", "-A")
    call(project.root, "git", "commit", "-qm", "P3")
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", site.token)
    publishing = Publishing(open_project(project.root, writing=True).clone, "zenodo")
    publishing.deposit(publishing.plan(["raw"]), new_version=True)
    plan = open_project(project.root).plan_drop(["raw"], DropOptions())
    assert [name for one in plan.unsafe for name in one.names] == ["data/raw/P3/B03_1.tif"]
    publishing.publish(["raw"])
    plan = open_project(project.root).plan_drop(["raw"], DropOptions())
    assert plan.unsafe == ()


def test_closed_files_count_for_those_who_may_read_them(
    project: Project, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(site.small, SmallInvenio)
    (record,) = site.small.live
    record.body["access"]["files"] = "restricted"
    plan = open_project(project.root).plan_drop(["raw"], DropOptions())
    assert plan.files == 0
    assert "zenodo" in plan.offline
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", site.token)
    assert open_project(project.root).plan_drop(["raw"], DropOptions()).files == 27
    empty(project)
    pull(project.root)
    assert len(images(project.root)) == 27


def test_a_sandbox_never_counts_and_another_address_says_nothing(project: Project) -> None:
    path = project.root / "imgdata.yaml"
    text = path.read_text()
    (url,) = [line.split('"')[1] for line in text.splitlines() if "zenodo: {url" in line]
    path.write_text(text.replace(url, "zenodo:production"))
    assert open_project(project.root).clone.deposits == {}
    log = next((project.root / ".imgdata" / "log").rglob("*.jsonl"))
    for log in (project.root / ".imgdata" / "log").rglob("*.jsonl"):
        address = url.removeprefix("invenio:")
        log.write_text(log.read_text().replace(address, "https://sandbox.zenodo.org"))
    path.write_text(text.replace(url, "zenodo:sandbox"))
    for one in open_project(project.root).whereis(["raw"], WhereisOptions()):
        (line,) = [line for line in one.lines if line.storage == "zenodo"]
        assert not line.counts
        assert any("sandbox" in note for note in line.notes)


def test_what_was_published_in_part_is_no_whole_copy(
    project: Project, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", site.token)
    publishing = Publishing(open_project(project.root, writing=True).clone, "zenodo")
    options = DepositOptions(select=parse_selection(["well=A03"]))
    publishing.deposit(publishing.plan(["raw"], options), new_version=True)
    publishing.publish(["raw"])
    (first, second) = open_project(project.root).clone.deposits["zenodo"]
    assert len(first.contents) == 2
    assert [content[1] for content in second.contents] == ["P2"]
