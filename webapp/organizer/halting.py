"""Calling an event off, putting it off, or giving it a new date: first what will happen, then all of it at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import for_members
from skep.webapp.i18n import dates
from skep.webapp.organizer.event_form import check_span, moment
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.shop import catalog, halting
from skep.webapp.shop.catalog import Catalog
from skep.webapp.shop.halting import When
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

NOTICE_LIMIT = 1000

routes = web.RouteTableDef()


@routes.get(EVENT_PATH + "/cancel")
@for_members
async def cancel_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await _halted(request, connection)
        return await _page(request, connection, event, "cancel", Form(request[VISIT].t))


@routes.post(EVENT_PATH + "/cancel")
@for_members
async def cancel(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    notice = form.long_text("notice", limit=NOTICE_LIMIT)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        if form.errors:
            return await _page(request, connection, event, "cancel", form, status=422)
        actor = Actor("member", member.member_id)
        done = await halting.cancel(connection, event.id, event.language, notice, actor)
    if done:
        log.info("event cancelled", extra={"event_id": str(event.id), "member_id": str(member.member_id)})
    return redirect(f"/organizer/events/{event.id}?notice=cancelled")


@routes.get(EVENT_PATH + "/postpone")
@for_members
async def postpone_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await _halted(request, connection)
        offered = await catalog.load_one(connection, event.id, counted=False)
        values = {"date": "later" if event.status == "live" else "now"}
        for session in offered.sessions:
            values[f"starts-{session.id}"] = session.starts_at.strftime("%Y-%m-%dT%H:%M")
            values[f"ends-{session.id}"] = session.ends_at.strftime("%Y-%m-%dT%H:%M")
        form = Form(request[VISIT].t, values)
        return await _page(request, connection, event, "postpone", form, offered=offered)


@routes.post(EVENT_PATH + "/postpone")
@for_members
async def postpone(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """`date`: `later`, not known yet; `now`, the new ones are in the form, a pair for each session."""
    form = await read_form(request, request[VISIT].t)
    notice = form.long_text("notice", limit=NOTICE_LIMIT)
    chosen = form.values.get("date", "")
    if chosen not in ("later", "now"):
        form.refuse("date", form.t("wrong.halt.date"))
    actor = Actor("member", member.member_id)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id, counted=False)
        when = _when(form, event, offered) if chosen == "now" else {}
        if form.errors:
            return await _page(request, connection, event, "postpone", form, offered=offered, status=422)
        if chosen == "now":
            done = await halting.move(connection, event.id, when, event.language, notice, actor)
        else:
            done = await halting.postpone(connection, event.id, event.language, notice, actor)
    word = "moved" if chosen == "now" else "postponed"
    if done:
        log.info(f"event {word}", extra={"event_id": str(event.id), "member_id": str(member.member_id)})
    return redirect(f"/organizer/events/{event.id}?notice={word if done else 'unchanged'}")


async def _halted(request: web.Request, connection: Connection) -> Event:
    """An event that can be called off or put off. Raises HTTPNotFound."""
    event = await managed_event(request, connection)
    if event.status not in ("live", "postponed"):
        raise web.HTTPNotFound
    return event


def _when(form: Form, event: Event, offered: Catalog) -> dict[UUID, When]:
    zone = dates.zone(event.timezone)
    found = {}
    for session in offered.sessions:
        starts, ends = f"starts-{session.id}", f"ends-{session.id}"
        starts_at = moment(form, starts, zone, missing="wrong.starts")
        ends_at = moment(form, ends, zone, missing="wrong.ends")
        check_span(form, starts_at, ends_at, field=ends)
        if starts_at is not None and ends_at is not None:
            found[session.id] = (starts_at, ends_at)
    return found


async def _page(
    request: web.Request,
    connection: Connection,
    event: Event,
    what: str,
    form: Form,
    *,
    offered: Catalog | None = None,
    status: int = 200,
) -> web.Response:
    effect = await halting.effect(connection, event.id)
    return request.app[PAGES].render(
        request,
        "organizer/halt.html",
        status=status,
        caching="no-store",
        event=event,
        what=what,
        effect=effect,
        offered=offered,
        form=form,
    )
