"""The front page: what is coming up."""

from __future__ import annotations

from itertools import groupby

from aiohttp import web

from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.pages import page_number
from skep.webapp.i18n import dates
from skep.webapp.store import events

PAGE_SIZE = 40

routes = web.RouteTableDef()


@routes.get("/")
async def event_list(request: web.Request) -> web.Response:
    page = page_number(request)
    async with request.app[DATABASE].connection() as connection:
        found = await events.upcoming(connection, limit=PAGE_SIZE + 1, offset=(page - 1) * PAGE_SIZE)
    shown = found[:PAGE_SIZE]
    language = request[VISIT].t.language
    months = [
        (month, list(group))
        for month, group in groupby(shown, key=lambda event: dates.month(event.starts_at, language))
    ]
    return request.app[PAGES].render(
        request, "site/list.html", months=months, page=page, has_more=len(found) > PAGE_SIZE
    )


@routes.get("/robots.txt")
async def robots(request: web.Request) -> web.Response:
    return web.Response(text="User-agent: *\nDisallow: /organizer\nDisallow: /invite/\nDisallow: /registrations/\n")
