"""The last look before a publication: all that nobody can change later, and who let it leave."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgdata.api import Project, init_project, open_project
from imgdata.testing import small_inveniordm
from imgdata.testing.small_inveniordm import SmallInvenio
from imgdata.testing.small_project import call
from imgdata.testing.small_site import Fault
from tests.schemas import document_of

CONFIG = """
version: 1
id: 5a1c0e526a534b6c9d413a0f5f0d9c11
title: NF1 Schwann cells, a pilot study with a title that takes more than one line of a terminal
description: Schwann cells, two plates.
license: CC-BY-4.0
creators:
  - {name: Ada Lovelace, orcid: 0000-0002-1825-0097}
  - {name: Grace Hopper}
keywords: [Cell Painting]
commit: never
origins:
  own: {kind: own, license: CC-BY-4.0}
  partner: {kind: academic-collaborator, license: CC-BY-4.0, access: restricted,
            release_on: 2099-01-01, may_leave: [], note: DTA section 4}
  early: {kind: academic-collaborator, license: CC-BY-4.0, access: restricted,
          release_on: 2020-01-01}
storages: {archive: {url: ../archive}}
repositories: {zenodo: {url: "invenio:ADDRESS"}}
levels:
  raw: {path: data/raw, unit: plate, key: "{plate}/{well}_{site}.tif", origin: own,
        storage: [archive]}
"""
TO = ("raw", "--to", "zenodo")


@pytest.fixture
def site() -> Iterator[SmallInvenio]:
    with small_inveniordm.serve() as served:
        yield served


def commit(root: Path, message: str) -> None:
    call(root, "git", "add", "-A")
    call(root, "git", "commit", "-qm", message)


def rewrite(root: Path, old: str, new: str) -> None:
    path = root / "imgdata.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.fixture
def project(tmp_path: Path, site: SmallInvenio, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A plate of one's own, one of a partner, and one whose release date has come."""
    root = tmp_path / "nf1"
    init_project(root, template="minimal", title="NF1 pilot")
    (root / "imgdata.yaml").write_text(CONFIG.replace("ADDRESS", site.base))
    (tmp_path / "archive").mkdir()
    for plate, origin in (("P1", "own"), ("P2", "partner"), ("P3", "early")):
        source = tmp_path / "microscope" / plate
        source.mkdir(parents=True)
        for number in range(12):
            (source / f"B{number + 1:02}_1.tif").write_bytes(f"{plate} {number}".encode() * 50)
        opened = open_project(root, writing=True)
        list(opened.add(opened.plan_add("raw", [source], origin=origin)))
    commit(root, "Three plates")
    monkeypatch.setenv("IMGDATA_ZENODO_TOKEN", small_inveniordm.TOKEN)
    return open_project(root, writing=True)


