"""What only a swarm has and `skep init`, `doctor` and `psql` need: nodes, the swarm's beginning, a task's container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skep.operator.engine.spec import Pairs, pairs
from skep.operator.engine.swarm import logs
from skep.operator.engine.swarm.api import Api, Json, segment
from skep.operator.errors import NotFound


@dataclass(frozen=True, slots=True)
class Node:
    """*state* is "ready", "down", ...; *availability* is "active", "pause" or "drain"."""

    id: str
    version: int
    hostname: str
    address: str
    role: str
    state: str
    availability: str
    leader: bool
    labels: Pairs
    engine: str  # the version of its Docker engine


@dataclass(frozen=True, slots=True)
class Place:
    """Where a running task is. *here* says that the engine we talk to runs it."""

    task: str
    container: str
    hostname: str
    here: bool


async def list_nodes(api: Api) -> tuple[Node, ...]:
    return tuple(sorted((_node(raw) for raw in await api.get("nodes")), key=lambda node: node.hostname))


async def label_node(api: Api, node_id: str, labels: Mapping[str, str | None]) -> None:
    """Set labels of a node; None removes one. Raises VersionConflict when somebody wrote in between."""
    raw = await api.get(f"nodes/{segment(node_id)}")
    spec: Json = dict(raw["Spec"])
    merged = {**(spec.get("Labels") or {}), **labels}
    spec["Labels"] = {key: value for key, value in merged.items() if value is not None}
    if spec["Labels"] != (raw["Spec"].get("Labels") or {}):
        await api.post(f"nodes/{segment(node_id)}/update", spec, {"version": raw["Version"]["Index"]})


async def set_availability(api: Api, node_id: str, availability: str) -> None:
    """ "active", "pause" (nothing new) or "drain" (nothing at all). Raises VersionConflict, NotFound."""
    raw = await api.get(f"nodes/{segment(node_id)}")
    if raw["Spec"].get("Availability") != availability:
        spec: Json = {**raw["Spec"], "Availability": availability}
        await api.post(f"nodes/{segment(node_id)}/update", spec, {"version": raw["Version"]["Index"]})


async def roll_on(api: Api, service: str) -> None:
    """Replace each task of a service by an equal one, as its update policy says. Raises VersionConflict, NotFound."""
    raw = await api.get(f"services/{segment(service)}")
    template: Json = raw["Spec"]["TaskTemplate"]
    spec: Json = {**raw["Spec"], "TaskTemplate": {**template, "ForceUpdate": template.get("ForceUpdate", 0) + 1}}
    version = {"version": raw["Version"]["Index"], "registryAuthFrom": "spec"}
    await api.post(f"services/{raw['ID']}/update", spec, version)


async def begin_swarm(api: Api, *, advertise: str | None = None, pool: str | None = None) -> str:
    """Make a swarm of this one engine; the new node's ID. *pool* is a CIDR to take overlay networks from."""
    body: Json = {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": advertise or ""}
    if pool:
        body |= {"DefaultAddrPool": [pool], "SubnetSize": 24}
    return str(await api.post("swarm/init", body))


async def places(api: Api, service: str) -> tuple[Place, ...]:
    """The service's running tasks. Raises NotFound without such a service."""
    found = await api.get(f"services/{segment(service)}")
    filters = {"service": [found["ID"]], "desired-state": ["running"]}
    tasks = await api.get("tasks", {"filters": filters})
    here = (await api.get("info"))["Swarm"]["NodeID"]
    hosts = {node.id: node.hostname for node in await list_nodes(api)}
    return tuple(
        Place(
            task["ID"],
            ((task["Status"].get("ContainerStatus")) or {}).get("ContainerID", ""),
            hosts.get(task.get("NodeID", ""), ""),
            task.get("NodeID") == here,
        )
        for task in tasks or ()
        if task["Status"]["State"] == "running"
    )


async def exec_here(api: Api, container: str, command: Sequence[str]) -> tuple[int, str]:
    """Run *command* in a container of this very node: its exit code and output. Raises NotFound elsewhere."""
    body: Json = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
    made = await api.post(f"containers/{segment(container)}/exec", body)
    parts: list[str] = []
    async with api.stream(f"exec/{made['Id']}/start", {}, body={"Detach": False, "Tty": False}) as stream:
        async for _, text in logs.frames(stream):
            parts.append(text)
    ended = await api.get(f"exec/{made['Id']}/json")
    if ended.get("ExitCode") is None:
        raise NotFound(f"container {container} ended before the command did")
    return int(ended["ExitCode"]), "".join(parts)


def _node(raw: Json) -> Node:
    spec, description, manager = raw["Spec"], raw.get("Description") or {}, raw.get("ManagerStatus") or {}
    return Node(
        id=raw["ID"],
        version=raw["Version"]["Index"],
        hostname=description.get("Hostname", ""),
        address=raw["Status"].get("Addr", ""),
        role=spec.get("Role", ""),
        state=raw["Status"].get("State", ""),
        availability=spec.get("Availability", ""),
        leader=bool(manager.get("Leader")),
        labels=pairs(spec.get("Labels") or {}),
        engine=(description.get("Engine") or {}).get("EngineVersion", ""),
    )
