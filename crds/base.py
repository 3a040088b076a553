"""What all kinds share: strict frozen models in camelCase, names, metadata, and refusals that point at one field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

API_VERSION = "skep/v1"
REFUSED = "skep"  # the pydantic error type whose message is already a sentence for people

Path = tuple[str | int, ...]


def refusal(message: str) -> PydanticCustomError:
    """What a validator raises: *message* reaches people as it is, after the field's path."""
    return PydanticCustomError(REFUSED, "{text}", {"text": message})


def refusals(faults: Sequence[tuple[Path, str]], value: object = None) -> ValidationError:
    """What a validator raises to refuse several places below its own at once."""
    details = [InitErrorDetails(type=refusal(message), loc=path, input=value) for path, message in faults]
    return ValidationError.from_exception_data("refused", details)


def shown(value: object) -> str:
    """*value* in quotes for a message: control characters escaped, at most 60 characters of it."""
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


class Model(BaseModel):
    """A mapping of a document: unknown keys are errors, nothing changes after reading.

    A key without a value counts as not written, as people leave `hosts:` behind when its items go.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        # Code may build models by their Python names. The reader switches this off: YAML is camelCase only.
        validate_by_name=True,
        validate_by_alias=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: object) -> object:
        if not isinstance(data, dict) or None not in data.values():
            return data
        optional = {field.alias for field in cls.model_fields.values() if not field.is_required()}
        return {key: value for key, value in data.items() if value is not None or key not in optional}

    def written(self) -> dict[str, object]:
        """The mapping as a person would write it: camelCase keys, only what was set, units as text."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


NAME_PATTERN = r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$"
TENANT_NAME_PATTERN = r"^[a-z][a-z0-9-]{1,30}[a-z0-9]$"

# A tenant's name becomes a host below the base domain, and a part of object names such as `skep.<name>.db-a.g1.k1`:
# hosts that a platform needs for itself, and words that skep's own objects (`skep.record.*`) or roles begin with.
RESERVED_NAMES = frozenset(
    {
        "account", "accounts", "admin", "alertmanager", "api", "app", "apps", "assets", "auth", "autoconfig",
        "autodiscover", "backup", "backups", "billing", "blog", "cache", "cdn", "central", "console", "control",
        "dashboard", "data", "db", "default", "dev", "dns", "docs", "edge", "email", "ftp", "git", "grafana",
        "health", "healthz", "help", "host", "hosts", "id", "imap", "internal", "invite", "lease", "leases", "ldap",
        "legal", "localhost", "login", "logs", "loki", "mail", "metrics", "mx", "ntp", "ns", "ns1", "ns2", "oauth",
        "operator", "panel", "pgbouncer", "plan", "platform", "pop", "pop3", "postgres", "postgres-admin",
        "postgresql", "postmaster", "prometheus", "proxy", "public", "readyz", "record", "records", "redis",
        "registry", "release", "request", "requests", "restore", "revision", "root", "root-key", "schema", "secret",
        "secrets", "security", "server", "settings", "setup", "signin", "signup", "skep", "smtp", "source",
        "sources", "sso", "staging", "static", "status", "superadmin", "support", "swarm", "system", "tasks",
        "template", "template0", "template1", "tenant", "tenants", "tls", "traefik", "vault", "vpn", "web",
        "webhook", "webhooks", "webmail", "webmaster", "worker", "wpad", "www",
    }
)  # fmt: skip


def _read_name(value: str) -> str:
    if not re.fullmatch(NAME_PATTERN, value):
        raise refusal(
            f"{shown(value)} is not a name; use 1 to 32 characters of a-z, 0-9 and '-', "
            "beginning with a letter and not ending with '-'"
        )
    return value


def _read_tenant_name(value: str) -> str:
    if not re.fullmatch(TENANT_NAME_PATTERN, value):
        raise refusal(
            f"{shown(value)} is not a tenant's name; use 3 to 32 characters of a-z, 0-9 and '-', "
            "beginning with a letter and not ending with '-'"
        )
    if value.startswith("xn--"):
        raise refusal(f"{shown(value)} begins with 'xn--', which marks an encoded host name; choose another name")
    if value in RESERVED_NAMES:
        raise refusal(f"{shown(value)} is reserved for the platform; choose another name")
    return value


Name = Annotated[str, AfterValidator(_read_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]
TenantName = Annotated[
    str, AfterValidator(_read_tenant_name), WithJsonSchema({"type": "string", "pattern": TENANT_NAME_PATTERN})
]

LABEL_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$"


def _read_label_key(value: str) -> str:
    if not re.fullmatch(LABEL_PATTERN, value):
        raise refusal(f"{shown(value)} is not a label's key; use 1 to 63 characters of A-Z, a-z, 0-9 and '._/-'")
    if value.startswith("skep."):
        raise refusal(f"{shown(value)} begins with 'skep.', which skep keeps for itself; choose another key")
    return value


LabelKey = Annotated[str, AfterValidator(_read_label_key), WithJsonSchema({"type": "string", "pattern": LABEL_PATTERN})]


class Metadata(Model):
    """Who a document is about."""

    name: Name
    """The name, unique among documents of this kind: 1 to 32 characters of a-z, 0-9 and '-'."""
    labels: dict[LabelKey, Annotated[str, Field(max_length=256)]] = Field(default_factory=dict)
    """Words of your own to tell documents apart. skep keeps them and gives them no meaning."""
    annotations: dict[LabelKey, Annotated[str, Field(max_length=4096)]] = Field(default_factory=dict)
    """Notes of your own, longer than labels. skep keeps them and gives them no meaning."""


class Kind(Model):
    """A whole document."""

    api_version: Literal["skep/v1"]
    """The version of the language that this document is written in."""


def distinct(what: str, *, key: str | None = None) -> AfterValidator:
    """For a list: refuses each item (each item's *key* field, if given) that stands there already."""

    def check(items: tuple[object, ...]) -> tuple[object, ...]:
        seen: set[object] = set()
        faults: list[tuple[Path, str]] = []
        for index, item in enumerate(items):
            value = getattr(item, key) if key else item
            if value in seen:
                path: Path = (index, key) if key else (index,)
                faults.append((path, f"{what} {shown(value)} is listed twice; remove one"))
            seen.add(value)
        if faults:
            raise refusals(faults)
        return items

    return AfterValidator(check)
