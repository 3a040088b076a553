"""What is read when somebody scrapes: states, not happenings. Nothing here costs a write or a question to anybody.

Ten thousand tenants are the measure. Their lines are text that is made when a tenant changes and joined at a scrape;
between portions of them the event loop has its turn. docs/monitoring.md lists the names.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from skep.operator import names
from skep.operator.engine.spec import Config
from skep.operator.errors import TerminalError
from skep.operator.loop.clock import Clock
from skep.operator.reconcilers import status
from skep.operator.reconcilers.database.servers import Servers
from skep.operator.reconcilers.placement import fills, load_of, room_of
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.status import Phase
from skep.operator.reconcilers.world import World
from skep.operator.sources.fleet import Declared, Fate, Fleet

PORTION = 250  # tenants between two turns of the event loop: about a millisecond, ten if all of them changed

_OF_TENANTS: tuple[names.Kind, ...] = ("record", "status")

FAMILIES = (
    ("skep_tenant_ready", "1 if the tenant answers on every host"),
    ("skep_tenant_generation", "How often what is declared of the tenant has changed, the newest change included"),
    ("skep_tenant_observed_generation", "The generation that the tenant's status speaks about; 0: none yet"),
    ("skep_tenant_not_ready", "1 for a tenant that is not Ready, with its phase and reason"),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """One tenant's lines, one a family, and what they were made from."""

    report: int
    record: int
    fate: Fate
    phase: str
    lines: tuple[str, ...]
    load: Mapping[str, int]  # what it takes of its places, as `placement.load_of` counts


class TenantSeries:
    """*record_of* gives a tenant's record, parsed once a version; it raises TerminalError for one it cannot read."""

    def __init__(
        self,
        world: World,
        fleet: Callable[[], Fleet],
        record_of: Callable[[str], Record | None],
    ) -> None:
        self._world = world
        self._fleet = fleet
        self._record_of = record_of
        self._rows: dict[str, _Row] = {}

    async def text(self) -> bytes:
        """All families in Prometheus' text format."""
        rows: dict[str, _Row] = {}
        fleet = self._fleet()
        for number, name in enumerate(await self._everybody(fleet), 1):
            rows[name] = self._row(name, fleet.fate(name))
            if number % PORTION == 0:
                await asyncio.sleep(0)
        self._rows = rows
        parts: list[str] = []
        for position, (family, said) in enumerate(FAMILIES):
            parts.append(f"# HELP {family} {said}\n# TYPE {family} gauge\n")
            parts.extend(row.lines[position] for row in rows.values())
            await asyncio.sleep(0)
        phases = Counter(row.phase for row in rows.values())
        parts.append("# HELP skep_tenants Tenants by phase\n# TYPE skep_tenants gauge\n")
        parts.extend(f'skep_tenants{{phase="{phase}"}} {phases[phase]}\n' for phase in get_args(Phase))
        await asyncio.sleep(0)
        parts.extend(self._networks(fleet, rows.values()))
        return "".join(parts).encode()

    def _networks(self, fleet: Fleet, rows: Iterable[_Row]) -> Iterator[str]:
        """Addresses of the platform's networks, as placement counts them: a few for the updates under way."""
        yield "# HELP skep_network_addresses Addresses that tenants may have, by network\n"
        yield "# TYPE skep_network_addresses gauge\n"
        load: dict[str, int] = {}
        for row in rows:
            for key, number in row.load.items():
                load[key] = load.get(key, 0) + number
        places = fills(fleet.platform, load, room_of(self._world.networks)) if fleet.platform is not None else ()
        for fill in places:
            if fill.kind != "server":
                free = max(0, fill.room - fill.used)
                for state, number in (("used", fill.used), ("free", free)):
                    yield f'skep_network_addresses{{network="{escape(fill.name)}",state="{state}"}} {number}\n'

    async def _everybody(self, fleet: Fleet) -> list[str]:
        """Who is declared, has a record or a report; by their labels, for parsing a fleet's records would take a while."""
        known = set(fleet.tenants)
        for kind in _OF_TENANTS:
            for config in self._world.of_kind(kind):
                known.update(value for key, value in config.labels if key == names.TENANT)
            await asyncio.sleep(0)
        return sorted(known)

    def _row(self, name: str, fate: Fate) -> _Row:
        report, record = self._world.config(names.status(name)), self._world.config(names.record(name))
        versions = report.version if report is not None else 0, record.version if record is not None else 0
        known = self._rows.get(name)
        if known is not None and (known.report, known.record) == versions and known.fate is fate:
            return known
        return self._made(name, fate, report, record)

    def _made(self, name: str, fate: Fate, report: Config | None, config: Config | None) -> _Row:
        said = status.from_config(report) if report is not None else None
        ready = said.condition("Ready") if said is not None else None
        phase = said.phase if said is not None else "Pending"
        reason = ready.reason if ready is not None else "Pending"
        record: Record | None = None
        generation: int | None = 1
        if config is not None:
            try:
                record = self._record_of(name)
                generation = _generation(record, fate) if record is not None else None
            except TerminalError:  # told by that tenant's own reconcile
                generation = None
        label = f'{{tenant="{escape(name)}"'
        lines: tuple[str, ...] = ("", "", "", "")
        if record is None or record.leaving != "retained":  # a tombstone is counted, and nobody is paged for it
            is_ready = ready is not None and ready.status == "True"
            observed = said.observed_generation if said is not None else 0
            lines = (
                f"skep_tenant_ready{label}}} {int(is_ready)}\n",
                f"skep_tenant_generation{label}}} {generation}\n" if generation is not None else "",
                f"skep_tenant_observed_generation{label}}} {observed}\n",
                ""
                if is_ready
                else f'skep_tenant_not_ready{label},phase="{escape(phase)}",reason="{escape(reason)}"}} 1\n',
            )
        versions = report.version if report is not None else 0, config.version if config is not None else 0
        return _Row(*versions, fate, phase, lines, load_of([record]) if record is not None else {})


