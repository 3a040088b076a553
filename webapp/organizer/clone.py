"""Last year's event again: a copy with its whole offer, as a draft with another date."""

from __future__ import annotations

import logging
from datetime import datetime

from aiohttp import web

from skep.webapp.errors import QuotaReached
from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import for_owners
from skep.webapp.i18n import dates
from skep.webapp.organizer import event_form
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.store import audit, cloning, quotas
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn

log = logging.getLogger(__name__)

routes = web.RouteTableDef()


@routes.get(EVENT_PATH + "/clone")
@for_owners
async def clone_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    proposed = cloning.default_start(event, now)
    values = {"title": event.title.text(event.language), "starts": proposed.strftime("%Y-%m-%dT%H:%M")}
    return _page(request, event, Form(request[VISIT].t, values))


@routes.post(EVENT_PATH + "/clone")
@for_owners
async def clone(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    try:
        async with request.app[DATABASE].transaction() as connection:
            event = await managed_event(request, connection)
            title = form.text("title", limit=event_form.TITLE_LIMIT, missing="wrong.title")
            starts_at = event_form.moment(form, "starts", dates.zone(event.timezone))
            if form.errors or starts_at is None:
                return _page(request, event, form, status=422)
            await quotas.require_event(connection, request.app[SETTINGS].quotas)
            for slug in event_form.slugs(title):
                made = await cloning.clone(
                    connection, event, title=title, slug=slug, starts_at=starts_at, member_id=member.member_id
                )
                if made is not None:
                    break
            else:
                raise RuntimeError("four random addresses were taken")
            await audit.record(connection, Actor("member", member.member_id), "event cloned", "event", made)
    except QuotaReached as reached:
        form.refuse("title", form.t.n("quota.events", reached.limit))
        return _page(request, event, form, status=422)
    log.info("event cloned", extra={"event_id": str(made), "member_id": str(member.member_id)})
    return redirect(f"/organizer/events/{made}?notice=created")


def _page(request: web.Request, event: Event, form: Form, *, status: int = 200) -> web.Response:
    return request.app[PAGES].render(
        request, "organizer/clone.html", status=status, caching="no-store", event=event, form=form
    )
