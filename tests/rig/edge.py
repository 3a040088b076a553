"""A proxy in front of one tenant's app, as the platform's: adds the tenant's header, keeps the host. Can go away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tests.rig.tenant import Tenant

HOP = {"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length", "server", "date"}


class Edge:
    """*is_down*: connections are closed without an answer."""

    def __init__(self, tenant: Tenant, session: aiohttp.ClientSession) -> None:
        self.tenant = tenant
        self.port = 0
        self.is_down = False
        self._session = session

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.is_down:
            assert request.transport is not None
            request.transport.abort()
            raise ConnectionResetError
        headers = request.headers.copy()
        headers["X-Skep-Tenant"] = self.tenant.uid
        async with self._session.request(
            request.method, f"{self.tenant.url}{request.raw_path}", headers=headers, data=await request.read(),
            allow_redirects=False,
        ) as said:  # fmt: skip
            kept = [(name, value) for name, value in said.headers.items() if name.lower() not in HOP]
            made = web.Response(status=said.status, body=await said.read())
            for name, value in kept:
                made.headers.add(name, value) if name not in made.headers else made.headers.update({name: value})
            return made


@asynccontextmanager
async def edge_of(tenant: Tenant) -> AsyncIterator[Edge]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        edge = Edge(tenant, session)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", edge.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        edge.port = runner.addresses[0][1]
        try:
            yield edge
        finally:
            await runner.cleanup()
