"""How events are doing, counted from rows: sales by day and type, arrivals, and what needs somebody's attention."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

# Whose figures: of one event ($1), or of all that the person $2 manages or sells for; both NULL: of all.
_WHOSE = """
($1::uuid IS NULL OR o.event_id = $1) AND ($2::uuid IS NULL OR EXISTS (
    SELECT FROM event_right r WHERE r.event_id = o.event_id AND r.person_id = $2 AND r.may IN ('manage', 'orders')))
"""
_SOLD = """
SELECT (o.created_at AT TIME ZONE $3)::date AS day, count(*) AS sold FROM order_position x
JOIN ticket_order o ON o.id = x.order_id WHERE x.is_held AND :whose
AND ($4::timestamptz IS NULL OR o.created_at >= $4) GROUP BY 1
""".replace(":whose", _WHOSE)


async def sold_by_day(
    connection: Connection,
    zone: str,
    *,
    event_id: UUID | None = None,
    person_id: UUID | None = None,
    since: datetime | None = None,
) -> dict[date, int]:
    """Tickets that are good, by the day of their order in *zone*."""
    rows = await connection.fetch(_SOLD, event_id, person_id, zone, since)
    return {row["day"]: row["sold"] for row in rows}


@dataclass(frozen=True, slots=True)
class TypeSales:
    """*revenue* of what is good, in minor units: paid and to be paid."""

    title: Texts
    session_title: Texts
    starts_at: datetime
    sold: int
    revenue: int


async def sold_by_type(connection: Connection, event_id: UUID) -> list[TypeSales]:
    """Every type that is offered or was sold, in the order of the page."""
    rows = await connection.fetch(
        "SELECT t.title, s.title AS session_title, s.starts_at, e.language, count(x.id) AS sold, "
        "coalesce(sum(x.gross), 0)::bigint AS revenue FROM ticket_type t JOIN event_session s ON s.id = t.session_id "
        "JOIN event e ON e.id = s.event_id LEFT JOIN order_position x ON x.type_id = t.id AND x.is_held "
        "WHERE s.event_id = $1 GROUP BY t.id, s.id, e.id HAVING t.is_active OR count(x.id) > 0 "
        "ORDER BY s.starts_at, s.id, t.rank, t.id",
        event_id,
    )
    return [
        TypeSales(
            Texts(json.loads(row["title"]), row["language"]),
            Texts(json.loads(row["session_title"]), row["language"]),
            row["starts_at"],
            row["sold"],
            row["revenue"],
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Money:
    """Of an event, in minor units: what was paid for tickets that are good, what is expected, what is owed back."""

    paid: int
    expected: int
    owed: int


async def money(connection: Connection, event_id: UUID) -> Money:
    row = await connection.fetchrow(
        "SELECT coalesce(sum(x.gross) FILTER (WHERE o.state = 'paid'), 0)::bigint AS paid, "
        "coalesce(sum(x.gross) FILTER (WHERE o.state = 'pending'), 0)::bigint AS expected, "
        "(SELECT coalesce(sum(r.amount), 0) FROM refund r JOIN payment y ON y.id = r.payment_id "
        "JOIN ticket_order z ON z.id = y.order_id WHERE z.event_id = $1 AND r.state = 'owed')::bigint AS owed "
        "FROM order_position x JOIN ticket_order o ON o.id = x.order_id WHERE o.event_id = $1 AND x.is_held",
        event_id,
    )
    assert row is not None  # noqa: S101 (an aggregate without groups is one row)
    return Money(**dict(row))


@dataclass(frozen=True, slots=True)
class Door:
    """A check-in list: how many came in by it, of how many whom it lets in."""

    label: str
    came: int
    expected: int


async def doors(connection: Connection, event_id: UUID) -> list[Door]:
    rows = await connection.fetch(
        "SELECT l.label, (SELECT count(*) FROM checkin c WHERE c.list_id = l.id AND c.mark IS NULL "
        "AND c.undone_at IS NULL) AS came, "
        "(SELECT count(*) FROM order_position x JOIN ticket_order o ON o.id = x.order_id AND o.state = 'paid' "
        "JOIN event_session s ON s.id = x.session_id WHERE s.event_id = l.event_id AND x.is_held "
        "AND (l.session_id IS NULL OR l.session_id = x.session_id) "
        "AND (NOT EXISTS (SELECT FROM checkin_list_type lt WHERE lt.list_id = l.id) "
        "OR x.type_id IN (SELECT lt.type_id FROM checkin_list_type lt WHERE lt.list_id = l.id))) AS expected "
        "FROM checkin_list l WHERE l.event_id = $1 ORDER BY l.created_at, l.id",
        event_id,
    )
    return [Door(**dict(row)) for row in rows]


async def arrivals(connection: Connection, event_id: UUID) -> list[datetime]:
    """When each ticket came in first, in order."""
    rows = await connection.fetch(
        "SELECT min(c.at) AS at FROM checkin c JOIN checkin_list l ON l.id = c.list_id "
        "WHERE l.event_id = $1 AND c.mark IS NULL AND c.undone_at IS NULL GROUP BY c.position_id ORDER BY 1",
        event_id,
    )
    return [row["at"] for row in rows]


@dataclass(frozen=True, slots=True)
class Attention:
    """What waits for somebody, over all events: orders that expire unpaid within two days, orders to which money is
    owed back, events to come with a pool of which a tenth or less is left."""

    due_soon: int
    owed: int
    nearly_full: int


_ATTENTION = """
SELECT (SELECT count(*) FROM ticket_order o WHERE o.state = 'pending' AND :whose
        AND o.due_at < clock_timestamp() + interval '2 days'
        AND EXISTS (SELECT FROM payment y WHERE y.order_id = o.id AND y.provider <> 'on-site')) AS due_soon,
       (SELECT count(DISTINCT o.id) FROM refund f JOIN payment y ON y.id = f.payment_id AND f.state = 'owed'
        JOIN ticket_order o ON o.id = y.order_id WHERE :whose) AS owed,
       (SELECT count(DISTINCT o.event_id) FROM stock_pool p JOIN event_session o ON o.id = p.session_id
        JOIN event e ON e.id = o.event_id WHERE e.status = 'live' AND o.ends_at > clock_timestamp() AND :whose
        AND p.size > 0 AND (SELECT count(*) FROM order_position x JOIN ticket_type_pool tp ON tp.type_id = x.type_id
        WHERE tp.pool_id = p.id AND x.is_held) BETWEEN p.size * 0.9 AND p.size - 1) AS nearly_full
""".replace(":whose", _WHOSE)


async def attention(connection: Connection, *, person_id: UUID | None = None) -> Attention:
    row = await connection.fetchrow(_ATTENTION, None, person_id)
    assert row is not None  # noqa: S101 (a row without FROM is always there)
    return Attention(**dict(row))
