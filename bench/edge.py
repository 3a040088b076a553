"""What it costs that the edge polls: the lag of a new route, and the manager's CPU, at 100 to 5,000 services.

One real manager, the real Traefik with the shipped settings, one service that answers and all others at 0 replicas with
a route each, as a fleet that is mostly suspended. A host is added to the one that answers, at random moments of the
period; its floor is half the period, which is what any poll makes one wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace

from docker.models.containers import Container

from bench.fleet import at_once
from bench.idle import ticks_s
from bench.report import Aim, Report, Row, row
from bench.visits import first_answers, status_of
from skep.operator import names
from skep.operator.engine.spec import NetworkSpec, Route, ServiceSpec, pairs
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.engine.swarm.render import Names, render_service
from tests.e2e.hives import inside
from tests.rig import images
from tests.rig.outer import engine as outer_engine
from tests.rig.swarm import TestSwarm, running_swarm

# Services, and the periods in seconds that they are looked at with.
SIZES: dict[int, tuple[int, ...]] = {100: (2,), 1000: (2, 5), 5000: (2, 5, 15)}
LAGS = int(os.environ.get("BENCH_EDGE_LAGS", "5"))
WINDOW_S = 15.0  # of CPU at least; two periods if that is more
POLL = Aim(0.5, "ratio")  # of the period, as `skep doctor` has it
NETWORK = "skep-edge-1"
ANSWERS = "/healthz"  # of the probe, which has nothing else to show
THROTTLE_S = 2.0  # Traefik takes up changes no more often


@dataclass(frozen=True, slots=True)
class Found:
    """Of one number of services looked at every *refresh_s*. CPU is in cores, *poll_s* is timed from outside."""

    services: int
    refresh_s: float
    lags: tuple[float, ...]
    engine_cores: float
    traefik_cores: float
    poll_s: float


def run() -> Report:
    sizes = [int(size) for size in os.environ.get("BENCH_EDGE_SIZES", "").split()] or list(SIZES)
    found: list[Found] = []
    with outer_engine() as client:
        tags = images.traefik(client), images.probe(client)
        with running_swarm(client, images.node(client), nodes=1) as swarm:
            swarm.load_image(*tags, nodes=(0,))
            fleet = Fleet(swarm, probe=tags[1])
            asyncio.run(fleet.begin())
            for size in sizes:
                asyncio.run(fleet.grow(size))
                for refresh_s in SIZES.get(size, (2,)):
                    with traefik(swarm, tags[0], refresh_s):
                        found.append(measure(swarm, fleet, refresh_s))
    return report(found)


class Fleet:
    """One service that answers, and as many that do not run."""

    def __init__(self, swarm: TestSwarm, probe: str) -> None:
        self.swarm = swarm
        self.size = 0
        self.hosts = ["bench.test"]
        self._spec = ServiceSpec(
            "bench-probe",
            probe,
            args=("web",),
            labels=pairs({names.UID: secrets.token_hex(16)}),
            networks=(NETWORK,),
            route=self._route("bench-probe", "bench.test"),
        )

    @staticmethod
    def _route(name: str, *hosts: str) -> Route:
        return Route(name, hosts, 8080, headers=pairs({"X-Skep-Tenant": name}), network=NETWORK)

    async def begin(self) -> None:
        async with self._engine() as engine:
            await engine.create_network(NetworkSpec(NETWORK, "198.19.240.0/20"))
            await engine.create_service(self._spec)
        self.size = 1

    async def grow(self, size: int) -> None:
        async with self._engine() as engine:
            listed = await engine.api.get("networks", {"filters": {"name": [NETWORK]}})
            known = Names({NETWORK: listed[0]["Id"]}, start_interval=await engine.api.version() >= (1, 44))

            async def one(number: int) -> None:
                name = f"bench-{number:05}"
                spec = replace(
                    self._spec,
                    name=name,
                    replicas=0,
                    labels=pairs({names.UID: secrets.token_hex(16)}),
                    route=self._route(name, f"{name}.test"),
                )
                await engine.api.post("services/create", render_service(spec, known))

            await at_once(one(number) for number in range(self.size, size))
        self.size = size

    async def add_host(self, host: str) -> None:
        """Label the one that answers; no task restarts for it."""
        self.hosts.append(host)
        async with self._engine() as engine:
            service = await engine.inspect_service("bench-probe")
            spec = replace(self._spec, route=self._route("bench-probe", *self.hosts[-3:]))
            await engine.update_service(service.id, service.version, spec)

    async def poll_s(self) -> float:
        async with self._engine() as engine:
            return (await engine.time_poll()).seconds

    @contextlib.asynccontextmanager
    async def _engine(self) -> AsyncIterator[SwarmEngine]:
        engine = SwarmEngine(self.swarm.url, deadline_s=60.0)
        try:
            yield engine
        finally:
            await engine.close()


@contextlib.contextmanager
def traefik(swarm: TestSwarm, image: str, refresh_s: int) -> Iterator[None]:
    """With the shipped stack's settings, as far as they concern this."""
    container: Container = swarm.client.containers.run(
        image,
        [
            "--entrypoints.web.address=:80",
            "--providers.swarm.endpoint=unix:///var/run/docker.sock",
            "--providers.swarm.exposedbydefault=false",
            "--providers.swarm.constraints=LabelRegex(`skep.uid`, `^[0-9a-f]{32}$`)",
            f"--providers.swarm.network={NETWORK}",
            f"--providers.swarm.refreshseconds={refresh_s}",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        ],
        detach=True,
        network=NETWORK,
        ports={"80/tcp": 80},
        volumes={"/var/run/docker.sock": {"bind": "/var/run/docker.sock", "mode": "ro"}},
    )
    try:
        yield
    finally:
        container.remove(force=True)


