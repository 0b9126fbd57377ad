"""Which options DVC takes for a remote."""

import json
import subprocess
import sys

import pytest

from imgdata.dvc_files.config import Setting
from imgdata.dvc_files.remote_options import REMOTE_OPTIONS, stale_options

ASK_DVC = """
import json
from dvc.config_schema import REMOTE_SCHEMAS
print(json.dumps({kind: [str(name) for name in schema] for kind, schema in REMOTE_SCHEMAS.items()}))
"""


@pytest.mark.dvc
def test_the_table_is_that_of_the_installed_dvc() -> None:
    done = subprocess.run([sys.executable, "-c", ASK_DVC], capture_output=True, check=True)
    known = {kind: set(names) for kind, names in json.loads(done.stdout).items()}
    for kind, names in REMOTE_OPTIONS.items():
        assert names - {"verify"} == known[kind] - {"verify"}


def test_only_what_does_not_belong_is_taken_out() -> None:
    sections = {
        "core": {"password": "x"},
        'remote "lab"': {"url": "s3://b", "profile": "lab", "password": "x"},
        'remote "red"': {"url": "/x", "jobs": "3"},
        'remote "mine"': {"password": "x"},
        'remote "odd"': {"secret_access_key": "x", "nonsense": "y"},
    }
    urls = {"lab": "s3://b/x", "red": None, "odd": "hdfs://x"}
    assert stale_options(sections, urls) == [
        Setting('remote "lab"', "password", None),
        Setting('remote "red"', "url", None),
        Setting('remote "red"', "jobs", None),
        Setting('remote "odd"', "nonsense", None),
    ]
