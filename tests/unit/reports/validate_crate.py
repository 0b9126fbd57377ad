"""Validate a crate with roc-validator, without network: the context comes with rocrate.

A program of its own, for the validator's libraries warn about themselves.
"""

import sys
from pathlib import Path
from unittest import mock

import requests
import rocrate
from rocrate_validator import models, services

CONTEXT = (Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_bytes()


def offline(*_request: object, **_options: object) -> requests.Response:
    """Answer every request with the context of RO-Crate."""
    found = mock.create_autospec(requests.Response, instance=True)
    found.status_code = 200
    found.content = CONTEXT
    found.text = CONTEXT.decode()
    found.json.return_value = requests.compat.json.loads(CONTEXT)
    found.headers = {"Content-Type": "application/ld+json"}
    return found


if __name__ == "__main__":
    with mock.patch.object(requests.Session, "request", offline):
        result = services.validate(
            services.ValidationSettings(
                rocrate_uri=sys.argv[1],
                profile_identifier=sys.argv[2],
                requirement_severity=models.Severity.REQUIRED,
            )
        )
    for issue in result.get_issues():
        sys.stdout.write(f"{issue.check.identifier}: {issue.message}\n")
