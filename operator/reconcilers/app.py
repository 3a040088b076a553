"""The app: a tenant's service, its settings file, and its route at the edge."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache

from skep.crds.effective import EffectiveTenant
from skep.crds.platform import CacheServer, DatabaseServer, Platform
from skep.operator import names
from skep.operator.engine.rules import task_part
from skep.operator.engine.spec import (
    Config,
    HealthCheck,
    Image,
    Mount,
    Pairs,
    Resources,
    Route,
    Secret,
    Service,
    ServiceSpec,
    UpdatePolicy,
    pairs,
)
from skep.operator.errors import NameTaken, TerminalError
from skep.operator.loop.registry import DONE, Result, Wait
from skep.operator.reconcilers import drift as drifts
from skep.operator.reconcilers import secret
from skep.operator.reconcilers.cache.plan import prefix, user_name
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.subject import Subject, tenants
from skep.operator.reconcilers.waiting import newest_failure
from skep.operator.reconcilers.world import World
from skep.operator.settings import Settings

PORT = 8080
SETTINGS_FILE = "settings.json"
DRAIN_BEYOND_S = 5.0  # beyond the edge's refresh: it takes a while to look, and to take up what it saw
FINISH_S = 20.0  # what runs when the drain ends may finish
HEALTH = HealthCheck(port=PORT, interval_s=30.0, timeout_s=5.0, start_period_s=20.0, retries=3)
UPDATE = UpdatePolicy(monitor_s=HEALTH.start_period_s + HEALTH.interval_s * HEALTH.retries + 10.0)
NEVER_SAID = 0  # of records that an older operator wrote; they are not rewritten for this alone
RUNNING = ("updating", "rollback_started")
ROLLED_BACK = ("rollback_started", "rollback_paused", "rollback_completed", "paused")


@dataclass(frozen=True, slots=True)
class AppFile:
    """The settings file as a config, named by its content. *drain_s* is what it tells the app."""

    name: str
    body: bytes
    drain_s: float


@dataclass(frozen=True, slots=True)
class FieldDrift:
    """One field that differs; *have* and *want* are for people."""

    field: str
    have: str
    want: str


@dataclass(frozen=True, slots=True)
class CreateFile:
    file: AppFile


@dataclass(frozen=True, slots=True)
class CreateService:
    spec: ServiceSpec


@dataclass(frozen=True, slots=True)
class UpdateService:
    service_id: str
    version: int
    spec: ServiceSpec
    because: tuple[FieldDrift, ...]


@dataclass(frozen=True, slots=True)
class Collect:
    """A settings config or secret that neither the current nor the previous spec needs."""

    kind: str
    id: str
    name: str


Action = CreateFile | CreateService | UpdateService | Collect


def route(record: Record) -> Route:
    """How the edge finds this tenant: one pure value, rendered as labels on Swarm and as a file when embedded."""
    return Route(
        name=names.service(record.name),
        hosts=record.spec.hosts,
        port=PORT,
        headers=pairs({"X-Skep-Tenant": record.uid}),
        tls=record.spec.secure,
        network=record.edge_network,
    )


def settings_file(record: Record, platform: Platform, settings: Settings, service: Service | None = None) -> AppFile:
    """What the app is told. *service* as it runs: one that an operator of before made keeps the file it has.

    A field that came later would otherwise start every tenant's tasks again on the day that the operator is updated. It
    reaches a tenant with the next change of anything else in the file.
    """
    server, cache = server_of(platform, record.server), cache_of(platform, record.cache)

    def render(*, told_url: bool) -> AppFile:
        return _settings_file(
            record.spec,
            record.uid,
            record.secret_generation,
            settings.address(server.host, server.port),
            settings.address(cache.host, cache.port) if cache is not None else None,
            settings.proxies,
            settings.edge_suffix if told_url else None,
            drain_s(settings),
        )

    file = render(told_url=True)
    mounted = next((mount.name for mount in service.spec.configs), file.name) if service is not None else file.name
    if mounted != file.name and (older := render(told_url=False)).name == mounted:
        return older
    return file


def drain_s(settings: Settings) -> float:
    """How long a task goes on serving once it is told to end: until the edge has looked, and a bit more."""
    return settings.refresh_s + DRAIN_BEYOND_S


@lru_cache(maxsize=100)  # three reconcilers ask for the same file one after the other; a fleet's would weigh 10 MB
def _settings_file(
    spec: EffectiveTenant,
    uid: str,
    generation: int,
    address: tuple[str, int],
    cache: tuple[str, int] | None,
    proxies: tuple[str, ...],
    edge_suffix: str | None,
    drain_s: float,
) -> AppFile:
    database = names.database(spec.name, uid)
    document: dict[str, object] = {
        "tenant": spec.name,
        "uid": uid,
        "displayName": spec.display_name,
        "secure": spec.secure,
        "proxies": list(proxies),
        "drainSeconds": drain_s,
        "database": {
            "host": address[0],
            "port": address[1],
            "name": database,
            "user": f"{database}_{secret.slot(generation)}",
            # While an update starts first, two generations of tasks share the limit with one schema job, and with a
            # worker's two connections where it is a service.
            "poolMax": max(
                1, (spec.database.connection_limit - (1 if spec.worker is None else 3)) // (2 * max(1, spec.replicas))
            ),
        },
        "settings": dict(spec.settings),
    }
    if edge_suffix is not None:  # mails hold links, and who writes them sees no request
        document["url"] = f"{'https' if spec.secure else 'http'}://{spec.hosts[0]}{edge_suffix}"
    if spec.worker is not None:
        document["worker"] = "service"
    if spec.quotas:
        document["quotas"] = dict(spec.quotas)
    if cache is not None:
        document["cache"] = {
            "host": cache[0],
            "port": cache[1],
            "user": user_name(spec.name, uid),
            "prefix": prefix(uid),
        }
    body = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    return AppFile(names.settings(spec.name, hashlib.sha256(body).hexdigest()), body, drain_s)


def owner_labels(record: Record) -> dict[str, str]:
    return {names.TENANT: record.name, names.UID: record.uid}


def desire(record: Record, file: AppFile, image: Image) -> ServiceSpec:
    spec = ServiceSpec(
        name=names.service(record.name),
        image=image.pinned,
        args=("web",),
        labels=pairs(owner_labels(record)),
        configs=(Mount(file.name, SETTINGS_FILE),),
        secrets=secret.mounts(record),
        networks=tuple(sorted({record.edge_network, record.data_network})),
        replicas=0 if record.spec.suspend else record.spec.replicas,
        resources=Resources(record.spec.cpus, record.spec.memory_bytes),
        health=HEALTH,
        update=UPDATE,
        stop_grace_s=file.drain_s + FINISH_S,
        route=route(record),
    )
    revision = revision_of(spec)
    return replace(
        spec,
        env=pairs({"SKEP_REVISION": revision}),
        labels=pairs({**owner_labels(record), names.REVISION: revision}),
    )


# What may change without a new task: none of it can be seen from inside one.
_OUTSIDE = frozenset({"labels", "route", "replicas", "update", "unmanaged", "env"})


def revision_of(spec: ServiceSpec) -> str:
    """Hash of what a task is started from: an answer that carries it comes from a task of this spec."""
    inside = tuple((field.name, getattr(spec, field.name)) for field in fields(spec) if field.name not in _OUTSIDE)
    return hashlib.sha256(repr(inside).encode()).hexdigest()[:16]


def revision_label(spec: ServiceSpec) -> str:
    return dict(spec.labels).get(names.REVISION, "")


def drift(desired: ServiceSpec, observed: ServiceSpec) -> tuple[FieldDrift, ...]:
    """Field by field, what somebody (or an older declaration) has there and what it should be."""
    if desired == observed:
        return ()
    found: list[FieldDrift] = []
    for field in fields(ServiceSpec):
        want, have = getattr(desired, field.name), getattr(observed, field.name)
        if want == have:
            continue
        if field.name in ("labels", "env", "unmanaged"):
            found.extend(_pair_drift(field.name, have, want))
        else:
            found.append(FieldDrift(field.name, _show(have), _show(want)))
    return tuple(found)


def _pair_drift(field: str, have: Pairs, want: Pairs) -> Iterable[FieldDrift]:
    before, after = dict(have), dict(want)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield FieldDrift(f"{field}.{key}", before.get(key, "-"), after.get(key, "-"))


def _show(value: object) -> str:
    match value:
        case Route():
            return ", ".join(value.hosts)
        case tuple():
            return ", ".join(item.name if isinstance(item, Mount) else str(item) for item in value) or "-"
        case None:
            return "-"
        case Resources() | HealthCheck() | UpdatePolicy():
            return ", ".join(f"{field.name} {_show(getattr(value, field.name))}" for field in fields(value))
        case _:
            return str(value)


def not_ours(service: str) -> TerminalError:
    return TerminalError(
        f"service {service} belongs to somebody else (its {names.UID} label differs)",
        reason="NotOurs",
        remedy=f"rename or remove it: `docker service rm {service}`",
    )


def was_rolled_back(record: Record, desired: ServiceSpec, observed: Service) -> bool:
    """Whether the engine tried *desired* and went back. A rollback restores the labels of the spec before.

    *attempted* is written once the engine took the update: an older rollback must not be taken for one of this spec.
    """
    revision = revision_label(desired)
    return (
        record.attempted == revision
        and observed.update_state in ROLLED_BACK
        and revision_label(observed.spec) != revision
    )


def must_wait(record: Record, desired: ServiceSpec, observed: Service) -> bool:
    """Whether a difference has to wait for the end of the rollout that brings the desired tasks.

    Any update forgets what the engine would go back to. A declaration that changed again is worth that; a label or
    number that somebody changed by hand is not. A rollout of other tasks than the desired ones is replaced at once.
    """
    return (
        observed.update_state in RUNNING
        and task_part(observed.spec) == task_part(desired)
        and record.applied in (NEVER_SAID, record.generation)
    )


def around(desired: ServiceSpec, observed: ServiceSpec) -> ServiceSpec:
    """The tasks of *observed* with what of *desired* restarts none: hosts and replicas follow a rolled back image."""
    revision = {names.REVISION: revision_label(observed)}
    return replace(
        observed,
        labels=pairs(dict(desired.labels) | revision),
        route=desired.route,
        replicas=desired.replicas,
        update=desired.update,
    )


def plan(desired: ServiceSpec, observed: Service | None, file: AppFile, files: Iterable[Config]) -> tuple[Action, ...]:
    """() when converged. Raises TerminalError if a service of our name is not this tenant's."""
    actions: list[Action] = []
    if file.name not in {config.name for config in files}:
        actions.append(CreateFile(file))
    if observed is None:
        actions.append(CreateService(desired))
    elif dict(observed.spec.labels).get(names.UID) != dict(desired.labels)[names.UID]:
        raise not_ours(desired.name)
    elif because := drift(desired, observed.spec):
        actions.append(UpdateService(observed.id, observed.version, desired, because))
    return tuple(actions)


