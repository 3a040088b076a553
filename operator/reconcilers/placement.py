"""Where a new tenant goes: the least full database server, edge and data network. Once placed, it stays."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from skep.crds.platform import Platform
from skep.operator.engine.spec import Network
from skep.operator.errors import TransientError
from skep.operator.reconcilers.record import Record

# Of each subnet: its own address, the broadcast one, the gateway; then the tasks of the edge or of a database server.
TAKEN = 3 + 5
UPDATE = 1  # an update starts a task before it ends the old one
NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True)
class Fill:
    """How full one place is: *used* of *room* tenants (server) or addresses (network). *kind* is server, edge or data."""

    kind: str
    name: str
    used: int
    room: int

    @property
    def share(self) -> float:
        return self.used / self.room if self.room > 0 else 1.0

    @property
    def is_nearly_full(self) -> bool:
        return self.share >= NEARLY_FULL

    def __str__(self) -> str:
        if self.kind == "server":
            return f"database server {self.name}: {self.used} of {self.room} tenants"
        return f"network {self.name}: {self.used} of {self.room} addresses"

    @property
    def remedy(self) -> str:
        if self.kind == "server":
            return "raise its capacity or add a server under spec.databases of the Platform (docs/grow.md)"
        return _more_networks(self.kind)


def addresses(record: Record) -> int:
    """What a tenant needs on each of its networks while it is updated."""
    return record.spec.replicas + UPDATE


def load_of(records: Iterable[Record]) -> Mapping[str, int]:
    """Tenants by server, addresses by network: keys are `server/<name>`, `edge/<name>` and `data/<name>`."""
    load: dict[str, int] = {}
    for record in records:
        needs = (
            (f"server/{record.server}", 1),
            (f"edge/{record.edge_network}", addresses(record)),
            (f"data/{record.data_network}", addresses(record)),
            (f"cache/{record.cache}", 1),
        )
        for key, number in needs:
            load[key] = load.get(key, 0) + number
    return load


def room_of(networks: Iterable[Network]) -> Mapping[str, int]:
    """Addresses that tenants may have, by network; one without a subnet (embedded, or not ours) has no bounds."""
    return {
        network.name: sum(_size(subnet) for subnet in network.subnets) - TAKEN
        for network in networks
        if network.subnets
    }


def _size(subnet: str) -> int:
    try:
        return ipaddress.ip_network(subnet, strict=False).num_addresses
    except ValueError:
        return 0


def fills(platform: Platform, load: Mapping[str, int], room: Mapping[str, int]) -> tuple[Fill, ...]:
    """How full each place of the platform is, as far as it has bounds."""
    spec = platform.spec
    servers = [Fill("server", each.name, load.get(f"server/{each.name}", 0), each.capacity) for each in spec.databases]
    networks = [
        Fill(kind, name, load.get(f"{kind}/{name}", 0), room[name])
        for kind, names in (("edge", spec.networks.edge), ("data", spec.networks.data))
        for name in names
        if name in room
    ]
    return (*servers, *networks)


def is_placed(record: Record) -> bool:
    return bool(record.server and record.edge_network and record.data_network)


def place(
    record: Record,
    platform: Platform,
    load: Mapping[str, int],
    room: Mapping[str, int],
    *,
    away: Collection[str] = (),
) -> Record:
    """*record* with every empty place filled. Raises TransientError when all servers, or all networks, are full.

    Servers that are *away* come last: a tenant that is placed stays, so it would wait for one while others have room.
    """
    spec = platform.spec
    return replace(
        record,
        server=record.server or _server(record, platform, load, away),
        edge_network=record.edge_network or _network(record, "edge", spec.networks.edge, load, room),
        data_network=record.data_network or _network(record, "data", spec.networks.data, load, room),
    )


def place_cache(record: Record, platform: Platform, load: Mapping[str, int]) -> Record:
    """*record* on the cache server with the fewest tenants, if it is on none yet and the platform has one.

    Apart from the other places: a platform may get its first cache when its tenants are there already.
    """
    if record.cache or not platform.spec.caches:
        return record
    return replace(
        record, cache=min(platform.spec.caches, key=lambda each: (load.get(f"cache/{each.name}", 0), each.name)).name
    )


def _server(record: Record, platform: Platform, load: Mapping[str, int], away: Collection[str]) -> str:
    wanted = record.spec.database.server
    free = [
        each
        for each in platform.spec.databases
        if wanted in (None, each.name) and load.get(f"server/{each.name}", 0) < each.capacity
    ]
    if not free:
        raise TransientError(
            f"no room on {wanted or 'any database server'}",
            reason="ServersFull",
            remedy="raise a capacity or add a server under spec.databases of the Platform",
            retry_after_s=30.0,
        )
    return min(free, key=lambda each: (each.name in away, load.get(f"server/{each.name}", 0), each.name)).name


def _network(
    record: Record, kind: str, choices: tuple[str, ...], load: Mapping[str, int], room: Mapping[str, int]
) -> str:
    """The one with the fewest addresses in use, of those that have enough left."""
    used = {name: load.get(f"{kind}/{name}", 0) for name in choices}
    free = [name for name in choices if name not in room or used[name] + addresses(record) <= room[name]]
    if not free:
        told = ", ".join(f"{name} ({used[name]} of {room[name]})" for name in choices)
        raise TransientError(
            f"no {kind} network has {addresses(record)} addresses left: {told}",
            reason="NetworksFull",
            remedy=_more_networks(kind),
            retry_after_s=30.0,
        )
    # What the operator does not know (no such network, or without its label) comes last: who is placed there stays.
    return min(free, key=lambda name: (bool(room) and name not in room, used[name], name))


def _more_networks(kind: str) -> str:
    article = "an" if kind == "edge" else "a"
    return (
        f"add {article} {kind} network to the stack and under spec.networks.{kind} of the Platform: "
        "`skep init --networks 2`, then docs/grow.md"
    )
