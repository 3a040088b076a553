"""`skep operator`: the operator itself, as its container runs it."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import IO

import uvloop
from aiohttp import web

from skep.operator import logs
from skep.operator.cli.command import complain, skep
from skep.operator.cli.target import open_engine
from skep.operator.errors import SkepError
from skep.operator.hive import Hive
from skep.operator.keys import RootKey
from skep.operator.loop.clock import SystemClock
from skep.operator.reconcilers import closed_page
from skep.operator.reconcilers.fallback import PAGE_PATH
from skep.operator.settings import Settings

log = logging.getLogger(__name__)

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus 3 insists on being told


@skep.command("operator", short_help="The operator itself, as its container runs it.")
def operator() -> None:
    """Watch declarations and keep every tenant as declared, until SIGTERM.

    Configured by SKEP_* variables: operator/settings.py lists them with their defaults and reasons.
    """
    logs.configure()
    try:
        settings = Settings.from_env()
        keys = RootKey.read(settings.secrets_dir / "skep.root-key")
    except SkepError as error:
        complain(error)
        raise SystemExit(2) from error
    uvloop.run(run(settings, keys))


async def run(settings: Settings, keys: RootKey) -> None:
    engine = open_engine(settings.engine)
    alone = _alone(settings.engine)
    hive = Hive(engine, settings, keys, SystemClock(), sole=alone is not None)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hive.stop)
    runner = web.AppRunner(pages(hive), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, settings.http_host, settings.http_port).start()
    log.info("operator starts", extra={"engine": settings.engine.partition(":")[0], "key": keys.id})
    try:
        await hive.run()
    finally:
        await runner.cleanup()
        await engine.close()
        if alone is not None:
            alone.close()
    log.info("operator stopped")


def _alone(engine: str) -> IO[bytes] | None:
    """The embedded home's lock, which the system takes from a process that dies: with it nobody is waited for.

    None on a swarm, or while an earlier operator of this home is still ending: then its lease is waited for.
    """
    if not engine.startswith("embedded:"):
        return None
    from skep.operator.engine.embedded.home import Home

    return Home(Path(engine.removeprefix("embedded:")).parent).take_lock("operator.lock")


def pages(hive: Hive) -> web.Application:
    """What probes and Prometheus ask for; nothing here is secret, and the stack publishes no port of it."""

    async def healthz(_: web.Request) -> web.Response:
        """The event loop turns: else nobody would answer. An engine that is away is no reason to be restarted."""
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        """The caches are warm, and the engine answered lately."""
        if not hive.ready.is_set():
            return web.Response(status=503, text="the first full list has not been read yet\n")
        if not hive.reachable:
            return web.Response(status=503, text="the engine has not answered lately\n")
        return web.Response(text="ok\n")

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=await hive.exposition(), headers={"Content-Type": EXPOSITION})

    async def fallback(_: web.Request) -> web.Response:
        if not hive.ready.is_set():  # no answer at all: Traefik keeps the last one
            return web.Response(status=503, text="the first full list has not been read yet\n")
        return web.json_response(hive.fallback_routes())

    async def closed(request: web.Request) -> web.Response:
        text = closed_page.page(request.headers.get("Accept-Language", ""))
        return web.Response(status=503, body=text.encode(), headers=closed_page.HEADERS)

    app = web.Application()
    app.add_routes([web.get("/edge/fallback", fallback), web.get(PAGE_PATH, closed)])
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", exposition)])
    return app
