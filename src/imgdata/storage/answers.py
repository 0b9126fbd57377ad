"""What networks and object stores answer, as sentences.

A foreign error is a long text that may echo parts of a signed request. Only its known codes are
used; none of its text reaches a message.
"""

import re

from msgspec import Struct

from imgdata.errors import CredentialsError, ForbiddenError, ImgdataError, StorageError


class Answer(Struct, frozen=True):
    """One kind of failure, recognised by a pattern in the foreign error.

    Attributes:
        pattern: Matches the text of the error.
        problem: Words after the place and "could not ...".
        cause: Why.
        remedy: What to do.
        kind: The class of our error.
        detail: Finds the word that ends the remedy, where the error has one.
    """

    pattern: str
    problem: str
    cause: str
    remedy: str
    kind: type[ImgdataError] = StorageError
    detail: str = ""


SECRETS_REMEDY = "correct the key of the profile with: aws configure --profile NAME"
REACH_REMEDY = "see whether this machine is online and the server runs, then try again"
UNEXPECTED = "try again; if it stays so, tell the people who run the server"

NETWORK: tuple[Answer, ...] = (
    Answer(
        r"dns error|failed to lookup address|Name or service not known|nodename nor servname",
        "the server's name is not known",
        "the name could not be resolved",
        "correct endpoint_url or the url in imgdata.yaml, or see whether this machine is online",
    ),
    Answer(
        r"InvalidCertificate|UnknownIssuer|InvalidMessage|InvalidContentType|AlertReceived"
        r"|HandshakeFailure|certificate verify failed|SSLError|WRONG_VERSION_NUMBER",
        "no secure connection",
        "the server's certificate is not trusted, or it does not speak https on this port",
        "correct endpoint_url; for a certificate of your institution set ssl_verify to its file",
    ),
    Answer(
        r"ConnectionRefused|Connection refused",
        "the connection was refused",
        "no server listens there",
        REACH_REMEDY,
    ),
    Answer(
        r"NetworkUnreachable|HostUnreachable|Network is unreachable|No route to host",
        "the server cannot be reached",
        "there is no route to it",
        REACH_REMEDY,
    ),
    Answer(
        r"kind: Timeout|TimedOut|timed out|operation timed out",
        "the server did not answer in time",
        "the network or the server is too slow, or a firewall drops the connection",
        REACH_REMEDY,
    ),
    Answer(
        r"ConnectionReset|BrokenPipe|IncompleteMessage|UnexpectedEof|connection closed"
        r"|IncompleteBody|kind: (Interrupted|Request|Body|Decode)|error sending request",
        "the connection broke again and again",
        "the network or a proxy on the way drops connections",
        "try again; what has arrived is kept",
    ),
)


def _code(*codes: str, status: str = "") -> str:
    """Return a pattern for S3's error codes or HTTP's statuses; names of objects never match."""
    named = [f"<Code>({'|'.join(codes)})</Code>"] if codes else []
    return "|".join([*named, *([f"status code: ({status})"] if status else [])])


