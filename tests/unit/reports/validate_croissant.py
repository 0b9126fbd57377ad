"""Validate a croissant.json with mlcroissant, without network; print what is wrong with it.

A program of its own, for the validator's libraries warn about themselves.
"""

import logging
import sys

import mlcroissant

if __name__ == "__main__":
    logging.disable(logging.WARNING)
    for path in sys.argv[1:]:
        try:
            found = mlcroissant.Dataset(path)
        except mlcroissant.ValidationError as error:
            sys.stdout.write(f"{error}\n")
            continue
        issues = found.metadata.issues
        sys.stdout.writelines(f"{one}\n" for one in (*issues.errors, *issues.warnings))
        sys.stdout.write(f"files: {len(found.metadata.distribution)}\n")
