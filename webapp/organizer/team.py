"""Who organizes: inviting somebody by mail, what each may do, shutting somebody out."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.errors import QuotaReached
from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME, for_owners
from skep.webapp.i18n import dates
from skep.webapp.store import audit, invitations, jobs, members, quotas, team
from skep.webapp.store.audit import Actor
from skep.webapp.store.members import SignedIn
from skep.webapp.store.rights import RIGHTS
from skep.webapp.store.team import ROLES, Choice, Colleague, LastOwner, Role

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

TEAM = HOME + "/team"
PERSON = TEAM + "/{person_id:[0-9a-f-]{36}}"
NOTICES = frozenset({"invited", "saved", "disabled", "enabled", "taken-back"})

routes = web.RouteTableDef()


@routes.get(TEAM)
@for_owners
async def everybody(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _page(request, Form(request[VISIT].t, {"role": "organizer"}))


@routes.post(TEAM)
@for_owners
async def invite(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """The link is made when the mail is; nothing here knows it. One mail an hour for an address."""
    visit = request[VISIT]
    form = await read_form(request, visit.t)
    form.values.setdefault("role", "organizer")
    email, role = form.email(), _role(form)
    if not form.errors:
        try:
            async with request.app[DATABASE].transaction() as connection:
                if await members.person_with(connection, email) is not None:
                    form.refuse("email", visit.t("team.known"))
                else:
                    await quotas.require_member(connection, request.app[SETTINGS].quotas)
                    person_id = await invitations.person_of(connection, email, visit.t.language)
                    await team.invite(connection, person_id, role)
                    key = f"invitation:{person_id}:{datetime.now(UTC):%Y-%m-%dT%H}"
                    await jobs.enqueue(connection, "mail.invitation", {"person": str(person_id)}, unique_key=key)
                    await _audited(connection, member, "organizer invited", person_id, (role,))
        except QuotaReached as reached:
            form.refuse("email", visit.t.n("quota.members", reached.limit))
    if form.errors:
        return await _page(request, form, status=422)
    return redirect(f"{TEAM}/{person_id}?notice=invited" if role == "organizer" else f"{TEAM}?notice=invited")


@routes.get(PERSON)
@for_owners
async def one(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        who = await _who(request, connection)
        events = await team.choices(connection, who.person_id)
    return _form(request, member, who, events, Form(request[VISIT].t, {"role": who.role}))


@routes.post(PERSON)
@for_owners
async def save(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """Role and rights. An owner has all rights whatever was ticked."""
    form = await read_form(request, request[VISIT].t)
    role = _role(form)
    async with request.app[DATABASE].transaction() as connection:
        who = await _who(request, connection)
        events = await team.choices(connection, who.person_id)
        wanted = {
            choice.event_id: {may for may in RIGHTS if form.values.get(f"{may}-{choice.event_id}") == "yes"}
            for choice in events
        }
        if not form.errors:
            try:
                if changed := await team.change(connection, who, role, wanted):
                    await _audited(connection, member, "rights changed", who.person_id, changed)
            except LastOwner:
                form.refuse("role", form.t("team.last"))
    if form.errors:
        typed = [Choice(c.event_id, c.title, c.starts_at, frozenset(wanted[c.event_id])) for c in events]
        return _form(request, member, who, typed, form, status=422)
    return redirect(f"{TEAM}/{who.person_id}?notice=saved")


@routes.post(PERSON + "/disable")
@for_owners
async def disable(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _set_disabled(request, member, disabled=True)


@routes.post(PERSON + "/enable")
@for_owners
async def enable(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _set_disabled(request, member, disabled=False)


@routes.post(PERSON + "/take-back")
@for_owners
async def take_back(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].transaction() as connection:
        who = await _who(request, connection)
        done = await team.take_back(connection, who.person_id)
        if done:
            await _audited(connection, member, "invitation taken back", who.person_id)
    return redirect(f"{TEAM}?notice=taken-back" if done else f"{TEAM}/{who.person_id}")


async def _set_disabled(request: web.Request, member: SignedIn, *, disabled: bool) -> web.StreamResponse:
    form = Form(request[VISIT].t)
    async with request.app[DATABASE].transaction() as connection:
        who = await _who(request, connection)
        try:
            if not disabled and who.is_disabled:
                await quotas.require_member(connection, request.app[SETTINGS].quotas)
            if await team.set_disabled(connection, who, disabled=disabled):
                action = "organizer disabled" if disabled else "organizer enabled"
                await _audited(connection, member, action, who.person_id)
        except (LastOwner, QuotaReached) as refusal:
            said = form.t("team.last")
            if isinstance(refusal, QuotaReached):
                said = form.t.n("quota.members", refusal.limit)
            form.refuse("role", said)
            form.values["role"] = who.role
            return _form(request, member, who, await team.choices(connection, who.person_id), form, status=422)
    return redirect(f"{TEAM}/{who.person_id}?notice={'disabled' if disabled else 'enabled'}")


async def _who(request: web.Request, connection: Connection) -> Colleague:
    """Raises HTTPNotFound."""
    try:
        found = await team.find(connection, UUID(request.match_info["person_id"]))
    except ValueError as error:
        raise web.HTTPNotFound from error
    if found is None:
        raise web.HTTPNotFound
    return found


def _role(form: Form) -> Role:
    role = next((one for one in ROLES if one == form.values.get("role")), None)
    if role is None:
        form.refuse("role", form.t("wrong.role"))
    return role or "organizer"


async def _audited(
    connection: Connection, member: SignedIn, action: str, person_id: UUID, fields: tuple[str, ...] = ()
) -> None:
    await audit.record(connection, Actor("member", member.member_id), action, "person", person_id, fields)
    log.info(action, extra={"person_id": str(person_id), "member_id": str(member.member_id)})


async def _page(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        people = await team.everybody(connection)
    return request.app[PAGES].render(
        request,
        "organizer/team.html",
        status=status,
        caching="no-store",
        form=form,
        people=people,
        zone=dates.zone(request.app[SETTINGS].timezone),
        notice=_notice(request),
    )


def _form(
    request: web.Request, member: SignedIn, who: Colleague, events: list[Choice], form: Form, *, status: int = 200
) -> web.Response:
    return request.app[PAGES].render(
        request,
        "organizer/colleague.html",
        status=status,
        caching="no-store",
        who=who,
        is_self=who.member_id == member.member_id,
        events=events,
        rights=RIGHTS,
        form=form,
        notice=_notice(request),
    )


def _notice(request: web.Request) -> str | None:
    notice = request.query.get("notice")
    return notice if notice in NOTICES else None
