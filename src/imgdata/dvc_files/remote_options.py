"""Which options DVC takes for a remote, by the scheme of its url.

One option of another kind of remote, left over in any configuration file, makes every dvc command
fail, even those that use no remote.

Source: DVC 3.67 `dvc/config_schema.py`; compared with the installed DVC by a test.
"""

from collections.abc import Mapping

from imgdata.dvc_files.config import REMOTE, Setting

_COMMON = frozenset(
    {"url", "checksum_jobs", "jobs", "worktree", "no_traverse", "version_aware", "verify"}
)
_HTTP = frozenset(
    {
        "ask_password",
        "auth",
        "connect_timeout",
        "custom_auth_header",
        "method",
        "password",
        "read_timeout",
        "ssl_verify",
        "user",
    }
)
_WEBDAV = frozenset(
    {
        "ask_password",
        "bearer_token_command",
        "cert_path",
        "custom_auth_header",
        "key_path",
        "password",
        "ssl_verify",
        "timeout",
        "token",
        "user",
    }
)
REMOTE_OPTIONS: Mapping[str, frozenset[str]] = {
    "": _COMMON | {"protected", "shared", "slow_link_warning", "type"},
    "s3": _COMMON
    | {
        "access_key_id",
        "acl",
        "allow_anonymous_login",
        "cache_regions",
        "configpath",
        "connect_timeout",
        "credentialpath",
        "endpointurl",
        "grant_full_control",
        "grant_read",
        "grant_read_acp",
        "grant_write_acp",
        "listobjects",
        "profile",
        "read_timeout",
        "region",
        "secret_access_key",
        "session_token",
        "sse",
        "sse_customer_algorithm",
        "sse_customer_key",
        "sse_kms_key_id",
        "ssl_verify",
        "use_ssl",
    },
    "gs": _COMMON | {"allow_anonymous_login", "credentialpath", "endpointurl", "projectname"},
    "azure": _COMMON
    | {
        "account_key",
        "account_name",
        "allow_anonymous_login",
        "client_id",
        "client_secret",
        "connection_string",
        "connection_timeout",
        "exclude_environment_credential",
        "exclude_managed_identity_credential",
        "exclude_shared_token_cache_credential",
        "exclude_visual_studio_code_credential",
        "read_timeout",
        "sas_token",
        "tenant_id",
        "timeout",
    },
    "ssh": _COMMON
    | {
        "allow_agent",
        "ask_passphrase",
        "ask_password",
        "gss_auth",
        "keyfile",
        "max_sessions",
        "passphrase",
        "password",
        "port",
        "timeout",
        "type",
        "user",
    },
    "http": _COMMON | _HTTP,
    "https": _COMMON | _HTTP,
    "webdav": _COMMON | _WEBDAV,
    "webdavs": _COMMON | _WEBDAV,
}


def stale_options(
    sections: Mapping[str, Mapping[str, str]], urls: Mapping[str, str | None]
) -> list[Setting]:
    """Return the settings that take leftovers out of one configuration file.

    Args:
        sections: What the file says, by section.
        urls: The url each remote has or will have; None for a remote that DVC cannot speak to,
            whose section goes away whole. Remotes that are not named stay as they are.
    """
    settings: list[Setting] = []
    for section, options in sections.items():
        found = REMOTE.match(section)
        if found is None or found[1] not in urls:
            continue
        url = urls[found[1]]
        allowed = frozenset[str]() if url is None else _allowed(url)
        settings += [Setting(section, name, None) for name in options if name not in allowed]
    return settings


def _allowed(url: str) -> frozenset[str]:
    scheme = url.partition("://")[0] if "://" in url else ""
    known = REMOTE_OPTIONS.get(scheme)
    # Of a kind of remote that is not in the table nothing is known to be wrong.
    return frozenset().union(*REMOTE_OPTIONS.values()) if known is None else known
