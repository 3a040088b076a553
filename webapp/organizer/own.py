"""One's own account: in which browsers one is signed in, and the secret address of one's calendar."""

from __future__ import annotations

import logging
from uuid import UUID

from aiohttp import web

from skep.webapp.http.forms import read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME, for_members
from skep.webapp.i18n import dates
from skep.webapp.store import audit, feeds, members
from skep.webapp.store.audit import Actor
from skep.webapp.store.members import SignedIn

log = logging.getLogger(__name__)

ACCOUNT = HOME + "/account"
NOTICES = frozenset({"ended", "feed-ended"})

routes = web.RouteTableDef()


@routes.get(ACCOUNT)
@for_members
async def account(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _page(request, member)


@routes.post(ACCOUNT + "/sessions/end")
@for_members
async def end(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """One other session by its id, or all others. The one that asks is ended by signing out."""
    form = await read_form(request, request[VISIT].t)
    text = form.values.get("session", "")
    try:
        only = UUID(text) if text else None
    except ValueError as error:
        raise web.HTTPBadRequest from error
    async with request.app[DATABASE].transaction() as connection:
        count = await members.end_sessions(connection, member.member_id, only=only, but=member.session_id)
        if count:
            await audit.record(
                connection, Actor("member", member.member_id), "sessions ended", "person", member.person_id
            )
    log.info("sessions ended", extra={"count": count, "member_id": str(member.member_id)})
    return redirect(f"{ACCOUNT}?notice=ended")


@routes.post(ACCOUNT + "/calendar")
@for_members
async def new_feed(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """A new secret address, shown this once; the one before no longer works."""
    async with request.app[DATABASE].transaction() as connection:
        token = await feeds.renew(connection, member.member_id)
        await audit.record(
            connection, Actor("member", member.member_id), "calendar address made", "person", member.person_id
        )
    visit = request[VISIT]
    site = request.app[SETTINGS].url or f"{visit.client.scheme}://{visit.client.host}"
    return await _page(request, member, address=f"{site}{HOME}/calendar/{token}.ics")


@routes.post(ACCOUNT + "/calendar/end")
@for_members
async def end_feed(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].transaction() as connection:
        if await feeds.end(connection, member.member_id):
            actor = Actor("member", member.member_id)
            await audit.record(connection, actor, "calendar address ended", "person", member.person_id)
    return redirect(f"{ACCOUNT}?notice=feed-ended")


async def _page(request: web.Request, member: SignedIn, *, address: str = "") -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        sessions = await members.sessions_of(connection, member.member_id)
        has_feed = await feeds.exists(connection, member.member_id)
    notice = request.query.get("notice")
    return request.app[PAGES].render(
        request,
        "organizer/account.html",
        caching="no-store",
        sessions=sessions,
        own=member.session_id,
        zone=dates.zone(request.app[SETTINGS].timezone),
        has_feed=has_feed,
        address=address,
        notice=notice if notice in NOTICES else None,
    )
