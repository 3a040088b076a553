"""Our labels before a real Traefik: requests arrive by host name, with our header instead of the client's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import aiohttp
import pytest
from docker.models.containers import Container

from skep.operator.engine.spec import Route
from skep.operator.engine.swarm import SwarmEngine
from tests.engine.adapters import Subject
from tests.engine.bench import Bench, bench_on
from tests.rig.swarm import TestSwarm

pytestmark = pytest.mark.swarm


@pytest.fixture
async def bench(swarm: TestSwarm, probe_image: str) -> AsyncIterator[Bench]:
    engine = SwarmEngine(swarm.url)
    async with bench_on(Subject(engine, probe_image)) as bench:
        await bench.network("edge")
        yield bench
    await engine.close()


@pytest.fixture
def edge(swarm: TestSwarm, bench: Bench, traefik_image: str) -> Iterator[str]:
    """The address of a Traefik that watches only this test's services."""
    container: Container = swarm.client.containers.run(
        traefik_image,
        [
            "--entrypoints.web.address=:80",
            "--providers.swarm.endpoint=unix:///var/run/docker.sock",
            "--providers.swarm.exposedByDefault=false",
            f"--providers.swarm.constraints=Label(`skep.test`,`{bench.run}`)",
            f"--providers.swarm.network={bench.name('edge')}",
            "--providers.swarm.refreshSeconds=1",
            "--providers.providersThrottleDuration=100ms",
        ],
        detach=True,
        network=bench.name("edge"),
        ports={"80/tcp": None},
        volumes={"/var/run/docker.sock": {"bind": "/var/run/docker.sock", "mode": "ro"}},
    )
    container.reload()
    (port,) = {published["HostPort"] for published in container.ports["80/tcp"] or ()}
    yield f"http://{swarm.nodes[0].address}:{port}"
    container.remove(force=True)


async def test_a_route_leads_to_the_service_with_our_header(bench: Bench, edge: str) -> None:
    hosts = (f"{bench.run}.test", f"www.{bench.run}.test")
    route = Route(bench.run, hosts[:1], 8080, headers=(("X-Skep-Tenant", "ours"),))
    spec = bench.spec(networks=(bench.name("edge"),), replicas=2, route=route)
    await bench.create(spec)

    async with aiohttp.ClientSession() as session:

        async def ask(host: str) -> tuple[int, str]:
            headers = {"Host": host, "X-Skep-Tenant": "forged"}
            try:
                async with session.get(f"{edge}/.well-known/skep", headers=headers) as answer:
                    return answer.status, str((await answer.json()).get("tenant")) if answer.ok else ""
            except aiohttp.ClientError as error:
                return 0, str(error)

        assert await bench.until(lambda: ask(hosts[0]), lambda seen: seen[0] == 200) == (200, "ours")
        assert await ask(hosts[1]) == (404, "")

        # One more host: the route follows, and no task is started again.
        before = {task.id for task in await bench.engine.list_tasks(service=spec.name)}
        await bench.change(replace(spec, route=replace(route, hosts=hosts)))
        await bench.until(lambda: ask(hosts[1]), lambda seen: seen == (200, "ours"))
        assert {task.id for task in await bench.engine.list_tasks(service=spec.name)} == before

        # Both tasks answer, on whichever node they are.
        assert await asyncio.gather(*(ask(hosts[0]) for _ in range(8))) == [(200, "ours")] * 8
