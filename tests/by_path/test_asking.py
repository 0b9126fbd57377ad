"""status and whereis by path, and what a DVC repository without imgdata.yaml refuses."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from imgdata.testing.small_project import call
from tests.by_path.conftest import Repository, start

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json"
CORPORA = (
    "calkit__example-basic",
    "dringtech__social-value-data-explorer",
    "iterative__demo-bank-customer-churn",
    "petebachant__boundary-layer-turbulence-modeling",
)


@pytest.mark.dvc
def test_status_says_path_by_path_what_is_here_and_where_it_belongs(
    repository: Repository,
) -> None:
    told = repository.imgdata("status").stdout
    rows = {line.split()[0]: line for line in told.splitlines() if line}
    assert rows["data/P1"].split() == ["data/P1", "4", "16", "B", "here", "add", "store"]
    assert rows["sum.txt"].endswith("other")
    assert rows["scratch.txt"].endswith("- (push: false)")
    assert "--remote asks the remotes" in told
    repository.imgdata("push", "data")
    asked = repository.imgdata("status", "--remote").stdout
    rows = {line.split()[0]: line for line in asked.splitlines() if line}
    assert rows["data/P1"].endswith("store: all")
    assert " ".join(rows["tool.bin"].split()).endswith("store: 0 of 1 imgdata push tool.bin")
    assert "other cannot be asked" in asked, "its folder is not there yet"
    repository.imgdata("status", "--fail-on", "unstored", "--remote", status=1)
    repository.imgdata("status", "data", "--fail-on", "unstored", "--remote")
    told = repository.imgdata("status", "--fail-on", "unstored", status=2).stderr
    assert "needs --remote" in told
    assert repository.is_untouched()


@pytest.mark.dvc
def test_status_agrees_with_dvc_on_what_changed(repository: Repository) -> None:
    (repository.root / "tool.bin").write_text("another")
    (repository.root / "data" / "P1" / "0.tif").unlink()
    shutil.rmtree(repository.root / "data" / "P2")
    (repository.root / "counts" / "P1.txt").write_text("mine")
    found = {one["path"]: one for one in repository.results("status")}
    changed = {path for path, one in found.items() if one["here"] != "complete"}
    said = repository.dvc_says("status")
    outs = [
        item["changed outs"] for some in said.values() for item in some if "changed outs" in item
    ]
    assert changed == {path for some in outs for path in some}
    assert found["data/P2"]["here"] == "absent"
    assert found["tool.bin"]["next"].startswith("to keep it: dvc commit tool.bin.dvc")


@pytest.mark.dvc
def test_whereis_knows_nothing_until_it_asks(repository: Repository) -> None:
    told = " ".join(repository.imgdata("whereis", "data/P1").stdout.split())
    assert "nothing remembered; ask with --remote" in told
    repository.imgdata("push")
    schema = json.loads((SCHEMAS / "whereis.schema.json").read_text())
    for words in ((), ("--remote",), ("--remote", "data/P1/sub"), ("tool.bin", "--all-versions")):
        document = json.loads(repository.imgdata("whereis", *words, "--json").stdout)
        jsonschema.validate(document, schema)
    (one,) = repository.results("whereis", "data/P1/sub/a.tif", "--remote")
    assert (one["level"], one["path"], one["file"]) == ("data/P1", "data/P1", "sub/a.tif")
    assert one["rule"] is None
    store = next(copy for copy in one["copies"] if copy["storage"] == "store")
    assert (store["files"], store["how"], store["counts"]) == (1, "size", False)
    assert store["verified_at"] is None, "nobody has read it yet"
    asked = repository.imgdata("whereis", "--remote").stdout
    assert "remote store" in asked
    assert "not asked: imgdata does not speak" in " ".join(asked.split())
    assert repository.is_untouched()


@pytest.mark.dvc
def test_the_rest_needs_imgdata_yaml(repository: Repository) -> None:
    for words in (
        ["add", "raw", "data"],
        ["run"],
        ["verify"],
        ["drop"],
        ["storage", "list"],
        ["publish", "data", "--to", "zenodo"],
    ):
        done = repository.imgdata(*words, status=3)
        assert "imgdata init" in done.stderr, words
        assert "status, whereis, push and pull work by path" in done.stderr, words


@pytest.mark.dvc
def test_repositories_below_a_git_root_and_without_git(tmp_path: Path) -> None:
    top = Repository(tmp_path, "top")
    top.root.mkdir()
    top.git("init", "--quiet")
    for name in ("a", "b"):
        one = Repository(top.root, name)
        one.root.mkdir()
        one.dvc("init", "--quiet", "--subdir")
        (one.root / "x").write_text(name)
        one.dvc("add", "--quiet", "x")
    told = top.imgdata("status", status=3).stderr
    assert "holds 2 DVC repositories" in told
    assert "imgdata --project a status" in told
    assert [one["path"] for one in top.results("status", "--project", "a")] == ["x"]
    shutil.rmtree(top.root / "b")
    assert [one["path"] for one in top.results("status", "a/x.dvc")] == ["x"]

    bare = Repository(tmp_path, "bare")
    bare.root.mkdir()
    bare.dvc("init", "--quiet", "--no-scm")
    (bare.root / "x").write_text("x")
    bare.dvc("add", "--quiet", "x")
    bare.dvc("remote", "add", "--quiet", "-d", "store", "../bare-store")
    bare.imgdata("push")
    (bare.root / "x").unlink()
    shutil.rmtree(bare.root / ".dvc" / "cache")
    bare.imgdata("pull")
    assert (bare.root / "x").read_text() == "x"
    assert bare.dvc_says("status") == {}
    asked = bare.results("whereis", "--remote", "--all-versions")
    assert [(one["path"], one["copies"][1]["files"]) for one in asked] == [("x", 1)]


@pytest.mark.dvc
def test_an_empty_dvc_repository(tmp_path: Path) -> None:
    empty = start(tmp_path)
    empty.imgdata("status")
    assert "dvc add" in empty.imgdata("whereis").stdout
    assert "nothing to do" in empty.imgdata("pull").stdout
    empty.imgdata("push")
    assert "it tracks nothing" in empty.imgdata("push", "x", status=2).stderr
    (empty.root / "x").write_text("x")
    empty.dvc("add", "--quiet", "x")
    empty.imgdata("pull")
    for verb in ("push", "pull"):
        done = empty.imgdata(verb, status=2)
        shutil.rmtree(empty.root / ".dvc" / "cache", ignore_errors=True)
        (empty.root / "x").unlink(missing_ok=True)
        assert "dvc remote default" in done.stdout
        assert "x has no remote to go to" in done.stderr


@pytest.mark.dvc
def test_a_list_that_is_on_no_remote_is_told_of_the_remote_it_belongs_to(
    repository: Repository,
) -> None:
    repository.imgdata("push", "data/P1")
    clone = repository.clone()
    (listed,) = (clone.base / "store").rglob("*.dir")
    listed.unlink()
    (one,) = clone.results("whereis", "data/P1", "--remote")
    notes = {copy["storage"]: copy["notes"] for copy in one["copies"]}
    assert notes["store"] == ["its file list is not there"]
    assert "other" not in notes
    (line,) = clone.results("status", "data/P1", "--remote")
    assert line["next"] == "imgdata whereis data/P1 --remote", "nothing is here to be pushed"


@pytest.mark.dvc
def test_a_shared_cache_that_is_not_mounted_is_empty_until_something_is_written(
    repository: Repository,
) -> None:
    repository.imgdata("push")
    user = repository.clone()
    cache = repository.base / "disk" / "cache"
    user.dvc("config", "--quiet", "--local", "cache.dir", str(cache))
    assert {one["here"] for one in user.results("status", "data")} == {"absent"}
    user.imgdata("whereis", "data", "--remote")
    done = user.imgdata("pull", "data", status=8)
    assert f"DVC's cache {cache} is not there" in done.stderr
    assert not cache.parent.exists()
    cache.mkdir(parents=True)
    user.imgdata("pull", "data")
    assert user.dvc_says("status", "data/P1.dvc") == {}


@pytest.mark.dvc
def test_an_empty_folder_is_here_when_it_is_there(repository: Repository) -> None:
    repository.imgdata("push", "empty")
    fresh = repository.clone()
    assert "not here" in fresh.imgdata("status", "empty").stdout
    assert fresh.dvc_says("status", "empty.dvc")
    fresh.imgdata("pull", "empty")
    assert (fresh.root / "empty").is_dir()
    assert "not here" not in fresh.imgdata("status", "empty").stdout
    assert fresh.dvc_says("status", "empty.dvc") == {}
    (fresh.root / "empty").rmdir()
    assert "not here" in fresh.imgdata("status", "empty").stdout
    fresh.imgdata("pull", "empty")
    assert fresh.dvc_says("status", "empty.dvc") == {}


@pytest.mark.dvc
@pytest.mark.corpora
@pytest.mark.parametrize("name", CORPORA)
def test_real_repositories_are_seen_as_dvc_sees_them(
    corpora: Path, tmp_path: Path, name: str
) -> None:
    """Data are not in the clones: DVC must call deleted or not in cache what imgdata misses."""
    clone = Repository(tmp_path, "repo")
    call(tmp_path, "git", "clone", "--quiet", corpora / f"{name}.bundle", clone.root)
    ours = {one["path"] for one in clone.results("status") if one["here"] != "complete"}
    said = clone.dvc_says("status")
    outs = [
        item["changed outs"]
        for some in said.values()
        for item in some
        if isinstance(item, dict) and "changed outs" in item
    ]
    theirs = {path.rstrip("/") for some in outs for path in some}
    assert {path for path in theirs if not path.startswith("..")} <= ours
    assert ours
    clone.imgdata("whereis")
    assert clone.is_untouched()


@pytest.mark.corpora
def test_a_real_repository_of_a_thousand_stages(corpora: Path, tmp_path: Path) -> None:
    clone = Repository(tmp_path, "repo")
    call(tmp_path, "git", "clone", "--quiet", corpora / "mitchellhenke__lodes.bundle", clone.root)
    assert len(clone.results("status")) > 2_000
    assert len(clone.imgdata("status").stdout.splitlines()) < 100
