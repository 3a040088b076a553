"""An event that does not take place, or not when it was said: everything that follows from it, at once.

Cancelling gives back every ticket, owes back every amount, ends the waiting list and queues a mail to everybody, in one
transaction. It waits for sales that are being written, and those that come later are refused (a sale holds the event's
row FOR SHARE). Doing it twice changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.ids import uuid7
from skep.webapp.shop import invoices
from skep.webapp.store import audit, jobs
from skep.webapp.store.texts import texts

if TYPE_CHECKING:
    from skep.webapp.store.audit import Actor
    from skep.webapp.store.pool import Connection

When = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Effect:
    """Whom it concerns: *orders* that hold *tickets*, of which *paid* were paid with *owed* in all; who waits."""

    orders: int
    tickets: int
    paid: int
    owed: int
    waiting: int


_EFFECT = """
SELECT count(DISTINCT o.id) AS orders, count(x.id) AS tickets,
       count(DISTINCT o.id) FILTER (WHERE o.state = 'paid' AND x.gross > 0) AS paid,
       coalesce(sum(x.gross) FILTER (WHERE o.state = 'paid'), 0)::bigint AS owed,
       (SELECT count(*) FROM waiting_entry w JOIN ticket_type t ON t.id = w.type_id
        JOIN event_session s ON s.id = t.session_id
        WHERE s.event_id = $1 AND w.state IN ('waiting', 'offered')) AS waiting
FROM ticket_order o JOIN order_position x ON x.order_id = o.id AND x.cancelled_at IS NULL
WHERE o.event_id = $1 AND o.state IN ('pending', 'paid')
"""


async def effect(connection: Connection, event_id: UUID) -> Effect:
    """What cancelling would do now."""
    row = await connection.fetchrow(_EFFECT, event_id)
    assert row is not None  # noqa: S101 (an aggregate without groups is one row)
    return Effect(**dict(row))


async def cancel(connection: Connection, event_id: UUID, language: str, notice: str, actor: Actor) -> bool:
    """Call it off. False if it was called off already, or never announced. *notice* goes to everybody, in *language*."""
    if not await _halt(connection, event_id, ("live", "postponed"), "cancelled", language, notice):
        return False
    orders = [
        row["id"]
        for row in await connection.fetch(
            "SELECT id FROM ticket_order WHERE event_id = $1 AND state IN ('pending', 'paid') ORDER BY id FOR UPDATE",
            event_id,
        )
    ]
    await _owe_back(connection, orders)
    await invoices.credit_all(connection, orders)
    await connection.execute(
        "UPDATE order_position SET is_held = false, cancelled_at = clock_timestamp(), version = version + 1 "
        "WHERE order_id = ANY($1) AND cancelled_at IS NULL",
        orders,
    )
    await connection.execute(
        "UPDATE ticket_order SET state = 'cancelled', closed_at = clock_timestamp(), version = version + 1 "
        "WHERE id = ANY($1)",
        orders,
    )
    # A cart that is locked is being bought: that sale waits for us, and then it is refused. We must not wait for it.
    await connection.execute(
        "DELETE FROM cart WHERE id IN (SELECT id FROM cart WHERE event_id = $1 FOR UPDATE SKIP LOCKED)", event_id
    )
    waiting = await connection.fetch(
        "UPDATE waiting_entry w SET state = 'gone', version = w.version + 1 FROM ticket_type t "
        "JOIN event_session s ON s.id = t.session_id WHERE t.id = w.type_id AND s.event_id = $1 "
        "AND w.state IN ('waiting', 'offered') RETURNING w.id",
        event_id,
    )
    await jobs.enqueue_many(
        connection,
        "mail.event_cancelled",
        [({"order": str(order)}, f"mail.event_cancelled:{order}") for order in orders]
        + [({"entry": str(row["id"])}, f"mail.event_cancelled:{row['id']}") for row in waiting],
    )
    await audit.record(connection, actor, "event cancelled", "event", event_id, ("status", "notice"))
    await audit.record_many(connection, actor, "tickets cancelled", "order", orders, ("positions",))
    return True


async def postpone(connection: Connection, event_id: UUID, language: str, notice: str, actor: Actor) -> bool:
    """Put it off; a new date is not known yet. False if it was so already. Tickets and orders stay good."""
    if not await _halt(connection, event_id, ("live",), "postponed", language, notice):
        return False
    await connection.execute(
        "UPDATE ticket_order o SET due_at = NULL, version = version + 1 WHERE o.event_id = $1 AND o.state = 'pending' "
        "AND EXISTS (SELECT FROM payment y WHERE y.order_id = o.id AND y.provider = 'on-site')",
        event_id,
    )
    await _tell(connection, event_id, "mail.event_postponed")
    await audit.record(connection, actor, "event postponed", "event", event_id, ("status", "notice"))
    return True


async def move(
    connection: Connection, event_id: UUID, when: Mapping[UUID, When], language: str, notice: str, actor: Actor
) -> bool:
    """Give it new dates, by session; it takes place again. False if nothing changes. Tickets and orders stay good."""
    status = await _lock(connection, event_id)
    moved = 0
    for session_id, (starts_at, ends_at) in when.items():
        changed = await connection.fetchval(
            "UPDATE event_session SET starts_at = $3, ends_at = $4, version = version + 1 "
            "WHERE id = $1 AND event_id = $2 AND (starts_at <> $3 OR ends_at <> $4) RETURNING true",
            session_id,
            event_id,
            starts_at,
            ends_at,
        )
        moved += bool(changed)
    if status not in ("live", "postponed") or (status == "live" and not moved):
        return False
    await _set(connection, event_id, "live", language, notice)
    await connection.execute(
        "UPDATE ticket_order o SET version = version + 1, "
        "due_at = (SELECT max(s.ends_at) FROM event_session s WHERE s.event_id = $1) "
        "WHERE o.event_id = $1 AND o.state = 'pending' "
        "AND EXISTS (SELECT FROM payment y WHERE y.order_id = o.id AND y.provider = 'on-site')",
        event_id,
    )
    await _tell(connection, event_id, "mail.event_moved")
    await audit.record(connection, actor, "event moved", "event", event_id, ("starts_at", "ends_at", "notice"))
    return True


async def _lock(connection: Connection, event_id: UUID) -> str | None:
    """The event's status, which stays until the transaction ends. NO KEY: rows that refer to it may still be made."""
    status: str | None = await connection.fetchval("SELECT status FROM event WHERE id = $1 FOR NO KEY UPDATE", event_id)
    return status


