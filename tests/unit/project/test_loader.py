"""imgdata.yaml: everything that is wrong is told at once, with its line."""

import json
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.errors import Exit, InvalidProjectError
from imgdata.project.config import Config
from imgdata.project.loader import load_config, parse_config, schema_text
from imgdata.project.yaml_lines import load_with_lines

GOOD = """\
version: 1
id: 0123456789abcdef0123456789abcdef
title: on
license: CC-BY-4.0
origins:
  plate-2: {kind: academic-collaborator, access: restricted, release_on: 2027-06-01,
            may_leave: [profiles], note: "DTA section 4"}
storages:
  archive: {url: /mnt/archive/nf1}
  lab-s3: {url: "s3://lab/nf1", public: false, price_per_tb_month: 23}
repositories:
  zenodo: {url: "zenodo:sandbox"}
levels:
  raw:
    path: data/raw/
    origin: plate-2
    key: ["{plate}/{well}.tif", nf1]
    storage: [lab-s3, archive]
    copies: 2
  profiles:
    path: data/profiles
    unit: none
    from: [{level: raw, by: [plate, well]}]
    storage: [archive, zenodo]
    then: lab-s3
    keep: until 2030-01-31
    accept_loss: [{select: "plate=P1", reason: r, by: b, on: 2026-01-02}]
  crops:
    path: data/crops
    from: [raw]
    storage: none
checks:
  IMG-303: {severity: note, reason: old microscope}
x-lab: {anything: goes}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidProjectError) as caught:
        parse_config(text)
    assert caught.value.exit_status is Exit.USAGE
    assert caught.value.remedy
    return caught.value.cause.splitlines()


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


@pytest.fixture
def good() -> Config:
    return parse_config(GOOD)


def test_a_good_file_becomes_values(good: Config) -> None:
    raw, profiles, crops = good.levels.values()
    assert (raw.path, raw.unit, raw.storages, raw.copies) == (
        "data/raw",
        "plate",
        ("lab-s3", "archive"),
        2,
    )
    assert next(key.text for key in raw.keys) == "{plate}/{well}.tif"
    assert len(raw.keys) == 2
    assert (profiles.unit, profiles.storages, profiles.repositories, profiles.then) == (
        None,
        ("archive",),
        ("zenodo",),
        ("lab-s3",),
    )
    assert profiles.sources[0].by == ("plate", "well")
    assert (crops.storages, crops.copies, crops.keep) == ((), 0, "recompute")
    assert (raw.keep, raw.verify_every_days, raw.versions) == ("forever", 180, "all")
    assert good.storages["lab-s3"].options == {"public": False, "price_per_tb_month": 23}
    assert (good.currency, good.commit, good.release_branch) == ("USD", "ask", "main")


def test_on_and_dates_stay_what_they_look_like(good: Config) -> None:
    assert good.title == "on"
    assert good.origins["plate-2"].release_on == date(2027, 6, 1)
    assert good.levels["profiles"].accept_loss[0].on == date(2026, 1, 2)
    value = load_with_lines("a: on\nb: 2027-06-01\nc: true\nd: ~\ne: 12\nf: yes\n")[0]
    assert value == {"a": "on", "b": "2027-06-01", "c": True, "d": None, "e": 12, "f": "yes"}


def test_a_comment_does_not_move_the_lines() -> None:
    assert problems("# one\n\n" + edited("license:", "licence:")) == [
        "imgdata.yaml:6: unknown key 'licence'; did you mean 'license'?"
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("title: on", "titel: on", 3, "unknown key 'titel'; did you mean 'title'?"),
        ("title: on", "qqqq: on", 3, "unknown key 'qqqq'; known: version, id, title"),
        ("    copies: 2", "    copys: 2", 19, "unknown key 'copys'; did you mean 'copies'?"),
        ("    copies: 2", "    copies: two", 19, "'copies' must be a whole number; found 'two'"),
        ("    copies: 2", "    copies: 3", 19, "3 copies need as many storages; there are 2"),
        ("    copies: 2", "    copies: -1", 19, "'copies'"),
        ("version: 1", "version: 2", 1, "'version' must be 1; found 2"),
        ("id: 0123456789abcdef0123456789abcdef", "id: abc", 2, "'id'"),
        ("kind: academic-collaborator", "kind: friend", 6, "must be one of own, academic"),
        ("release_on: 2027-06-01", "release_on: 2027-02-30", 6, "is not a date"),
        ("release_on: 2027-06-01", "release_on: soon", 6, "'release_on'"),
        ("may_leave: [profiles]", "may_leave: [profile]", 7, "'profile' is not a level"),
        ("  archive: {url: /mnt/archive/nf1}", "  archive: {}", 9, "'archive' lacks 'url'"),
        ("  archive: {url: /mnt/archive/nf1}", "  Archive: {url: x}", 9, "the name 'Archive'"),
        ("    path: data/raw/", "    path: /data/raw", 15, "must be a folder inside the project"),
        ("    path: data/raw/", "    path: ../raw", 15, "must be a folder inside the project"),
        ("    path: data/raw/", "    path: .", 15, "must be a folder inside the project"),
        ("    path: data/raw/", "    path: .git/raw", 15, "belongs to .git"),
        ("    path: data/crops", "    path: data/raw/crops", 29, "lies in that of level 'raw'"),
        ("    path: data/crops", "    path: data/raw", 29, "lies in that of level"),
        ("    origin: plate-2", "    origin: plate-3", 16, "did you mean 'plate-2'?"),
        ("[lab-s3, archive]", "[lab-s3, archiv]", 18, "did you mean 'archive'?"),
        ("    then: lab-s3", "    then: nowhere", 25, "'nowhere' is not a storage"),
        ("{level: raw, by", "{level: row, by", 23, "'row' is not a level of this file"),
        ("    from: [raw]", "    from: [crops]", 30, "cannot be made from itself"),
        ("until 2030-01-31", "until 2030-02-31", 26, "names a day that does not exist"),
        ("on: 2026-01-02", "on: 2026-13-02", 27, "is not a date"),
        ('["{plate}/{well}.tif", nf1]', '"{well.tif"', 17, "a '{' without '}'"),
        ('{url: "zenodo:sandbox"}', "[a]", 12, "must be a mapping"),
        ("  zenodo:", "  archive:", 12, "is a storage and a repository"),
        ("  IMG-303:", "  IMG-3:", 33, "IMG-3"),
        ("levels:", "storage:", 13, "unknown key 'storage'; did you mean 'storages'?"),
    ],
)
def test_each_problem_names_its_line(old: str, new: str, line: int, said: str) -> None:
    told = problems(edited(old, new))
    assert any(one.startswith(f"imgdata.yaml:{line}: ") and said in one for one in told), told


def test_all_problems_are_told_at_once_in_order() -> None:
    text = edited("title: on", "titel: on").replace("copies: 2", "copys: 2")
    text = text.replace("kind: academic-collaborator", "kind: friend")
    told = problems(text)
    assert [int(one.split(":")[1]) for one in told] == [3, 6, 19]


def test_all_problems_of_meaning_are_told_at_once() -> None:
    text = edited("origin: plate-2", "origin: plat").replace("then: lab-s3", "then: nowhere")
    assert len(problems(text)) == 2


def test_a_key_that_stands_twice_is_a_problem() -> None:
    assert problems(edited("license: CC-BY-4.0", "title: again")) == [
        "imgdata.yaml:4: 'title' stands here twice"
    ]


def test_names_that_share_a_token_collide() -> None:
    told = problems(
        edited("  archive: {url: /mnt/archive/nf1}", "  archive: {url: a}\n  lab_s3: {url: b}")
    )
    assert told == ["imgdata.yaml:11: 'lab-s3' and 'lab_s3' would share IMGDATA_LAB_S3_TOKEN"]


def test_none_is_no_name_of_a_storage() -> None:
    text = edited("  archive: {url: /mnt/archive/nf1}", "  archive: {url: a}\n  none: {url: b}")
    assert "choose another name" in problems(text)[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [("levels: [", 2), ("a: b: c\n", 1), ("version: 1\n\tx: 1\n", 2), ("a: &x\nb: *y\n", 2)],
)
def test_broken_yaml_names_the_line(text: str, line: int) -> None:
    with pytest.raises(InvalidProjectError, match="not valid YAML") as caught:
        parse_config(text)
    assert caught.value.cause.startswith(f"imgdata.yaml:{line}: ")


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "just text\n", "12\n", "~\n"])
def test_what_is_no_mapping_is_a_sentence(text: str) -> None:
    assert problems(text)


@pytest.mark.parametrize(
    "text",
    [
        "? [a, b]\n: 1\nversion: 1\nlevels: {}\n",
        "1: a\nversion: 1\nlevels: {}\n",
        "version: 1\nlevels: {1: {path: a}}\n",
        "version: 1\nlevels: {raw: {path: data/raw, key: [1]}}\n",
        "version: 1\nlevels: {raw: }\n",
        "version: 1\nlevels: &l {raw: {path: a, x-me: *l}}\n",
        "version: 1\nlevels: {raw: {path: a, from: [{by: [x]}]}}\n",
        "version: !!python/object:os.system {}\nlevels: {}\n",
        'version: 1\nlevels: {raw: {path: "a\\0b"}}\n',
        "version: 1\nlevels: {raw: {path: //}}\n",
        "a: 1\n---\nb: 2\n",
        "<<: [1]\nversion: 1\nlevels: {}\n",
        "\x07",
        "a: " + "[" * 5000 + "]" * 5000,
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{n}: &{n} [{','.join([f'*{p}'] * 9)}]\n" for p, n in pairwise("abcdefghijk")),
    ],
)
def test_odd_yaml_is_a_sentence(text: str) -> None:
    assert problems(text)


@given(st.text(max_size=60))
def test_any_text_is_a_project_or_a_sentence(text: str) -> None:
    with pytest.raises(InvalidProjectError):
        parse_config(text)


@given(st.sampled_from(GOOD.splitlines()), st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_edited_line_is_a_project_or_a_sentence(line: str, new: str) -> None:
    try:
        parse_config(GOOD.replace(line, f"{line[: len(line) // 2]}{new}", 1))
    except InvalidProjectError as error:
        assert error.cause.startswith("imgdata.yaml:") or "not valid YAML" in error.problem


def test_a_file_that_is_not_utf8_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "imgdata.yaml"
    path.write_bytes(b"title: caf\xe9\n")
    with pytest.raises(InvalidProjectError, match=r"imgdata\.yaml is not UTF-8 text"):
        load_config(path)


def test_what_the_schema_accepted_once_is_remembered_by_content(tmp_path: Path) -> None:
    path, stamp = tmp_path / "imgdata.yaml", tmp_path / "deep" / "stamp"
    path.write_text(GOOD)
    first = load_config(path, known_good=stamp)
    remembered = stamp.read_text()
    assert load_config(path, known_good=stamp) == first
    path.write_text(edited("copies: 2", "copies: x"))
    with pytest.raises(InvalidProjectError):
        load_config(path, known_good=stamp)
    assert stamp.read_text() == remembered
    stamp.write_bytes(b"\xff\xfe")
    path.write_text(GOOD)
    assert load_config(path, known_good=stamp) == first
    assert stamp.read_text() == remembered


def test_a_stamp_never_hides_a_problem_of_meaning(tmp_path: Path) -> None:
    path, stamp = tmp_path / "imgdata.yaml", tmp_path / "stamp"
    path.write_text(edited("origin: plate-2", "origin: plate-3"))
    for _ in range(2):
        with pytest.raises(InvalidProjectError, match="one problem"):
            load_config(path, known_good=stamp)


def test_a_stamp_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "imgdata.yaml"
    path.write_text(GOOD)
    assert load_config(path, known_good=path / "below-a-file").title == "on"


def test_the_schema_is_a_valid_schema_and_describes_every_section() -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads(schema_text())
    Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) >= set(load_with_lines(GOOD)[0]) - {"x-lab"}


@pytest.mark.parametrize(
    "wrong",
    [
        '{url: "s3://AKIA:wJal/rXUt@lab/nf1"}',
        '{url: "s3://lab/nf1", endpoint_url: "https://ada:wJal@minio.lab"}',
    ],
)
def test_a_secret_in_a_url_is_told_with_its_line_and_not_repeated(wrong: str) -> None:
    (told,) = problems(
        edited('{url: "s3://lab/nf1", public: false, price_per_tb_month: 23}', wrong)
    )
    assert told.startswith("imgdata.yaml:10: a password or key does not belong in a url")
    assert "wJal" not in told


def test_a_url_that_no_parser_reads_is_told() -> None:
    assert problems(edited("/mnt/archive/nf1", "'s3://[lab'"))[0].startswith("imgdata.yaml:9: ")
