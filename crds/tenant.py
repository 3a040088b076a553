"""The Tenant: one customer's site, its database and its app."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from skep.crds.base import Kind, Metadata, Model, Name, TenantName, distinct, refusal, shown
from skep.crds.hosts import Host, host_fault
from skep.crds.plan import App, Database
from skep.crds.settings import SecretRef
from skep.crds.units import Flag

UID_PATTERN = r"^[0-9a-f]{32}$"
DISPLAY_NAME_MAX = 90
EMAIL_PATTERN = r"^[^@\s]{1,64}@[^@\s]{1,253}$"
_JOINERS = "\u200c\u200d"  # parts of names in Indic and Arabic scripts and of emoji, though not printable by themselves


def _read_uid(value: str) -> str:
    if not re.fullmatch(UID_PATTERN, value):
        raise refusal(
            f"{shown(value)} is not a uid; it has 32 characters of 0-9 and a-f. Leave it out for a new tenant"
        )
    return value


def _read_display_name(value: str) -> str:
    if not value.strip():
        raise refusal("is empty; write the name that people see")
    if value != value.strip():
        raise refusal(f"{shown(value)} begins or ends with white space; remove it")
    if len(value) > DISPLAY_NAME_MAX:
        raise refusal(f"has {len(value)} characters; {DISPLAY_NAME_MAX} are the most")
    for character in value:
        if not character.isprintable() and character not in _JOINERS:
            name = unicodedata.name(character, f"U+{ord(character):04X}")
            raise refusal(f"holds a character that cannot be seen ({name}); remove it")
    return value


def _read_email(value: str) -> str:
    local, _, domain = value.rpartition("@")
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", local) or "@" in local:
        raise refusal(f"{shown(value)} is not an e-mail address; write it like owner@example.com")
    if fault := host_fault(domain.lower()):
        raise refusal(f"{shown(value)} is not an e-mail address: its host {shown(domain)}: {fault}")
    return value


Uid = Annotated[str, AfterValidator(_read_uid), WithJsonSchema({"type": "string", "pattern": UID_PATTERN})]
Email = Annotated[str, AfterValidator(_read_email), WithJsonSchema({"type": "string", "pattern": EMAIL_PATTERN})]


class TenantMetadata(Metadata):
    """Who this tenant is."""

    name: TenantName
    """The tenant's name: 3 to 32 characters of a-z, 0-9 and '-'. It is the first part of its host name."""
    uid: Uid | None = None
    """The identity of an existing tenant, 32 hexadecimal digits. Leave it out for a new one."""


class TenantApp(App):
    """What runs for this tenant."""

    secrets: Annotated[tuple[SecretRef, ...], Field(max_length=50), distinct("the file", key="name")] = ()
    """The tenant's own secrets (mail, payment ...), given to the app as files."""


class TenantDatabase(Database):
    """This tenant's database."""

    server: Name | None = None
    """The database server by its name in the Platform. Left out, skep chooses the least full one, once."""


class TenantSpec(Model):
    """What this tenant shall have. What it does not say comes from its plan."""

    display_name: Annotated[
        str,
        AfterValidator(_read_display_name),
        WithJsonSchema({"type": "string", "minLength": 1, "maxLength": DISPLAY_NAME_MAX}),
    ]
    """The name that people see, 1 to 90 characters."""
    plan: Name
    """The name of the tenant's Plan."""
    hosts: Annotated[tuple[Host, ...], Field(max_length=50), distinct("host")] = ()
    """More host names of this tenant. <name>.<baseDomain> is always served and comes first."""
    app: TenantApp = TenantApp()
    """What runs for this tenant."""
    database: TenantDatabase = TenantDatabase()
    """The tenant's database."""
    suspend: Flag = False
    """true stops the app and keeps everything else."""
    deletion_policy: Literal["Retain", "Delete"] = "Retain"
    """What a deletion does with the tenant's data: Retain keeps it, Delete removes it for good."""
    owner: Email | None = None
    """The e-mail address of the first organizer."""


class Tenant(Kind):
    """One customer: a site on its own host names, with its own database and app."""

    kind: Literal["Tenant"]
    """The kind of this document."""
    metadata: TenantMetadata
    """Who this tenant is."""
    spec: TenantSpec
    """What this tenant shall have."""
