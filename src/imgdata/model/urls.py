"""What a url gives away."""

import re

_AUTHORITY = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)", re.IGNORECASE)
_PORT = re.compile(r"\d*\Z")


def holds_secret(url: str) -> bool:
    """Tell whether a url has a password or key in it: `scheme://name:secret@host`.

    A secret may hold `/`, `?` or `#`, as half of Amazon's do. The host ends there for every
    parser, and the beginning of the secret stands where a port would, the `@` somewhere behind.
    """
    found = _AUTHORITY.match(url)
    if not found or "@" not in url:
        return False
    user, _, host = found[2].rpartition("@")
    _, colon, port = host.rpartition("]")[2].partition(":")
    is_bucket = found[1].lower() == "s3"
    return ":" in user or not _PORT.match(port) or (is_bucket and bool(colon))
