"""An engine in memory, for deterministic tests: it behaves as Swarm does, on a clock that the test turns.

One version index over all objects, as raft's; versions move by themselves at the end of a rollout; an equal update
forgets the previous spec and disables a running rollback; in-use protection looks at current specs only.

Time is `now()`: the world moves when it is next looked at. A task takes *start_s* to become healthy. Faults go in
through `on_call`, which sees every call before and after it happens; hints are lost or doubled through `deliver`.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal, TypeVar

from skep.operator.engine.memory_service import MemoryService
from skep.operator.engine.port import Confirm
from skep.operator.engine.rules import carries, check_config, check_label, check_secret, check_service_name, files
from skep.operator.engine.spec import (
    CONNECTED,
    Change,
    Config,
    EngineInfo,
    Image,
    JobResult,
    JobSpec,
    LogLine,
    Network,
    NetworkSpec,
    Secret,
    Service,
    ServiceSpec,
    Task,
    pairs,
)
from skep.operator.errors import EngineRefused, EngineUnavailable, InUse, NameTaken, NotFound, VersionConflict

T = TypeVar("T")
Job = Callable[[JobSpec], JobResult | Awaitable[JobResult]]
Kind = Literal["config", "secret", "network", "service"]


class VirtualClock:
    """Seconds since the epoch that move only by `advance`."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += seconds


@dataclass(slots=True)
class Call:
    """One call of the port. *phase* is "before", then "after"; a hook that raises in "after" loses only the answer.

    In "after" a hook may replace *result*, to play an engine that answers wrongly.
    """

    method: str
    args: tuple[object, ...]
    phase: Literal["before", "after"] = "before"
    result: Any = None

    @property
    def writes(self) -> bool:
        return not self.method.startswith(("list_", "inspect_", "resolve_", "info"))


