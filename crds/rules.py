"""Rules between a platform, a plan and a tenant: allowed images, known servers, hosts of one's own, ceilings.

Each function yields (path of the field to mend, message). What a document did not write itself is told in the document
that wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from skep.crds.base import RESERVED_NAMES, Path, shown
from skep.crds.effective import CONNECTION_LIMIT, CPUS, MEMORY_BYTES, REPLICAS, effective_limits, pick
from skep.crds.explain import suggest
from skep.crds.hosts import is_under
from skep.crds.plan import App, Database, Limits, Plan, PlanSpec
from skep.crds.platform import Platform
from skep.crds.tenant import Tenant, TenantSpec
from skep.crds.units import format_cpus, format_size

Fault = tuple[Path, str]
Spec = PlanSpec | TenantSpec


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that has a ceiling: where it is written, how it is read, and how it is told."""

    path: Path
    limit: str
    built_in: float
    of: Callable[[App, Database], float | None]
    limit_of: Callable[[Limits], float | None]
    told: Callable[[float], str]

    def read(self, spec: Spec) -> float | None:
        """What *spec* itself says."""
        return self.of(spec.app, spec.database)


def _count(value: float) -> str:
    return str(int(value))


def _size(value: float) -> str:
    return format_size(int(value))


MEASURES = (
    Measure(
        path=("app", "replicas"),
        limit="replicas",
        built_in=REPLICAS,
        of=lambda app, _: app.replicas,
        limit_of=lambda limits: limits.replicas,
        told=_count,
    ),
    Measure(
        path=("app", "resources", "cpus"),
        limit="cpus",
        built_in=CPUS,
        of=lambda app, _: app.resources.cpus,
        limit_of=lambda limits: limits.cpus,
        told=format_cpus,
    ),
    Measure(
        path=("app", "resources", "memory"),
        limit="memory",
        built_in=MEMORY_BYTES,
        of=lambda app, _: app.resources.memory_bytes,
        limit_of=lambda limits: limits.memory_bytes,
        told=_size,
    ),
    Measure(
        path=("database", "connectionLimit"),
        limit="connectionLimit",
        built_in=CONNECTION_LIMIT,
        of=lambda _, database: database.connection_limit,
        limit_of=lambda limits: limits.connection_limit,
        told=_count,
    ),
)


def platform_faults(platform: Platform) -> Iterator[Fault]:
    """What is wrong between the fields of a platform."""
    image = platform.spec.app.image
    if not platform.spec.app.allows(image):
        yield ("spec", "app", "image"), f"{shown(image)} is not in spec.app.allowedImages; add it there"
    yield from _image_fault(platform, platform.spec.defaults, ("spec", "defaults"))
    yield from _default_faults(platform.spec.defaults, ("spec", "defaults"), platform.spec.defaults.limits)


def plan_faults(platform: Platform, plan: Plan) -> Iterator[Fault]:
    """What is wrong between a plan and the platform."""
    yield from _image_fault(platform, plan.spec, ("spec",))
    yield from _default_faults(plan.spec, ("spec",), effective_limits(platform, plan), platform.spec.defaults)


def tenant_faults(platform: Platform, plan: Plan | None, tenant: Tenant) -> Iterator[Fault]:
    """What is wrong between a tenant, its plan (None: not known, its ceilings are not checked) and the platform."""
    for index, host in enumerate(tenant.spec.hosts):
        if fault := host_fault(platform, tenant, host):
            yield ("spec", "hosts", index), fault
    yield from _image_fault(platform, tenant.spec, ("spec",))
    yield from _server_fault(platform, tenant)
    if plan is None:
        return
    limits = effective_limits(platform, plan)
    for measure in MEASURES:
        value, limit = measure.read(tenant.spec), measure.limit_of(limits)
        if value is not None and limit is not None and value > limit:
            message = f"{measure.told(value)} is more than plan {shown(plan.metadata.name)} allows"
            yield ("spec", *measure.path), f"{message}; {measure.told(limit)} is the most"


def host_fault(platform: Platform, tenant: Tenant, host: str) -> str | None:
    """Why *tenant* may not have *host*, though it is a host name: it belongs to the platform or to a name next door."""
    base, name = platform.spec.base_domain, tenant.metadata.name
    if host == base:
        return f"{shown(host)} is the platform's own host; remove it"
    if is_under(host, base) and not is_under(host, f"{name}.{base}"):
        owner = host.removesuffix(f".{base}").rpartition(".")[2]
        whose = "kept for the platform" if owner in RESERVED_NAMES else f"for a tenant named {owner}"
        return f"{shown(host)} is {whose}; below {base}, only {name}.{base} and what is under it are yours"
    return None


def choice(word: str, known: Collection[str]) -> str:
    """The end of a message about an unknown *word*: the one that was meant, or what there is."""
    if meant := suggest(word, known):
        return f"did you mean {meant}?"
    some = ", ".join(sorted(known)[:10]) + (", ..." if len(known) > 10 else "")
    return f"there is {some}" if known else "none is declared"


def _image_fault(platform: Platform, spec: Spec, prefix: Path) -> Iterator[Fault]:
    image = spec.app.image
    if image is None or platform.spec.app.allows(image):
        return
    patterns = platform.spec.app.allowed_images
    allowed = ", ".join(patterns) if patterns else f"the repository of {platform.spec.app.image}"
    yield (
        (*prefix, "app", "image"),
        f"{shown(image)} is not allowed; the platform allows {allowed} (spec.app.allowedImages)",
    )


def _server_fault(platform: Platform, tenant: Tenant) -> Iterator[Fault]:
    server = tenant.spec.database.server
    known = [database.name for database in platform.spec.databases]
    if server is not None and server not in known:
        yield ("spec", "database", "server"), f"there is no database server {shown(server)}; {choice(server, known)}"


def _default_faults(spec: PlanSpec, prefix: Path, limits: Limits, below: PlanSpec | None = None) -> Iterator[Fault]:
    """Defaults above their own ceilings, so far as *spec* wrote one of the two; *below* is what it builds on."""
    for measure in MEASURES:
        own, limit = measure.read(spec), measure.limit_of(limits)
        inherited = pick(measure.read(below) if below else None, default=measure.built_in)
        if limit is None or (own is None and measure.limit_of(spec.limits) is None):
            continue
        if own is not None and own > limit:
            message = f"{measure.told(own)} is more than limits.{measure.limit} allows"
            yield (*prefix, *measure.path), f"{message}; {measure.told(limit)} is the most"
        elif own is None and inherited > limit:
            message = f"{measure.told(limit)} is less than the default of {measure.told(inherited)} that tenants get"
            yield (*prefix, "limits", measure.limit), f"{message}; write {'.'.join(map(str, measure.path))} as well"