def publish(project: Project, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return call(project.root, "imgdata", "publish", *TO, *words, check=check)


def told(project: Project, *words: str) -> dict[str, Any]:
    done = call(project.root, "imgdata", "--json", "publish", *TO, *words, check=False)
    return document_of("publish", done.stdout)


def test_the_last_question_shows_what_nobody_can_change_later(project: Project) -> None:
    publish(project, "--embargo", "2099-03-04")
    asked = publish(project, "--publish", check=False)
    assert asked.returncode == 5
    said = asked.stdout
    assert max(map(len, said.splitlines())) <= 80
    flat = " ".join(said.split())
    for fact in (
        "title: NF1 Schwann cells, a pilot study with a title that takes more than one line",
        "creators: Lovelace, Ada; Hopper, Grace",
        "licence: CC-BY-4.0",
        "access: files closed until 2099-03-04, then open to everybody",
        "size: 9 files, ",
        "raw: released on 2020-01-01, origin early; decided by Ada Lovelace on ",
        "raw: own data, origin own; decided by Ada Lovelace on ",
        "in imgdata.yaml on main (",
    ):
        assert fact in flat, said
    assert "partner" not in said
    dry = publish(project, "--publish", "--dry-run").stdout
    assert "as remembered" in dry
    assert "files closed until 2099-03-04" in dry


def test_json_has_the_same_before_and_after(project: Project) -> None:
    publish(project)
    rule = project.clone.git.head()
    commit(project.root, "Note the draft")
    (planned,) = told(project, "--publish", "--dry-run")["results"]
    assert planned["creators"] == ["Lovelace, Ada", "Hopper, Grace"]
    assert (planned["license"], planned["access"], planned["until"]) == ("CC-BY-4.0", "open", None)
    assert planned["bytes"] > 12 * 50
    whys = [(one["level"], one["origin"], one["rule"]) for one in planned["released_by"]]
    assert whys == [("raw", "early", "released on 2020-01-01"), ("raw", "own", "own data")]
    assert {one["commit"] for one in planned["released_by"]} == {rule}
    (done,) = told(project, "--publish", "--yes")["results"]
    assert done["state"] == "published"
    assert done["released_by"] == planned["released_by"]


def test_a_written_rule_is_told_with_who_wrote_it(project: Project) -> None:
    rewrite(project.root, "may_leave: []", "may_leave: [raw]")
    call(
        project.root,
        *("git", "-c", "user.name=Grace Hopper", "commit", "-qam", "The agreement lets raw go"),
    )
    rewrite(project.root, "title: NF1", "title: The NF1")
    commit(project.root, "Another title")
    publish(project)
    said = " ".join(publish(project, "--publish", "--dry-run").stdout.split())
    rule = "raw: written rule (may_leave: raw), origin partner (DTA section 4); "
    assert f"{rule}decided by Grace Hopper on " in said


def test_a_title_written_on_the_page_is_shown_and_published_as_it_is(
    project: Project, site: SmallInvenio
) -> None:
    publish(project)
    (record,) = site.live
    record.body["metadata"]["title"] = "By hand"
    said = publish(project, "--publish", check=False).stdout
    assert "title:     By hand" in said
    assert "changed on its page after imgdata wrote it: title" in said
    publish(project, "--publish", "--yes")
    assert record.body["metadata"]["title"] == "By hand"


def test_what_was_written_on_the_page_is_not_overwritten_silently(
    project: Project, site: SmallInvenio
) -> None:
    publish(project)
    (record,) = site.live
    record.body["metadata"]["title"] = "By hand"
    record.body["metadata"]["version"] = "v7"
    publish(project)
    assert record.body["metadata"]["title"] == "By hand", "imgdata has nothing new to say"
    rewrite(project.root, "keywords: [Cell Painting]", "keywords: [Schwann]")
    refused = publish(project, check=False)
    assert refused.returncode == 5
    assert "a person wrote on the draft's page: title, version" in refused.stderr
    assert record.body["metadata"]["title"] == "By hand"
    publish(project, "--yes")
    assert record.body["metadata"]["title"].startswith("NF1 Schwann")
    assert record.body["metadata"]["subjects"] == [{"subject": "Schwann"}]


def test_a_published_record_that_was_corrected_by_hand_is_named_before_its_next_version(
    project: Project, site: SmallInvenio
) -> None:
    publish(project)
    publish(project, "--publish", "--yes")
    (record,) = site.live
    record.body["metadata"]["title"] = "By the curators"
    refused = publish(project, "--new-version", check=False)
    assert (refused.returncode, len(site.live)) == (5, 1)
    assert "title" in refused.stderr
    publish(project, "--new-version", "--yes")
    assert len(site.live) == 2


@pytest.mark.parametrize("select", [(), ("--select", "well=B03")])
def test_a_rule_that_was_taken_back_after_the_draft_stops_the_publication(
    project: Project, site: SmallInvenio, select: tuple[str, ...]
) -> None:
    publish(project, *select)
    rewrite(project.root, "release_on: 2020-01-01", "release_on: 2098-01-01")
    commit(project.root, "The partner asks for more time")
    said = publish(project, "--publish", "--dry-run").stdout
    assert "NO RULE LETS IT LEAVE TODAY" in said
    refused = publish(project, "--publish", "--yes", check=False)
    assert refused.returncode == 5
    assert not site.live[0].published


def test_so_does_a_plate_that_is_not_here_any_more(project: Project, site: SmallInvenio) -> None:
    publish(project)
    (project.root / "data" / "raw" / "P3.dvc").unlink()
    rewrite(project.root, "release_on: 2020-01-01", "release_on: 2098-01-01")
    commit(project.root, "The partner takes it back")
    refused = publish(project, "--publish", "--yes", check=False)
    assert refused.returncode == 5
    assert not site.live[0].published


def sent_since(site: SmallInvenio, before: int) -> list[str]:
    writes = [one for one in site.requests[before:] if one.method in {"PUT", "POST", "DELETE"}]
    return [f"{one.method} {one.path}" for one in writes]


@pytest.mark.dvc
def test_a_deposit_that_did_not_change_stays_as_it_is_whatever_is_committed(
    project: Project, site: SmallInvenio
) -> None:
    root = project.root
    (root / "dvc.yaml").write_text(
        "stages:\n  count:\n    cmd: ls data/raw/P1 > data/counts/P1.txt\n"
        "    deps: [data/raw/P1]\n    outs: [data/counts/P1.txt]\n"
    )
    counts = "  counts: {path: data/counts, unit: plate, from: [raw], storage: [archive]}\n"
    with (root / "imgdata.yaml").open("a") as config:
        config.write(counts)
    (root / "data" / "counts").mkdir(parents=True)
    call(root, "dvc", "repro")
    commit(root, "Count")
    made_in = project.clone.git.head() or ""
    call(root, "imgdata", "publish", "counts", "--to", "zenodo")
    readme = site.live[0].data["README.md"].decode()
    assert made_in in readme
    commit(root, "Note the deposit")
    (root / "notes.txt").write_text("nothing of the recipe\n")
    commit(root, "Notes")
    before = len(site.requests)
    said = call(root, "imgdata", "publish", "counts", "--to", "zenodo").stdout
    assert sent_since(site, before) == []
    assert "unchanged, nothing sent" in said
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text().replace("ls ", "ls -1 "))
    call(root, "dvc", "repro")
    commit(root, "Count line by line")
    call(root, "imgdata", "publish", "counts", "--to", "zenodo")
    readme = site.live[0].data["README.md"].decode()
    assert (project.clone.git.head() or "") in readme


