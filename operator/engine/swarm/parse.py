"""The Engine API's words as our values: the inverse of `render`. Pure.

What our types can say is read into them. Then the result is rendered again and compared, leaf by leaf, with what the
daemon said: each leaf that differs was set by somebody else and stands in `unmanaged`, whatever field it is.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from sys import intern
from typing import Any, Final, TypeVar, cast

from skep.operator.engine.spec import (
    Change,
    Config,
    HealthCheck,
    Mount,
    Network,
    Pairs,
    Resources,
    Secret,
    Service,
    ServiceSpec,
    Task,
    TaskState,
    UpdatePolicy,
    UpdateState,
    pairs,
)
from skep.operator.engine.swarm.api import Json
from skep.operator.engine.swarm.render import (
    CONFIGS,
    OWN_VARIABLES,
    Names,
    health_command,
    render_service,
)
from skep.operator.engine.swarm.route import PREFIX, parse_route
from skep.operator.errors import EngineRefused

# What the daemon adds by itself, or what is no drift, by path: the value that is ignored (None: any), and why.
IGNORED: Final[Mapping[str, tuple[str | None, str]]] = {
    "TaskTemplate.ContainerSpec.Isolation": ("default", "the daemon names its default; other values are Windows'"),
    "TaskTemplate.Runtime": ("container", "the daemon names its default"),
    "TaskTemplate.ForceUpdate": (
        None,
        "a counter of forced restarts: kept by updates, since resetting it restarts too",
    ),
}
_HEALTH = re.compile(r"exec 3<>/dev/tcp/127\.0\.0\.1/(\d{1,5}) && printf 'GET (/[A-Za-z0-9/._-]*) ")
SHORT = 64  # characters of a value that several objects may share: a uid, a name, a digest
# States that Swarm passes through and that mean the same to us as the one beside them.
_STATES: Final[Mapping[str, TaskState]] = {"allocated": "pending", "accepted": "assigned", "ready": "preparing"}


def parse_service(raw: Json, networks: Mapping[str, str], *, start_interval: bool = True) -> Service:
    """A service of the list; *networks* are names by ID. A running count is there if the list was asked for it."""
    status = raw.get("UpdateStatus") or {}
    previous = raw.get("PreviousSpec")
    return Service(
        id=raw["ID"],
        version=raw["Version"]["Index"],
        spec=parse_spec(raw["Spec"], networks, start_interval=start_interval),
        previous=parse_spec(previous, networks, start_interval=start_interval) if previous else None,
        update_state=cast(UpdateState, status.get("State") or "none"),
        update_message=status.get("Message", ""),
        running=running_count(raw),
        created_at=moment(raw.get("CreatedAt")),
    )


T = TypeVar("T")


@lru_cache(maxsize=1024)
def _one(value: T) -> T:
    """The first value equal to *value*: what thousands of services have in common stands in memory once."""
    return value


def _interned(labels: Pairs) -> Pairs:
    """Equal keys and short values as one string: JSON makes a new one for each object that carries them."""
    return tuple(_one((intern(key), intern(value) if len(value) <= SHORT else value)) for key, value in labels)


def running_count(raw: Json) -> int:
    return int((raw.get("ServiceStatus") or {}).get("RunningTasks") or 0)


def parse_spec(raw: Json, networks: Mapping[str, str], *, start_interval: bool = True) -> ServiceSpec:
    """Never raises for a daemon's own words, however strange: what is not ours stands in `unmanaged`."""
    template = raw.get("TaskTemplate") or {}
    container = template.get("ContainerSpec") or {}
    labels = raw.get("Labels") or {}
    route = parse_route(labels)
    targets = [attached.get("Target", "") for attached in template.get("Networks") or ()]
    spec = ServiceSpec(
        name=raw.get("Name", ""),
        image=intern(container.get("Image", "")),
        args=_one(tuple(container.get("Args") or ())),
        env=_interned(_env(container)),
        labels=_interned(pairs({key: value for key, value in labels.items() if not key.startswith(PREFIX)})),
        configs=_mounts("Config", container),
        secrets=_mounts("Secret", container),
        networks=_one(tuple(networks.get(target, target) for target in targets)),
        constraints=_one(tuple((template.get("Placement") or {}).get("Constraints") or ())),
        replicas=int(((raw.get("Mode") or {}).get("Replicated") or {}).get("Replicas") or 0),
        resources=_one(_resources(template)),
        health=_one(_health(container.get("Healthcheck") or {})),
        update=_one(_update(raw.get("UpdateConfig") or {})),
        stop_grace_s=_seconds(container.get("StopGracePeriod")),
        route=route,
    )
    return replace(
        spec, unmanaged=_unmanaged(raw, spec, dict(zip(spec.networks, targets, strict=True)), start_interval)
    )


