"""All pages of this side."""

from __future__ import annotations

from aiohttp import web

routes = web.RouteTableDef()


@routes.get("/")
async def front(request: web.Request) -> web.Response:
    return web.Response(text="soon")