S3: tuple[Answer, ...] = (
    Answer(
        _code("SignatureDoesNotMatch"),
        "the credentials are refused",
        "the secret access key does not belong to the access key id",
        SECRETS_REMEDY,
        CredentialsError,
    ),
    Answer(
        _code("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClient", "AuthFailure"),
        "the credentials are refused",
        "the server does not know the access key id",
        SECRETS_REMEDY,
        CredentialsError,
    ),
    Answer(
        _code("ExpiredToken", "TokenRefreshRequired", "InvalidToken"),
        "the credentials are refused",
        "the session token is expired or not valid",
        "log in again, for example with: aws sso login --profile NAME",
        CredentialsError,
    ),
    Answer(
        _code("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"),
        "the server refuses the time of this machine",
        "this machine's clock and the server's differ by more than 15 minutes",
        "set the clock, for example with: timedatectl set-ntp true",
    ),
    Answer(
        _code("NoSuchBucket", "InvalidBucketName"),
        "there is no such bucket",
        "the server knows no bucket of this name",
        "correct the url in imgdata.yaml, or have the bucket made",
    ),
    Answer(
        _code(
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "TemporaryRedirect",
            status="301|307",
        )
        + "|redirect without LOCATION",
        "the bucket is in another region",
        "requests for it must name its own region; aws s3api get-bucket-location tells it",
        "set region in imgdata.yaml to the region of the bucket",
        detail=r"<Region>([a-z]{2}(?:-[a-z]+)+-[0-9])</Region>",
    ),
    Answer(
        _code(
            "SlowDown",
            "TooManyRequests",
            "RequestLimitExceeded",
            "ThrottlingException",
            status="429|503",
        ),
        "the server asked to slow down, again and again",
        "it is overloaded or limits the rate of requests",
        "try again later, or with fewer transfers at once: --jobs 2",
    ),
    Answer(
        _code("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", status="507"),
        "the storage is full",
        "its quota or its disks are used up",
        "have the quota raised, or 'imgdata drop' to see what could go",
    ),
    Answer(
        _code("MissingUploadObjectWithObjectLockHeaders", "MissingContentMD5")
        + "|Content-MD5 (OR|HTTP)",
        "the bucket wants a checksum with every object",
        "it keeps objects for a time (Object Lock)",
        "set object_lock: true at the storage in imgdata.yaml, or --option object_lock=true",
    ),
    Answer(
        _code("XAmzContentSHA256Mismatch", "BadDigest"),
        "the bytes arrived damaged",
        "the server's checksum of what arrived is not that of what was sent",
        "try again; nothing was stored",
    ),
    Answer(
        _code("InvalidObjectState", "ObjectNotInActiveTier"),
        "the object is in an archive tier",
        "it must be restored before it can be read",
        "restore it first; with AWS: aws s3api restore-object\n"
        "if rules of the bucket move objects there, write storage_class: GLACIER at the storage",
    ),
    Answer(
        _code("RequestTimeout"),
        "the bytes came too slowly",
        "the server gave up waiting for them, again and again",
        "try again on a faster line, or with fewer transfers at once: --jobs 2",
    ),
    Answer(
        _code("OperationAborted", "ConditionalRequestConflict"),
        "something else is done to the same place",
        "the server refuses two changes at once",
        "wait until it has ended, then try again",
    ),
    Answer(
        _code("EntityTooLarge", status="413"),
        "the object is too large for the server",
        "it, or a proxy before it, limits the size of what is sent",
        "have the limit raised, or keep the level on another storage",
    ),
    Answer(
        _code("KMS[.]\\w+", "KMS\\w+") + r"|\bkms:(GenerateDataKey|Decrypt)",
        "the bucket's encryption key cannot be used",
        "it is disabled, or your account may not use it",
        "ask the owner of the storage for the right to use its key, and whether it is enabled",
        ForbiddenError,
    ),
    Answer(
        _code("NotImplemented", "MethodNotAllowed", status="405|501"),
        "the server cannot do this",
        "it does not have this part of S3, or a proxy before it lets it not through",
        "tell the people who run the server, or keep the level on another storage",
    ),
    Answer(
        r"[Hh]eader missing|[Mm]issing (Content-Length|ETag|Last-Modified)|missing etag",
        "the server's answer is incomplete",
        "it lacks Content-Length or ETag, which S3 promises; perhaps a proxy takes them away",
        "tell the people who run the server",
    ),
    Answer(
        _code("PreconditionFailed", status="412"),
        "the object changed meanwhile",
        "somebody else overwrote it",
        "try again",
    ),
    Answer(
        _code("AccessDenied", "AllAccessDisabled", "AccountProblem", status="403"),
        "permission denied",
        "the credentials are known, but may not do this here",
        "ask the owner of the storage for the right to read, write, list and erase there",
        ForbiddenError,
    ),
    Answer(
        _code(status="401"),
        "the credentials are refused",
        "the server does not accept who you are",
        SECRETS_REMEDY,
        CredentialsError,
    ),
    Answer(
        _code("InternalError", status="5.."),
        "the server failed again and again",
        "it answered with an internal error",
        "try again later; if it stays so, tell the people who run the server",
    ),
)

_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z -]{0,40})")


def explain(answers: tuple[Answer, ...], place: str, action: str, text: str) -> ImgdataError:
    """Return our error for a foreign one.

    Args:
        answers: Failures to look for, the first match counts.
        place: The storage, for the message.
        action: What was tried, as the words after "could not".
        text: The foreign error's text.
    """
    code = _CODE.search(text) or _STATUS.search(text)
    told = f" (the server says {code.group(1).strip()})" if code else ""
    for answer in answers:
        if re.search(answer.pattern, text):
            problem = f"could not {action} on {place}: {answer.problem}"
            detail = re.search(answer.detail, text) if answer.detail else None
            remedy = f"{answer.remedy}: {detail[1]}" if detail else answer.remedy
            return answer.kind(problem, cause=answer.cause + told, remedy=remedy)
    problem = f"could not {action} on {place}"
    return StorageError(problem, cause=f"an unexpected answer{told}", remedy=UNEXPECTED)
