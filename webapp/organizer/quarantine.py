"""Letting go what a quarantine parked, or dropping it; and its end. Shown on the outbox's page."""

from __future__ import annotations

import logging
import re

from aiohttp import web

from skep.webapp.http.forms import read_form
from skep.webapp.http.keys import DATABASE, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import for_owners
from skep.webapp.organizer.outbox import OUTBOX
from skep.webapp.store import quarantine
from skep.webapp.store.audit import Actor
from skep.webapp.store.members import SignedIn

log = logging.getLogger(__name__)

routes = web.RouteTableDef()


@routes.post(OUTBOX + "/{what:release|drop}")
@for_owners
async def decide(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """About all parked jobs of one kind."""
    form = await read_form(request, request[VISIT].t)
    kind, what = form.values.get("kind", ""), request.match_info["what"]
    if not re.fullmatch(r"[a-z_.]{1,60}", kind):
        raise web.HTTPBadRequest
    actor = Actor("member", member.member_id)
    async with request.app[DATABASE].transaction() as connection:
        act = quarantine.release if what == "release" else quarantine.drop
        count = await act(connection, kind, actor)
    log.info("parked jobs decided", extra={"what": what, "kind": kind, "count": count, "member_id": str(actor.id)})
    return redirect(OUTBOX)


@routes.post(OUTBOX + "/resume")
@for_owners
async def resume(request: web.Request, member: SignedIn) -> web.StreamResponse:
    await read_form(request, request[VISIT].t)
    async with request.app[DATABASE].transaction() as connection:
        await quarantine.end(connection)
    log.info("quarantine ended", extra={"member_id": str(member.member_id)})
    return redirect(OUTBOX)
