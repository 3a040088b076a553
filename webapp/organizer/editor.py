"""Writing an event: a new draft, or a change to one that exists."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aiohttp import web

from skep.webapp.errors import QuotaReached
from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME, for_members, for_owners
from skep.webapp.i18n import money
from skep.webapp.organizer import event_form, stale
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.organizer.stale import Difference
from skep.webapp.shop import catalog, stock
from skep.webapp.store import audit, events, quotas
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn
from skep.webapp.store.offers import StaleVersion

log = logging.getLogger(__name__)

routes = web.RouteTableDef()


@routes.get(HOME + "/events/new")
@for_owners
async def new_event(request: web.Request, member: SignedIn) -> web.StreamResponse:
    t = request[VISIT].t
    async with request.app[DATABASE].connection() as connection:
        timezone = await events.latest_timezone(connection) or request.app[SETTINGS].timezone
    fresh = {
        "language": t.language,
        "timezone": timezone,
        "currency": "EUR",
        "pays_on_site": "yes",
        "cancel_hours": "24",
    }
    return _page(request, Form(t, fresh), event=None)


@routes.post(HOME + "/events/new")
@for_owners
async def create_event(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    draft = event_form.parse(form, is_new=True)
    if draft is None:
        return _page(request, form, event=None, status=422)
    try:
        async with request.app[DATABASE].transaction() as connection:
            await quotas.require_event(connection, request.app[SETTINGS].quotas)
            for slug in event_form.slugs(draft.title):
                event_id = await events.create(connection, draft, slug=slug, member_id=member.member_id)
                if event_id is not None:
                    break
            else:
                raise RuntimeError("four random addresses were taken")
            await audit.record(connection, Actor("member", member.member_id), "event created", "event", event_id)
    except QuotaReached as reached:
        form.refuse("title", form.t.n("quota.events", reached.limit))
        return _page(request, form, event=None, status=422)
    log.info("event created", extra={"event_id": str(event_id), "member_id": str(member.member_id)})
    return redirect(f"{HOME}/events/{event_id}?notice=created")


@routes.get(EVENT_PATH + "/edit")
@for_members
async def edit_event(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
    return _page(request, Form(request[VISIT].t, event_form.values(event)), event=event)


@routes.post(EVENT_PATH + "/edit")
@for_members
async def save_event(request: web.Request, member: SignedIn) -> web.StreamResponse:
    t = request[VISIT].t
    form = await read_form(request, t)
    draft = event_form.parse(form, is_new=False)
    version = form.values.get("version", "")
    try:
        async with request.app[DATABASE].transaction() as connection:
            event = await managed_event(request, connection)
            if draft is None:
                return _page(request, form, event=event, status=422)
            if draft.capacity is not None and event.sessions == 1:
                offered = await catalog.load_one(connection, event.id)
                await stock.lock(connection, (stock.pool_key(pool_id) for pool_id in offered.pools))
                event = await managed_event(request, connection)  # counted again, now that nobody sells
                if draft.capacity < event.registered:
                    form.refuse("capacity", t.n("wrong.capacity.taken", event.registered))
                    return _page(request, form, event=event, status=422)
            if draft.currency != event.currency and await events.has_sold(connection, event.id):
                form.refuse("currency", t("wrong.currency.sold"))
                return _page(request, form, event=event, status=422)
            known = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else -1
            await events.save(connection, event, draft, version=known)
            changed = event_form.changed(event_form.values(event), form.values)
            await audit.record(
                connection, Actor("member", member.member_id), "event saved", "event", event.id, tuple(changed)
            )
    except StaleVersion:
        saved = event_form.values(event)
        both = stale.differences(stale.EVENT, saved, form.values, t)
        form.values["version"] = saved["version"]  # saving again is a choice made with both in sight
        return _page(request, form, event=event, status=409, both=both)
    log.info("event saved", extra={"event_id": str(event.id), "member_id": str(member.member_id)})
    return redirect(f"{HOME}/events/{event.id}?notice=saved")


def _page(
    request: web.Request,
    form: Form,
    *,
    event: Event | None,
    status: int = 200,
    both: Sequence[Difference] | None = None,
) -> web.Response:
    """*both*: somebody else saved it meanwhile, and this is where both versions differ."""
    return request.app[PAGES].render(
        request,
        "organizer/edit.html",
        status=status,
        caching="no-store",
        form=form,
        event=event,
        stale=both,
        timezones=event_form.timezones(),
        currencies=tuple(money.DIGITS),
    )
