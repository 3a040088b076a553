"""Orders as people read them: the buyer by the secret link, organizers in a list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.i18n import dates
from skep.webapp.ids import secret_text, token_hash
from skep.webapp.shop.money import Amount, total
from skep.webapp.store.searching import has_all, patterns
from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Ticket:
    """One position. *secret* is what its QR code holds. Moments are in the event's zone."""

    id: UUID
    number: int  # from 1 within the order
    type_title: Texts
    session_title: Texts
    starts_at: datetime
    ends_at: datetime
    holder: str
    amount: Amount
    tax_bp: int
    secret: str
    is_cancelled: bool
    is_inside: bool  # somebody came in with it
    may_be_cancelled: bool


@dataclass(frozen=True, slots=True)
class Order:
    id: UUID
    event_id: UUID
    code: str
    state: str
    name: str
    email: str
    currency: str
    due_at: datetime | None
    created_at: datetime
    provider: str
    payment_id: UUID | None
    owed_back: int
    tickets: tuple[Ticket, ...]

    @property
    def valid(self) -> tuple[Ticket, ...]:
        return tuple(ticket for ticket in self.tickets if not ticket.is_cancelled)

    @property
    def has_tickets(self) -> bool:
        """Is there anything that opens a door?"""
        return self.state == "paid" and bool(self.valid)

    @property
    def total(self) -> Amount:
        return total([ticket.amount for ticket in self.valid])

    @property
    def cancellable(self) -> tuple[Ticket, ...]:
        return tuple(ticket for ticket in self.tickets if ticket.may_be_cancelled)


_SELECT = """
SELECT o.id, o.event_id, o.code, o.state, b.name, b.email, o.currency, o.due_at, o.created_at,
       e.timezone, e.language AS own, e.self_cancel_hours, clock_timestamp() AS now,
       coalesce((SELECT y.provider FROM payment y WHERE y.order_id = o.id ORDER BY y.created_at DESC LIMIT 1), 'free')
         AS provider,
       (SELECT y.id FROM payment y WHERE y.order_id = o.id AND y.state IN ('created', 'pending')
        ORDER BY y.created_at DESC LIMIT 1) AS payment_id,
       coalesce((SELECT sum(r.amount) FROM refund r JOIN payment y ON y.id = r.payment_id
                 WHERE y.order_id = o.id AND r.state = 'owed'), 0)::bigint AS owed_back
FROM ticket_order o JOIN event e ON e.id = o.event_id JOIN person b ON b.id = o.person_id
"""


async def by_link(connection: Connection, token: str) -> Order | None:
    row = await connection.fetchrow(
        f"{_SELECT} JOIN order_link l ON l.order_id = o.id WHERE l.token_sha256 = $1", token_hash(token)
    )
    return None if row is None else (await _with_tickets(connection, [row]))[0]


async def to_confirm(connection: Connection, token: str) -> UUID | None:
    """The payment that the reader of this link may confirm: a free one that waits, and the link came by mail."""
    found: UUID | None = await connection.fetchval(
        "SELECT y.id FROM order_link l JOIN ticket_order o ON o.id = l.order_id AND o.state = 'pending' "
        "JOIN payment y ON y.order_id = o.id AND y.provider = 'by-mail' AND y.state = 'pending' "
        "WHERE l.token_sha256 = $1 AND l.by_mail",
        token_hash(token),
    )
    return found


async def by_id(connection: Connection, event_id: UUID, order_id: UUID) -> Order | None:
    row = await connection.fetchrow(f"{_SELECT} WHERE o.event_id = $1 AND o.id = $2", event_id, order_id)
    return None if row is None else (await _with_tickets(connection, [row]))[0]


# By code, buyer, address or a ticket's holder; by state, or those to which money is owed.
_FOUND = """
WHERE o.event_id = $1 AND ($2 = '' OR o.state = $2 OR ($2 = 'owed' AND EXISTS (
    SELECT FROM refund r JOIN payment y ON y.id = r.payment_id WHERE y.order_id = o.id AND r.state = 'owed')))
AND :has_all
""".replace(
    ":has_all",
    has_all(
        "concat_ws(' ', o.code, b.name, b.email, (SELECT string_agg(h.name, ' ') FROM order_position x "
        "JOIN person h ON h.id = x.person_id WHERE x.order_id = o.id))",
        "$3",
    ),
)