def _unmanaged(raw: Json, spec: ServiceSpec, networks: Mapping[str, str], start_interval: bool) -> Pairs:
    """Each leaf that is not as we would say it, with the daemon's value ("" if it lacks one that we say)."""
    ids = Names(
        networks,
        {mount.name: mount.name for mount in spec.configs},
        {mount.name: mount.name for mount in spec.secrets},
        start_interval,
    )
    theirs = dict(_leaves(_without_ids(raw)))
    try:
        ours = dict(_leaves(_without_ids(render_service(spec, ids))))
    except EngineRefused as refused:  # a hand wrote what we never would, such as a mount outside our directories
        return (("", refused.message),)
    return tuple(
        (path, theirs.get(path, ""))
        for path in sorted(theirs.keys() | ours.keys())
        if theirs.get(path) != ours.get(path) and not _is_ignored(path, theirs.get(path))
    )


def _is_ignored(path: str, value: str | None) -> bool:
    if path not in IGNORED:
        return False
    ignored, _ = IGNORED[path]
    return ignored is None or value in (ignored, None)


def _without_ids(raw: Json) -> Json:
    """*raw* with mounts by their file and environment by its variable, so that a leaf has the same path in both."""
    template = raw.get("TaskTemplate") or {}
    container = dict(template.get("ContainerSpec") or {})
    for kind in ("Config", "Secret"):
        mounts = container.get(f"{kind}s") or ()
        container[f"{kind}s"] = [{k: v for k, v in mount.items() if k != f"{kind}ID"} for mount in mounts]
    container["Env"] = _variables(container)
    mode = raw.get("Mode") or {}
    # An empty object is a leaf here: `Global: {}` is all that tells such a service.
    return {**raw, "TaskTemplate": {**template, "ContainerSpec": container}, "Mode": {**mode, "Kind": "".join(mode)}}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths and values of what is set; unset, zero and empty are one, as they are for the daemon."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if path.endswith("Labels") and inner == "":
                yield f"{path}.{key}", '""'
            else:
                yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    elif value:
        yield path, str(value)


def _env(container: Json) -> Pairs:
    """Variables but the engine's own; those, and entries that are no variable, are left for the comparison."""
    entries = [entry.partition("=") for entry in container.get("Env") or ()]
    return pairs({key: value for key, equals, value in entries if key and equals and key not in OWN_VARIABLES})


def _variables(container: Json) -> dict[str, str]:
    """Entries of the environment by their name, so that one more does not move the others; a double is told apart."""
    named: dict[str, str] = {}
    for entry in container.get("Env") or ():
        name, _, _ = entry.partition("=")
        named[f"{name}[again]" if name in named else name] = entry
    return named


def _mounts(kind: str, container: Json) -> tuple[Mount, ...]:
    mounts: list[Mount] = []
    for raw in container.get(f"{kind}s") or ():
        file = (raw.get("File") or {}).get("Name", "")
        mounts.append(
            Mount(intern(raw.get(f"{kind}Name", "")), intern(file.removeprefix(CONFIGS) if kind == "Config" else file))
        )
    return tuple(mounts)


