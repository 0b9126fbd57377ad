"""`imgdata init` in a repository that exists: shown first, additive, nothing before yes."""

import json
import shutil
from pathlib import Path

import pytest

from imgdata.testing.small_project import call, make_small_project, write_random_plate

CORPORA = (
    "calkit__example-basic",
    "dringtech__social-value-data-explorer",
    "iterative__demo-bank-customer-churn",
    "mitchellhenke__lodes",
    "petebachant__boundary-layer-turbulence-modeling",
)
STAGES = """\
stages:
  profile:
    foreach: [P1, P2]
    do:
      cmd: mkdir -p profiles && ls data/${item} > profiles/${item}.txt
      deps: [data/P1]
      outs: ["profiles/${item}.txt"]
  model:
    cmd: mkdir -p model && cat profiles/*.txt > model/all.txt
    deps: [profiles/P1.txt, profiles/P2.txt]
    outs:
      - model:
          remote: other
"""


def snapshot(root: Path) -> dict[str, bytes]:
    """All files but git's and DVC's own notes."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not {".git", "tmp", "cache"} & set(path.relative_to(root).parts)
    }


def adopt(root: Path, *words: str) -> None:
    call(root, "imgdata", "init", "--yes", *words)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC repository with two plates, a pipeline and four remotes, pushed and committed."""
    top = tmp_path_factory.mktemp("plain")
    root = top / "repo"
    root.mkdir()
    call(root, "git", "init", "--quiet", "--initial-branch=main")
    call(root, "git", "config", "user.name", "Ada")
    call(root, "git", "config", "user.email", "ada@lab.example")
    call(root, "dvc", "init", "--quiet")
    (root / ".dvc" / "config").write_text(
        f"[core]\n\tremote = store\n['remote \"store\"']\n\turl = {top}/store\n"
        f"['remote \"other\"']\nurl = ../../other\n"
        "['remote \"web\"']\n    url = https://data.example/x\n    auth = basic\n"
        "['remote \"My Store\"']\n    url = s3://bucket/x\n"
    )
    for number, name in enumerate(("P1", "P2")):
        write_random_plate(root / "data" / name, seed=number)
    call(root, "dvc", "add", "data/P1", "data/P2")
    (root / "dvc.yaml").write_text(STAGES)
    call(root, "dvc", "repro", "--quiet")
    call(root, "dvc", "push")
    call(root, "git", "add", "--all")
    call(root, "git", "commit", "--quiet", "-m", "Plain DVC")
    return top


@pytest.fixture
def plain_dvc(made: Path, tmp_path: Path) -> Path:
    """The same, with a remote of its own beside it."""
    for name in ("repo", "other"):
        shutil.copytree(made / name, tmp_path / name, symlinks=True)
    return tmp_path / "repo"


@pytest.mark.dvc
def test_nothing_changes_before_yes_and_the_plan_is_shown(plain_dvc: Path) -> None:
    before = snapshot(plain_dvc)
    done = call(plain_dvc, "imgdata", "init", check=False)
    assert done.returncode == 5
    assert "+++ b/imgdata.yaml" in done.stdout
    assert "nothing was changed" in done.stderr
    assert "--yes" in done.stderr
    call(plain_dvc, "imgdata", "init", "--dry-run")
    assert snapshot(plain_dvc) == before
    assert not call(plain_dvc, "git", "status", "--porcelain").stdout
    document = json.loads(call(plain_dvc, "imgdata", "init", "--json", check=False).stdout)
    assert document["error"]["kind"] == "refused"
    assert [level["name"] for level in document["results"][0]["levels"]]


