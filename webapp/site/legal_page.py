"""Imprint, privacy and terms on one page."""

from __future__ import annotations

from aiohttp import web

from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS
from skep.webapp.store import legal

routes = web.RouteTableDef()


@routes.get("/legal")
async def legal_page(request: web.Request) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        texts = await legal.current(connection, request.app[SETTINGS].language)
    return request.app[PAGES].render(request, "site/legal.html", texts=texts, kinds=legal.KINDS)
