"""An event's orders: finding one among many, with a link to each."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from skep.webapp.http.keys import DATABASE, PAGES
from skep.webapp.http.pages import page_number
from skep.webapp.http.sessions import for_members
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.shop import tickets
from skep.webapp.store.members import SignedIn

PAGE_SIZE = 50
STATES = ("", "pending", "paid", "owed", "expired", "cancelled")
WORDS_LIMIT = 100

routes = web.RouteTableDef()


def asked_words(request: web.Request) -> str:
    """`?q=` without what no name or code has."""
    text = "".join(letter if letter.isprintable() else " " for letter in request.query.get("q", ""))
    return " ".join(text.encode(errors="ignore").decode().split())[:WORDS_LIMIT]


def asked_state(request: web.Request) -> str:
    state = request.query.get("state", "")
    return state if state in STATES else ""


@routes.get(EVENT_PATH + "/orders")
@for_members
async def order_list(request: web.Request, member: SignedIn) -> web.StreamResponse:
    page, words, state = page_number(request), asked_words(request), asked_state(request)
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection, "orders")
        found = await tickets.search(
            connection, event.id, words=words, state=state, limit=PAGE_SIZE + 1, offset=(page - 1) * PAGE_SIZE
        )
        counts = await tickets.count(connection, event.id)
    asked = {name: value for name, value in (("q", words), ("state", state)) if value}
    return request.app[PAGES].render(
        request,
        "organizer/orders.html",
        caching="no-store",
        event=event,
        orders=found[:PAGE_SIZE],
        counts=counts,
        states=STATES,
        words=words,
        state=state,
        query=urlencode(asked),
        page=page,
        has_more=len(found) > PAGE_SIZE,
    )