def measure(swarm: TestSwarm, fleet: Fleet, refresh_s: int) -> Found:
    edge = (swarm.nodes[0].address, 80)
    first_answers(edge, [fleet.hosts[-1]], path=ANSWERS, within_s=60.0)
    time.sleep(refresh_s)
    node = swarm.nodes[0].container
    window_s = max(WINDOW_S, 2.0 * refresh_s)
    before = cpu_s(node)
    time.sleep(window_s)
    after = cpu_s(node)
    engine, proxy = ((after[name] - before[name]) / window_s for name in ("dockerd", "traefik"))
    draw = random.Random(refresh_s)  # noqa: S311 - moments, not secrets
    lags = []
    for _ in range(LAGS):
        time.sleep(draw.uniform(0.0, refresh_s))
        host = f"h{secrets.token_hex(4)}.test"
        asyncio.run(fleet.add_host(host))
        began = time.time()
        lags.append(first_answers(edge, [host], path=ANSWERS)[host] - began)
    assert status_of(edge, "nobody.test") == 404
    return Found(fleet.size, refresh_s, tuple(lags), engine, proxy, asyncio.run(fleet.poll_s()))


def cpu_s(node: Container) -> dict[str, float]:
    """Seconds that the node's engine and its Traefik have used so far."""
    code, said = inside(node, ["sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null; true"])
    if code:
        raise RuntimeError(said)
    found = {"dockerd": 0.0, "traefik": 0.0}
    for line in said.splitlines():
        name = line.partition("(")[2].rpartition(")")[0]
        if name in found:
            found[name] += ticks_s(line)
    return found


def report(found: Sequence[Found]) -> Report:
    rows: list[Row] = []
    for each in found:
        at = f"{each.services:,} services, looked at every {each.refresh_s:g} s"
        rows += [
            row(f"{at}: a route's lag", each.lags, "s", floor=[each.refresh_s / 2]),
            Row("   the engine's CPU", each.engine_cores, "cores"),
            Row("   Traefik's CPU", each.traefik_cores, "cores"),
            Row("   a look, timed from outside (floor: the period)", each.poll_s, "s", each.refresh_s, POLL),
        ]
    notes = (
        "One manager in a container on a shared machine; 1 service runs, the others have 0 replicas and a route each.",
        f"Lag: a host is added by a label, at {LAGS} random moments; until it answers 200. Floor: half the period.",
        f"Traefik takes up changes at most every {THROTTLE_S:g} s, and a look begins when the last has ended.",
    )
    return Report("edge", "What polling costs the edge and the managers", tuple(rows), notes)
