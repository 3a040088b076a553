"""An event's orders: who bought what, and marking what was paid by hand."""

from __future__ import annotations

import logging
from uuid import UUID

from aiohttp import web

from skep.webapp.http.keys import DATABASE, PAGES
from skep.webapp.http.pages import page_number, redirect
from skep.webapp.http.sessions import for_members
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.shop import orders, payments, tickets
from skep.webapp.shop.states import PaymentState
from skep.webapp.store import audit, jobs
from skep.webapp.store.audit import Actor
from skep.webapp.store.members import SignedIn

log = logging.getLogger(__name__)

ORDER_PATH = EVENT_PATH + "/orders/{order_id:[0-9a-f-]{36}}"
PAGE_SIZE = 50
NOTICES = frozenset({"resent", "paid", "refused", "unchanged", "order-cancelled"})

routes = web.RouteTableDef()


@routes.get(EVENT_PATH + "/orders")
@for_members
async def order_list(request: web.Request, member: SignedIn) -> web.StreamResponse:
    page = page_number(request)
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        found = await tickets.of_event(connection, event.id, limit=PAGE_SIZE + 1, offset=(page - 1) * PAGE_SIZE)
    notice = request.query.get("notice")
    return request.app[PAGES].render(
        request,
        "organizer/orders.html",
        caching="no-store",
        event=event,
        orders=found[:PAGE_SIZE],
        page=page,
        has_more=len(found) > PAGE_SIZE,
        notice=notice if notice in NOTICES else None,
    )


@routes.post(ORDER_PATH + "/paid")
@for_members
async def mark_paid(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """The money was seen: on the account, or at the door."""
    async with request.app[DATABASE].connection() as connection:
        event = await managed_event(request, connection)
        order = await tickets.by_id(connection, event.id, _order_id(request))
    if order is None:
        raise web.HTTPNotFound
    outcome = "unchanged"
    if order.payment_id is not None:
        actor = Actor("member", member.member_id)
        outcome = await payments.record(request.app[DATABASE], order.payment_id, PaymentState.CONFIRMED, actor)
    log.info("payment marked", extra={"order_id": str(order.id), "member_id": str(member.member_id)})
    return redirect(f"/organizer/events/{event.id}/orders?notice={outcome}")


@routes.post(ORDER_PATH + "/resend")
@for_members
async def resend(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """Somebody at the phone has lost the mail."""
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        order = await tickets.by_id(connection, event.id, _order_id(request))
        if order is None or order.state not in ("pending", "paid"):
            raise web.HTTPNotFound
        await jobs.enqueue(connection, "mail.tickets_again", {"orders": [str(order.id)]})
        actor = Actor("member", member.member_id)
        await audit.record(connection, actor, "tickets sent again", "order", order.id)
    log.info("tickets sent again", extra={"order_id": str(order.id), "member_id": str(member.member_id)})
    return redirect(f"/organizer/events/{event.id}/orders?notice=resent")


@routes.post(ORDER_PATH + "/cancel")
@for_members
async def cancel(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].transaction() as connection:
        event = await managed_event(request, connection)
        order = await tickets.by_id(connection, event.id, _order_id(request))
        if order is None:
            raise web.HTTPNotFound
        actor = Actor("member", member.member_id)
        await orders.cancel(connection, order.id, [ticket.id for ticket in order.valid], actor)
    log.info("order cancelled", extra={"order_id": str(order.id), "member_id": str(member.member_id)})
    return redirect(f"/organizer/events/{event.id}/orders?notice=order-cancelled")


def _order_id(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["order_id"])
    except ValueError as error:
        raise web.HTTPNotFound from error
