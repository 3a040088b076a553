"""The swarm adapter: the engine port over the API of any manager.

It keeps what it parsed, by ID and version, so that a list of thousands parses again only what changed; the JSON itself
is never kept. Names and IDs of networks and nodes are remembered, since an ID never changes its name.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar

from skep.operator.engine.port import Confirm
from skep.operator.engine.rules import check_label
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
)
from skep.operator.engine.swarm import auth, jobs, logs, nodes
from skep.operator.engine.swarm.api import Api, Json, nonsense, segment
from skep.operator.engine.swarm.nodes import Node, Place
from skep.operator.engine.swarm.parse import (
    created_at,
    parse_change,
    parse_config,
    parse_network,
    parse_secret,
    parse_service,
    parse_task,
    running_count,
)
from skep.operator.engine.swarm.poll import Poll, time_poll
from skep.operator.engine.swarm.render import Names, render_network, render_service
from skep.operator.errors import EngineRefused, EngineUnavailable, NotFound, SkepError

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_KINDS = ("config", "secret", "service", "network", "node")
_ID = re.compile(r"[a-z0-9]{25}")
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:-]*(@sha256:[0-9a-f]{64})?")
SEEN = 1000  # names remembered beside the lists
REGISTRY_DEADLINE_S = 15.0  # a registry is further away than the engine


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=_Versioned)


class _Kept(Generic[V]):
    """Parsed objects of the last list of each label, by ID."""

    def __init__(self) -> None:
        self._lists: dict[str, dict[str, V]] = {}

    def of(self, label: str) -> Mapping[str, V]:
        return self._lists.get(label, {})

    def keep(self, label: str, found: dict[str, V]) -> None:
        self._lists[label] = found

    def find(self, object_id: str) -> V | None:
        return next((found[object_id] for found in self._lists.values() if object_id in found), None)


def _understood(
    method: Callable[Concatenate[SwarmEngine, P], Awaitable[T]],
) -> Callable[Concatenate[SwarmEngine, P], Coroutine[Any, Any, T]]:
    """An answer that is not shaped as the API says is the engine's failure, or that of what stands before it."""

    @functools.wraps(method)
    async def called(self: SwarmEngine, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(self, *args, **kwargs)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            log.warning("answer not understood", extra={"method": method.__name__}, exc_info=error)
            raise nonsense(method.__name__, self.api.where) from error

    return called


class SwarmEngine:
    """See the port. *url* and *context* choose the manager; *registry_file* is the Docker command line's config.json."""

    def __init__(
        self,
        url: str | None = None,
        *,
        context: str | None = None,
        deadline_s: float = 5.0,
        registry_file: Path | None = None,
    ) -> None:
        self.api = Api(url, context=context, deadline_s=deadline_s)
        self._registry_file = registry_file or Path.home() / ".docker" / "config.json"
        self._configs: _Kept[Config] = _Kept()
        self._seen: dict[str, str] = {}  # names by ID of configs that were lately inspected
        self._secrets: _Kept[Secret] = _Kept()
        self._services: _Kept[Service] = _Kept()
        self._network_names: dict[str, str] = {}  # by ID, as the one below
        self._node_names: dict[str, str] = {}
        self._forced: dict[str, int] = {}  # counters of forced restarts, by service ID, where not 0
        self._jobs: dict[str, tuple[asyncio.Task[JobResult], int]] = {}  # by name, with how many await it

    # -- configs and secrets -------------------------------------------------------------------------------------

    @_understood
    async def list_configs(self, *, label: str) -> tuple[Config, ...]:
        before = self._configs.of(label)
        found: dict[str, Config] = {}
        async for raw in self.api.get_each("configs", _labelled(label)):
            kept = before.get(raw["ID"])
            found[raw["ID"]] = kept if kept and kept.version == raw["Version"]["Index"] else parse_config(raw)
        self._configs.keep(label, found)
        return tuple(sorted(found.values(), key=lambda config: config.name))

    @_understood
    async def inspect_config(self, ref: str) -> Config:
        config = parse_config(await self.api.get(f"configs/{segment(ref)}"))
        if len(self._seen) >= SEEN:
            self._seen.clear()
        self._seen[config.id] = config.name
        return config

    @_understood
    async def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        return str((await self.api.post("configs/create", _object(name, data, labels)))["ID"])

    async def label_config(self, config_id: str, version: int, labels: Mapping[str, str]) -> None:
        await self._label("configs", config_id, version, labels)

    async def remove_config(self, config_id: str) -> None:
        await self.api.delete(f"configs/{segment(config_id)}")

    @_understood
    async def list_secrets(self, *, label: str) -> tuple[Secret, ...]:
        before = self._secrets.of(label)
        found: dict[str, Secret] = {}
        async for raw in self.api.get_each("secrets", _labelled(label)):
            kept = before.get(raw["ID"])
            found[raw["ID"]] = kept if kept and kept.version == raw["Version"]["Index"] else parse_secret(raw)
        self._secrets.keep(label, found)
        return tuple(sorted(found.values(), key=lambda secret: secret.name))

    @_understood
    async def inspect_secret(self, ref: str) -> Secret:
        return parse_secret(await self.api.get(f"secrets/{ref}"))

    @_understood
    async def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        return str((await self.api.post("secrets/create", _object(name, data, labels)))["ID"])

    async def label_secret(self, secret_id: str, version: int, labels: Mapping[str, str]) -> None:
        await self._label("secrets", secret_id, version, labels)

    async def remove_secret(self, secret_id: str) -> None:
        await self.api.delete(f"secrets/{segment(secret_id)}")

    @_understood
    async def _label(self, kind: str, ref: str, version: int, labels: Mapping[str, str]) -> None:
        # The API wants the name repeated; the data may be left out.
        kept = self._configs.find(ref)
        name = kept.name if kept else self._seen.get(ref)
        if name is None:
            name = (await self.api.get(f"{kind}/{segment(ref)}"))["Spec"]["Name"]
        body = {"Name": name, "Labels": dict(labels)}
        await self.api.post(f"{kind}/{segment(ref)}/update", body, {"version": version})

    # -- networks ------------------------------------------------------------------------------------------------

    @_understood
    async def list_networks(self, *, label: str) -> tuple[Network, ...]:
        found = [parse_network(raw) for raw in await self.api.get("networks", _labelled(label, scope=["swarm"]))]
        return tuple(sorted(found, key=lambda network: network.name))

    @_understood
    async def create_network(self, spec: NetworkSpec) -> str:
        return str((await self.api.post("networks/create", render_network(spec)))["Id"])

    async def remove_network(self, network_id: str) -> None:
        await self.api.delete(f"networks/{segment(network_id)}")

    # -- services ------------------------------------------------------------------------------------------------

    @_understood
    async def list_services(self, *, label: str) -> tuple[Service, ...]:
        before = self._services.of(label)
        found: dict[str, Service] = {}
        async for raw in self.api.get_each("services", {**_labelled(label), "status": True}):
            if not _is_job(raw):
                found[raw["ID"]] = await self._parse(raw, before.get(raw["ID"]))
        self._services.keep(label, found)
        return tuple(sorted(found.values(), key=lambda service: service.spec.name))

    @_understood
    async def inspect_service(self, ref: str) -> Service:
        # Only a list tells how many tasks run, and its filters match beginnings.
        for by in ("id", "name") if _ID.fullmatch(ref) else ("name",):
            for raw in await self.api.get("services", {"filters": {by: [ref]}, "status": True}) or ():
                if ref in (raw["ID"], raw["Spec"]["Name"]):
                    return await self._parse(raw, None)
        raise NotFound(f"service {ref} is not there")

    @_understood
    async def create_service(self, spec: ServiceSpec) -> str:
        body = render_service(spec, await self._names(spec))
        return str((await self.api.post("services/create", body, headers=self._auth(spec.image)))["ID"])

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> None:
        names = await self._names(spec)
        body = render_service(spec, names, force=self._forced.get(service_id, 0))
        await self.api.post(
            f"services/{segment(service_id)}/update", body, {"version": version}, headers=self._auth(spec.image)
        )

    async def remove_service(self, service_id: str) -> None:
        await self.api.delete(f"services/{segment(service_id)}")

    @_understood
    async def list_tasks(self, *, service: str) -> tuple[Task, ...]:
        raws = await self.api.get("tasks", {"filters": {"service": [service]}}) or ()
        if any(raw.get("NodeID") and raw["NodeID"] not in self._node_names for raw in raws):
            self._node_names = {node.id: node.hostname for node in await self.nodes()}
        newest_first = sorted(raws, key=created_at, reverse=True)
        return tuple(sorted((parse_task(raw, self._node_names) for raw in newest_first), key=lambda task: task.slot))

    @_understood
    async def resolve_image(self, ref: str) -> Image:
        """The registry's digest; without a registry this engine's own image ID, and *ref* as it is."""
        if not _IMAGE.fullmatch(ref):
            raise EngineRefused(f"{ref!r} is not an image reference")
        if "@" in ref:
            return Image(ref, ref, ref.partition("@")[2])
        try:
            found = await self.api.get(
                f"distribution/{ref}/json", deadline_s=REGISTRY_DEADLINE_S, headers=self._auth(ref)
            )
            digest = str(found["Descriptor"]["digest"])
            return Image(ref, f"{ref}@{digest}", digest)
        except SkepError:  # unreachable, unknown, forbidden: a local image may do
            pass
        try:
            return Image(ref, ref, str((await self.api.get(f"images/{ref}/json"))["Id"]))
        except NotFound:
            return Image(ref, ref, None)

    async def _parse(self, raw: Json, kept: Service | None) -> Service:
        if kept and kept.version == raw["Version"]["Index"]:
            running = running_count(raw)
            return kept if kept.running == running else replace(kept, running=running)
        template = raw["Spec"]["TaskTemplate"]
        if force := template.get("ForceUpdate"):
            self._forced[raw["ID"]] = force
        else:
            self._forced.pop(raw["ID"], None)
        previous = (raw.get("PreviousSpec") or {}).get("TaskTemplate") or {}
        attached = [*(template.get("Networks") or ()), *(previous.get("Networks") or ())]
        if any(network["Target"] not in self._network_names for network in attached):
            listed = await self.api.get("networks", {"filters": {"scope": ["swarm"]}})
            self._network_names |= {network["Id"]: network["Name"] for network in listed}
            for network in attached:  # one that is gone, as a previous spec may name it, is not looked for again
                self._network_names.setdefault(network["Target"], network["Target"])
        return parse_service(raw, self._network_names, start_interval=await self._knows_start_interval())

    async def _names(self, spec: ServiceSpec | JobSpec) -> Names:
        """IDs of what *spec* names, as they are now: a name made again has another ID."""
        networks, configs, secrets = await asyncio.gather(
            self._ids("networks", spec.networks),
            self._ids("configs", (mount.name for mount in spec.configs)),
            self._ids("secrets", (mount.name for mount in spec.secrets)),
        )
        return Names(networks, configs, secrets, await self._knows_start_interval())

    async def _ids(self, kind: str, names: Iterable[str]) -> dict[str, str]:
        wanted = sorted(set(names))
        if not wanted:
            return {}
        filters = {"name": wanted, **({"scope": ["swarm"]} if kind == "networks" else {})}
        found = await self.api.get(kind, {"filters": filters}) or ()
        if kind == "networks":
            return {raw["Name"]: raw["Id"] for raw in found}
        return {raw["Spec"]["Name"]: raw["ID"] for raw in found}

    async def _knows_start_interval(self) -> bool:
        return await self.api.version() >= (1, 44)

    def _auth(self, image: str) -> dict[str, str]:
        return auth.headers(image, self._registry_file)

    # -- jobs, logs, changes -------------------------------------------------------------------------------------

    async def run_job(self, spec: JobSpec, *, confirm: Confirm | None = None) -> JobResult:
        """A second call in this process shares the first one's waiting; a job of another process is found by name."""
        running, waiting = self._jobs.get(spec.name, (None, 0))
        if running is None:
            names = await self._names(spec)
            running, waiting = self._jobs.get(spec.name, (None, 0))
            running = running or asyncio.create_task(jobs.run(self.api, spec, names, self._auth(spec.image), confirm))
        self._jobs[spec.name] = (running, waiting + 1)
        try:
            return await asyncio.shield(running)
        finally:
            _, waiting = self._jobs[spec.name]
            if waiting > 1:
                self._jobs[spec.name] = (running, waiting - 1)
            else:
                del self._jobs[spec.name]
                running.cancel()  # of no effect once it is done; the job itself goes on and is found next time

    async def logs(self, service: str, *, tail: int | None = 100, follow: bool = False) -> AsyncIterator[LogLine]:
        params = {**logs.PARAMS, "follow": follow, "tail": "all" if tail is None else tail}
        async with self.api.stream(f"services/{segment(service)}/logs", params) as stream:
            lines = logs.lines(stream)
            while True:
                # The log of a task on a node that is gone never ends.
                async with asyncio.timeout(None if follow else self.api.deadline_s):
                    line = await anext(lines, None)
                if line is None:
                    return
                yield line

    async def changes(self) -> AsyncIterator[Change]:
        """Hints of a stream that may fall silent without breaking: whoever reads it must list once in a while."""
        # The swarm's own; a node's local networks change with every container.
        filters = {"type": list(_KINDS), "scope": ["swarm"]}
        self.api.renegotiate()
        async with self.api.stream("events", {"filters": filters}) as stream:
            yield CONNECTED
            while line := await stream.readline():
                if not line.endswith(b"\n"):
                    break  # cut off in the middle
                try:
                    change = parse_change(json.loads(line))
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    raise nonsense("GET /events", self.api.where) from error
                yield change
        raise EngineUnavailable(f"the stream of changes from {self.api.where} ended", reason="StreamEnded")

    @_understood
    async def info(self) -> EngineInfo:
        """Raises EngineUnavailable if this engine is no manager of a swarm."""
        raw = await self.api.get("info")
        swarm = raw.get("Swarm") or {}
        cluster = swarm.get("Cluster") or {}
        if not swarm.get("ControlAvailable") or not cluster.get("ID"):
            raise EngineUnavailable(
                swarm.get("Error") or f"the engine at {self.api.where} is not a manager of a swarm",
                reason="NoManager",
                remedy="`skep init` makes a swarm of one engine; or choose a manager with --context",
            )
        return EngineInfo("swarm", cluster["ID"], raw["ServerVersion"], swarm["Nodes"], swarm["Managers"])

    async def close(self) -> None:
        for running, _ in self._jobs.values():
            running.cancel()
        await self.api.close()

    # -- beyond the port: what only a swarm has ------------------------------------------------------------------

    async def nodes(self) -> tuple[Node, ...]:
        return await nodes.list_nodes(self.api)

    async def label_node(self, node_id: str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a node; None removes one. Raises VersionConflict."""
        await nodes.label_node(self.api, node_id, labels)

    async def set_availability(self, node_id: str, availability: Literal["active", "pause", "drain"]) -> None:
        await nodes.set_availability(self.api, node_id, availability)

    async def roll_on(self, service: str) -> None:
        """Replace each task of a service by an equal one, healthy before the old one goes."""
        await nodes.roll_on(self.api, service)

    async def swarm_init(self, *, advertise: str | None = None, pool: str | None = None) -> str:
        """Make a swarm of this one engine; the new node's ID. *pool* is a CIDR to take overlay networks from."""
        return await nodes.begin_swarm(self.api, advertise=advertise, pool=pool)

    async def places(self, service: str) -> tuple[Place, ...]:
        """Where a service's running tasks are, and which of them this very engine runs."""
        return await nodes.places(self.api, service)

    async def time_poll(self) -> Poll:
        """How long a look of the edge at everything takes, from here."""
        return await time_poll(self.api)

    async def exec_in_task(self, service: str, command: Iterable[str]) -> tuple[int, str]:
        """Exit code and output of *command* in a task on this very node. Raises NotFound: the message names the node."""
        places = await self.places(service)
        for place in places:
            if place.here:
                return await nodes.exec_here(self.api, place.container, tuple(command))
        elsewhere = ", ".join(sorted({place.hostname for place in places}))
        raise NotFound(f"no task of {service} runs on this node" + (f" but on {elsewhere}" if elsewhere else ""))


def _labelled(label: str, **more: list[str]) -> Json:
    check_label(label)
    return {"filters": {"label": [label], **more}}


def _object(name: str, data: bytes, labels: Mapping[str, str]) -> Json:
    return {"Name": name, "Data": base64.b64encode(data).decode(), "Labels": dict(labels)}


def _is_job(raw: Json) -> bool:
    return not {"ReplicatedJob", "GlobalJob"}.isdisjoint(raw["Spec"].get("Mode") or {})
