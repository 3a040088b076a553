"""What an orchestrator runs and stores, as values: the words in which the operator talks to every engine.

All are frozen and hashable, so that a desired and an observed value compare by field. Durations are seconds,
sizes are bytes, CPU is in cores. Tuples of pairs stand for mappings and are sorted by key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Pairs = tuple[tuple[str, str], ...]


def pairs(mapping: dict[str, str]) -> Pairs:
    """The canonical form of a mapping: its items sorted by key."""
    return tuple(sorted(mapping.items()))


@dataclass(frozen=True, slots=True)
class Mount:
    """One config or secret as a read-only file in a task.

    *name* is the object's; *file* is the base name under `/run/configs` or `/run/secrets`. Both directories can be
    moved by the engine, which tells the task through SKEP_CONFIGS_DIR and SKEP_SECRETS_DIR.
    """

    name: str
    file: str


@dataclass(frozen=True, slots=True)
class Resources:
    """Ceilings of one task; None is unlimited."""

    cpus: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """`GET http://<task>:<port><path>` answers 200 while the task is healthy.

    An engine that probes inside the task must start no interpreter for it: a probe costs CPU, and there are many.
    """

    port: int
    path: str = "/healthz"
    interval_s: float = 30.0
    timeout_s: float = 5.0
    start_period_s: float = 20.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """How a changed service rolls out. *monitor_s* must exceed start period + interval x retries (facts of Swarm)."""

    order: Literal["start-first", "stop-first"] = "start-first"
    failure_action: Literal["rollback", "pause", "continue"] = "rollback"
    parallelism: int = 1
    delay_s: float = 0.0
    monitor_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Route:
    """How the edge finds a service: these hosts, on this port of every healthy task.

    *name* is unique over the platform and comes from a tenant's name only. The edge sets *headers* on each request,
    replacing what the client sent under the same names. *tls* serves the route on the TLS entry point. *network* is
    the one that the edge shares with the service; without it a proxy may try the address of another one, which leads
    out of the swarm.
    """

    name: str
    hosts: tuple[str, ...]
    port: int
    headers: Pairs = ()
    tls: bool = False
    network: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A long-running service. *args* follow the image's entry point; *networks* are names."""

    name: str
    image: str
    args: tuple[str, ...] = ()
    env: Pairs = ()
    labels: Pairs = ()
    configs: tuple[Mount, ...] = ()
    secrets: tuple[Mount, ...] = ()
    networks: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    replicas: int = 1
    resources: Resources = Resources()
    health: HealthCheck | None = None
    update: UpdatePolicy = UpdatePolicy()
    stop_grace_s: float = 30.0
    # Its port is the one the app listens on; engines tell the task through SKEP_PORT.
    route: Route | None = None
    # What somebody set by hand and we never set: path in the engine's own words -> value. Always empty in a desired
    # spec, so that any change by hand is a difference. See the swarm adapter for what is ignored, and why.
    unmanaged: Pairs = ()


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A task that runs to its end exactly once; *name* is unique for the run. It is killed after *timeout_s*."""

    name: str
    image: str
    args: tuple[str, ...] = ()
    env: Pairs = ()
    labels: Pairs = ()
    configs: tuple[Mount, ...] = ()
    secrets: tuple[Mount, ...] = ()
    networks: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    resources: Resources = Resources()
    timeout_s: float = 300.0


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    name: str
    subnet: str | None = None  # CIDR; None leaves the choice to the engine
    internal: bool = False
    encrypted: bool = False
    labels: Pairs = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Non-secret data, immutable except for its labels. *version* is the engine's index, ordered over all objects."""

    id: str
    name: str
    version: int
    labels: Pairs
    data: bytes


@dataclass(frozen=True, slots=True)
class Secret:
    """As Config; an engine never gives a secret's data back."""

    id: str
    name: str
    version: int
    labels: Pairs


@dataclass(frozen=True, slots=True)
class Network:
    id: str
    name: str
    labels: Pairs
    subnets: tuple[str, ...] = ()


UpdateState = Literal[
    "updating", "paused", "completed", "rollback_started", "rollback_paused", "rollback_completed", "none"
]


@dataclass(frozen=True, slots=True)
class Service:
    """A service as the engine has it. *previous* is what a rollback would return to."""

    id: str
    version: int
    spec: ServiceSpec
    previous: ServiceSpec | None = None
    update_state: UpdateState = "none"
    update_message: str = ""
    running: int = 0
    created_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.spec.name


TaskState = Literal[
    "new", "pending", "assigned", "preparing", "starting", "running", "complete", "failed", "shutdown", "rejected",
    "orphaned", "remove",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt to run a service. *error* is the engine's own sentence; *wanted* is the engine's desired state."""

    id: str
    service: str
    slot: int
    node: str
    state: TaskState
    wanted: TaskState
    error: str = ""
    exit_code: int | None = None
    image: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    exit_code: int | None  # None: it never ran (no node, no image); `error` says why
    output: str  # its last 64 KiB of standard output
    error: str = ""  # the engine's sentence, and its last lines of standard error

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


@dataclass(frozen=True, slots=True)
class LogLine:
    task: str
    stream: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """A hint that something changed. Changes may be lost, doubled and reordered; only a list is the truth."""

    kind: Literal["config", "secret", "service", "network", "node", "task"]
    action: str
    id: str
    name: str


CONNECTED = Change("node", "connected", "", "")  # the first of every stream of changes


@dataclass(frozen=True, slots=True)
class EngineInfo:
    kind: Literal["swarm", "embedded", "memory"]
    id: str  # the cluster's, stable over restarts
    version: str
    nodes: int
    managers: int


@dataclass(frozen=True, slots=True)
class Image:
    """A resolved image. *pinned* is what to run; *digest* tells two contents of one tag apart, None if unknown."""

    ref: str
    pinned: str
    digest: str | None