class MemoryEngine:
    """See the module. *broken* names why a spec's tasks never get healthy, or None; *start_s* is a healthy start."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        start_s: float = 0.0,
        broken: Callable[[ServiceSpec], str | None] = lambda spec: None,
    ) -> None:
        self.now = now
        self.start_s = start_s
        self.broken = broken
        self.broken_images: set[str] = set()
        self.digests: dict[str, str] = {}  # by image reference; a default is derived from the reference
        self.on_call: Callable[[Call], Awaitable[None] | None] | None = None
        self.on_start: Callable[[str, str], None] = lambda service, task: None  # IDs, once a task is healthy
        self.deliver: Callable[[Change], int] = lambda change: 1  # how often a hint arrives: 0 lost, 2 doubled
        self.writes: list[tuple[str, str]] = []  # (method, name) of every write that happened, in order
        self.jobs_run: list[JobSpec] = []
        self.configs: dict[str, Config] = {}  # by ID, as the three below
        self.secrets: dict[str, tuple[Secret, bytes]] = {}
        self.networks: dict[str, tuple[Network, NetworkSpec]] = {}
        self.services: dict[str, MemoryService] = {}
        self._index = 10
        self._ids = 0
        self._names: dict[tuple[Kind, str], str] = {}
        self._jobs: list[tuple[tuple[str, ...], str | None, Job]] = []
        self._running_jobs: dict[str, asyncio.Task[JobResult]] = {}
        self._streams: set[asyncio.Queue[Change | None]] = set()
        self._logs: dict[str, list[LogLine]] = defaultdict(list)

    # -- what a test does to the world ---------------------------------------------------------------------------

    def register_job(self, job: Job, *, args: tuple[str, ...] = (), image: str | None = None) -> None:
        """Jobs whose arguments begin with *args* (and that run *image*, if given) do *job*; the latest match wins."""
        self._jobs.insert(0, (args, image, job))

    def edit_by_hand(self, ref: str, **changes: object) -> None:
        """What `docker service update` does: `edit_by_hand("web", replicas=0)`."""
        service = self._service(ref)
        service.replace(replace(service.spec, **changes))  # type: ignore[arg-type]  # a test's own words
        self.moved(service)

    def write_log(
        self, ref: str, text: str, *, task: str | None = None, stream: Literal["stdout", "stderr"] = "stdout"
    ) -> None:
        """A line of the service's newest task, or of the one named."""
        service = self._service(ref)
        self._logs[service.id].append(LogLine(task or service.tasks[-1].id, stream, text))

    def secret_data(self, name: str) -> bytes:
        """What a task would read; the port never tells it."""
        return next(data for secret, data in self.secrets.values() if secret.name == name)

    def service(self, ref: str) -> Service:
        """One service, without a call that a hook would see."""
        return self._service(ref).settled().view()

    def hint(self, change: Change) -> None:
        """A hint that comes by itself: late, or of what never was."""
        for stream in self._streams:
            stream.put_nowait(change)

    def restart(self) -> None:
        """The engine goes away and comes back: streams break, objects stay."""
        for stream in self._streams:
            stream.put_nowait(None)

    # -- configs, secrets, networks ------------------------------------------------------------------------------

    async def list_configs(self, *, label: str) -> tuple[Config, ...]:
        def do() -> tuple[Config, ...]:
            check_label(label)
            found = (config for config in self.configs.values() if carries(config.labels, label))
            return tuple(sorted(found, key=lambda config: config.name))

        return await self._call("list_configs", (label,), do)

    async def inspect_config(self, ref: str) -> Config:
        return await self._call("inspect_config", (ref,), lambda: self._config(ref))

    async def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        def do() -> str:
            check_config(name, data)
            self._refuse_taken("config", name)
            config = Config(self.new_id(), name, self.tick(), pairs(dict(labels)), data)
            self.configs[config.id] = config
            self._wrote("create_config", "config", "create", config.id, name)
            return config.id

        return await self._call("create_config", (name, data, dict(labels)), do)

    async def label_config(self, config_id: str, version: int, labels: Mapping[str, str]) -> None:
        def do() -> None:
            config = self._config(config_id)
            self._refuse_stale("config", config.name, config.version, version)
            self.configs[config.id] = replace(config, version=self.tick(), labels=pairs(dict(labels)))
            self._wrote("label_config", "config", "update", config.id, config.name)

        await self._call("label_config", (config_id, version, dict(labels)), do)

    async def remove_config(self, config_id: str) -> None:
        def do() -> None:
            config = self._config(config_id)
            self._refuse_used("config", config.name, lambda spec: config.name in files(spec.configs))
            del self.configs[config.id]
            self._wrote("remove_config", "config", "remove", config.id, config.name)

        await self._call("remove_config", (config_id,), do)

    async def list_secrets(self, *, label: str) -> tuple[Secret, ...]:
        def do() -> tuple[Secret, ...]:
            check_label(label)
            found = (secret for secret, _ in self.secrets.values() if carries(secret.labels, label))
            return tuple(sorted(found, key=lambda secret: secret.name))

        return await self._call("list_secrets", (label,), do)

    async def inspect_secret(self, ref: str) -> Secret:
        return await self._call("inspect_secret", (ref,), lambda: self._secret(ref)[0])

    async def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        def do() -> str:
            check_secret(name, data)
            self._refuse_taken("secret", name)
            secret = Secret(self.new_id(), name, self.tick(), pairs(dict(labels)))
            self.secrets[secret.id] = (secret, data)
            self._wrote("create_secret", "secret", "create", secret.id, name)
            return secret.id

        return await self._call("create_secret", (name, dict(labels)), do)

    async def label_secret(self, secret_id: str, version: int, labels: Mapping[str, str]) -> None:
        def do() -> None:
            secret, data = self._secret(secret_id)
            self._refuse_stale("secret", secret.name, secret.version, version)
            self.secrets[secret.id] = (replace(secret, version=self.tick(), labels=pairs(dict(labels))), data)
            self._wrote("label_secret", "secret", "update", secret.id, secret.name)

        await self._call("label_secret", (secret_id, version, dict(labels)), do)

    async def remove_secret(self, secret_id: str) -> None:
        def do() -> None:
            secret, _ = self._secret(secret_id)
            self._refuse_used("secret", secret.name, lambda spec: secret.name in files(spec.secrets))
            del self.secrets[secret.id]
            self._wrote("remove_secret", "secret", "remove", secret.id, secret.name)

        await self._call("remove_secret", (secret_id,), do)

    async def list_networks(self, *, label: str) -> tuple[Network, ...]:
        def do() -> tuple[Network, ...]:
            check_label(label)
            found = (network for network, _ in self.networks.values() if carries(network.labels, label))
            return tuple(sorted(found, key=lambda network: network.name))

        return await self._call("list_networks", (label,), do)

    async def create_network(self, spec: NetworkSpec) -> str:
        def do() -> str:
            self._refuse_taken("network", spec.name)
            subnets = (spec.subnet or f"10.0.{len(self.networks)}.0/24",)
            network = Network(self.new_id(), spec.name, spec.labels, subnets)
            self.tick()
            self.networks[network.id] = (network, spec)
            self._wrote("create_network", "network", "create", network.id, spec.name)
            return network.id

        return await self._call("create_network", (spec,), do)

    async def remove_network(self, network_id: str) -> None:
        def do() -> None:
            network, _ = self._find("network", network_id, self.networks)
            self._refuse_used("network", network.name, lambda spec: network.name in spec.networks)
            self.tick()
            del self.networks[network.id]
            self._wrote("remove_network", "network", "remove", network.id, network.name)

        await self._call("remove_network", (network_id,), do)

    # -- services ------------------------------------------------------------------------------------------------

    async def list_services(self, *, label: str) -> tuple[Service, ...]:
        def do() -> tuple[Service, ...]:
            check_label(label)
            found = [service.settled() for service in self.services.values()]
            views = (service.view() for service in found if carries(service.spec.labels, label))
            return tuple(sorted(views, key=lambda service: service.spec.name))

        return await self._call("list_services", (label,), do)

    async def inspect_service(self, ref: str) -> Service:
        return await self._call("inspect_service", (ref,), lambda: self.service(ref))

    async def create_service(self, spec: ServiceSpec) -> str:
        def do() -> str:
            check_service_name(spec.name)
            self._refuse_dangling(spec)
            self._refuse_taken("service", spec.name)
            service = MemoryService(self, self.new_id(), spec)
            self.services[service.id] = service
            self._wrote("create_service", "service", "create", service.id, spec.name)
            return service.id

        return await self._call("create_service", (spec,), do)

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> None:
        def do() -> None:
            service = self._service(service_id).settled()
            if spec.name != service.spec.name:
                raise EngineRefused(f"service {service.spec.name} cannot become {spec.name}: no engine renames")
            self._refuse_stale("service", spec.name, service.version, version)
            self._refuse_dangling(spec)
            service.replace(spec)
            self._wrote("update_service", "service", "update", service.id, spec.name)

        await self._call("update_service", (service_id, version, spec), do)

    async def remove_service(self, service_id: str) -> None:
        def do() -> None:
            service = self._service(service_id)
            self.tick()
            del self.services[service.id]
            self._wrote("remove_service", "service", "remove", service.id, service.spec.name)

        await self._call("remove_service", (service_id,), do)

    async def list_tasks(self, *, service: str) -> tuple[Task, ...]:
        def do() -> tuple[Task, ...]:
            found = self._service(service).settled()
            by_age = {task.id: age for age, task in enumerate(found.tasks)}
            return tuple(sorted(found.tasks, key=lambda task: (task.slot, -by_age[task.id])))

        return await self._call("list_tasks", (service,), do)

    async def resolve_image(self, ref: str) -> Image:
        digest = self.digests.get(ref) or f"sha256:{sha256(ref.encode()).hexdigest()}"
        return await self._call("resolve_image", (ref,), lambda: Image(ref, ref, digest))

    # -- jobs, logs, changes -------------------------------------------------------------------------------------

    async def run_job(self, spec: JobSpec, *, confirm: Confirm | None = None) -> JobResult:
        def do() -> asyncio.Task[JobResult]:
            if running := self._running_jobs.get(spec.name):
                return running
            self._refuse_dangling(spec)
            self._refuse_taken("service", spec.name)
            self.tick()
            self.jobs_run.append(spec)
            self._wrote("run_job", "service", "create", spec.name, spec.name)
            # A job outlives the caller that is cancelled, as on a real engine: the next call of its name finds it.
            task = asyncio.get_running_loop().create_task(self._run(spec))
            self._running_jobs[spec.name] = task
            return task

        running = await self._call("run_job", (spec,), do)
        result = await asyncio.shield(running)
        if confirm is not None:
            await confirm()
        if self._running_jobs.get(spec.name) is running:
            del self._running_jobs[spec.name]
            self._tell("service", "remove", spec.name, spec.name)
        return result

    async def _run(self, spec: JobSpec) -> JobResult:
        for args, image, job in self._jobs:
            if spec.args[: len(args)] == args and image in (None, spec.image):
                try:
                    async with asyncio.timeout(spec.timeout_s):
                        result = job(spec)
                        return await result if inspect.isawaitable(result) else result
                except TimeoutError:
                    return JobResult(None, "", f"killed after {spec.timeout_s:g} s")
        return JobResult(None, "", f"No such image: {spec.image}")

    async def logs(self, service: str, *, tail: int | None = 100, follow: bool = False) -> AsyncIterator[LogLine]:
        found = self._service(service)
        lines = self._logs[found.id]
        left: dict[str, int] = defaultdict(lambda: len(lines) if tail is None else tail)
        past: list[LogLine] = []
        for line in reversed(lines):
            left[line.task] -= 1
            if left[line.task] >= 0:
                past.append(line)
        seen = len(lines)
        for line in reversed(past):
            yield line
        while follow and found.id in self.services:
            for line in lines[seen:]:
                seen += 1
                yield line
            found.settled()  # nobody else may be looking, and a task says its first words when it starts
            await asyncio.sleep(0.01)

    async def changes(self) -> AsyncIterator[Change]:
        stream: asyncio.Queue[Change | None] = asyncio.Queue()
        self._streams.add(stream)
        try:
            yield CONNECTED
            while (change := await stream.get()) is not None:
                yield change
        finally:
            self._streams.discard(stream)
        raise EngineUnavailable("the stream of changes broke")

    async def info(self) -> EngineInfo:
        return await self._call("info", (), lambda: EngineInfo("memory", "memory", "1", nodes=1, managers=1))

    async def close(self) -> None:
        for job in self._running_jobs.values():
            job.cancel()
        await asyncio.gather(*self._running_jobs.values(), return_exceptions=True)

    # -- the small parts -----------------------------------------------------------------------------------------

    async def _call(self, method: str, args: tuple[object, ...], do: Callable[[], T]) -> T:
        call = Call(method, args)
        await asyncio.sleep(0)  # a real engine lets others run, so races show
        await self._hook(call)
        call.result, call.phase = do(), "after"
        await self._hook(call)
        answer: T = call.result
        return answer

    async def _hook(self, call: Call) -> None:
        if self.on_call is not None:
            answer = self.on_call(call)
            if inspect.isawaitable(answer):
                await answer

    def tick(self) -> int:
        self._index += 1
        return self._index

    def new_id(self) -> str:
        self._ids += 1
        return f"m{self._ids:024d}"

    def why_broken(self, spec: ServiceSpec) -> str | None:
        return "task: non-zero exit (1)" if spec.image in self.broken_images else self.broken(spec)

    def moved(self, service: MemoryService) -> None:
        """A service changed by itself: told as Swarm tells it."""
        self._tell("service", "update", service.id, service.spec.name)

    def started(self, service: MemoryService, task: str) -> None:
        self.on_start(service.id, task)

    def _wrote(self, method: str, kind: Kind, action: str, object_id: str, name: str) -> None:
        self.writes.append((method, name))
        if action == "create" and method != "run_job":
            self._names[kind, name] = object_id
        elif action == "remove":
            del self._names[kind, name]
        self._tell(kind, action, object_id, name)

    def _tell(self, kind: Kind, action: str, object_id: str, name: str) -> None:
        change = Change(kind, action, object_id, name)
        for stream in self._streams:
            for _ in range(self.deliver(change)):
                stream.put_nowait(change)

    def _config(self, ref: str) -> Config:
        return self._find("config", ref, self.configs)

    def _secret(self, ref: str) -> tuple[Secret, bytes]:
        return self._find("secret", ref, self.secrets)

    def _service(self, ref: str) -> MemoryService:
        return self._find("service", ref, self.services)

    def _refuse_taken(self, kind: Kind, name: str) -> None:
        if (kind, name) in self._names:
            raise NameTaken(f"{kind} {name} exists")

    def _refuse_stale(self, kind: str, name: str, current: int, given: int) -> None:
        if current != given:
            raise VersionConflict(f"{kind} {name} is at {current}, not {given}")

    def _refuse_used(self, kind: str, name: str, uses: Callable[[ServiceSpec], bool]) -> None:
        users = [service.spec.name for service in self.services.values() if uses(service.settled().spec)]
        if users:
            raise InUse(f"{kind} {name} is in use by {', '.join(sorted(users))}")

    def _refuse_dangling(self, spec: ServiceSpec | JobSpec) -> None:
        needs: dict[Kind, tuple[str, ...]] = {
            "config": files(spec.configs),
            "secret": files(spec.secrets),
            "network": spec.networks,
        }
        for kind, names in needs.items():
            for name in names:
                if (kind, name) not in self._names:
                    raise NotFound(f"{kind} {name} is not there")

    def _find(self, kind: Kind, ref: str, objects: Mapping[str, T]) -> T:
        found = objects.get(ref) or objects.get(self._names.get((kind, ref), ""))
        if found is None:
            raise NotFound(f"{kind} {ref} is not there")
        return found
