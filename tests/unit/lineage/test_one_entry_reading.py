"""Reading one entry of a lock gives what the full YAML parser gives, for every lock there is."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgdata.dvc_files.lazy_lock import HEAD, LazyLock, entry_around, entry_lines, is_regular
from imgdata.dvc_files.lock import read_lock_by_yaml
from imgdata.lineage.versions import DVC_FILES
from imgdata.tracking.git_history import GitHistory

REPOSITORIES = (
    "calkit__example-basic",
    "iterative__demo-bank-customer-churn",
    "dringtech__social-value-data-explorer",
    "petebachant__boundary-layer-turbulence-modeling",
    "mitchellhenke__lodes",
)


@pytest.mark.corpora
@pytest.mark.parametrize("name", REPOSITORIES)
def test_every_entry_of_every_version_of_every_lock(
    corpora: Path, tmp_path: Path, name: str
) -> None:
    root = tmp_path / "repository"
    subprocess.run(["git", "clone", "-q", str(corpora / f"{name}.bundle"), str(root)], check=True)
    history = GitHistory(root)
    head = history.head()
    assert head is not None
    blobs = {
        change.blob
        for change in history.changes(head.id, DVC_FILES)
        if change.blob and change.path.endswith("dvc.lock")
    }
    assert blobs
    for blob in sorted(blobs)[:12]:
        data = history.read_blob(blob)
        assert data is not None
        full = read_lock_by_yaml(data).entries
        assert is_regular(data)
        assert LazyLock(data).names == tuple(full)
        for entry_name, entry in list(full.items())[:: max(1, len(full) // 60)]:
            lines = entry_lines(data, entry_name)
            assert lines is not None
            assert LazyLock(HEAD + lines).entry(entry_name) == entry
            assert LazyLock(data).entry(entry_name) == entry
            assert entry_around(data, data.find(lines) + len(lines) - 2) == (entry_name, lines)
        assert entry_lines(data, "no-such-stage") is None
    history.close()


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    for lock in (LazyLock(data), LazyLock(HEAD + data)):
        for name in lock.names:
            lock.entry(name)
        assert isinstance(lock.problems, tuple)
