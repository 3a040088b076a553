"""What a tenant really gets: Platform defaults < Plan < Tenant, in one pure function.

The built-in defaults lie below all three, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from skep.crds.plan import App, Database, Limits, Plan
from skep.crds.platform import Platform
from skep.crds.tenant import Tenant

REPLICAS = 1
CPUS = 0.5
MEMORY_BYTES = 256 * 1024**2
CONNECTION_LIMIT = 20  # a rolling update doubles the tasks for a while, and each has a pool
STATEMENT_TIMEOUT_S = 30.0

T = TypeVar("T")  # Python 3.11 has no other way to say it


def pick(*layers: T | None, default: T) -> T:
    """The last of *layers* that says something, else *default*."""
    return next((layer for layer in reversed(layers) if layer is not None), default)


@dataclass(frozen=True, slots=True)
class EffectiveDatabase:
    """*server* None leaves the choice to the operator; *extensions* are sorted."""

    server: str | None
    extensions: tuple[str, ...]
    connection_limit: int
    statement_timeout_s: float


@dataclass(frozen=True, slots=True)
class EffectiveWorker:
    """A worker that is a service of its own; ceilings of its one task, None is unlimited."""

    cpus: float | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class EffectiveTenant:
    """A tenant's whole wish. *hosts* begins with `<name>.<baseDomain>`; *settings* and *secrets* are sorted by key.

    *secrets* are (file name, Swarm secret). *secure* says that people reach it over TLS. *cpus* and *memory_bytes*
    are of one task, None is unlimited. *worker* None: the app starts its own. *quotas* are (name in the app's settings
    file, number), sorted. Records that an older operator wrote say nothing of the last two.
    """

    name: str
    display_name: str
    plan: str
    hosts: tuple[str, ...]
    image: str
    replicas: int
    cpus: float | None
    memory_bytes: int | None
    settings: tuple[tuple[str, str], ...]
    secrets: tuple[tuple[str, str], ...]
    database: EffectiveDatabase
    suspend: bool
    deletion_policy: Literal["Retain", "Delete"]
    owner: str | None
    secure: bool
    worker: EffectiveWorker | None = None
    quotas: tuple[tuple[str, int], ...] = ()


def effective(platform: Platform, plan: Plan, tenant: Tenant) -> EffectiveTenant:
    """The tenant's own words, then its plan's, then the platform's, then the built-in ones.

    Settings are merged key by key and extensions are added up; everything else is taken from the first that says it.
    Hosts are in the order in which they are written.
    """
    spec = tenant.spec
    layers = (platform.spec.defaults, plan.spec)
    apps: tuple[App, ...] = (*(layer.app for layer in layers), spec.app)
    databases: tuple[Database, ...] = (*(layer.database for layer in layers), spec.database)
    settings = {key: value for app in apps for key, value in app.settings.items()}
    return EffectiveTenant(
        name=tenant.metadata.name,
        display_name=spec.display_name,
        plan=plan.metadata.name,
        hosts=tuple(dict.fromkeys((default_host(platform, tenant), *spec.hosts))),
        image=pick(*(app.image for app in apps), default=platform.spec.app.image),
        replicas=pick(*(app.replicas for app in apps), default=REPLICAS),
        cpus=pick(*(app.resources.cpus for app in apps), default=CPUS),
        memory_bytes=pick(*(app.resources.memory_bytes for app in apps), default=MEMORY_BYTES),
        settings=tuple(sorted(settings.items())),
        secrets=tuple(sorted((reference.name, reference.secret) for reference in spec.app.secrets)),
        database=EffectiveDatabase(
            server=spec.database.server,
            extensions=tuple(sorted({name for database in databases for name in database.extensions})),
            connection_limit=pick(*(d.connection_limit for d in databases), default=CONNECTION_LIMIT),
            statement_timeout_s=pick(*(d.statement_timeout_s for d in databases), default=STATEMENT_TIMEOUT_S),
        ),
        suspend=spec.suspend,
        deletion_policy=spec.deletion_policy,
        owner=spec.owner,
        secure=platform.spec.tls == "certificate",
        worker=_worker(platform, plan, tenant),
        quotas=_quotas(platform, plan),
    )


def _worker(platform: Platform, plan: Plan, tenant: Tenant) -> EffectiveWorker | None:
    said = (platform.spec.defaults.worker, plan.spec.worker)
    if pick(*(worker.mode for worker in said), default="child") == "child":
        return None
    apps: tuple[App, ...] = (platform.spec.defaults.app, plan.spec.app, tenant.spec.app)
    ceilings = (*(app.resources for app in apps), *(worker.resources for worker in said))
    return EffectiveWorker(
        cpus=pick(*(each.cpus for each in ceilings), default=CPUS),
        memory_bytes=pick(*(each.memory_bytes for each in ceilings), default=MEMORY_BYTES),
    )


def _quotas(platform: Platform, plan: Plan) -> tuple[tuple[str, int], ...]:
    said = (platform.spec.defaults.quotas, plan.spec.quotas)
    found = {
        "events": pick(*(quotas.events for quotas in said), default=None),
        "mailsPerDay": pick(*(quotas.mails_per_day for quotas in said), default=None),
        "mediaBytes": pick(*(quotas.media_bytes for quotas in said), default=None),
        "members": pick(*(quotas.members for quotas in said), default=None),
    }
    return tuple((name, number) for name, number in found.items() if number is not None)


def default_host(platform: Platform, tenant: Tenant) -> str:
    """The host that every tenant has."""
    return f"{tenant.metadata.name}.{platform.spec.base_domain}"


def effective_limits(platform: Platform, plan: Plan) -> Limits:
    """The ceilings of a plan's tenants: the plan's own words, then the platform's."""
    return platform.spec.defaults.limits.model_copy(
        update={field: value for field, value in plan.spec.limits if value is not None}
    )
