"""Orders as organizers' programs see them: read, marked paid, cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.api.asking import after, cursor_of, own_event
from skep.webapp.api.models import CancelIn, OrderOut, OrderParams, OrdersParams, Page, TicketOut
from skep.webapp.api.operations import Call, NoBody, operation
from skep.webapp.http.keys import DATABASE
from skep.webapp.http.problems import FieldError, Problem
from skep.webapp.shop import orders, payments, tickets
from skep.webapp.shop.states import PaymentState
from skep.webapp.store.audit import Actor

if TYPE_CHECKING:
    from skep.webapp.shop.tickets import Order
    from skep.webapp.store.pool import Connection


@operation("GET", "/events/{event_id}/orders", scope="orders:read", params=OrdersParams, answer=Page[OrderOut])
async def list_orders(call: Call[OrdersParams, NoBody]) -> Page[OrderOut]:
    """An event's orders, the newest first."""
    wanted = call.params
    async with call.request.app[DATABASE].connection() as connection:
        event = await own_event(connection, call, wanted.event_id)
        found = await tickets.page(
            connection, event.id, limit=wanted.limit + 1, before=after(wanted.cursor), state=wanted.state
        )
        items = await shown(connection, found[: wanted.limit])
    more = len(found) > wanted.limit
    return Page(items=items, next_cursor=cursor_of(str(items[-1].id)) if more else None)


@operation(
    "GET",
    "/events/{event_id}/orders/{order_id}",
    scope="orders:read",
    params=OrderParams,
    answer=OrderOut,
    versioned=True,
)
async def read_order(call: Call[OrderParams, NoBody]) -> OrderOut:
    """One order with its tickets."""
    async with call.request.app[DATABASE].connection() as connection:
        event = await own_event(connection, call, call.params.event_id)
        return await one(connection, event.id, call.params.order_id)


@operation(
    "POST",
    "/events/{event_id}/orders/{order_id}/paid",
    scope="orders:write",
    params=OrderParams,
    answer=OrderOut,
    errors=("not_possible",),
    idempotent=True,
)
async def mark_paid(call: Call[OrderParams, NoBody]) -> OrderOut:
    """The money was seen: on the account, or at the door.

    An expired order gets its places again if they are free; otherwise the answer is `not_possible`, and the money is
    owed back.
    """
    database = call.request.app[DATABASE]
    async with database.connection() as connection:
        event = await own_event(connection, call, call.params.event_id)
        order = await tickets.by_id(connection, event.id, call.params.order_id)
    if order is None:
        raise Problem("not_found")
    if order.state != "paid":
        if order.payment_id is None:
            raise Problem("not_possible")
        outcome = await payments.record(
            database, order.payment_id, PaymentState.CONFIRMED, Actor("token", call.bearer.id)
        )
        if outcome == "refused":
            raise Problem("not_possible")
    async with database.connection() as connection:
        return await one(connection, event.id, call.params.order_id)


@operation(
    "POST",
    "/events/{event_id}/orders/{order_id}/cancel",
    scope="orders:write",
    params=OrderParams,
    body=CancelIn,
    answer=OrderOut,
    idempotent=True,
)
async def cancel_tickets(call: Call[OrderParams, CancelIn]) -> OrderOut:
    """Cancel tickets of an order, or all of it.

    Their places are free at once, and what was paid is owed back. Doing it twice changes nothing the second time.
    """
    async with call.request.app[DATABASE].transaction() as connection:
        event = await own_event(connection, call, call.params.event_id)
        order = await tickets.by_id(connection, event.id, call.params.order_id)
        if order is None:
            raise Problem("not_found")
        known = {ticket.id for ticket in order.tickets}
        chosen = known if call.body.ticket_ids is None else call.body.ticket_ids
        wrong = [
            FieldError(f"ticket_ids.{number}", "unknown") for number, each in enumerate(chosen) if each not in known
        ]
        if wrong:
            raise Problem("invalid", errors=wrong)
        await orders.cancel(connection, order.id, list(chosen), Actor("token", call.bearer.id))
        return await one(connection, event.id, order.id)


async def one(connection: Connection, event_id: UUID, order_id: UUID) -> OrderOut:
    """Raises Problem."""
    order = await tickets.by_id(connection, event_id, order_id)
    if order is None:
        raise Problem("not_found")
    return (await shown(connection, [order]))[0]


async def shown(connection: Connection, found: Sequence[Order]) -> list[OrderOut]:
    rows = await connection.fetch(
        "SELECT x.id, x.type_id, x.session_id, o.id AS order_id, o.version FROM order_position x "
        "JOIN ticket_order o ON o.id = x.order_id WHERE o.id = ANY($1)",
        [order.id for order in found],
    )
    versions = {row["order_id"]: row["version"] for row in rows}
    kinds = {row["id"]: (row["type_id"], row["session_id"]) for row in rows}
    return [_order(order, versions[order.id], kinds) for order in found]


def _order(order: Order, version: int, kinds: dict[UUID, tuple[UUID, UUID]]) -> OrderOut:
    return OrderOut.model_validate({
        "id": order.id,
        "event_id": order.event_id,
        "code": order.code,
        "state": order.state,
        "name": order.name,
        "email": order.email,
        "method": order.provider,
        "currency": order.currency,
        "total": order.total.gross,
        "tax": order.total.tax,
        "owed_back": order.owed_back,
        "created_at": order.created_at,
        "due_at": order.due_at,
        "tickets": [
            TicketOut(
                id=ticket.id,
                number=ticket.number,
                type_id=kinds[ticket.id][0],
                session_id=kinds[ticket.id][1],
                holder=ticket.holder,
                price=ticket.amount.gross,
                tax=ticket.amount.tax,
                code=ticket.secret,
                is_cancelled=ticket.is_cancelled,
            )
            for ticket in order.tickets
        ],
        "version": version,
    })  # fmt: skip
