"""One event, and registering for it."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from skep.webapp.errors import Busy
from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, LIMITS, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import signed_in
from skep.webapp.store import events, registrations
from skep.webapp.store.events import Event
from skep.webapp.store.registrations import Guest

log = logging.getLogger(__name__)

TURN_TIMEOUT_S = 10.0

routes = web.RouteTableDef()


@routes.get("/events/{slug:[a-z0-9-]{1,80}}")
async def event_page(request: web.Request) -> web.Response:
    event = await _visible_event(request)
    return _page(request, event, Form(request[VISIT].t))


@routes.post("/events/{slug:[a-z0-9-]{1,80}}")
async def register(request: web.Request) -> web.StreamResponse:
    visit = request[VISIT]
    event = await _visible_event(request)
    form = await read_form(request, visit.t)
    guest = Guest(name=form.name(), email=form.email(), language=visit.t.language)
    if form.errors:
        return _page(request, event, form, status=422)
    limit = request.app[LIMITS].registration
    if (wait_s := limit.retry_after_s(visit.client.address)) is not None:
        form.refuse("name", visit.t("wrong.often", minutes=-(-wait_s // 60)))
        return _page(request, event, form, status=429)
    limit.count(visit.client.address)

    token = await _take_place(request, event, guest)
    if token is None:  # full, over or offline since the page was made: show how it is now
        return _page(request, await _visible_event(request), form, status=409)
    log.info("registered", extra={"request": visit.id, "event_id": str(event.id)})
    return redirect(f"/registrations/{token}")


@routes.get("/registrations/{token:[A-Za-z0-9_-]{43}}")
async def confirmation(request: web.Request) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        registration = await registrations.by_token(connection, request.match_info["token"])
        event = None if registration is None else await events.by_id(connection, registration.event_id)
    if registration is None or event is None:
        raise web.HTTPNotFound
    request[VISIT].prefer(event.language)
    return request.app[PAGES].render(
        request, "site/confirmation.html", caching="no-store", registration=registration, event=event
    )


async def _visible_event(request: web.Request) -> Event:
    """The event of the address. A draft is there for organizers only; for everybody else it does not exist."""
    async with request.app[DATABASE].connection() as connection:
        event = await events.by_slug(connection, request.match_info["slug"])
    member = await signed_in(request)
    if event is None or not (event.is_published or member):
        raise web.HTTPNotFound
    request[VISIT].prefer(event.language)
    return event


async def _take_place(request: web.Request, event: Event, guest: Guest) -> str | None:
    database = request.app[DATABASE]
    if event.capacity is None:
        async with database.transaction() as connection:
            return await registrations.register(connection, event.session_id, guest, limited=False)
    try:
        await asyncio.wait_for(database.stock_turns.acquire(), TURN_TIMEOUT_S)
    except TimeoutError as error:
        raise Busy("too many guests at once") from error
    try:
        async with database.transaction() as connection:
            return await registrations.register(connection, event.session_id, guest, limited=True)
    finally:
        database.stock_turns.release()


def _page(request: web.Request, event: Event, form: Form, *, status: int = 200) -> web.Response:
    return request.app[PAGES].render(request, "site/event.html", status=status, event=event, form=form)