async def search(
    connection: Connection, event_id: UUID, *, words: str = "", state: str = "", limit: int, offset: int = 0
) -> list[Order]:
    """An event's orders that have all *words*, in *state* ("owed": money is owed back; "": all), the newest first."""
    rows = await connection.fetch(
        f"{_SELECT} {_FOUND} ORDER BY o.created_at DESC, o.id LIMIT $4 OFFSET $5",
        event_id,
        state,
        patterns(words),
        limit,
        offset,
    )
    return await _with_tickets(connection, rows)


async def after(
    connection: Connection, event_id: UUID, last: UUID | None, *, words: str = "", state: str = "", limit: int
) -> list[Order]:
    """The same in the order of their making, so many after *last*: a long list, a piece at a time."""
    rows = await connection.fetch(
        f"{_SELECT} {_FOUND} AND ($4::uuid IS NULL OR o.id > $4) ORDER BY o.id LIMIT $5",
        event_id,
        state,
        patterns(words),
        last,
        limit,
    )
    return await _with_tickets(connection, rows)


async def page(
    connection: Connection, event_id: UUID, *, limit: int, before: UUID | None = None, state: str | None = None
) -> list[Order]:
    """The newest first, as their ids are; those before the order *before*."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE o.event_id = $1 AND ($3::uuid IS NULL OR o.id < $3) AND ($4::text IS NULL OR o.state = $4) "
        "ORDER BY o.id DESC LIMIT $2",
        event_id,
        limit,
        before,
        state,
    )
    return await _with_tickets(connection, rows)


async def count(connection: Connection, event_id: UUID) -> dict[str, int]:
    """How many orders an event has, by state, and `owed`: to how many money is owed."""
    rows = await connection.fetch(
        "SELECT state, count(*) FROM ticket_order WHERE event_id = $1 GROUP BY 1 UNION ALL "
        "SELECT 'owed', count(DISTINCT y.order_id) FROM refund r JOIN payment y ON y.id = r.payment_id "
        "JOIN ticket_order o ON o.id = y.order_id WHERE o.event_id = $1 AND r.state = 'owed'",
        event_id,
    )
    return {row["state"]: row["count"] for row in rows}


async def _with_tickets(connection: Connection, orders: list[asyncpg.Record]) -> list[Order]:
    rows = await connection.fetch(
        "SELECT x.id, x.order_id, x.rank, t.title AS type_title, s.title AS session_title, s.starts_at, s.ends_at, "
        "h.name AS holder, x.gross, x.net, x.tax, x.tax_bp, x.secret, x.is_held, x.cancelled_at, "
        "EXISTS (SELECT FROM checkin c WHERE c.position_id = x.id AND c.mark IS NULL AND c.undone_at IS NULL) AS is_inside "
        "FROM order_position x JOIN ticket_type t ON t.id = x.type_id JOIN event_session s ON s.id = x.session_id "
        "LEFT JOIN person h ON h.id = x.person_id WHERE x.order_id = ANY($1) ORDER BY x.rank",
        [order["id"] for order in orders],
    )
    by_order: dict[UUID, list[asyncpg.Record]] = {order["id"]: [] for order in orders}
    for row in rows:
        by_order[row["order_id"]].append(row)
    return [_order(order, by_order[order["id"]]) for order in orders]


def _order(order: asyncpg.Record, tickets: list[asyncpg.Record]) -> Order:
    zone = dates.zone(order["timezone"])
    due_at = order["due_at"]
    return Order(
        id=order["id"],
        event_id=order["event_id"],
        code=order["code"],
        state=order["state"],
        name=order["name"],
        email=order["email"],
        currency=order["currency"],
        due_at=due_at and due_at.astimezone(zone),
        created_at=order["created_at"].astimezone(zone),
        provider=order["provider"],
        payment_id=order["payment_id"],
        owed_back=order["owed_back"],
        tickets=tuple(
            Ticket(
                id=row["id"],
                number=row["rank"] + 1,
                type_title=Texts(json.loads(row["type_title"]), order["own"]),
                session_title=Texts(json.loads(row["session_title"]), order["own"]),
                starts_at=row["starts_at"].astimezone(zone),
                ends_at=row["ends_at"].astimezone(zone),
                holder=row["holder"] or order["name"],
                amount=Amount(row["gross"], row["net"], row["tax"]),
                tax_bp=row["tax_bp"],
                secret=secret_text(row["secret"]),
                is_cancelled=row["cancelled_at"] is not None,
                is_inside=row["is_inside"],
                may_be_cancelled=row["is_held"]
                and not row["is_inside"]
                and order["self_cancel_hours"] is not None
                and order["now"] < row["starts_at"] - timedelta(hours=order["self_cancel_hours"]),
            )
            for row in tickets
        ),
    )