def collect(
    services: Iterable[Service], record: Record, files: Iterable[Config], secrets: Iterable[Secret]
) -> tuple[Collect, ...]:
    """What nothing needs any more, once the site's service is as desired; a rollback's files are kept."""
    specs = [spec for service in services for spec in (service.spec, service.previous) if spec is not None]
    needed = {mount.name for spec in specs for mount in (*spec.configs, *spec.secrets)}
    needed |= {mount.name for mount in secret.mounts(record)}
    stale: list[Collect] = [Collect("config", each.id, each.name) for each in files if each.name not in needed]
    stale += [
        Collect("secret", each.id, each.name)
        for each in secrets
        if dict(each.labels).get(names.UID) == record.uid and each.name not in needed
    ]
    return tuple(stale)


async def apply(actions: Iterable[Action], record: Record, world: World) -> None:
    for action in actions:
        match action:
            case CreateFile(file=file):
                labels = owner_labels(record) | {names.KIND: "settings"}
                try:
                    await world.create_config(file.name, file.body, labels)
                except NameTaken:  # named by its content: whoever made it made the same
                    await _claim(file, labels, await world.find_config(file.name), world)
            case CreateService(spec=spec):
                try:
                    await world.create_service(spec)
                except NameTaken:
                    found = await world.find_service(spec.name)
                    if found is not None and dict(found.spec.labels).get(names.UID) != dict(spec.labels)[names.UID]:
                        raise not_ours(spec.name) from None
            case UpdateService(service_id=service_id, version=version, spec=spec):
                await world.update_service(service_id, version, spec)
            case Collect(kind="config", id=object_id):
                await world.remove_config(object_id)
            case Collect(id=object_id):
                await world.remove_secret(object_id)


