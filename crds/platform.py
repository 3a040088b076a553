"""The Platform: what all tenants stand on. There is exactly one."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from skep.crds.base import Kind, Metadata, Model, Name, Path, distinct, refusal, refusals, shown
from skep.crds.hosts import BaseDomain, is_under
from skep.crds.images import Image, ImagePattern, is_allowed, parse_image
from skep.crds.plan import PlanSpec
from skep.crds.settings import FILE_PATTERN
from skep.crds.units import Flag, read_whole

LOCAL_DOMAINS = ("localhost", "test")  # RFC 6761: they never leave the machine
NETWORK_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$"
SERVER_HOST_PATTERN = r"^[A-Za-z0-9:]([A-Za-z0-9_.:-]{0,251}[A-Za-z0-9:])?$"
ROLE_PATTERN = r"^[a-z_][a-z0-9_]{0,62}$"


def _read_network(value: str) -> str:
    if not re.fullmatch(NETWORK_PATTERN, value):
        raise refusal(f"{shown(value)} is not a network's name; use 1 to 64 characters of A-Z, a-z, 0-9 and '_.-'")
    return value


def _read_server_host(value: str) -> str:
    if ":" in value:
        try:
            ipaddress.IPv6Address(value)
        except ValueError:
            raise refusal(f"{shown(value)} is not a host; write the port in its own field, port") from None
    elif not re.fullmatch(SERVER_HOST_PATTERN, value):
        raise refusal(f"{shown(value)} is not a host; write a host name or an IP address")
    return value


def _read_role(value: str) -> str:
    if not re.fullmatch(ROLE_PATTERN, value) or value.startswith("pg_"):
        raise refusal(
            f"{shown(value)} is not a role of the operator; use a-z, 0-9 and '_', 63 at most, not beginning with pg_"
        )
    return value


def _read_secret_file(value: str) -> str:
    if not re.fullmatch(FILE_PATTERN, value):
        raise refusal(f"{shown(value)} is not a file name for a secret; use 1 to 64 characters of a-z, 0-9 and '._-'")
    return value


NetworkName = Annotated[
    str, AfterValidator(_read_network), WithJsonSchema({"type": "string", "pattern": NETWORK_PATTERN})
]
NetworkNames = Annotated[tuple[NetworkName, ...], Field(min_length=1, max_length=100), distinct("network")]


class Networks(Model):
    """The overlay networks that tenants join. Each tenant joins one of each and stays there."""

    edge: NetworkNames = ("skep-edge-1",)
    """Networks between the edge proxy and tenants."""
    data: NetworkNames = ("skep-data-1",)
    """Networks between tenants and database servers."""

    @field_validator("data")
    @classmethod
    def _keep_apart(cls, data: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        faults: list[tuple[Path, str]] = [
            ((index,), f"network {shown(name)} is an edge network too; databases want networks of their own")
            for index, name in enumerate(data)
            if name in info.data.get("edge", ())
        ]
        if faults:
            raise refusals(faults)
        return data


class DatabaseServer(Model):
    """One PostgreSQL server."""

    name: Name
    """The server's name, by which tenants may ask for it."""
    host: Annotated[
        str, AfterValidator(_read_server_host), WithJsonSchema({"type": "string", "pattern": SERVER_HOST_PATTERN})
    ]
    """Its host name or IP address, as the operator and the tenants reach it."""
    port: Annotated[int, Field(ge=1, le=65535), BeforeValidator(read_whole)] = 5432
    """Its port."""
    user: Annotated[str, AfterValidator(_read_role), WithJsonSchema({"type": "string", "pattern": ROLE_PATTERN})] = (
        "skep_admin"
    )
    """The operator's role on this server. It creates databases and roles and needs no superuser."""
    secret: Annotated[
        str, AfterValidator(_read_secret_file), WithJsonSchema({"type": "string", "pattern": FILE_PATTERN})
    ] = "skep.postgres-admin"  # noqa: S105 - the name of a file
    """The name of the file in the operator's secrets directory that holds this role's password."""
    capacity: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(read_whole)] = 500
    """How many tenants it takes. skep chooses the least full server for a new tenant."""


