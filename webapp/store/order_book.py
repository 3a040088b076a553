"""What organizers know of one order besides its tickets: its money, answers, notes and history."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.ids import uuid7

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Payment:
    provider: str
    state: str
    amount: int
    created_at: datetime
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Refund:
    id: UUID
    amount: int
    reason: str
    state: str
    created_at: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Note:
    """*author* is empty if nobody is known any more."""

    body: str
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. *who*: the member's name, or empty."""

    at: datetime
    actor: str
    who: str
    action: str


async def payments(connection: Connection, order_id: UUID) -> list[Payment]:
    rows = await connection.fetch(
        "SELECT provider, state, amount, created_at, confirmed_at FROM payment WHERE order_id = $1 "
        "ORDER BY created_at, id",
        order_id,
    )
    return [Payment(**dict(row)) for row in rows]


async def refunds(connection: Connection, order_id: UUID) -> list[Refund]:
    rows = await connection.fetch(
        "SELECT r.id, r.amount, r.reason, r.state, r.created_at, r.done_at FROM refund r "
        "JOIN payment y ON y.id = r.payment_id WHERE y.order_id = $1 ORDER BY r.created_at, r.id",
        order_id,
    )
    return [Refund(**dict(row)) for row in rows]


async def refund_done(connection: Connection, order_id: UUID, refund_id: UUID) -> bool:
    """It was paid back. False if it was so already, or is none of this order.

    A payment of which everything went back is refunded.
    """
    payment_id = await connection.fetchval(
        "UPDATE refund r SET state = 'done', done_at = clock_timestamp(), version = r.version + 1 FROM payment y "
        "WHERE r.id = $2 AND y.id = r.payment_id AND y.order_id = $1 AND r.state <> 'done' RETURNING y.id",
        order_id,
        refund_id,
    )
    if payment_id is None:
        return False
    await connection.execute(
        "UPDATE payment SET state = 'refunded', version = version + 1 WHERE id = $1 AND state = 'confirmed' AND amount = "
        "(SELECT sum(amount) FROM refund WHERE payment_id = $1 AND state = 'done')",
        payment_id,
    )
    return True


async def answers(connection: Connection, position_ids: Collection[UUID]) -> dict[UUID, dict[UUID, str]]:
    """By position and question, as they are stored."""
    found: dict[UUID, dict[UUID, str]] = {}
    rows = await connection.fetch(
        "SELECT position_id, question_id, value FROM answer WHERE position_id = ANY($1)", list(position_ids)
    )
    for row in rows:
        found.setdefault(row["position_id"], {})[row["question_id"]] = row["value"]
    return found


async def notes(connection: Connection, order_id: UUID) -> list[Note]:
    """The newest first."""
    rows = await connection.fetch(
        "SELECT n.body, coalesce(p.name, '') AS author, n.created_at FROM order_note n "
        "LEFT JOIN member m ON m.id = n.member_id LEFT JOIN person p ON p.id = m.person_id "
        "WHERE n.order_id = $1 ORDER BY n.created_at DESC, n.id DESC",
        order_id,
    )
    return [Note(**dict(row)) for row in rows]


async def add_note(connection: Connection, order_id: UUID, member_id: UUID, body: str) -> UUID:
    identity = uuid7()
    await connection.execute(
        "INSERT INTO order_note (id, order_id, member_id, body) VALUES ($1, $2, $3, $4)",
        identity,
        order_id,
        member_id,
        body,
    )
    return identity


async def history(connection: Connection, order_id: UUID) -> list[Entry]:
    """What was done with the order, its payments and its tickets, the newest first."""
    rows = await connection.fetch(
        "SELECT a.at, a.actor, coalesce(p.name, '') AS who, a.action FROM audit a "
        "LEFT JOIN member m ON m.id = a.actor_id LEFT JOIN person p ON p.id = m.person_id "
        "WHERE a.object_id = $1 OR a.object_id IN (SELECT id FROM payment WHERE order_id = $1 "
        "UNION ALL SELECT id FROM order_position WHERE order_id = $1) ORDER BY a.at DESC, a.id DESC",
        order_id,
    )
    return [Entry(**dict(row)) for row in rows]
