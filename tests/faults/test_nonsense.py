"""An engine that answers nonsense, slowly, or not at all: its calls fail as an engine's, and soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from skep.operator.engine.spec import ServiceSpec
from skep.operator.engine.swarm.engine import SwarmEngine
from skep.operator.errors import EngineUnavailable
from tests.fakes.proxy import Proxy
from tests.rig.http import serving

VERSION = {"ApiVersion": "1.45", "MinAPIVersion": "1.24", "Version": "26.1.5"}
DEADLINE_S = 0.3


class Daemon:
    """Says its version rightly and to everything else *body*."""

    def __init__(self) -> None:
        self.port = 0
        self.body = b""
        self.asked = 0

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response(VERSION)

    async def anything(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(body=self.body, content_type="application/json")

    def serve(self) -> serving:
        app = web.Application()
        app.router.add_get("/version", self.version)
        app.router.add_route("*", "/{path:.*}", self.anything)
        return serving(app, self)


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    daemon = Daemon()
    async with daemon.serve():
        yield daemon


@pytest.fixture
async def proxy(daemon: Daemon) -> AsyncIterator[Proxy]:
    async with Proxy("127.0.0.1", daemon.port).running() as proxy:
        yield proxy


@pytest.fixture
async def engine(proxy: Proxy) -> AsyncIterator[SwarmEngine]:
    engine = SwarmEngine(f"tcp://127.0.0.1:{proxy.port}", deadline_s=DEADLINE_S)
    yield engine
    await engine.close()


Ask = Callable[[SwarmEngine], Awaitable[object]]
CALLS: dict[str, Ask] = {
    "list configs": lambda engine: engine.list_configs(label="skep.kind"),
    "list secrets": lambda engine: engine.list_secrets(label="skep.tenant"),
    "list services": lambda engine: engine.list_services(label="skep.uid"),
    "list networks": lambda engine: engine.list_networks(label="skep.network"),
    "list tasks": lambda engine: engine.list_tasks(service="skep-acme-web"),
    "inspect a config": lambda engine: engine.inspect_config("skep.sources"),
    "inspect a secret": lambda engine: engine.inspect_secret("skep.acme.db-a.g1.k1"),
    "create a config": lambda engine: engine.create_config("a", b"b", {}),
    "create a service": lambda engine: engine.create_service(ServiceSpec("a", "b", configs=())),
    "info": lambda engine: engine.info(),
}
NONSENSE = {
    "a page of HTML": b"<html><body>Welcome to nginx!</body></html>",
    "a number": b"42",
    "a list of numbers": b"[1, 2]",
    "objects without anything": b"[{}]",
    "wrong types": b'[{"ID": 5, "Version": "new", "Spec": [], "Status": 7}]',
    "half a list": b'[{"ID": "x"',
}


@pytest.mark.fault(6)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_nonsense_is_the_engines_failure(daemon: Daemon, engine: SwarmEngine, call: str, nonsense: str) -> None:
    daemon.body = NONSENSE[nonsense]
    with pytest.raises(EngineUnavailable):
        await CALLS[call](engine)
    assert daemon.asked


@pytest.mark.fault(6)
@pytest.mark.parametrize("call", [call for call in CALLS if call.startswith("list") and "tasks" not in call])
async def test_an_empty_answer_is_not_an_empty_list(daemon: Daemon, engine: SwarmEngine, call: str) -> None:
    daemon.body = b""
    with pytest.raises(EngineUnavailable):
        await CALLS[call](engine)
    for said in (b"[]",) if call == "list networks" else (b"[]", b"null"):  # what Go makes of a list that is nil
        daemon.body = said
        assert await CALLS[call](engine) == ()


@pytest.mark.fault(6, 9)
async def test_a_stream_of_nonsense_breaks_as_a_stream_does(daemon: Daemon, engine: SwarmEngine) -> None:
    daemon.body = b"<html>\n"
    changes = engine.changes()
    assert (await anext(changes)).action == "connected"
    with pytest.raises(EngineUnavailable):
        await anext(changes)


@pytest.mark.fault(10)
@pytest.mark.parametrize("mode", ["hang", "cut", "refuse"])
async def test_no_answer_is_a_failure_within_the_deadline(
    daemon: Daemon, proxy: Proxy, engine: SwarmEngine, mode: str
) -> None:
    daemon.body = b"[]"
    assert await engine.list_configs(label="skep.kind") == ()
    await proxy.become(mode)  # type: ignore[arg-type]  # one of the three
    started = time.monotonic()
    results = await asyncio.gather(*(engine.list_configs(label="skep.kind") for _ in range(5)), return_exceptions=True)
    assert {type(each) for each in results} == {EngineUnavailable}
    assert time.monotonic() - started < DEADLINE_S * 4
    assert mode == "refuse" or proxy.hurt[mode]
    await proxy.become("pass")
    assert await engine.list_configs(label="skep.kind") == ()


@pytest.mark.fault(10)
async def test_a_slow_engine_is_waited_for_within_the_deadline(
    daemon: Daemon, proxy: Proxy, engine: SwarmEngine
) -> None:
    daemon.body = b"[]"
    proxy.delay_s = 0.02
    assert await engine.list_configs(label="skep.kind") == ()
    proxy.delay_s = 2 * DEADLINE_S
    with pytest.raises(EngineUnavailable):
        await engine.list_configs(label="skep.kind")
    assert proxy.hurt["delay"]
