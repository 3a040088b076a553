"""What runs out, told before it does: networks, database servers and their connections, the edge's time for a look.

`skep doctor` makes checks of it, `skep get platforms` and `describe platform` a status.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from skep.crds.platform import DatabaseServer, Platform
from skep.operator.cli.reach import POSTGRES_SERVICE, ask_database, service_of_host
from skep.operator.cli.view import View
from skep.operator.engine.port import Engine
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.errors import NotFound, SkepError
from skep.operator.reconcilers.placement import Fill, fills, load_of, room_of

TRAEFIK_SERVICE = "skep_traefik"
CONNECTIONS_HIGH = 0.8  # as alert SkepDatabaseConnectionsHigh
POLL_HIGH = 0.5  # of the edge's refresh
_CONNECTIONS = (
    "select (select count(*) from pg_stat_activity where backend_type = 'client backend'), "
    "current_setting('max_connections')::int"
)


@dataclass(frozen=True, slots=True)
class Check:
    """*remedy* is a command or a sentence, None where all is well."""

    what: str
    ok: bool
    said: str
    remedy: str | None = None


def places(view: View) -> tuple[Fill, ...]:
    """How full each server and network of the Platform is; () while none is declared."""
    platform = view.fleet.platform
    return fills(platform, load_of(view.records.values()), room_of(view.networks)) if platform is not None else ()


def status_item(view: View) -> dict[str, Any]:
    """The status of the Platform as scripts see it."""
    word = view.announcement
    return {
        "places": [
            {
                "kind": fill.kind,
                "name": fill.name,
                "used": fill.used,
                "room": fill.room,
                "share": round(fill.share, 3),
                "nearlyFull": fill.is_nearly_full,
            }
            for fill in places(view)
        ],
        "edgeRefreshSeconds": word.refresh_s if word is not None else None,
    }


async def checks(engine: Engine, view: View) -> AsyncIterator[Check]:
    platform = view.fleet.platform
    if platform is None:
        return
    for fill in places(view):
        what, _, said = str(fill).partition(": ")
        yield Check(what, not fill.is_nearly_full, said, fill.remedy)
    for server in platform.spec.databases:
        yield await _connections(engine, server)
    if isinstance(engine, SwarmEngine):
        async for check in _networks(engine, view, platform):
            yield check
        yield await _poll(engine, view)


async def _connections(engine: Engine, server: DatabaseServer) -> Check:
    what = f"connections of {server.name}"
    try:
        said = await ask_database(engine, "postgres", _CONNECTIONS, host=server.host)
        used, most = (int(word) for word in said.strip().split("|"))
    except (SkepError, ValueError) as error:  # its own tasks and the alerts tell whether it is down
        return Check(what, True, f"not asked: {error}")
    remedy = "docs/runbooks/SkepDatabaseConnectionsHigh.md"
    return Check(what, used <= CONNECTIONS_HIGH * most, f"{used} of {most}", remedy)


async def _networks(engine: SwarmEngine, view: View, platform: Platform) -> AsyncIterator[Check]:
    """Each network of the Platform is there, and who serves its tenants has joined it."""
    spec, there = platform.spec.networks, {network.name for network in view.networks}
    for name in (*spec.edge, *spec.data):
        if name not in there:
            yield Check(f"network {name}", False, "not there", "`skep init --networks 2` makes a second one of each")
    services = [(TRAEFIK_SERVICE, spec.edge, "edge")]
    for server in platform.spec.databases:
        try:
            services.append((await service_of_host(engine, server.host), spec.data, "data"))
        except SkepError:  # a server elsewhere
            continue
    for name, wanted, kind in services:
        try:
            joined = (await engine.inspect_service(name)).spec.networks
        except NotFound:  # told by the check of the stack
            continue
        if missing := [network for network in wanted if network in there and network not in joined]:
            said = f"not on {', '.join(missing)}: its tenants have no {'visitors' if kind == 'edge' else 'database'}"
            file = "database-" if name not in (TRAEFIK_SERVICE, POSTGRES_SERVICE) else ""
            files = " ".join(f"--compose-file swarm/{file}{network.removeprefix('skep-')}.yml" for network in missing)
            yield Check(f"service {name}", False, said, f"deploy its stack with {files} as well")


async def _poll(engine: SwarmEngine, view: View) -> Check:
    refresh_s = view.announcement.refresh_s if view.announcement is not None else 2.0
    poll = await engine.time_poll()
    said = f"{poll.seconds:.2g} s for {poll.services} services and {poll.tasks} tasks, every {refresh_s:g} s"
    remedy = "deploy with a longer SKEP_REFRESH_S: docs/grow.md says how long for how many tenants"
    return Check("edge's look", poll.seconds <= POLL_HIGH * refresh_s, said, remedy)