@pytest.mark.dvc
def test_adopting_adds_and_changes_nothing_plain_dvc_sees(plain_dvc: Path) -> None:
    before = snapshot(plain_dvc)
    adopt(plain_dvc)
    after = snapshot(plain_dvc)
    ours = {"imgdata.yaml", ".gitattributes", ".imgdata/imgdata.schema.json", ".dvc/config.local"}
    assert set(after) - set(before) == ours
    assert {name: after[name] for name in before} == before
    assert "up to date" in call(plain_dvc, "dvc", "status").stdout
    assert "in sync" in call(plain_dvc, "dvc", "status", "--cloud").stdout
    assert "up to date" in call(plain_dvc, "dvc", "push").stdout
    call(plain_dvc, "git", "commit", "--quiet", "-m", "Adopt")

    document = json.loads(call(plain_dvc, "imgdata", "status", "--json").stdout)
    units = {(one["level"], one["unit"]): one for one in document["results"]}
    assert {("data", "P1"), ("data", "P2"), ("profiles", "P1"), ("model", None)} <= set(units)
    for one in units.values():
        assert one["here"] == "complete", one
        assert one["stale"] == [], one
        assert not any(copy["counts"] for copy in one["copies"]), "adopted is not verified"
    model = units["model", None]
    assert [copy["storage"] for copy in model["copies"]] == ["other"]
    call(plain_dvc, "imgdata", "push")
    pushed = json.loads(call(plain_dvc, "imgdata", "status", "--json").stdout)["results"]
    assert all(one["owed"] == 0 for one in pushed)
    call(plain_dvc, "dvc", "status", "--cloud")


@pytest.mark.dvc
def test_remotes_keep_their_names_and_what_cannot_be_adopted_is_said(plain_dvc: Path) -> None:
    done = call(plain_dvc, "imgdata", "init", "--yes")
    text = (plain_dvc / "imgdata.yaml").read_text()
    assert "  store: {url:" in text
    assert "  other: {url:" in text
    assert "  web: {url:" in text
    assert "imgdata only reads from 'web'" in done.stdout
    assert "the remote 'My Store' stays DVC's own" in done.stdout
    config = (plain_dvc / ".dvc" / "config").read_text()
    assert "auth = basic" in config
    assert "remote = store" in config


@pytest.mark.dvc
def test_init_again_says_that_nothing_is_missing_and_completes_what_is(plain_dvc: Path) -> None:
    adopt(plain_dvc)
    before = snapshot(plain_dvc)
    again = call(plain_dvc, "imgdata", "init")
    assert "nothing was changed" in again.stdout
    assert snapshot(plain_dvc) == before
    (plain_dvc / ".gitattributes").unlink()
    call(plain_dvc, "git", "config", "--remove-section", "merge.imgdata-dvc-lock")
    third = call(plain_dvc, "imgdata", "init")
    assert "added what was missing: .gitattributes" in third.stdout
    assert "the merge driver of dvc.lock in this clone" in third.stdout
    assert snapshot(plain_dvc) == before
    inside = call(plain_dvc / "data", "imgdata", "init")
    assert "nothing was changed" in inside.stdout


def test_a_scaffold_is_complete_too(tmp_path: Path) -> None:
    project = make_small_project(tmp_path / "p")
    before = snapshot(project.root)
    assert "nothing was changed" in project.imgdata("init").stdout
    assert snapshot(project.root) == before


