"""What a tenant's app is given: settings that anyone may read, and the names of secrets that nobody may.

Settings travel in a Swarm config, which everyone with the API can read; so a key or a value that looks like a secret
is refused before it gets there.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from skep.crds.base import Model, refusal, shown

SETTING_KEY_PATTERN = r"^([A-Z][A-Z0-9_]{0,63}|[a-z][a-zA-Z0-9]{0,63})$"
SETTING_VALUE_MAX = 8192

_SECRET_WORD = re.compile(
    r".*(password|passwd|passphrase|passcode|secret|token|apikey|secretkey|accesskey|privatekey|credential)s?"
    r"|(key|pwd)s?"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_CREDENTIALS_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def looks_secret(key: str) -> bool:
    """Whether a setting's last word (`SMTP_PASSWORD`, `stripeKey`, `TOKEN`) says that its value is a secret."""
    words = [word.lower() for word in _WORD.findall(key) if not word.isdigit()]
    return bool(words) and (_SECRET_WORD.fullmatch(words[-1]) is not None or key.endswith("_PASS"))


def secret_file(key: str) -> str:
    """The file name that a secret-looking setting would have as a secret: `SMTP_PASSWORD` -> `smtp-password`."""
    file = "-".join(word.lower() for word in _WORD.findall(key))[:30].strip("-")  # `<tenant>.<file>` has 64 at most
    return f"own-{file}" if file in OUR_FILES else file


def _secret_remedy(file: str) -> str:
    # The reader puts the tenant's own name in place of <tenant>.
    return (
        f"run `docker secret create --label skep.tenant=<tenant> <tenant>.{file} FILE` "
        f"and add {{name: {file}, secret: <tenant>.{file}}} to the Tenant's app.secrets"
    )


def _read_setting_key(value: str) -> str:
    if not re.fullmatch(SETTING_KEY_PATTERN, value):
        raise refusal(
            f"{shown(value)} is not a setting's key; write it like UPPER_CASE or camelCase, 64 characters at most"
        )
    if looks_secret(value):
        raise refusal(f"looks like a secret, and settings can be read by many; {_secret_remedy(secret_file(value))}")
    return value


def _read_setting_value(value: str) -> str:
    if len(value) > SETTING_VALUE_MAX:
        raise refusal(f"has {len(value)} characters; {SETTING_VALUE_MAX} are the most")
    if _CREDENTIALS_IN_URL.search(value):
        raise refusal(f"holds a password in a URL, and settings can be read by many; {_secret_remedy('url')}")
    if _PRIVATE_KEY.search(value):
        raise refusal(f"holds a private key, and settings can be read by many; {_secret_remedy('private-key')}")
    return value


SettingKey = Annotated[
    str, AfterValidator(_read_setting_key), WithJsonSchema({"type": "string", "pattern": SETTING_KEY_PATTERN})
]
SettingValue = Annotated[
    str,
    AfterValidator(_read_setting_value),
    WithJsonSchema({"type": ["string", "number", "boolean"], "maxLength": SETTING_VALUE_MAX}),
]
AppSettings = Annotated[dict[SettingKey, SettingValue], Field(max_length=200)]

FILE_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
OBJECT_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$"
OUR_FILES = frozenset({"database-password"})  # docs/app-contract.md


def _read_file(value: str) -> str:
    if not re.fullmatch(FILE_PATTERN, value):
        raise refusal(
            f"{shown(value)} is not a file name for a secret; use 1 to 64 characters of a-z, 0-9 and '._-', "
            "beginning with a letter or digit"
        )
    if value in OUR_FILES:
        raise refusal(f"{shown(value)} is the file that skep itself gives the app; choose another name")
    return value


def _read_object(value: str) -> str:
    if not re.fullmatch(OBJECT_PATTERN, value):
        raise refusal(f"{shown(value)} is not a secret's name; use 1 to 64 characters of A-Z, a-z, 0-9 and '._-'")
    if value.startswith("skep."):
        raise refusal(f"{shown(value)} is one of skep's own secrets; name a secret of your own")
    return value


class SecretRef(Model):
    """One secret of the tenant's own, as a file of its app."""

    name: Annotated[str, AfterValidator(_read_file), WithJsonSchema({"type": "string", "pattern": FILE_PATTERN})]
    """The file's name under /run/secrets."""
    secret: Annotated[str, AfterValidator(_read_object), WithJsonSchema({"type": "string", "pattern": OBJECT_PATTERN})]
    """The name of an existing Swarm secret that carries the label skep.tenant=<name of this tenant>."""
