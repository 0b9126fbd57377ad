"""What licences of data allow: to pass data on, and which licence a deposit may carry. SPDX ids."""

import re

_PERMISSIVE = frozenset(
    {
        "CC0-1.0",
        "CC-BY-4.0",
        "CC-BY-3.0",
        "PDDL-1.0",
        "ODC-BY-1.0",
        "MIT",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "APACHE-2.0",
    }
)
_SHARE_ALIKE = frozenset({"CC-BY-SA-4.0", "CC-BY-SA-3.0", "ODBL-1.0"})
_ZERO = "CC0-1.0"
_COPYLEFT = ("GPL-", "LGPL-", "AGPL-", "MPL-", "EUPL-", "CDLA-")
_CC_URL = re.compile(
    r"https?://creativecommons\.org/(?:licenses/([a-z-]+)|publicdomain/(zero))/([\d.]+)"
)


def spdx_id(text: str) -> str | None:
    """Return the one licence of the SPDX list that a text names, as the list writes it."""
    from packaging.licenses import (  # noqa: PLC0415 - its list takes a millisecond to load
        InvalidLicenseExpression,
        canonicalize_license_expression,
    )

    try:
        found = str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return None
    # An expression of several, or a lab's own, is no entry of the list.
    return None if " " in found or found.startswith("LicenseRef-") else found


def is_known(license_id: str) -> bool:
    """Tell whether the text looks like a licence data repositories know."""
    upper = license_id.upper()
    known = {name.upper() for name in _PERMISSIVE | _SHARE_ALIKE}
    return upper in known or upper.startswith("CC-BY-")


def conflict(deposit: str, origin: str) -> str | None:
    """Say why data under the origin's licence cannot be deposited under another, or None.

    Conservative: an unknown licence conflicts with every other one. Attribution is kept by
    citing the origin, so any permissive licence goes into any deposit except CC0, which would
    drop the duty to attribute.
    """
    ours, theirs = deposit.upper(), origin.upper()
    if ours == theirs or theirs in {_ZERO, "PDDL-1.0"}:
        return None
    if theirs in {name.upper() for name in _PERMISSIVE}:
        if ours == _ZERO:
            return f"{deposit} would drop the attribution {origin} asks for"
        return None
    return _unlike(deposit, origin)


def _unlike(deposit: str, origin: str) -> str:
    """Say what an origin's licence that is not permissive demands."""
    ours, theirs = deposit.upper(), origin.upper()
    if not is_known(origin):
        return f"{origin} is not known to allow redistribution under {deposit}"
    if "-ND-" in theirs:
        return f"{origin} allows no derived works and no other licence"
    if "-NC-" in theirs and "-NC-" not in ours:
        return f"{origin} forbids commercial use, {deposit} does not"
    return f"{origin} asks for the same licence, the deposit has {deposit}"


def sharing_fault(license_id: str, *, is_derived: bool) -> str:
    """Say why data under a licence may not be passed on to anyone; empty where they may.

    What is not known to allow it does not. Whether strangers may earn money with the data or must
    name its makers is theirs to keep to.
    """
    name = _spdx(license_id)
    if not name:
        return "its licence is not stated, so nothing allows to pass it on"
    if not (is_known(name) or name.upper().startswith(_COPYLEFT)):
        return f"its licence '{license_id}' is not known to allow to pass it on"
    if is_derived and "-ND-" in f"{name.upper()}-":
        return f"{license_id} allows no derived works"
    return ""


def _spdx(text: str) -> str:
    """Return a licence's id for the ways people and services write Creative Commons' names."""
    found = _CC_URL.search(text.lower())
    if found:
        return _ZERO if found[2] else f"CC-{found[1]}-{found[3]}".upper()
    name = re.sub(r"[\s_]+", "-", text.strip())
    upper = name.upper()
    return _ZERO if upper in {"CC0", "CC-0", "CC-ZERO", "CC0-1.0-UNIVERSAL"} else name
