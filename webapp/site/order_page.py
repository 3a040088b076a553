"""An order by its secret link: the tickets, what is still to pay, giving tickets back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.http.files import drawn
from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.shop import invoices, orders, payments, sheets, tickets
from skep.webapp.shop.invoices import Invoice
from skep.webapp.shop.states import PaymentState
from skep.webapp.shop.tickets import Order
from skep.webapp.store import audit, events
from skep.webapp.store.events import Event

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

LINK = "{link:[A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{43}}"  # 43: links of the first app, printed and mailed
ORDER_PATH = "/orders/" + LINK
NOTICES = frozenset({"cancelled", "renamed"})

routes = web.RouteTableDef()


@routes.get("/registrations/" + LINK)
async def old_address(request: web.Request) -> web.StreamResponse:
    return web.Response(
        status=308, headers={"Location": f"/orders/{request.match_info['link']}", "Cache-Control": "no-store"}
    )


@routes.get(ORDER_PATH)
async def order_page(request: web.Request) -> web.Response:
    async with request.app[DATABASE].connection() as connection:
        order = await _order(request, connection)
        event = await events.by_id(connection, order.event_id)
        issued = await invoices.of_order(connection, order.id)
        may_confirm = await tickets.to_confirm(connection, request.match_info["link"]) is not None
    if event is None:
        raise web.HTTPNotFound
    return _page(request, order, event, issued, form=Form(request[VISIT].t), may_confirm=may_confirm)


@routes.get(ORDER_PATH + "/tickets.pdf")
async def ticket_file(request: web.Request) -> web.Response:
    """Drawn for each download: names stand in no other file and no other table."""
    async with request.app[DATABASE].connection() as connection:
        order = await _order(request, connection)
        event = await events.by_id(connection, order.event_id)
    if event is None or not order.has_tickets:
        raise web.HTTPNotFound
    request[VISIT].prefer(event.language)
    pages = sheets.of_order(request.app[SETTINGS], order, event, request[VISIT].t.language)
    return await drawn(request, order.id, "tickets", pages.document(), sheets.file_name([order]))


@routes.get(ORDER_PATH + "/invoices/{invoice_id:[0-9a-f-]{36}}.pdf")
async def invoice_file(request: web.Request) -> web.Response:
    """An invoice or a credit note, as it was issued."""
    try:
        invoice_id = UUID(request.match_info["invoice_id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
    async with request.app[DATABASE].connection() as connection:
        order = await _order(request, connection)
        sheet = await invoices.sheet(connection, order.id, invoice_id)
    if sheet is None:
        raise web.HTTPNotFound
    label, document = sheet
    return await drawn(request, order.id, "invoice", document, f"{label}.pdf")


@routes.post(ORDER_PATH + "/confirm")
async def confirm(request: web.Request) -> web.StreamResponse:
    """A free order that waits for its buyer's word. Only a link that was mailed can give it."""
    await read_form(request, request[VISIT].t)
    link = request.match_info["link"]
    async with request.app[DATABASE].connection() as connection:
        order = await _order(request, connection)
        payment_id = await tickets.to_confirm(connection, link)
    if payment_id is not None:
        outcome = await payments.record(request.app[DATABASE], payment_id, PaymentState.CONFIRMED, audit.BUYER)
        log.info("order confirmed", extra={"order_id": str(order.id), "outcome": outcome})
    return redirect(f"/orders/{link}")


@routes.post(ORDER_PATH + "/cancel")
async def cancel(request: web.Request) -> web.StreamResponse:
    """Gives back the tickets that were ticked, as far as they may be."""
    form = await read_form(request, request[VISIT].t)
    link = request.match_info["link"]
    async with request.app[DATABASE].transaction() as connection:
        order = await _order(request, connection)
        allowed = {ticket.id for ticket in order.cancellable}
        chosen = [identity for identity in _chosen(form.values) if identity in allowed]
        done = await orders.cancel(connection, order.id, chosen, audit.BUYER) if chosen else 0
    if done:
        log.info("tickets given back", extra={"request": request[VISIT].id, "order_id": str(order.id)})
    return redirect(f"/orders/{link}" + ("?notice=cancelled" if done else ""))


@routes.post(ORDER_PATH + "/holder")
async def change_holder(request: web.Request) -> web.StreamResponse:
    """A ticket for somebody else: the name on it, as long as it is good."""
    form = await read_form(request, request[VISIT].t)
    name = form.name("holder")
    link = request.match_info["link"]
    async with request.app[DATABASE].transaction() as connection:
        order = await _order(request, connection)
        ticket = next((t for t in order.valid if str(t.id) == form.values.get("ticket")), None)
        if ticket is None or ticket.is_inside or order.state not in ("pending", "paid"):
            raise web.HTTPNotFound
        if form.errors:
            event = await events.by_id(connection, order.event_id)
            if event is None:
                raise web.HTTPNotFound
            issued = await invoices.of_order(connection, order.id)
            return _page(request, order, event, issued, form=form, status=422)
        await orders.set_holder(connection, order.id, ticket.id, name, audit.BUYER)
    return redirect(f"/orders/{link}?notice=renamed")


async def _order(request: web.Request, connection: Connection) -> Order:
    """Raises HTTPNotFound."""
    order = await tickets.by_link(connection, request.match_info["link"])
    if order is None:
        raise web.HTTPNotFound
    return order


def _chosen(values: dict[str, str]) -> list[UUID]:
    chosen = []
    for field in values:
        if field.startswith("ticket-"):
            try:
                chosen.append(UUID(field.removeprefix("ticket-")))
            except ValueError as error:
                raise web.HTTPBadRequest from error
    return chosen


def _page(
    request: web.Request,
    order: Order,
    event: Event,
    issued: list[Invoice],
    *,
    form: Form,
    status: int = 200,
    may_confirm: bool = False,
) -> web.Response:
    request[VISIT].prefer(event.language)
    notice = request.query.get("notice")
    return request.app[PAGES].render(
        request,
        "site/order.html",
        status=status,
        caching="no-store",
        order=order,
        event=event,
        invoices=issued,
        form=form,
        may_confirm=may_confirm,
        link=request.match_info["link"],
        notice=notice if notice in NOTICES else None,
    )
