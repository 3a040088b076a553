"""Who may ask by a program: tokens for the API, and devices at a door. Made here, shown once, revoked here."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.http.api_state import API_STATE
from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import CHILDREN, DATABASE, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import HOME, for_owners
from skep.webapp.shop import doors
from skep.webapp.store import events, tokens
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

ACCESS = HOME + "/access"
NAME_LIMIT = 60
PAST_SHOWN = 20  # an event may have ended an hour ago, and its scans are still wanted
NOTICES = frozenset({"revoked"})

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown this once: a team's token, or an enrolment's address as a QR code (*size* squares a side)."""

    secret: str
    name: str
    size: int = 0
    squares: str = ""


@routes.get(ACCESS)
@for_owners
async def access(request: web.Request, member: SignedIn) -> web.StreamResponse:
    return await _page(request, Form(request[VISIT].t))


@routes.post(ACCESS + "/tokens")
@for_owners
async def make_token(request: web.Request, member: SignedIn) -> web.StreamResponse:
    visit = request[VISIT]
    form = await read_form(request, visit.t)
    name = form.text("token_name", limit=NAME_LIMIT, missing="wrong.access.name")
    scopes = [scope for scope in tokens.SCOPES if form.values.get(f"scope-{scope}") == "yes"]
    if not scopes:
        form.refuse("scopes", visit.t("wrong.access.scopes"))
    chosen = _chosen(form)
    if form.errors:
        return await _page(request, form, status=422)
    async with request.app[DATABASE].transaction() as connection:
        _, secret = await tokens.create(
            connection, kind="team", name=name, scopes=scopes, event_ids=chosen or None, member_id=member.member_id
        )
    log.info("token made", extra={"member_id": str(member.member_id), "scopes": scopes})
    return await _page(request, Form(visit.t), shown=Shown(secret, name))


@routes.post(ACCESS + "/devices")
@for_owners
async def offer_device(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """The code is part of an address after `#`: browsers never send that, so no log has it."""
    visit = request[VISIT]
    form = await read_form(request, visit.t)
    name = form.text("device_name", limit=NAME_LIMIT, missing="wrong.access.name")
    chosen = _chosen(form)
    if not chosen:
        form.refuse("device_events", visit.t("wrong.access.events"))
    if form.errors:
        return await _page(request, form, status=422)
    shown = await offered(request, member, name, chosen)
    return await _page(request, Form(visit.t), shown=shown)


@routes.post(ACCESS + "/{token_id:[0-9a-f-]{36}}/revoke")
@for_owners
async def revoke(request: web.Request, member: SignedIn) -> web.StreamResponse:
    try:
        token_id = UUID(request.match_info["token_id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
    async with request.app[DATABASE].transaction() as connection:
        await tokens.revoke(connection, token_id, member.member_id)
    request.app[API_STATE].trusted.forget()
    log.info("token revoked", extra={"member_id": str(member.member_id), "token_id": str(token_id)})
    return redirect(f"{ACCESS}?notice=revoked")


async def offered(request: web.Request, member: SignedIn, name: str, event_ids: list[UUID]) -> Shown:
    """A code by which a device called *name* signs in, drawn; each of the events has a list then."""
    visit = request[VISIT]
    async with request.app[DATABASE].transaction() as connection:
        for event_id in event_ids:
            await doors.ensure_one(connection, event_id, visit.t("doors.first"))
        code = await tokens.offer_enrolment(connection, name=name, event_ids=event_ids, member_id=member.member_id)
    address = f"{visit.client.scheme}://{visit.client.host}/checkin/#enrol={code}"
    size, _, squares = (await request.app[CHILDREN].ask("code", address.encode())).decode().partition(" ")
    log.info("enrolment offered", extra={"member_id": str(member.member_id)})
    return Shown(address, name, int(size), squares)


def _chosen(form: Form) -> list[UUID]:
    """The events that were ticked. Raises HTTPBadRequest for fields that no page of ours has."""
    try:
        return [UUID(name.removeprefix("event-")) for name in form.values if name.startswith("event-")]
    except ValueError as error:
        raise web.HTTPBadRequest from error


async def _events(connection: Connection) -> list[Event]:
    return [*await events.current(connection), *await events.past(connection, limit=PAST_SHOWN)]


async def _page(request: web.Request, form: Form, *, shown: Shown | None = None, status: int = 200) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        found = await tokens.everything(connection)
        choices = await _events(connection)
    notice = request.query.get("notice")
    return request.app[PAGES].render(
        request,
        "organizer/access.html",
        status=status,
        caching="no-store",
        form=form,
        tokens=found,
        events=choices,
        titles={event.id: event.title for event in choices},
        scopes=tokens.SCOPES,
        shown=shown,
        minutes=int(tokens.ENROLMENT_LIFETIME.total_seconds() // 60),
        notice=notice if notice in NOTICES else None,
    )
