"""Who organizes, and inviting somebody by mail."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from aiohttp import web

from skep.webapp.errors import QuotaReached
from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME, for_members
from skep.webapp.store import audit, invitations, jobs, members, quotas
from skep.webapp.store.audit import Actor
from skep.webapp.store.members import SignedIn

log = logging.getLogger(__name__)

TEAM = HOME + "/team"

routes = web.RouteTableDef()


@routes.get(TEAM)
@for_members
async def team(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _page(request, Form(request[VISIT].t))


@routes.post(TEAM)
@for_members
async def invite(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """The link is made when the mail is; nothing here knows it. One mail an hour for an address."""
    visit = request[VISIT]
    form = await read_form(request, visit.t)
    email = form.email()
    if not form.errors:
        try:
            async with request.app[DATABASE].transaction() as connection:
                if await members.person_with(connection, email) is not None:
                    form.refuse("email", visit.t("team.known"))
                else:
                    await quotas.require_member(connection, request.app[SETTINGS].quotas)
                    person_id = await invitations.person_of(connection, email, visit.t.language)
                    key = f"invitation:{person_id}:{datetime.now(UTC):%Y-%m-%dT%H}"
                    await jobs.enqueue(connection, "mail.invitation", {"person": str(person_id)}, unique_key=key)
                    actor = Actor("member", member.member_id)
                    await audit.record(connection, actor, "organizer invited", "person", person_id)
        except QuotaReached as reached:
            form.refuse("email", visit.t.n("quota.members", reached.limit))
    if form.errors:
        return await _page(request, form, status=422)
    log.info("organizer invited", extra={"member_id": str(member.member_id)})
    return redirect(f"{TEAM}?notice=invited")


async def _page(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        people = await members.everybody(connection)
    return request.app[PAGES].render(
        request,
        "organizer/team.html",
        status=status,
        caching="no-store",
        form=form,
        people=people,
        notice="invited" if request.query.get("notice") == "invited" else None,
    )