def _resources(template: Json) -> Resources:
    limits = (template.get("Resources") or {}).get("Limits") or {}
    cpus, memory = limits.get("NanoCPUs"), limits.get("MemoryBytes")
    return Resources(cpus / 1e9 if cpus else None, memory or None)


def _health(raw: Json) -> HealthCheck | None:
    test = raw.get("Test") or []
    found = _HEALTH.match(test[-1]) if test else None
    if found is None or test != health_command(int(found[1]), found[2]):
        return None
    return HealthCheck(
        port=int(found[1]),
        path=found[2],
        interval_s=_seconds(raw.get("Interval")),
        timeout_s=_seconds(raw.get("Timeout")),
        start_period_s=_seconds(raw.get("StartPeriod")),
        retries=raw.get("Retries") or 0,
    )


def _update(raw: Json) -> UpdatePolicy:
    """Values outside our types stay at our default, and are told by the comparison."""
    order, action = raw.get("Order"), raw.get("FailureAction")
    default = UpdatePolicy()
    return UpdatePolicy(
        order=order if order in ("start-first", "stop-first") else default.order,
        failure_action=action if action in ("rollback", "pause", "continue") else default.failure_action,
        parallelism=raw.get("Parallelism") or 0,
        delay_s=_seconds(raw.get("Delay")),
        monitor_s=_seconds(raw.get("Monitor")),
    )


def parse_config(raw: Json) -> Config:
    spec = raw["Spec"]
    data = base64.b64decode(spec.get("Data") or "")
    return Config(intern(raw["ID"]), intern(spec["Name"]), raw["Version"]["Index"], _labels(spec), data)


def parse_secret(raw: Json) -> Secret:
    spec = raw["Spec"]
    return Secret(raw["ID"], intern(spec["Name"]), raw["Version"]["Index"], _labels(spec))


def _labels(spec: Json) -> Pairs:
    return _interned(pairs(spec.get("Labels") or {}))


def parse_network(raw: Json) -> Network:
    subnets = ((raw.get("IPAM") or {}).get("Config")) or ()
    return Network(
        raw["Id"], raw["Name"], pairs(raw.get("Labels") or {}), tuple(s["Subnet"] for s in subnets if s.get("Subnet"))
    )


def parse_task(raw: Json, nodes: Mapping[str, str]) -> Task:
    """*nodes* are host names by ID."""
    status = raw.get("Status") or {}
    state = _state(status.get("State", "new"))
    container = status.get("ContainerStatus") or {}
    ran = state in ("complete", "failed") and container.get("ContainerID")
    node = raw.get("NodeID", "")
    return Task(
        id=raw["ID"],
        service=raw.get("ServiceID", ""),
        slot=raw.get("Slot") or 0,
        node=nodes.get(node, node),
        state=state,
        wanted=_state(raw.get("DesiredState", "new")),
        error=status.get("Err", ""),
        exit_code=int(container.get("ExitCode") or 0) if ran else None,
        image=((raw.get("Spec") or {}).get("ContainerSpec") or {}).get("Image", ""),
        since=moment(status.get("Timestamp")),
    )


def parse_change(raw: Json) -> Change:
    actor = raw["Actor"]
    return Change(raw["Type"], raw["Action"], actor["ID"], (actor.get("Attributes") or {}).get("name", ""))


def created_at(raw: Json) -> datetime:
    """To sort by: as text, Go's times do not sort, since it leaves out zeros at their end."""
    return moment(raw.get("CreatedAt")) or datetime.min.replace(tzinfo=UTC)


def _state(state: str) -> TaskState:
    return _STATES.get(state, cast(TaskState, state))


def moment(text: str | None) -> datetime | None:
    """Go's times have up to nine digits of fraction; ours keep six."""
    if not text:
        return None
    match = re.fullmatch(r"(.*?)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if match is None:
        return None
    return datetime.fromisoformat(f"{match[1]}{(match[2] or '.0')[:7].ljust(7, '0')}{match[3].replace('Z', '+00:00')}")


def _seconds(nanoseconds: int | None) -> float:
    return (nanoseconds or 0) / 1e9
