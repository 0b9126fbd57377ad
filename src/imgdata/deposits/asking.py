"""How connectors ask: again where that does no harm, else they read until it is known."""

import hashlib
import json
from collections.abc import Callable

from imgdata.deposits.web import Answer, AnswerError, Json, UnclearError, Web
from imgdata.errors import PartlyDoneError, UsageError
from imgdata.model.deposits import Deposit

READS_AFTER_PUBLISH = 5
_BAD_REQUEST, _UNPROCESSABLE = 400, 422


def insist(web: Web, ask: Callable[[], Answer]) -> Answer:
    """Ask again after an unclear answer: for what may be asked twice.

    Raises:
        UnclearError: No clear answer came in as many attempts as the service's patience has.
    """
    wait = web.patience.first_wait
    for attempt in range(1, web.patience.tries + 1):
        try:
            return ask()
        except UnclearError:
            if attempt == web.patience.tries:
                raise
            web.patience.sleep(wait)
            wait *= 2
    raise AssertionError  # the last attempt returns or raises


def told(web: Web, ask: Callable[[], Answer]) -> Answer:
    """Send a description; a refusal is a usage error with the server's words."""
    try:
        return ask()
    except AnswerError as error:
        if error.status not in {_BAD_REQUEST, _UNPROCESSABLE}:
            raise
        msg = f"{web.service} refuses this"
        raise UsageError(msg, cause="\n".join(error.messages)) from error


def read_until_published(
    web: Web, read: Callable[[], Deposit | None], identifier: str, error: UnclearError
) -> Deposit:
    """Read until a record is no draft any more; publishing is never asked a second time.

    Args:
        web: The service.
        read: Returns the record once it is published or in review, None before.
        identifier: Of the draft, for the message.
        error: What became of the request to publish.

    Raises:
        PartlyDoneError: It did not become known.
    """
    wait = web.patience.first_wait
    for _ in range(READS_AFTER_PUBLISH):
        found = read()
        if found is not None:
            return found
        web.patience.sleep(wait)
        wait *= 2
    msg = f"{web.service} did not say whether draft {identifier} was published"
    raise PartlyDoneError(
        msg,
        cause=f"{error.problem}\nafterwards the record was not there {READS_AFTER_PUBLISH} "
        "times; publishing was not asked for again",
        remedy="wait some minutes, then: imgdata publish --list",
    ) from error


def fingerprint(value: Json) -> str:
    """Return a short digest of a field of a form, by which a change is noticed."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:12]