async def _halt(
    connection: Connection, event_id: UUID, before: tuple[str, ...], after: str, language: str, notice: str
) -> bool:
    if await _lock(connection, event_id) not in before:
        return False
    await _set(connection, event_id, after, language, notice)
    return True


async def _set(connection: Connection, event_id: UUID, status: str, language: str, notice: str) -> None:
    """The version grows, and with it the SEQUENCE of its calendar entries."""
    await connection.execute(
        "UPDATE event SET status = $2, notice = $3, halted_at = clock_timestamp(), updated_at = clock_timestamp(), "
        "version = version + 1 WHERE id = $1",
        event_id,
        status,
        texts(language, notice) if notice else "{}",
    )


async def _owe_back(connection: Connection, orders: list[UUID]) -> None:
    rows = await connection.fetch(
        "SELECT (SELECT y.id FROM payment y WHERE y.order_id = o.id AND y.state = 'confirmed' "
        "ORDER BY y.confirmed_at DESC LIMIT 1) AS payment, sum(x.gross)::bigint AS amount FROM ticket_order o "
        "JOIN order_position x ON x.order_id = o.id AND x.cancelled_at IS NULL "
        "WHERE o.id = ANY($1) AND o.state = 'paid' GROUP BY o.id HAVING sum(x.gross) > 0",
        orders,
    )
    owed = [(uuid7(), row["payment"], row["amount"]) for row in rows if row["payment"] is not None]
    await connection.execute(
        "INSERT INTO refund (id, payment_id, amount, reason) "
        "SELECT id, payment, amount, 'cancelled' FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) "
        "AS owed(id, payment, amount)",
        [identity for identity, _, _ in owed],
        [payment for _, payment, _ in owed],
        [amount for _, _, amount in owed],
    )


async def _tell(connection: Connection, event_id: UUID, kind: str) -> None:
    """Everybody whose order is good, once for this change."""
    version = await connection.fetchval("SELECT version FROM event WHERE id = $1", event_id)
    rows = await connection.fetch(
        "SELECT id FROM ticket_order WHERE event_id = $1 AND state IN ('pending', 'paid') ORDER BY id", event_id
    )
    await jobs.enqueue_many(
        connection, kind, [({"order": str(row["id"])}, f"{kind}:{row['id']}:{version}") for row in rows]
    )
