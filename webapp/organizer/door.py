"""Selling at the door: which tickets, how many, paid; a name if there is time for one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.addresses import normal_email
from skep.webapp.http.forms import NAME_LIMIT, Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import for_members
from skep.webapp.i18n import Translator
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.shop import catalog, door
from skep.webapp.shop.catalog import Catalog
from skep.webapp.shop.refusal import Refused
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

DOOR_PATH = EVENT_PATH + "/door"

routes = web.RouteTableDef()


@routes.get(DOOR_PATH)
@for_members
async def door_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection, "orders")
        return await _page(request, connection, event, Form(request[VISIT].t))


@routes.post(DOOR_PATH)
@for_members
async def sell(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """The quantities are fields `n-<type>`. All or nothing: who stands there is told at once what is left."""
    form = await read_form(request, request[VISIT].t)
    name = form.text("name", limit=NAME_LIMIT, too_long="wrong.name.long")
    email = form.values.get("email", "").strip()
    if email and (address := normal_email(email)) is None:
        form.refuse("email", form.t("wrong.email"))
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection, "orders")
        offered = await catalog.load_one(connection, event.id, counted=False)
    wanted = _wanted(form, offered)
    t = Translator(event.language)  # a name that nobody gave is in the event's language, as all of it
    if not form.errors and not wanted:
        form.refuse("tickets", form.t("refused.nothing"))
    if not form.errors:
        try:
            order_id = await door.sell(
                request.app[DATABASE],
                event.id,
                wanted,
                Actor("member", member.member_id),
                name=name or t("door.guest"),
                email=(address or "") if email else "",
                language=event.language,
            )
        except Refused as refusal:
            what = refusal.what.text(form.t.language) if refusal.what else ""
            number = form.t.number(refusal.number)
            form.refuse("tickets", form.t(f"refused.{refusal.reason}", what=what, number=number))
        else:
            log.info("sold at the door", extra={"order_id": str(order_id), "member_id": str(member.member_id)})
            return redirect(f"/organizer/events/{event.id}/orders/{order_id}?notice=sold")
    async with request.app[DATABASE].connection() as connection:
        return await _page(request, connection, event, form, status=422)


def _wanted(form: Form, offered: Catalog) -> dict[UUID, int]:
    found = {}
    for kind in offered.types:
        text = form.values.get(f"n-{kind.id}", "").strip()
        if not text or text == "0":
            continue
        if not text.isascii() or not text.isdigit() or len(text) > 3 or int(text) > door.MOST:
            form.refuse(f"n-{kind.id}", form.t("wrong.number", low=1, high=door.MOST))
            continue
        if int(text):
            found[kind.id] = int(text)
    return found


async def _page(
    request: web.Request, connection: Connection, event: Event, form: Form, *, status: int = 200
) -> web.Response:
    offered = await catalog.load_one(connection, event.id)
    return request.app[PAGES].render(
        request,
        "organizer/door.html",
        status=status,
        caching="no-store",
        event=event,
        offered=offered,
        form=form,
    )
