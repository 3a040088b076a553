"""A web application on a free port of 127.0.0.1 for as long as a block runs."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from aiohttp import web


class Ported(Protocol):
    port: int


class serving:
    """Writes the port into *holder*."""

    def __init__(self, app: web.Application, holder: Ported) -> None:
        self._runner = web.AppRunner(app)
        self._holder = holder

    async def __aenter__(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._holder.port = self._runner.addresses[0][1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
