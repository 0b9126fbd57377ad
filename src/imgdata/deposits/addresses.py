"""Where services are: their public address, or the one the environment names.

`IMGDATA_FIGSHARE_URL=https://mirror.example/v2` reads Figshare from a mirror or a test server.
"""

import re
from os import environ

from imgdata.errors import UsageError

_GOOD = re.compile(r"https://[^/\s@?#]+(/[^\s?#]*)?|http://(127\.0\.0\.1|localhost)(:\d+)?(/\S*)?")


def address_of(service: str, usual: str) -> str:
    """Return a service's address, without a closing `/`.

    Raises:
        UsageError: The environment's address is not https (loopback excepted).
    """
    name = f"IMGDATA_{service.upper().replace('-', '_')}_URL"
    said = environ.get(name, "").strip()
    if not said:
        return usual.rstrip("/")
    if not _GOOD.fullmatch(said):
        msg = f"{name} is not an https:// address"
        raise UsageError(msg, remedy=f"unset {name} to use {usual}")
    return said.rstrip("/")