def cache_of(platform: Platform, name: str) -> CacheServer | None:
    """None for a tenant without one."""
    if not name:
        return None
    for cache in platform.spec.caches:
        if cache.name == name:
            return cache
    raise TerminalError(
        f"the Platform no longer has cache server {name}, which this tenant uses",
        reason="CacheUnknown",
        remedy=f"put {name} back under spec.caches",
    )


def server_of(platform: Platform, name: str) -> DatabaseServer:
    for server in platform.spec.databases:
        if server.name == name:
            return server
    raise TerminalError(
        f"the Platform no longer has database server {name}, which holds this tenant",
        reason="ServerUnknown",
        remedy=f"put {name} back under spec.databases",
    )


async def _claim(file: AppFile, labels: Mapping[str, str], found: Config | None, world: World) -> None:
    """Put right the labels of a settings file that lost them. Raises TerminalError for one with another content."""
    if found is None:
        return
    if found.data != file.body:
        raise TerminalError(
            f"config {file.name} belongs to somebody else",
            reason="NotOurs",
            remedy=f"remove it: `docker config rm {file.name}`; it is made again",
        )
    if dict(found.labels) != labels:
        await world.label_config(found, labels)


@tenants.reconciler("settings", after=("secrets",))
async def write_settings(subject: Subject) -> Result:
    """The settings file goes first: the schema job reads the same one."""
    record, world = subject.known, subject.ports.world
    service = world.service(names.service(subject.name))
    file = settings_file(record, subject.platform, subject.ports.settings, service)
    observed = {config.name: config for config in world.configs_of(subject.name, "settings")}.get(file.name)
    if observed is None or dict(observed.labels).get(names.UID) != record.uid:
        drifted = drifts.is_settled(subject, secret.mounts(subject.known))
        await apply((CreateFile(file),), record, world)
        if drifted:
            drifts.repaired("settings", ("config",))
    return DONE


