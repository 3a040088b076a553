"""The engines that the conformance suite runs on: to add one, write an async context manager and name it in ADAPTERS.

Every engine runs the probe (`tests/rig/probe`), whose argument says how it behaves:
`web` serves, `unhealthy` never answers its health check with 200, `fail` exits with 3, `schema` prints a line of JSON.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from skep.operator.engine.embedded.client import EmbeddedClient
from skep.operator.engine.embedded.engine import EmbeddedEngine
from skep.operator.engine.embedded.home import Home
from skep.operator.engine.embedded.server import serve
from skep.operator.engine.memory import MemoryEngine
from skep.operator.engine.port import Engine
from skep.operator.engine.spec import JobResult, ServiceSpec
from skep.operator.engine.swarm import SwarmEngine
from tests.rig.swarm import TestSwarm

PROBE = Path(__file__).parents[1] / "rig" / "probe" / "probe.py"
SCHEMA_LINE = '{"migrations": "0000", "applied": []}'


async def never() -> None:
    raise AssertionError("this engine is not to be restarted")


@dataclass(frozen=True)
class Subject:
    """One engine under test, and the probe's *image* on it. *restart* makes it go away and come back."""

    engine: Engine
    image: str
    restart: Callable[[], Awaitable[None]] = never
    patience_s: float = 60.0  # for a task to start, fail and be rolled back


@asynccontextmanager
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    def broken(spec: ServiceSpec) -> str | None:
        return "task: non-zero exit (3)" if spec.args and spec.args[0] in ("fail", "unhealthy") else None

    engine = MemoryEngine(start_s=0.05, broken=broken)
    engine.register_job(lambda job: JobResult(0, SCHEMA_LINE + "\n"), args=("schema",))
    engine.register_job(lambda job: JobResult(3, "", "task: non-zero exit (3)\nno luck"), args=("fail",))
    engine.on_start = lambda service, task: engine.write_log(service, "probe: serving", task=task)

    async def restart() -> None:
        engine.restart()

    yield Subject(engine, "probe:1", restart, patience_s=5.0)
    await engine.close()


@asynccontextmanager
async def swarm(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    rig: TestSwarm = request.getfixturevalue("swarm")
    image: str = request.getfixturevalue("probe_image")
    follower = (rig.leader() + 1) % len(rig.nodes)  # what it is asked, it passes on to the leader
    engine = SwarmEngine(rig.nodes[follower].url)

    async def restart() -> None:
        """The manager that we talk to loses power and comes back; the two others keep the quorum."""
        await asyncio.to_thread(rig.kill_node, follower)
        await asyncio.to_thread(rig.start_node, follower)

    yield Subject(engine, image, restart)
    await engine.close()


@asynccontextmanager
async def embedded(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """A real engine with real processes behind its socket; PostgreSQL, Traefik and the operator are not its business."""
    with tempfile.TemporaryDirectory(prefix="skep-engine-") as folder:  # a socket's path must be short
        home = Home(Path(folder))
        home.prepare()
        programs = {"probe": (sys.executable, "-I", str(PROBE))}
        async with AsyncExitStack() as running:

            async def start() -> None:
                engine = EmbeddedEngine(home, programs=programs)
                running.push_async_callback(engine.close)
                engine.start()
                site = await serve(engine, home.socket, dict)
                running.push_async_callback(site.cleanup)

            async def restart() -> None:
                await running.aclose()
                await start()

            await start()
            client = EmbeddedClient(home.socket)
            yield Subject(client, "probe:1", restart, patience_s=20.0)
            await client.close()


Adapter = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Subject]]

ADAPTERS: dict[str, tuple[Adapter, tuple[pytest.MarkDecorator, ...]]] = {
    "memory": (memory, ()),
    "swarm": (swarm, (pytest.mark.swarm,)),
    "embedded": (embedded, (pytest.mark.embedded,)),
}
