"""The front page: what is coming up, and a search in it."""

from __future__ import annotations

from itertools import groupby
from urllib.parse import urlencode

from aiohttp import web

from skep.webapp.http.kept import kept
from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.pages import page_number
from skep.webapp.i18n import dates
from skep.webapp.shop import catalog
from skep.webapp.store import events

PAGE_SIZE = 40
WORDS_LIMIT = 80
SEARCH_FROM = 6  # fewer events are seen at a glance

routes = web.RouteTableDef()


@routes.get("/")
@kept
async def event_list(request: web.Request) -> web.Response:
    page, words = page_number(request), _words(request)
    async with request.app[DATABASE].connection() as connection:
        found = await events.upcoming(connection, limit=PAGE_SIZE + 1, offset=(page - 1) * PAGE_SIZE, words=words)
        shown = found[:PAGE_SIZE]
        offered = await catalog.load(connection, [event.id for event in shown])
    language = request[VISIT].t.language
    months = [
        (month, list(group))
        for month, group in groupby(shown, key=lambda event: dates.month(event.starts_at, language))
    ]
    return request.app[PAGES].render(
        request,
        "site/list.html",
        months=months,
        offered=offered,
        page=page,
        words=words,
        searchable=bool(words) or page > 1 or len(found) >= SEARCH_FROM,
        query=f"&{urlencode({'q': words})}" if words else "",
        has_more=len(found) > PAGE_SIZE,
    )


@routes.get("/robots.txt")
async def robots(request: web.Request) -> web.Response:
    closed = ("/organizer", "/invite/", "/registrations/", "/orders/")
    return web.Response(text="User-agent: *\n" + "".join(f"Disallow: {path}\n" for path in closed))


def _words(request: web.Request) -> str:
    """`?q=`, without what no title holds."""
    text = request.query.get("q", "")[:WORDS_LIMIT]
    return " ".join("".join(letter for letter in text if letter.isprintable()).split())
