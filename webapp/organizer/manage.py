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
from skep.webapp.store import audit, events, rights
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn
from skep.webapp.store.rights import RIGHTS, Right

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

EVENT_PATH = HOME + "/events/{event_id:[0-9a-f-]{36}}"
NOTICES = frozenset({
    "created", "saved", "published", "unpublished", "cancelled", "postponed", "moved", "unchanged"
})  # fmt: skip
LATEST = 8

routes = web.RouteTableDef()


async def managed_event(request: web.Request, connection: Connection, *needed: Right) -> Event:
    """The event of the address, if who is signed in has one of the rights *needed* to it; none named: "manage".

    Raises HTTPNotFound for everybody else too: an event that is not theirs does not exist for them. The rights that
    they have are in `request[VISIT].rights`.
    """
    try:
        event_id = UUID(request.match_info["event_id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
    visit = request[VISIT]
    if visit.member is None:
        raise web.HTTPNotFound
    visit.rights = await rights.of(connection, visit.member, event_id)
    event = await events.by_id(connection, event_id) if visit.may(*(needed or ("manage",))) else None
    if event is None:
        raise web.HTTPNotFound
    return event


@routes.get(EVENT_PATH)
@for_members
async def manage(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection, *RIGHTS)
        may_see = request[VISIT].may("orders")
        latest = await people_of.latest(connection, event.id, limit=LATEST) if may_see else []
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
        if await events.set_published(connection, event.id, published=published):
            action = "event published" if published else "event taken offline"
            await audit.record(connection, Actor("member", member.member_id), action, "event", event.id, ("status",))
    if event.status in ("cancelled", "postponed"):  # it stays public, and says so
        return redirect(f"{HOME}/events/{event.id}?notice=unchanged")
    done = "published" if published else "unpublished"
    log.info(
        "event published" if published else "event taken offline",
        extra={"event_id": str(event.id), "member_id": str(member.member_id)},
    )
    return redirect(f"{HOME}/events/{event.id}?notice={done}")