def test_a_draft_of_another_day_says_its_date(project: Project) -> None:
    publish(project)
    for path in (project.root / ".imgdata" / "log").rglob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            if "asked" in line:
                line["asked"] = "2026-01-02 " + line["asked"].partition(" ")[2]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    said = " ".join(publish(project, "--publish", "--dry-run").stdout.split())
    assert (
        "dated: 2026-01-02, when the draft was made; run without --publish it is dated today"
        in said
    )


def test_each_command_keeps_to_one_log_file(project: Project, site: SmallInvenio) -> None:
    def logs() -> int:
        return len(list((project.root / ".imgdata" / "log").rglob("*.jsonl")))

    call(project.root, "imgdata", "storage", "apply", "--yes")
    call(project.root, "imgdata", "push")
    shutil.rmtree(project.root / ".dvc" / "cache", ignore_errors=True)
    publication = ("--publish", "--yes")
    steps: list[tuple[str, ...]] = [(), publication, ("--new-version",), (), publication]
    steps.append(("--list",))
    found = []
    for words in steps:
        before = logs()
        publish(project, *words)
        found.append(logs() - before)
    assert found[:3] == [1, 1, 1]
    assert max(found) == 1, found
    rewrite(project.root, "title: NF1", "title: The NF1")
    before = logs()
    publish(project, "--new-version")
    publish(project, "--discard", str(len(site.records) - 1).zfill(5) + "-small", "--yes")
    assert logs() - before == 2


def test_a_rerun_does_not_lift_an_embargo_unless_it_is_told_to(
    project: Project, site: SmallInvenio
) -> None:
    publish(project, "--embargo", "2099-03-04", "--version", "v2")
    (record,) = site.live
    said = publish(project).stdout
    assert record.body["access"]["embargo"]["until"] == "2099-03-04"
    assert record.body["metadata"]["version"] == "v2"
    assert "embargoed until 2099-03-04, as the deposit there (--open opens them)" in said
    publish(project, "--publish", "--yes")
    publish(project, "--new-version")
    assert site.live[-1].body["access"]["embargo"]["until"] == "2099-03-04"
    assert "version" not in site.live[-1].body["metadata"]
    assert "described anew, no file sent" in publish(project, "--open").stdout
    assert site.live[-1].body["access"] == {"record": "public", "files": "public"}


@pytest.mark.parametrize("other", ["--restricted", "--open"])
def test_two_answers_to_who_may_read_are_refused(
    project: Project, site: SmallInvenio, other: str
) -> None:
    refused = publish(project, "--embargo", "2099-03-04", other, check=False)
    assert refused.returncode == 2
    assert f"--embargo and {other} do not go together" in refused.stderr
    assert site.seen == []


def test_files_that_a_person_put_into_the_draft_are_not_deleted_silently(
    project: Project, site: SmallInvenio
) -> None:
    publish(project)
    (record,) = site.live
    for name, data in (("protocol.pdf", b"%PDF"), ("README.md", b"By hand")):
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        record.data[name] = data
        record.files[name] = {"status": "completed", "size": len(data), "checksum": f"md5:{md5}"}
    refused = publish(project, check=False)
    assert refused.returncode == 5
    assert "README.md" in refused.stderr
    assert "protocol.pdf" in refused.stderr
    assert (record.data["protocol.pdf"], record.data["README.md"]) == (b"%PDF", b"By hand")
    said = publish(project, "--yes").stdout
    assert "1 file sent, 1 removed" in said
    assert "protocol.pdf" not in record.data


def test_what_an_interrupted_upload_left_is_imgdatas_own(
    project: Project, site: SmallInvenio
) -> None:
    site.faults.append(Fault("PUT", r"manifest.csv/content$", 403))
    assert publish(project, check=False).returncode == 4
    (record,) = site.live
    assert "README.md" in record.data
    rewrite(project.root, "title: NF1", "title: The NF1")
    commit(project.root, "Another title")
    publish(project)
    assert b"The NF1" in record.data["README.md"]


def test_a_draft_that_was_thrown_away_on_its_page_is_named(
    project: Project, site: SmallInvenio
) -> None:
    publish(project)
    site.live[0].gone = True
    refused = publish(project, "--publish", "--yes", check=False)
    assert refused.returncode == 1
    assert "draft 00000-small is not on 'zenodo' any more" in refused.stderr
    assert "make it again: imgdata publish raw --to zenodo" in refused.stderr
    publish(project)
    assert [one.identifier for one in site.live] == ["00001-small"]


def test_a_plan_says_that_the_levels_are_published_already(project: Project) -> None:
    publish(project)
    publish(project, "--publish", "--yes")
    said = publish(project, "--dry-run").stdout
    assert "published already: https://doi.org/10.5072/00000-small" in said
    assert "published already" in publish(project, "--publish", "--yes").stdout
