"""The time by a server's own clock: the `Date` of its answer (RFC 9110, section 6.6.1)."""

import ssl
import urllib.error
import urllib.request
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path

PATIENCE_S = 5.0
WEB = ("http://", "https://")


def server_time(
    url: str, *, certificates: Path | None = None, is_checked: bool = True
) -> datetime | None:
    """Return the time a web server says it is, or None where it does not answer so.

    One HEAD request without credentials; a refusal has a date as well.

    Args:
        url: Any address on the server; None is returned for what is not on the web.
        certificates: A file of certificates to trust instead of the system's.
        is_checked: Whether the server's certificate is looked at.
    """
    if not url.lower().startswith(WEB):
        return None
    try:
        context = _context(certificates, is_checked=is_checked)
        request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "imgdata"})  # noqa: S310 - the web only, see above
        with urllib.request.urlopen(request, timeout=PATIENCE_S, context=context) as answer:  # noqa: S310 - same
            return _date(answer.headers)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _date(refusal.headers)
    except (OSError, ValueError):
        return None


def _context(certificates: Path | None, *, is_checked: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificates)
    if not is_checked:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _date(headers: Message) -> datetime | None:
    try:
        found = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
