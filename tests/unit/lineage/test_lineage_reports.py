"""Every format says the same, escapes what the repository holds, and reads the same twice."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright
from prov.model import ProvDocument

from imgdata.lineage.answer import Answer
from imgdata.reports.formats import write_report
from imgdata.reports.mermaid import escaped
from tests.unit.lineage.repository_builder import Repository, entry, lock, run_message, stage
from tests.unit.lineage.test_questions import build

EVIL = "</script><script>window.hacked=1</script>\"'`${x}<img src=x onerror=window.hacked=1>"
CHROMIUM = Path("/usr/bin/chromium")
A, B = "a" * 32, "b" * 32


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Path, Answer]:
    """File names, commands, parameters and commit messages that try to break out."""
    repository = Repository(tmp_path / "hostile")
    name = "in <b>\"'.txt"
    repository.save({name: "1"}, EVIL)
    repository.write({"mid<i>": "2"})
    repository.commit(run_message(inputs=[name], cmd=EVIL))
    repository.save(
        {
            "dvc.yaml": {
                "stages": {"make": stage(EVIL.replace("$", "\\$"), ["mid<i>"], ["out<u>"])}
            },
            "dvc.lock": lock(
                make=entry(EVIL, {"mid<i>": A}, {"out<u>": B}, params={"p<q>.yaml": {EVIL: EVIL}})
            ),
        },
        EVIL,
    )
    return repository.root, repository.ask("out<u>", history=True)


def test_prov_is_read_back_by_its_own_library(hostile: tuple[Path, Answer]) -> None:
    root, answer = hostile
    text = write_report([answer], "prov", root)
    document = ProvDocument.deserialize(content=text, format="json")
    kinds = {type(record).__name__ for record in document.get_records()}
    assert {"ProvEntity", "ProvActivity", "ProvUsage", "ProvGeneration"} <= kinds
    assert text == write_report([answer], "prov", root)


def test_the_crate_is_a_valid_process_run_crate(tmp_path: Path) -> None:
    project = build(tmp_path / "project")
    answer = project.ask("data/masks/P1/B02_1.tif")
    folder = tmp_path / "crate"
    folder.mkdir()
    text = write_report([answer], "rocrate", project.root)
    (folder / "ro-crate-metadata.json").write_text(text)
    validator = Path(__file__).parent.parent / "reports" / "validate_crate.py"
    done = subprocess.run(
        [sys.executable, str(validator), str(folder), "process-run-crate"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == ""
    graph = json.loads(text)["@graph"]
    actions = [one for one in graph if one["@type"] == "CreateAction"]
    assert len(actions) == sum(node.kind != "add" for node in answer.nodes)
    assert text == write_report([answer], "rocrate", project.root)


def test_mermaid_labels_hold_nothing_that_ends_them(hostile: tuple[Path, Answer]) -> None:
    root, answer = hostile
    text = write_report([answer], "mermaid", root)
    assert text.startswith("flowchart TD\n")
    assert "<script" not in text
    for line in text.splitlines():
        assert line.count('"') in {0, 2}
    assert escaped('"<a>&#`') == "#34;#60;a#62;#38;#35;#96;"


@pytest.fixture(scope="module")
def browser() -> Any:
    if not CHROMIUM.is_file():
        pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser: Any, text: str, tmp_path: Path) -> tuple[Any, list[str]]:
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    page = browser.new_page()
    wrong: list[str] = []
    page.on("console", lambda one: wrong.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: wrong.append(str(one)))
    page.on(
        "request",
        lambda one: None if one.url.startswith(("file:", "data:")) else wrong.append(one.url),
    )
    page.goto(path.as_uri())
    return page, wrong


def test_hostile_input_stays_text_in_the_page(
    browser: Any, hostile: tuple[Path, Answer], tmp_path: Path
) -> None:
    root, answer = hostile
    text = write_report([answer], "html", root)
    assert text == write_report([answer], "html", root)
    page, wrong = opened(browser, text, tmp_path)
    for box in page.locator(".box").all():
        box.click()
    page.fill("#search", "<script>")
    page.click("#view")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert EVIL in page.locator("#table").inner_text()
    assert wrong == []


def test_the_page_finds_shows_collapses_and_zooms(browser: Any, tmp_path: Path) -> None:
    project = build(tmp_path / "project")
    answers = [project.ask(path) for path in ("data/bulk/P1.csv", "data/masks/P1/B02_1.tif")]
    page, wrong = opened(browser, write_report(answers, "html", project.root), tmp_path)
    boxes = page.locator(".box").count()
    assert boxes >= 5
    page.fill("#search", "segment")
    assert "found" in page.inner_text("#found")
    assert page.locator(".box.hit").count() >= 1
    page.locator(".box.hit").first.click()
    assert "segment" in page.inner_text("#details")
    page.fill("#search", "no such thing")
    assert page.inner_text("#found") == "0 found"
    before = page.get_attribute("#world", "transform")
    page.click("#larger")
    assert page.get_attribute("#world", "transform") != before
    page.click("#collapse")
    page.click("#view")
    assert page.locator("#table tr").count() > 3
    page.emulate_media(media="print")
    assert page.locator("#table").is_visible()
    assert wrong == []


def test_runs_are_joined_by_the_files_between_them(tmp_path: Path) -> None:
    """Whatever identifies the content: git-annex's key, with an md5 or without, or git's own."""
    repository = Repository(tmp_path / "dataset")
    keys = (f"MD5E-s1--{A}.txt", "SHA256E-s1--" + "c" * 64 + ".txt")
    for place, key in enumerate(keys):
        (repository.root / f"{place}").symlink_to(f".git/annex/objects/aa/bb/{key}/{key}")
        repository.commit(run_message(inputs=[str(place - 1)] if place else []))
    repository.save({"2": "in git"}, run_message(inputs=["1"]))
    repository.save({"3": "in git too"}, run_message(inputs=["2"]))
    chart = write_report([repository.ask("3")], "mermaid", repository.root)
    labels = re.findall(r'\(\["(\d)', chart)
    assert sorted(labels) == ["0", "1", "2", "3"]
    assert len(re.findall("-->", chart)) == 7
    crate = write_report([repository.ask("3")], "rocrate", repository.root)
    assert f'"identifier": "{keys[1]}"' in crate
    assert "md5:MD5E" not in crate
