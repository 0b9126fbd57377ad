"""Credentials and settings the AWS way, without the AWS software where it is not needed.

Order, as in AWS's own tools: the named profile; else environment, then the default profile.
Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

import configparser
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imgdata.errors import CredentialsError, MachineError, StorageError
from imgdata.storage.answers import REACH_REMEDY
from imgdata.system.installing import install_line

if TYPE_CHECKING:  # this name exists in obstore's stubs only
    from obstore.store import S3Credential

STATIC_KEY = "aws_access_key_id"
_BY_OTHER_MEANS = (
    "credential_process",
    "credential_source",
    "login_session",
    "role_arn",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
)
_LOGIN = frozenset({"SSOError", "LoginError", "TokenRetrievalError"})
"""By name: the second is not in every version of botocore."""
_ENVIRONMENT_OTHER = (
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


Provider = Callable[[], "S3Credential"]
"""Gives credentials in the form the transfer library asks for."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who speaks to the server, and what the profile says about the server.

    Attributes:
        provider: Gives the credentials; may renew them.
        region: From environment or profile; None when neither names one.
        endpoint_url: The same.
    """

    provider: Provider = field(repr=False)
    region: str | None = None
    endpoint_url: str | None = None


def find_account(
    profile: str | None, place: str, secrets: Mapping[str, str] | None = None
) -> Account:
    """Return credentials for a place: given ones, else by profile or from the environment.

    Raises:
        CredentialsError: There are none, or the profile is unknown.
        MachineError: The profile needs boto3, which is not installed.
    """
    named = profile or os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    profiles = _profiles()
    if named and named not in profiles:
        raise _unknown_profile(named, profiles)
    values = profiles.get(named or "default", {})
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if profile and values.get("region"):
        region = values["region"]
    given = _given(secrets or {})
    return Account(
        given or _provider(profile, named, values, place),
        region or values.get("region"),
        endpoint or _endpoint_of_s3(values) or values.get("endpoint_url"),
    )


def _endpoint_of_s3(values: Mapping[str, str]) -> str | None:
    """Return the server a profile names for S3 alone, in the `services` section it refers to.

    Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    if "services" not in values:
        return None
    sections = _sections("AWS_CONFIG_FILE", "~/.aws/config")
    nested = sections.get(f"services {values['services']}", {}).get("s3", "")
    pairs = (line.partition("=") for line in nested.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}.get("endpoint_url")


def _given(secrets: Mapping[str, str]) -> Provider | None:
    """Return credentials by the names DVC gives them, which are AWS's without the prefix."""
    static = _from_values({f"aws_{key}": text for key, text in secrets.items()}, STATIC_KEY)
    return None if static is None else lambda: static


def _provider(
    profile: str | None, named: str | None, values: Mapping[str, str], place: str
) -> Provider:
    static = None if profile else _from_values(os.environ, "AWS_ACCESS_KEY_ID")
    other = any(name in values for name in _BY_OTHER_MEANS)
    if not static and not other:
        static = _from_values(values, STATIC_KEY)
    if static:
        found = static
        return lambda: found
    if other or any(os.environ.get(name) for name in _ENVIRONMENT_OTHER):
        return _boto3_provider(named, place)
    problem = f"no credentials were found for {place}"
    raise CredentialsError(
        problem,
        cause=f"profile '{named}' has no keys" if named else "no environment variables, no profile",
        remedy="aws configure --profile NAME, and 'profile: NAME' at the storage in imgdata.yaml",
    )


def _from_values(values: Mapping[str, str], first: str) -> "S3Credential | None":
    upper = first.isupper()
    names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    secret_name, token_name = names if upper else (name.lower() for name in names)
    key, secret = values.get(first, "").strip(), values.get(secret_name, "").strip()
    if not key or not secret:
        return None
    token = values.get(token_name, "").strip() or None
    return {
        "access_key_id": key,
        "secret_access_key": secret,
        "token": token,
        "expires_at": None,
    }


