"""One event in its organizers' eyes: its state, publishing it, who comes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME, for_members
from skep.webapp.store import attendees as people_of
from skep.webapp.store import events
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

EVENT_PATH = HOME + "/events/{event_id:[0-9a-f-]{36}}"
NOTICES = frozenset({"created", "saved", "published", "unpublished"})
LATEST = 8

routes = web.RouteTableDef()


async def managed_event(request: web.Request, connection: Connection) -> Event:
    """The event of the address. Raises HTTPNotFound."""
    try:
        event_id = UUID(request.match_info["event_id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
    event = await events.by_id(connection, event_id)
    if event is None:
        raise web.HTTPNotFound
    return event


@routes.get(EVENT_PATH)
@for_members
async def manage(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        latest = await people_of.latest(connection, event.id, limit=LATEST)
    notice = request.query.get("notice")
    client = request[VISIT].client
    return request.app[PAGES].render(
        request,
        "organizer/manage.html",
        caching="no-store",
        event=event,
        latest=latest,
        address=f"{client.scheme}://{client.host}/events/{event.slug}",
        notice=notice if notice in NOTICES else None,
    )


@routes.get(EVENT_PATH + "/attendees")
@for_members
async def attendees(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        people = await people_of.of_event(connection, event.id)
    return request.app[PAGES].render(
        request, "organizer/attendees.html", caching="no-store", event=event, people=people
    )


@routes.post(EVENT_PATH + "/publish")
@for_members
async def publish(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _set_published(request, member, published=True)


@routes.post(EVENT_PATH + "/unpublish")
@for_members
async def unpublish(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _set_published(request, member, published=False)


async def _set_published(request: web.Request, member: SignedIn, *, published: bool) -> web.StreamResponse:
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        await events.set_published(connection, event.id, published=published)
    done = "published" if published else "unpublished"
    log.info(
        "event published" if published else "event taken offline",
        extra={"event_id": str(event.id), "member_id": str(member.member_id)},
    )
    return redirect(f"{HOME}/events/{event.id}?notice={done}")
