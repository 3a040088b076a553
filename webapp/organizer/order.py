"""One order: its tickets, money, answers, notes and history; and what organizers do with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from skep.webapp.http.files import drawn
from skep.webapp.http.forms import NAME_LIMIT, Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import redirect
from skep.webapp.http.sessions import for_members
from skep.webapp.i18n import dates
from skep.webapp.organizer.audit_page import said
from skep.webapp.organizer.manage import EVENT_PATH, managed_event
from skep.webapp.shop import catalog, invoices, orders, payments, sheets, tickets
from skep.webapp.shop.answer_words import in_words
from skep.webapp.shop.states import PaymentState
from skep.webapp.shop.tickets import Order
from skep.webapp.store import audit, jobs, order_book
from skep.webapp.store.audit import Actor
from skep.webapp.store.events import Event
from skep.webapp.store.members import SignedIn

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

log = logging.getLogger(__name__)

ID = "[0-9a-f-]{36}"
ORDER_PATH = EVENT_PATH + f"/orders/{{order_id:{ID}}}"
NOTICES = frozenset({
    "resent", "paid", "refused", "unchanged", "order-cancelled", "tickets-cancelled", "refunded", "renamed", "noted",
    "sold", "invoiced", "no-seller",
})  # fmt: skip
NOTE_LIMIT = 2000

routes = web.RouteTableDef()


@routes.get(ORDER_PATH)
@for_members
async def order_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        event, order = await _found(request, connection)
        return await _page(request, connection, event, order, Form(request[VISIT].t))


@routes.post(ORDER_PATH + "/paid")
@for_members
async def mark_paid(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """The money was seen: on the account, or at the door."""
    async with request.app[DATABASE].connection() as connection:
        event, order = await _found(request, connection)
    outcome = "unchanged"
    if order.payment_id is not None:
        actor = Actor("member", member.member_id)
        outcome = await payments.record(request.app[DATABASE], order.payment_id, PaymentState.CONFIRMED, actor)
    return _done(member, event, order, "payment marked", outcome)


@routes.post(ORDER_PATH + "/resend")
@for_members
async def resend(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """Somebody at the phone has lost the mail."""
    async with request.app[DATABASE].transaction() as connection:
        event, order = await _found(request, connection)
        if order.state not in ("pending", "paid") or not order.email:
            raise web.HTTPNotFound
        await jobs.enqueue(connection, "mail.tickets_again", {"orders": [str(order.id)]})
        await audit.record(connection, Actor("member", member.member_id), "tickets sent again", "order", order.id)
    return _done(member, event, order, "tickets sent again", "resent")


@routes.post(ORDER_PATH + "/cancel")
@for_members
async def cancel(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """All of it."""
    async with request.app[DATABASE].transaction() as connection:
        event, order = await _found(request, connection)
        ids = [ticket.id for ticket in order.valid]
        done = await orders.cancel(connection, order.id, ids, Actor("member", member.member_id))
    return _done(member, event, order, "order cancelled", "order-cancelled" if done else "unchanged")


@routes.post(ORDER_PATH + "/give-back")
@for_members
async def give_back(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """Only the tickets that were ticked."""
    form = await read_form(request, request[VISIT].t)
    async with request.app[DATABASE].transaction() as connection:
        event, order = await _found(request, connection)
        ids = [ticket.id for ticket in order.valid if form.values.get(f"ticket-{ticket.id}") == "yes"]
        if not ids:
            form.refuse("tickets", form.t("wrong.order.none"))
            return await _page(request, connection, event, order, form, status=422)
        done = await orders.cancel(connection, order.id, ids, Actor("member", member.member_id))
    return _done(member, event, order, "tickets cancelled", "tickets-cancelled" if done else "unchanged")


@routes.post(ORDER_PATH + "/holder")
@for_members
async def change_holder(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    name = form.text("holder", limit=NAME_LIMIT, missing="wrong.holder", too_long="wrong.name.long")
    async with request.app[DATABASE].transaction() as connection:
        event, order = await _found(request, connection)
        ticket = next((one for one in order.valid if str(one.id) == form.values.get("ticket")), None)
        if ticket is None or order.state not in ("pending", "paid"):
            raise web.HTTPNotFound
        if form.errors:
            return await _page(request, connection, event, order, form, status=422)
        await orders.set_holder(connection, order.id, ticket.id, name, Actor("member", member.member_id))
    return _done(member, event, order, "holder changed", "renamed")


@routes.post(ORDER_PATH + f"/refunds/{{refund_id:{ID}}}")
@for_members
async def refunded(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """The money went back."""
    refund_id = _id(request, "refund_id")
    async with request.app[DATABASE].transaction() as connection:
        event, order = await _found(request, connection)
        done = await order_book.refund_done(connection, order.id, refund_id)
        if done:
            actor = Actor("member", member.member_id)
            await audit.record(connection, actor, "refund done", "order", order.id, ("refund",))
    return _done(member, event, order, "refund done", "refunded" if done else "unchanged")


@routes.post(ORDER_PATH + "/notes")
@for_members
async def add_note(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    body = form.long_text("note", limit=NOTE_LIMIT)
    if not body:
        form.refuse("note", form.t("wrong.note"))
    async with request.app[DATABASE].transaction() as connection:
        event, order = await _found(request, connection)
        if form.errors:
            return await _page(request, connection, event, order, form, status=422)
        await order_book.add_note(connection, order.id, member.member_id, body)
        await audit.record(connection, Actor("member", member.member_id), "note written", "order", order.id)
    return _done(member, event, order, "note written", "noted")


@routes.post(ORDER_PATH + "/invoice")
@for_members
async def make_invoice(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """For an order that was paid before anybody had said who sells."""
    async with request.app[DATABASE].transaction() as connection:
        event, order = await _found(request, connection)
        if await invoices.seller(connection) is None:
            return _done(member, event, order, "no seller", "no-seller")
        await connection.execute("SELECT FROM ticket_order WHERE id = $1 FOR UPDATE", order.id)
        made = await invoices.issue(connection, order.id)
        if made is not None:
            await audit.record(connection, Actor("member", member.member_id), "invoice made", "order", order.id)
    return _done(member, event, order, "invoice made", "invoiced" if made is not None else "unchanged")


@routes.get(ORDER_PATH + "/tickets.pdf")
@for_members
async def ticket_file(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """To print at the door, or for somebody who stands in front of one."""
    async with request.app[DATABASE].connection() as connection:
        event, order = await _found(request, connection)
    if not order.has_tickets:
        raise web.HTTPNotFound
    pages = sheets.of_order(request.app[SETTINGS], order, event, request[VISIT].t.language)
    return await drawn(request, member.member_id, "tickets", pages.document(), sheets.file_name([order]))


@routes.get(ORDER_PATH + f"/invoices/{{invoice_id:{ID}}}.pdf")
@for_members
async def invoice_file(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        _, order = await _found(request, connection)
        sheet = await invoices.sheet(connection, order.id, _id(request, "invoice_id"))
    if sheet is None:
        raise web.HTTPNotFound
    label, document = sheet
    return await drawn(request, member.member_id, "invoice", document, f"{label}.pdf")


async def _found(request: web.Request, connection: Connection) -> tuple[Event, Order]:
    """Raises HTTPNotFound."""
    event = await managed_event(request, connection, "orders")
    order = await tickets.by_id(connection, event.id, _id(request, "order_id"))
    if order is None:
        raise web.HTTPNotFound
    return event, order


def _id(request: web.Request, name: str) -> UUID:
    try:
        return UUID(request.match_info[name])
    except ValueError as error:
        raise web.HTTPNotFound from error


def _done(member: SignedIn, event: Event, order: Order, what: str, notice: str) -> web.StreamResponse:
    log.info(what, extra={"order_id": str(order.id), "member_id": str(member.member_id), "outcome": notice})
    return redirect(f"/organizer/events/{event.id}/orders/{order.id}?notice={notice}")


async def _page(
    request: web.Request, connection: Connection, event: Event, order: Order, form: Form, *, status: int = 200
) -> web.Response:
    t = request[VISIT].t
    zone = dates.zone(event.timezone)
    questions = await catalog.questions(connection, event.id, event.language)
    stored = await order_book.answers(connection, [ticket.id for ticket in order.tickets])
    answered = {
        ticket_id: [
            (question.label.text(t.language), in_words(question, values[question.id], zone, t))
            for question in questions
            if question.id in values
        ]
        for ticket_id, values in stored.items()
    }
    notice = request.query.get("notice")
    return request.app[PAGES].render(
        request,
        "organizer/order.html",
        status=status,
        caching="no-store",
        event=event,
        order=order,
        form=form,
        zone=zone,
        answers=answered,
        payments=await order_book.payments(connection, order.id),
        refunds=await order_book.refunds(connection, order.id),
        notes=await order_book.notes(connection, order.id),
        history=await order_book.history(connection, order.id),
        invoices=await invoices.of_order(connection, order.id),
        said=said,
        notice=notice if notice in NOTICES else None,
    )