def _boto3_provider(profile: str | None, place: str) -> Provider:
    """Return credentials that boto3 fetches: single sign-on, roles, processes, containers."""
    if importlib.util.find_spec("boto3") is None:
        msg = f"the profile for {place} needs boto3, which is not installed"
        raise MachineError(msg, remedy=install_line("imgdata[s3]"))
    import boto3  # noqa: PLC0415 - slow to import, and few profiles need it
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - same

    try:
        found = boto3.Session(profile_name=profile).get_credentials()
    except (BotoCoreError, ClientError) as error:
        raise _not_given(error, profile, place) from None
    if found is None:
        raise _not_given(None, profile, place)

    def provide() -> "S3Credential":
        try:
            frozen = found.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise _not_given(error, profile, place) from None
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": getattr(found, "_expiry_time", None),
        }

    provide()
    return provide


def _not_given(error: Exception | None, profile: str | None, place: str) -> StorageError:
    """Return why AWS's software gave no credentials; its own text could hold some."""
    from botocore import exceptions  # noqa: PLC0415 - loaded by the caller

    problem = f"no credentials could be had for {place}"
    name = profile or "default"
    match error:
        case exceptions.ConnectionError() | exceptions.HTTPClientError():
            cause = "the server of AWS that gives them cannot be reached"
            return StorageError(problem, cause=cause, remedy=REACH_REMEDY)
        case exceptions.ClientError():
            code = str(error.response.get("Error", {}).get("Code", ""))
            cause = f"AWS refuses profile '{name}' ({code if code.isalnum() else 'no reason'})"
        case exceptions.CredentialRetrievalError():
            cause = f"the program that profile '{name}' names as credential_process failed"
            remedy = "run it by hand; it stands in ~/.aws/config"
            return CredentialsError(problem, cause=cause, remedy=remedy)
        case BaseException() if any(kind.__name__ in _LOGIN for kind in type(error).__mro__):
            cause = f"nobody is logged in with profile '{name}', or the login has expired"
            remedy = f"log in with: aws sso login --profile {name}"
            return CredentialsError(problem, cause=cause, remedy=remedy)
        case None:
            cause = f"profile '{name}' gave none"
        case _:
            cause = f"profile '{name}' is not complete or not right ({type(error).__name__})"
    remedy = f"correct ~/.aws/config until this works: aws sts get-caller-identity --profile {name}"
    return CredentialsError(problem, cause=cause, remedy=remedy)


def _profiles() -> dict[str, dict[str, str]]:
    """Return all profiles of both files; the credentials file wins."""
    config = _sections("AWS_CONFIG_FILE", "~/.aws/config")
    found = {
        name.removeprefix("profile ").strip(): values
        for name, values in config.items()
        if name == "default" or name.startswith("profile ")
    }
    for name, values in _sections("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials").items():
        found[name] = {**found.get(name, {}), **values}
    return found


def _sections(variable: str, usual: str) -> dict[str, dict[str, str]]:
    path = Path(os.environ.get(variable) or usual).expanduser()
    parser = configparser.RawConfigParser(strict=False, default_section="\0")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (configparser.Error, UnicodeDecodeError):
        # The parser's own message would quote a line of a file that holds secrets.
        msg = f"{path} cannot be read: it is not in the form of AWS's credentials and config files"
        raise CredentialsError(msg, remedy=f"correct {path}") from None
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise CredentialsError(msg, remedy=f"look with: ls -l {path}") from error
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _unknown_profile(name: str, profiles: Mapping[str, object]) -> CredentialsError:
    known = ", ".join(sorted(profiles)) or "none"
    return CredentialsError(
        f"there is no profile '{name}' in ~/.aws/credentials or ~/.aws/config",
        cause=f"known profiles: {known}",
        remedy=f"aws configure --profile {name}",
    )
