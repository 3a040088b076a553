"""Codes: what each is good for, and removing those that nobody used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, VISIT
from skep.webapp.http.sessions import for_members
from skep.webapp.organizer import offer_forms
from skep.webapp.organizer.manage import managed_event
from skep.webapp.organizer.offer_frame import ID, OFFER_PATH, audited, done, page, row_id
from skep.webapp.shop import catalog, stock
from skep.webapp.store import offers
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn
from skep.webapp.store.offers import CodeTaken, InUse, Uses

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

routes = web.RouteTableDef()


@routes.get(OFFER_PATH + "/vouchers/new")
@for_members
async def new_voucher(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
    return page(request, event, "voucher", Form(request[VISIT].t, {"max_uses": "1"}), offered=offered)


@routes.post(OFFER_PATH + "/vouchers/new")
@for_members
async def create_voucher(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        offered = await catalog.load_one(connection, event.id)
        draft = offer_forms.voucher(form, event, offered)
        try:
            if draft is not None:
                voucher_id = await offers.create_voucher(connection, event.id, draft)
                await audited(connection, member, "voucher created", "voucher", voucher_id)
        except CodeTaken:
            form.refuse("code", form.t("wrong.code.taken"))
        if form.errors:
            return page(request, event, "voucher", form, offered=offered, status=422)
    return done(event, "saved")


@routes.get(OFFER_PATH + f"/vouchers/{{voucher_id:{ID}}}")
@for_members
async def edit_voucher(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        known = await _known(request, connection, event)
    return page(request, event, "uses", Form(request[VISIT].t, offer_forms.uses_values(known, event)), is_new=False)


@routes.post(OFFER_PATH + f"/vouchers/{{voucher_id:{ID}}}")
@for_members
async def save_voucher(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """How often, and until when. What it is good for stays: people have read it somewhere."""
    form = await read_form(request, request[VISIT].t)
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        known = await _known(request, connection, event)
        most, ends_at = offer_forms.uses(form, event)
        if not form.errors:
            await stock.lock(connection, [stock.voucher_key(known.id)])
            try:
                await offers.limit_voucher(connection, event.id, known.id, most)
            except InUse:
                form.refuse("max_uses", form.t("wrong.voucher.used"))
        if form.errors:
            form.values["code"] = known.code
            return page(request, event, "uses", form, is_new=False, status=422)
        await offers.end_voucher(connection, event.id, known.id, ends_at)
        await audited(connection, member, "voucher saved", "voucher", known.id, ("max_uses", "expires_at"))
    return done(event, "saved")


@routes.post(OFFER_PATH + f"/vouchers/{{voucher_id:{ID}}}/delete")
@for_members
async def delete_voucher(request: web.Request, member: SignedIn) -> web.StreamResponse:
    voucher_id = row_id(request, "voucher_id")
    try:
        async with request.app[DATABASE].transaction() as connection:
            event = await managed_event(request, connection)
            await offers.delete_voucher(connection, event.id, voucher_id)
            await audited(connection, member, "voucher deleted", "voucher", voucher_id)
    except InUse:
        return done(event, "in-use")
    return done(event, "removed")


async def _known(request: web.Request, connection: Connection, event: Event) -> Uses:
    """Raises HTTPNotFound."""
    found = await offers.uses(connection, event.id, row_id(request, "voucher_id"))
    if found is None:
        raise web.HTTPNotFound
    return found
