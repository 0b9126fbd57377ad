"""Licences as repositories write them, as SPDX ids."""

import re

from imgdata.deposits.web import plain

_CC_PAGE = re.compile(
    r"creativecommons\.org/(?:licenses/(by(?:-(?:nc|sa|nd))*)/(\d\.\d)|(publicdomain/zero))",
    re.IGNORECASE,
)
_CC_WORDS = re.compile(r"\bcc[ -](by(?:[ -](?:nc|sa|nd))*)[ -](?:v ?)?(\d\.\d)", re.IGNORECASE)
_CC_LONG = re.compile(
    r"creative commons attribution((?:[ -](?:non-?commercial|share-?alike|no-?deriv\w*))*)"
    r"\D{0,20}(\d\.\d)",
    re.IGNORECASE,
)
_ZERO = re.compile(r"\bcc[ -]?(?:0|zero)\b|public domain dedication", re.IGNORECASE)
_SPDX_PAGE = re.compile(r"spdx\.org/licenses/([A-Za-z0-9.-]+?)(?:\.html)?$")
_OTHERS = {
    "mit": "MIT",
    "mit license": "MIT",
    "bsd-3-clause": "BSD-3-Clause",
    "apache-2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "pddl-1.0": "PDDL-1.0",
    "odc-by-1.0": "ODC-By-1.0",
    "odbl-1.0": "ODbL-1.0",
}
_LONG = (("noncommercial", "nc"), ("sharealike", "sa"), ("noderiv", "nd"))


def spdx(text: str) -> str:
    """Return a licence's SPDX id where the words of a repository are known, else the words."""
    words = plain(text)
    return _creative_commons(words) or _named(words) or words


def _named(words: str) -> str:
    page = _SPDX_PAGE.search(words)
    return page[1] if page else _OTHERS.get(words.lower(), "")


def _creative_commons(words: str) -> str:
    page = _CC_PAGE.search(words)
    if page:
        return "CC0-1.0" if page[3] else f"CC-{page[1].upper()}-{page[2]}"
    short = _CC_WORDS.search(words)
    if short:
        return f"CC-{short[1].upper().replace(' ', '-')}-{short[2]}"
    long = _CC_LONG.search(words)
    if long:
        said = long[1].lower().replace("-", "").replace(" ", "")
        parts = ["CC-BY", *(part.upper() for word, part in _LONG if word in said), long[2]]
        return "-".join(parts)
    return "CC0-1.0" if _ZERO.search(words) else ""