def _generation(record: Record, fate: Fate) -> int:
    """The record's, or the next one while what is declared has not reached the record yet."""
    ahead = isinstance(fate, Declared) and not record.leaving and fate.effective != record.spec
    return record.generation + int(ahead)


def escape(value: str) -> str:
    """A label's value; names and reasons need it only if somebody else wrote them."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Known(Collector):
    """What this operator knows of sources and database servers, and how old its knowledge is."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        fleet: Callable[[], Fleet],
        servers: Servers,
        synced_at: Callable[[], float | None],
    ) -> None:
        self._world = world
        self._clock = clock
        self._fleet = fleet
        self._servers = servers
        self._synced_at = synced_at

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("skep_build", "The operator's version", {"version": version("skep")})
        yield from self._ages()
        yield from self._sources()
        yield from self._database_servers()

    def _ages(self) -> Iterator[Metric]:
        """As times, for Prometheus to subtract; absent while it has not happened."""
        for name, said, at in (
            ("skep_last_resync_timestamp_seconds", "When the last full list was followed", self._synced_at()),
            ("skep_stream_heard_timestamp_seconds", "When the stream of changes last said anything",
             self._world.heard_at),
        ):  # fmt: skip
            if at is not None:
                ago = self._clock.monotonic() - at
                yield GaugeMetricFamily(name, said, self._clock.now().timestamp() - ago)

    def _sources(self) -> Iterator[Metric]:
        problems = _labelled("skep_source_problems", "Problems in the source's newest revision", "source")
        held = _labelled("skep_brake_held", "Deletions that wait for an approval", "source")
        vanished = _labelled("skep_source_vanished", "1 if the newest revision that was seen is gone", "source")
        index = _labelled("skep_source_revision_index", "The newest revision's place in the engine's order", "source")
        number = _labelled("skep_source_revision_number", "The newest revision's number, where it has one", "source")
        declared = _labelled("skep_source_tenants", "Tenants that the newest revision names", "source")
        for state in self._fleet().sources:
            problems.add_metric([state.name], len(state.problems))
            held.add_metric([state.name], state.held)
            vanished.add_metric([state.name], int(state.newest is None))
            declared.add_metric([state.name], state.tenants)
            if state.newest is not None:
                index.add_metric([state.name], state.newest.index)
                if state.newest.number is not None:
                    number.add_metric([state.name], state.newest.number)
        yield from (problems, held, vanished, index, number, declared)

    def _database_servers(self) -> Iterator[Metric]:
        up = _labelled("skep_database_server_up", "1 if the server answered when it was last asked", "server")
        used = _labelled("skep_database_server_connections", "Clients' connections when last asked", "server")
        most = _labelled("skep_database_server_connections_max", "Connections that the server takes at most", "server")
        held = _labelled("skep_database_server_databases", "Databases of tenants", "server")
        room = _labelled("skep_database_server_capacity", "Databases of tenants that it is declared to take", "server")
        for server in self._servers.all():
            label, catalog = [server.spec.name], server.known
            if catalog is not None or server.silent:  # else nobody asked it yet
                up.add_metric(label, int(catalog is not None))
            room.add_metric(label, server.spec.capacity)
            if catalog is not None:
                used.add_metric(label, catalog.connections)
                most.add_metric(label, catalog.connections_max)
                held.add_metric(label, sum(1 for name in catalog.databases if name.startswith("t_")))
        yield from (up, used, most, held, room)


def _labelled(name: str, said: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, said, labels=[label])
