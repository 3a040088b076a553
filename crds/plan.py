"""The Plan: named defaults and ceilings that tenants share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from skep.crds.base import Kind, Metadata, Model, distinct, refusal, shown
from skep.crds.images import Image
from skep.crds.settings import AppSettings
from skep.crds.units import Cpus, Duration, Size, read_whole

# Trusted extensions and others that give a tenant no way out of its database.
EXTENSIONS = (
    "btree_gin", "btree_gist", "citext", "cube", "dict_int", "earthdistance", "fuzzystrmatch", "hstore", "intarray",
    "isn", "lo", "ltree", "pg_trgm", "pgcrypto", "plpgsql", "seg", "tablefunc", "tcn", "tsm_system_rows",
    "tsm_system_time", "unaccent", "uuid-ossp", "vector",
)  # fmt: skip


def _read_extension(value: str) -> str:
    if value not in EXTENSIONS:
        raise refusal(f"extension {shown(value)} is not on the list of allowed ones: {', '.join(EXTENSIONS)}")
    return value


Extension = Annotated[
    str, AfterValidator(_read_extension), WithJsonSchema({"type": "string", "enum": list(EXTENSIONS)})
]
Replicas = Annotated[int, Field(ge=1, le=100), BeforeValidator(read_whole)]
ConnectionLimit = Annotated[int, Field(ge=2, le=10_000), BeforeValidator(read_whole)]


class Resources(Model):
    """Ceilings of one task of the app."""

    cpus: Cpus | None = None
    """CPU cores that one task may use: 0.5 or 500m is half a core."""
    memory_bytes: Size | None = Field(default=None, alias="memory")
    """Memory that one task may use, like 256Mi or 1Gi."""


class App(Model):
    """What runs, how often and with how much."""

    image: Image | None = None
    """The app's image, like registry.example.com/app:1.0."""
    replicas: Replicas | None = None
    """How many tasks of the app run. To run none, say suspend: true in the Tenant."""
    resources: Resources = Resources()
    """Ceilings of one task."""
    settings: AppSettings = Field(default_factory=dict)
    """Non-secret settings for the app, UPPER_CASE or camelCase; merged key by key over those of Platform and Plan."""


class Database(Model):
    """Limits and extensions of a tenant's database."""

    connection_limit: ConnectionLimit | None = None
    """How many connections the database takes at once."""
    statement_timeout_s: Duration | None = Field(default=None, alias="statementTimeout")
    """How long one statement may run, like 30s or 5m."""
    extensions: Annotated[tuple[Extension, ...], Field(max_length=len(EXTENSIONS)), distinct("extension")] = ()
    """PostgreSQL extensions that exist in the database, added to those of Platform and Plan."""


class Limits(Model):
    """Ceilings for what a tenant may ask for. A tenant above one of them is an error in the tenant's document."""

    replicas: Replicas | None = None
    """The most tasks of the app."""
    cpus: Cpus | None = None
    """The most CPU cores for one task."""
    memory_bytes: Size | None = Field(default=None, alias="memory")
    """The most memory for one task."""
    connection_limit: ConnectionLimit | None = None
    """The most connections to the database."""


Quota = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(read_whole)]


class Worker(Model):
    """Who does what nobody waits for: mails, expiry, the waiting list."""

    mode: Literal["child", "service"] | None = None
    """child: each task of the app starts one when there is work. service: one of its own runs beside them."""
    resources: Resources = Resources()
    """Ceilings of the service's task; what is not said is as for a task of the app."""


class Quotas(Model):
    """How much a tenant may have in its app, which says so when it is reached. What is not said has no end."""

    members: Quota | None = None
    """Organizers with an account."""
    events: Quota | None = None
    """Events that are not over, drafts too."""
    mails_per_day: Quota | None = None
    """Mails sent in any 24 hours; what is more waits, and nothing is lost."""
    media_bytes: Size | None = Field(default=None, alias="media")
    """What all pictures may take, like 500Mi."""


class PlanSpec(Model):
    """Defaults and ceilings. What a Tenant does not say comes from its Plan, then from the Platform's defaults."""

    app: App = App()
    """Defaults for the app."""
    database: Database = Database()
    """Defaults for the database."""
    limits: Limits = Limits()
    """Ceilings for what a tenant may ask for."""
    worker: Worker = Worker()
    """Who sends mail and does what must run in time."""
    quotas: Quotas = Quotas()
    """How much a tenant may have in its app."""


class Plan(Kind):
    """Named defaults and ceilings that tenants share, such as `free` and `pro`."""

    kind: Literal["Plan"]
    """The kind of this document."""
    metadata: Metadata
    """Who this document is about."""
    spec: PlanSpec = PlanSpec()
    """The plan itself."""