@tenants.reconciler("app", after=("cache",))
async def reconcile(subject: Subject) -> Result:
    record, ports = subject.known, subject.ports
    world = ports.world
    observed = world.service(names.service(subject.name))
    file = settings_file(record, subject.platform, ports.settings, observed)
    files = world.configs_of(subject.name, "settings")
    desired = desire(record, file, await ports.images.resolve(record.spec.image))
    revision = revision_label(desired)

    actions = plan(desired, observed, file, files)
    if observed is not None and actions:
        if was_rolled_back(record, desired, observed):
            await subject.save(replace(record, latched=revision))
        if subject.known.latched == revision:
            kept = around(desired, observed.spec)
            if observed.update_state not in RUNNING and kept != observed.spec:
                because = drift(kept, observed.spec)
                await apply((UpdateService(observed.id, observed.version, kept, because),), subject.known, world)
            said = observed.update_message or "no reason given"
            if (failed := newest_failure(await world.engine.list_tasks(service=observed.id))) is not None:
                said = f"{said} ({failed.error})"
            raise TerminalError(
                f"the update did not get healthy and was rolled back: {said}",
                reason="RolledBack",
                remedy="the old version keeps serving; change the declaration to try again",
            )
        if must_wait(record, desired, observed):
            changed = ", ".join(each.field for each in drift(desired, observed.spec))
            return Wait(
                "RollingOut", f"its update runs; what was changed by hand ({changed}) is put back afterwards", 5.0
            )
    if actions:
        drifted = record.attempted in ("", revision) and drifts.is_settled(subject, secret.mounts(subject.known))
        await apply(actions, record, world)
        if drifted:
            drifts.repaired("app", ("config" if isinstance(each, CreateFile) else "service" for each in actions))
        observed = world.service(desired.name)
    sent = record.attempted or (revision_label(observed.spec) if observed is not None else "")
    if sent != revision or record.latched or record.applied not in (NEVER_SAID, record.generation):
        await subject.save(replace(record, attempted=revision, applied=record.generation, latched=""))
    if observed is not None and observed.update_state != "updating":
        mine = [each for each in world.services_of(subject.name) if dict(each.spec.labels).get(names.UID) == record.uid]
        await apply(collect([observed, *mine], record, files, world.secrets_of(subject.name)), record, world)
    return DONE