class CacheServer(Model):
    """One Redis or Valkey server."""

    name: Name
    """The server's name."""
    host: Annotated[
        str, AfterValidator(_read_server_host), WithJsonSchema({"type": "string", "pattern": SERVER_HOST_PATTERN})
    ]
    """Its host name or IP address, as the operator and the tenants reach it."""
    port: Annotated[int, Field(ge=1, le=65535), BeforeValidator(read_whole)] = 6379
    """Its port."""
    user: Annotated[str, AfterValidator(_read_role), WithJsonSchema({"type": "string", "pattern": ROLE_PATTERN})] = (
        "skep_admin"
    )
    """The operator's user on this server. It makes and removes users."""
    secret: Annotated[
        str, AfterValidator(_read_secret_file), WithJsonSchema({"type": "string", "pattern": FILE_PATTERN})
    ] = "skep.redis-admin"  # noqa: S105 - the name of a file
    """The name of the file in the operator's secrets directory that holds this user's password."""


class PlatformApp(Model):
    """The app that tenants run if neither they nor their plan name another."""

    image: Image
    """The default image of all tenants."""
    allowed_images: Annotated[tuple[ImagePattern, ...], Field(min_length=1, max_length=100)] | None = None
    """Images that plans and tenants may name. * stands for any part of a name between slashes, ** crosses slashes;
    without a tag, all tags and digests are meant. Left out, only the default image's repository is allowed, at any tag
    or digest."""

    def allows(self, image: str) -> bool:
        """Whether a plan or tenant may run *image*."""
        if self.allowed_images is not None:
            return is_allowed(image, self.allowed_images)
        ours, theirs = parse_image(self.image), parse_image(image)
        return ours is not None and theirs is not None and ours.repository == theirs.repository


class Brake(Model):
    """Holds deletions back. A revision that deletes more than one tenant, and more than either number, waits for
    `skep approve`."""

    percent: Annotated[int, Field(ge=1, le=100), BeforeValidator(read_whole)] = 30
    """The share of a source's tenants, in percent, that one revision may delete."""
    count: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(read_whole)] = 10
    """The number of tenants that one revision may delete."""


class PlatformSpec(Model):
    """The platform itself."""

    base_domain: BaseDomain
    """Tenants are served at <name>.<baseDomain>."""
    # Before tls, which is judged by it.
    insecure: Flag = False
    """true allows tls: off on a public base domain. Passwords and cookies then cross the network in the clear."""
    tls: Literal["off", "certificate"]
    """certificate: the edge serves HTTPS with a certificate from a secret. off: plain HTTP, only for a base domain
    under localhost or test."""
    networks: Networks = Networks()
    """The overlay networks that tenants join."""
    databases: Annotated[
        tuple[DatabaseServer, ...], Field(min_length=1, max_length=100), distinct("database server", key="name")
    ]
    """The PostgreSQL servers, at least one."""
    caches: Annotated[tuple[CacheServer, ...], Field(max_length=100), distinct("cache server", key="name")] = ()
    """The Redis servers. Without one, tenants do without a cache."""
    app: PlatformApp
    """The app that tenants run."""
    brake: Brake = Brake()
    """How many tenants one revision may delete before a person is asked."""
    defaults: PlanSpec = PlanSpec()
    """What holds for tenants where neither they nor their plan say anything."""

    @field_validator("tls")
    @classmethod
    def _want_tls(cls, tls: str, info: ValidationInfo) -> str:
        domain, insecure = info.data.get("base_domain"), info.data.get("insecure", True)
        if tls == "off" and not insecure and domain and not any(is_under(domain, local) for local in LOCAL_DOMAINS):
            raise refusal(
                f"off would send passwords over {domain} in the clear; write certificate, "
                "or insecure: true if you mean it"
            )
        return tls


class Platform(Kind):
    """What all tenants stand on: domain, networks, database servers, the default app. There is exactly one."""

    kind: Literal["Platform"]
    """The kind of this document."""
    metadata: Metadata
    """Who this document is about."""
    spec: PlatformSpec
    """The platform itself."""
