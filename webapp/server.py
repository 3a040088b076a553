"""The life of a web process: start, serve, drain on SIGTERM, finish what runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from skep.webapp.app import build_app
from skep.webapp.http.keys import DRAIN
from skep.webapp.settings import Settings

log = logging.getLogger(__name__)

FINISH_S = 10.0  # how long running requests may take after the drain
KEEPALIVE_S = 120.0  # longer than the proxy keeps idle connections (90 s), so that it closes them, not we


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain. A second signal ends the drain at once."""
    app = build_app(settings)
    drain = app[DRAIN]
    hurry = asyncio.Event()

    def on_signal() -> None:
        (hurry.set if drain.is_draining else drain.begin)()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)

    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=FINISH_S, keepalive_timeout=KEEPALIVE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        log.info("serving", extra={"tenant": settings.tenant, "port": settings.port, "revision": settings.revision})
        if settings.unknown:
            log.warning("settings ignored: this image does not know them", extra={"settings": settings.unknown})
        await drain.wait_begun()
        log.info("draining", extra={"tenant": settings.tenant, "seconds": settings.drain_s})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), settings.drain_s)
    finally:
        await runner.cleanup()
    log.info("stopped", extra={"tenant": settings.tenant})


def _is_ours(record: logging.LogRecord) -> bool:
    """Bytes that are no HTTP are answered with 400 and forgotten: a neighbour must not be able to fill the log."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
