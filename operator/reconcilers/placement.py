"""Where a new tenant goes: the least full database server, edge and data network. Once placed, it stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from skep.crds.platform import Platform
from skep.operator.errors import TransientError
from skep.operator.reconcilers.record import Record


def load_of(records: Iterable[Record]) -> Mapping[str, int]:
    """Tenants by server and network: keys are `server/<name>`, `edge/<name>` and `data/<name>`."""
    load: dict[str, int] = {}
    for record in records:
        for key in (f"server/{record.server}", f"edge/{record.edge_network}", f"data/{record.data_network}"):
            load[key] = load.get(key, 0) + 1
    return load


def is_placed(record: Record) -> bool:
    return bool(record.server and record.edge_network and record.data_network)


def place(record: Record, platform: Platform, load: Mapping[str, int]) -> Record:
    """*record* with every empty place filled. Raises TransientError when all servers are full."""
    spec = platform.spec

    def least(kind: str, choices: Iterable[str]) -> str:
        return min(choices, key=lambda name: (load.get(f"{kind}/{name}", 0), name))

    server = record.server
    if not server:
        wanted = record.spec.database.server
        room = [
            each.name
            for each in spec.databases
            if wanted in (None, each.name) and load.get(f"server/{each.name}", 0) < each.capacity
        ]
        if not room:
            raise TransientError(
                f"no room on {wanted or 'any database server'}",
                reason="ServersFull",
                remedy="raise a capacity or add a server under spec.databases of the Platform",
                retry_after_s=30.0,
            )
        server = least("server", room)
    return replace(
        record,
        server=server,
        edge_network=record.edge_network or least("edge", spec.networks.edge),
        data_network=record.data_network or least("data", spec.networks.data),
    )
