"""Our specs in the Engine API's words. Pure: names of networks, configs and secrets are looked up before.

Every setting is said outright, defaults too: what is said comes back from the daemon, so that any other value there
is somebody's hand (see `parse`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from skep.operator.engine.spec import HealthCheck, JobSpec, Mount, NetworkSpec, Resources, ServiceSpec
from skep.operator.engine.swarm.api import Json
from skep.operator.engine.swarm.route import PREFIX, render_route
from skep.operator.errors import EngineRefused, NotFound

UID = "10001"  # of our images; files of configs and secrets belong to it
CONFIGS = "/run/configs/"
CONFIG_MODE, SECRET_MODE = 0o444, 0o400
PORT_VARIABLE = "SKEP_PORT"
# Variables that the engine itself sets: a spec that sets one could not be told from a change by hand.
OWN_VARIABLES = frozenset({PORT_VARIABLE, "SKEP_CONFIGS_DIR", "SKEP_SECRETS_DIR"})
RESTART_DELAY_S = 5.0
START_INTERVAL_S = 0.5  # between probes of a starting task; the usual interval would keep a ready task waiting
_PATH = re.compile(r"/[A-Za-z0-9/._-]*")
_FILE = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Names:
    """What the swarm knows under which ID, and what this daemon can be told."""

    networks: Mapping[str, str] = field(default_factory=dict)  # name -> ID, as the two below
    configs: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    start_interval: bool = True  # from API 1.44 on


def render_service(spec: ServiceSpec, names: Names, *, force: int = 0) -> Json:
    """The body of a service's creation or update. *force* is the counter of `docker service update --force`.

    Raises EngineRefused for what must not be in a spec, NotFound for a name that the swarm does not know.
    """
    if spec.unmanaged:
        raise EngineRefused(f"service {spec.name}: fields {[path for path, _ in spec.unmanaged]} are not ours to set")
    for label, _ in spec.labels:
        if label.startswith(PREFIX):
            raise EngineRefused(f"service {spec.name}: label {label} is the route's to set")
    update = spec.update
    rollout = {
        "Parallelism": update.parallelism,
        "Delay": nanoseconds(update.delay_s),
        "Monitor": nanoseconds(update.monitor_s),
        "Order": update.order,
    }
    env = {**dict(spec.env), **({PORT_VARIABLE: str(spec.route.port)} if spec.route else {})}
    return {
        "Name": spec.name,
        "Labels": {**dict(spec.labels), **(render_route(spec.route) if spec.route else {})},
        "TaskTemplate": {
            "ContainerSpec": {
                **_container(spec, env, names),
                "StopGracePeriod": nanoseconds(spec.stop_grace_s),
                **({"Healthcheck": _health(spec.health, names)} if spec.health else {}),
            },
            **_placed(spec, names),
            "RestartPolicy": {"Condition": "any", "Delay": nanoseconds(RESTART_DELAY_S)},
            **({"ForceUpdate": force} if force else {}),
        },
        "Mode": {"Replicated": {"Replicas": spec.replicas}},
        "UpdateConfig": {**rollout, "FailureAction": update.failure_action},
        # A rollback goes the way of the update; if it fails too there is nowhere to go.
        "RollbackConfig": {**rollout, "FailureAction": "pause"},
        "EndpointSpec": {"Mode": "dnsrr"},  # VIPs run out in a /24 and forget idle connections
    }


def render_job(spec: JobSpec, names: Names) -> Json:
    """A service that runs one task to its end. Raises as `render_service` does."""
    return {
        "Name": spec.name,
        "Labels": dict(spec.labels),
        "TaskTemplate": {
            "ContainerSpec": _container(spec, dict(spec.env), names),
            **_placed(spec, names),
            "RestartPolicy": {"Condition": "none"},
        },
        "Mode": {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}},
        "EndpointSpec": {"Mode": "dnsrr"},
    }


def render_network(spec: NetworkSpec) -> Json:
    return {
        "Name": spec.name,
        "Driver": "overlay",
        "Attachable": True,
        "Internal": spec.internal,
        "Labels": dict(spec.labels),
        "Options": {"encrypted": "true"} if spec.encrypted else {},
        "IPAM": {"Driver": "default", "Config": [{"Subnet": spec.subnet}] if spec.subnet else []},
    }


def health_command(port: int, path: str) -> list[str]:
    """A probe by bash alone, since an interpreter costs twice the CPU; it fails unless the status line says 200."""
    probe = (
        f"exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3"
        " && read -r status <&3 && [[ $status == HTTP/*' 200'* ]]"
    )
    return ["CMD", "bash", "-c", probe]


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def mount_file(kind: str, file: str) -> str:
    """Where the API wants the file: a secret's name is relative to /run/secrets, a config's would be to the root."""
    return file if kind == "Secret" else CONFIGS + file


def _container(spec: ServiceSpec | JobSpec, env: Mapping[str, str], names: Names) -> Json:
    for variable, _ in spec.env:
        if variable in OWN_VARIABLES or not variable or "=" in variable:
            raise EngineRefused(f"{spec.name}: {variable!r} is not a variable that a spec may set")
    return {
        "Image": spec.image,
        "Args": list(spec.args),
        "Env": [f"{key}={value}" for key, value in sorted(env.items())],
        "Configs": _mounts("Config", spec.configs, names.configs, CONFIG_MODE),
        "Secrets": _mounts("Secret", spec.secrets, names.secrets, SECRET_MODE),
    }


def _mounts(kind: str, mounts: Iterable[Mount], ids: Mapping[str, str], mode: int) -> list[Json]:
    rendered: list[Json] = []
    for mount in mounts:
        if not _FILE.fullmatch(mount.file):
            raise EngineRefused(f"{kind.lower()} {mount.name}: {mount.file!r} is not a plain file name")
        file = {"Name": mount_file(kind, mount.file), "UID": UID, "GID": UID, "Mode": mode}
        rendered.append({f"{kind}ID": _known(kind, mount.name, ids), f"{kind}Name": mount.name, "File": file})
    return rendered


def _placed(spec: ServiceSpec | JobSpec, names: Names) -> Json:
    return {
        "Resources": {"Limits": _limits(spec.resources)},
        "Placement": {"Constraints": list(spec.constraints)},
        "Networks": [{"Target": _known("Network", name, names.networks)} for name in spec.networks],
    }


def _limits(resources: Resources) -> Json:
    limits: Json = {}
    if resources.cpus is not None:
        limits["NanoCPUs"] = nanoseconds(resources.cpus)
    if resources.memory_bytes is not None:
        limits["MemoryBytes"] = resources.memory_bytes
    return limits


def _health(health: HealthCheck, names: Names) -> Json:
    if not _PATH.fullmatch(health.path):
        raise EngineRefused(f"health path {health.path!r} has characters that a probe cannot carry")
    rendered = {
        "Test": health_command(health.port, health.path),
        "Interval": nanoseconds(health.interval_s),
        "Timeout": nanoseconds(health.timeout_s),
        "StartPeriod": nanoseconds(health.start_period_s),
        "Retries": health.retries,
    }
    if names.start_interval:
        rendered["StartInterval"] = nanoseconds(START_INTERVAL_S)
    return rendered


def _known(kind: str, name: str, ids: Mapping[str, str]) -> str:
    try:
        return ids[name]
    except KeyError:
        raise NotFound(f"{kind.lower()} {name} is not there") from None