@pytest.mark.dvc
def test_a_dvc_root_below_the_git_root_is_found_and_two_must_be_told_apart(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    (root / "analysis").mkdir(parents=True)
    call(root, "git", "init", "--quiet")
    call(root / "analysis", "dvc", "init", "--subdir", "--quiet")
    write_random_plate(root / "analysis" / "raw" / "P1")
    call(root / "analysis", "dvc", "add", "raw/P1")
    call(root, "git", "add", "--all")
    call(root, "git", "commit", "--quiet", "-m", "x")
    before = (root / "analysis" / "raw" / "P1.dvc").read_bytes()
    adopt(root)
    assert (root / "analysis" / "imgdata.yaml").is_file()
    assert (tmp_path / "repo-analysis-archive").is_dir()
    assert (root / "analysis" / "raw" / "P1.dvc").read_bytes() == before
    assert "?? " not in call(root, "git", "status", "--porcelain").stdout
    call(root / "analysis", "imgdata", "push")
    assert "in sync" in call(root / "analysis", "dvc", "status", "--cloud").stdout
    assert not (root / "imgdata.yaml").exists()
    assert "complete" in call(root / "analysis", "imgdata", "status", "--json").stdout
    (root / "second").mkdir()
    call(root / "second", "dvc", "init", "--subdir", "--quiet")
    (root / "analysis" / "imgdata.yaml").unlink()
    done = call(root, "imgdata", "init", "--yes", check=False)
    assert done.returncode == 2
    assert "2 DVC projects" in done.stderr


@pytest.mark.dvc
def test_git_with_data_folders_and_no_dvc(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    for number, name in enumerate(("Plate_1", "Plate_2")):
        write_random_plate(root / "images" / name, seed=number)
    (root / "docs").mkdir()
    (root / "docs" / "logo.png").write_bytes(b"png")
    call(root, "git", "init", "--quiet")
    call(root, "git", "add", "docs")
    call(root, "git", "commit", "--quiet", "-m", "x")
    before = snapshot(root)
    adopt(root, "--title", "Old plates")
    after = snapshot(root)
    assert {name: after[name] for name in before} == before
    text = (root / "imgdata.yaml").read_text()
    assert "path: images\n    unit: plate" in text
    assert "docs" not in text
    call(root, "imgdata", "add", "images", "images/Plate_1", "images/Plate_2")
    call(root, "imgdata", "push")
    call(root, "dvc", "pull")
    assert "up to date" in call(root, "dvc", "status").stdout


def test_data_that_git_ignores_is_said_to_be_invisible_to_dvc(tmp_path: Path) -> None:
    write_random_plate(tmp_path / "repo" / "images" / "P1")
    (tmp_path / "repo" / ".gitignore").write_text("/images\n")
    call(tmp_path / "repo", "git", "init", "--quiet")
    shown = call(tmp_path / "repo", "imgdata", "init", "--dry-run").stdout
    assert "note: git ignores images/P1" in shown


@pytest.mark.dvc
def test_a_repository_of_dvc_2_is_adopted_and_its_pipeline_stays_fresh(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    call(root, "git", "init", "--quiet")
    call(root, "dvc", "init", "--quiet")
    (root / "data.csv").write_bytes(b"a,b\r\n1,2\r\n")
    digest = "a4fd2ac0f3d9ec7a5a1f6ba4ac0b4a42"
    (root / "data.csv.dvc").write_text(f"outs:\n- md5: {digest}\n  size: 10\n  path: data.csv\n")
    (root / ".gitignore").write_text("/data.csv\n")
    call(root, "git", "add", "--all")
    call(root, "git", "commit", "--quiet", "-m", "As DVC 2 left it")
    before = call(root, "dvc", "status", check=False).stdout
    shown = call(root, "imgdata", "init", check=False).stdout
    assert "note: in the form of DVC 2, of which imgdata notes no copies (data.csv)" in shown
    adopt(root)
    assert call(root, "dvc", "status", check=False).stdout == before
    assert "hash" not in (root / "data.csv.dvc").read_text()
    migrate = "dvc pull && dvc cache migrate --dvc-files"
    said = call(root, "imgdata", "status").stdout
    assert "of DVC 2" in said
    assert migrate in said
    assert migrate in call(root, "imgdata", "whereis").stdout
    for verb in ("push", "pull"):
        done = call(root, "imgdata", verb, check=False)
        assert done.returncode == 2, "what was not sent must not look sent"
        assert migrate in done.stderr
        assert "imgdata run" not in done.stdout + done.stderr


@pytest.mark.dvc
def test_what_is_private_stays_out_of_git_where_the_ignore_files_are_ignored(
    tmp_path: Path,
) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    call(root, "git", "init", "--quiet")
    (root / ".gitignore").write_text(".gitignore\n*.json\n")
    call(root, "dvc", "init", "--quiet")
    (root / "x").write_text("x")
    call(root, "dvc", "add", "x")
    (root / ".dvc" / ".gitignore").unlink()
    adopt(root)
    untracked = call(root, "git", "status", "--porcelain", "--untracked-files=all").stdout
    assert ".dvc/config.local" not in untracked
    assert ".dvc/tmp" not in untracked
    assert "A  .imgdata/imgdata.schema.json" in untracked, "git is told all the same"


@pytest.mark.dvc
def test_a_remote_that_keeps_files_by_name_stays_dvcs_own(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    call(root, "git", "init", "--quiet")
    call(root, "dvc", "init", "--quiet")
    (root / ".dvc" / "config").write_text(
        "[core]\n    remote = named\n['remote \"named\"']\n    url = s3://lab/named\n"
        "    version_aware = true\n['remote \"other\"']\n    url = ../../other\n"
    )
    (root / "x").write_text("x")
    call(root, "dvc", "add", "x")
    before = snapshot(root)
    done = call(root, "imgdata", "init", "--yes")
    assert "the remote 'named' stays DVC's own: it keeps files by name" in done.stdout
    assert "s3://lab/named" not in (root / "imgdata.yaml").read_text()
    after = snapshot(root)
    assert {name: after[name] for name in before} == before
    call(root, "imgdata", "push")
    assert "in sync" in call(root, "dvc", "status", "--cloud", "--remote", "other").stdout


def test_in_a_datalad_dataset_records_stay_in_git(tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    (root / ".datalad").mkdir(parents=True)
    (root / ".datalad" / "config").write_text("[datalad]\n")
    (root / ".gitattributes").write_text("* annex.backend=MD5E")
    call(root, "git", "init", "--quiet")
    call(root, "git", "add", "--all")
    adopt(root)
    assert (root / ".gitattributes").read_text().startswith("* annex.backend=MD5E\n")
    records = (
        "imgdata.yaml",
        "data/raw/P1.dvc",
        "dvc.lock",
        ".dvc/config",
        ".imgdata/log/x/y.jsonl",
    )
    told = call(root, "git", "check-attr", "annex.largefiles", *records).stdout.splitlines()
    assert [line.rpartition(" ")[2] for line in told] == ["nothing"] * len(records)


@pytest.mark.dvc
def test_a_password_in_a_url_never_reaches_imgdata_yaml(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    call(root, "git", "init", "--quiet")
    call(root, "dvc", "init", "--quiet")
    call(root, "dvc", "remote", "add", "-d", "dav", "webdavs://ada:s3cret@host/x")
    done = call(root, "imgdata", "init", "--yes")
    assert "stays DVC's own" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr + (root / "imgdata.yaml").read_text()
    assert "remote = dav" in (root / ".dvc" / "config").read_text()


@pytest.mark.corpora
@pytest.mark.parametrize("name", CORPORA)
def test_real_repositories_are_adopted_without_changing_a_file(
    corpora: Path, tmp_path: Path, name: str
) -> None:
    root = tmp_path / "repo"
    call(tmp_path, "git", "clone", "--quiet", corpora / f"{name}.bundle", root)
    before = snapshot(root)
    adopt(root)
    after = snapshot(root)
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed <= {".dvc/config", ".gitattributes", ".dvc/.gitignore"}
    for path in changed:
        assert after[path].startswith(before[path].rstrip()), path
    listed = call(root, "imgdata", "status", "--json", check=False)
    assert listed.returncode in (0, 2), listed.stderr
    assert "nothing was changed" in call(root, "imgdata", "init").stdout


@pytest.mark.dvc
def test_two_who_adopt_one_repository_are_told_to_share_one_id(tmp_path: Path) -> None:
    first = tmp_path / "ada" / "repo"
    first.mkdir(parents=True)
    call(first, "git", "init", "--quiet", "--initial-branch=main")
    call(first, "dvc", "init", "--quiet")
    call(first, "dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    write_random_plate(first / "data" / "P1", seed=1)
    call(first, "dvc", "add", "data/P1")
    call(first, "git", "add", "--all")
    call(first, "git", "commit", "--quiet", "-m", "Plain DVC")
    second = tmp_path / "grace" / "repo"
    shutil.copytree(first, second, symlinks=True)
    for root in (first, second):
        adopt(root, "--origin", "own=own")
    call(first, "imgdata", "push")
    done = call(second, "imgdata", "push", check=False)
    refused = done.stderr
    assert done.returncode == 5
    ids = [
        line.split()[1].strip("\"'")
        for root in (first, second)
        for line in (root / "imgdata.yaml").read_text().splitlines()
        if line.startswith("id:")
    ]
    assert len(set(ids)) == 2
    assert f"a project of the same title with id {ids[0]}" in refused
    assert f"git pull, write id: {ids[0]} into imgdata.yaml" in refused
    config = second / "imgdata.yaml"
    config.write_text(config.read_text().replace(ids[1], ids[0]))
    call(second, "imgdata", "pull")
    call(second, "imgdata", "push")
    # another title: nothing is said of one repository
    config.write_text(config.read_text().replace(ids[0], ids[1]).replace("title: repo", "title: x"))
    assert "same title" not in call(second, "imgdata", "push", check=False).stderr
