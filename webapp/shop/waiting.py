"""The waiting list: who wants a ticket of a type that is sold out, and who is offered one for how long.

An offer is a voucher that keeps one place until its deadline. Places that became free are offered in the order of
joining; an offer that nobody used in time passes to the next.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.ids import CODE_LETTERS, uuid7
from skep.webapp.shop import catalog as catalogs
from skep.webapp.shop import stock
from skep.webapp.shop.catalog import Catalog, TicketType
from skep.webapp.store import audit, jobs

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

OFFER_LIFETIME = timedelta(hours=24)  # a day: everybody looks into their mail once
OFFERS_AT_ONCE = 100  # a concert moved to a larger hall is offered in several transactions


async def join(connection: Connection, type_id: UUID, *, name: str, email: str, language: str) -> bool:
    """False if this address waits for the type already. Must run in a transaction."""
    known = await connection.fetchval(
        "SELECT true FROM waiting_entry w JOIN person p ON p.id = w.person_id "
        "WHERE w.type_id = $1 AND w.state IN ('waiting', 'offered') AND p.email = $2 LIMIT 1",
        type_id,
        email,
    )
    if known:
        return False
    person_id, entry_id = uuid7(), uuid7()
    await connection.execute(
        "INSERT INTO person (id, kind, name, email, language) VALUES ($1, 'guest', $2, $3, $4)",
        person_id,
        name,
        email,
        language,
    )
    await connection.execute(
        "INSERT INTO waiting_entry (id, type_id, person_id) VALUES ($1, $2, $3)", entry_id, type_id, person_id
    )
    await jobs.enqueue(connection, "mail.waiting_joined", {"entry": str(entry_id)})
    return True


async def next_due(connection: Connection) -> datetime | None:
    """When there is something to do: an offer ends, places can be offered, or a cart that keeps some ends."""
    ends: datetime | None = await connection.fetchval(
        "SELECT min(v.expires_at) FROM waiting_entry w JOIN voucher v ON v.id = w.voucher_id WHERE w.state = 'offered'"
    )
    wanted = await _wanted(connection)
    for catalog, kind in wanted:
        if catalog.left(kind) != 0:
            return catalog.now
    if not wanted:
        return ends
    freed: datetime | None = await connection.fetchval(
        "SELECT min(c.expires_at) FROM ticket_type_pool mine JOIN ticket_type_pool other ON other.pool_id = mine.pool_id "
        "JOIN cart_hold h ON h.type_id = other.type_id JOIN cart c ON c.id = h.cart_id "
        "WHERE mine.type_id = ANY($1) AND c.expires_at > clock_timestamp()",
        [kind.id for _, kind in wanted],
    )
    return min((moment for moment in (ends, freed) if moment is not None), default=None)


async def pass_on(connection: Connection) -> int:
    """End offers whose time is up, and offer what is free; how many. Must run in a transaction."""
    await connection.execute(
        "UPDATE waiting_entry w SET version = w.version + 1, "
        "state = CASE WHEN EXISTS (SELECT FROM order_position x WHERE x.voucher_id = w.voucher_id) "
        "THEN 'taken' ELSE 'gone' END "
        "FROM voucher v WHERE v.id = w.voucher_id AND w.state = 'offered' AND v.expires_at <= clock_timestamp()"
    )
    wanted = await _wanted(connection)
    if not any(catalog.left(kind) != 0 for catalog, kind in wanted):
        return 0
    pools = {pool_id for _, kind in wanted for pool_id in kind.pool_ids}
    await stock.lock(connection, (stock.pool_key(pool_id) for pool_id in pools))
    offered = 0
    for event_id, type_id in [(catalog.event_id, kind.id) for catalog, kind in wanted]:
        catalog = await catalogs.load_one(connection, event_id)  # counted anew: what is offered here is taken
        if (kind := catalog.type_by_id.get(type_id)) is not None and _is_sold(catalog, kind):
            offered += await _offer(connection, catalog, kind)
    return offered


async def _wanted(connection: Connection) -> list[tuple[Catalog, TicketType]]:
    """Types that somebody waits for and that could be sold, those longest waited for first."""
    rows = await connection.fetch(
        "SELECT w.type_id, s.event_id FROM waiting_entry w JOIN ticket_type t ON t.id = w.type_id "
        "JOIN event_session s ON s.id = t.session_id WHERE w.state = 'waiting' "
        "GROUP BY 1, 2 ORDER BY min(w.created_at), 1"
    )
    if not rows:
        return []
    found = await catalogs.load(connection, {row["event_id"] for row in rows})
    pairs = [(found[row["event_id"]], found[row["event_id"]].type_by_id[row["type_id"]]) for row in rows]
    return [(catalog, kind) for catalog, kind in pairs if _is_sold(catalog, kind)]


def _is_sold(catalog: Catalog, kind: TicketType) -> bool:
    return catalog.sale(kind) in ("open", "sold out")


async def _offer(connection: Connection, catalog: Catalog, kind: TicketType) -> int:
    left = catalog.left(kind)
    entries = await connection.fetch(
        "SELECT id FROM waiting_entry WHERE type_id = $1 AND state = 'waiting' ORDER BY created_at, id LIMIT $2 "
        "FOR UPDATE SKIP LOCKED",
        kind.id,
        OFFERS_AT_ONCE if left is None else min(left, OFFERS_AT_ONCE),
    )
    session = catalog.session_by_id[kind.session_id]
    ends_at = min(
        moment for moment in (catalog.now + OFFER_LIFETIME, kind.sales.ends_at, session.ends_at) if moment is not None
    )
    for entry in entries:
        voucher_id = uuid7()
        await connection.execute(
            "INSERT INTO voucher (id, event_id, code, type_id, max_uses, blocks_stock, expires_at) "
            "VALUES ($1, $2, $3, $4, 1, true, $5)",
            voucher_id,
            catalog.event_id,
            "".join(secrets.choice(CODE_LETTERS) for _ in range(12)),
            kind.id,
            ends_at,
        )
        await connection.execute(
            "UPDATE waiting_entry SET state = 'offered', voucher_id = $2, version = version + 1 WHERE id = $1",
            entry["id"],
            voucher_id,
        )
        await audit.record(connection, audit.CLOCK, "place offered", "waiting_entry", entry["id"], ("state",))
        await jobs.enqueue(
            connection, "mail.waiting_offer", {"entry": str(entry["id"])}, unique_key=f"offer:{voucher_id}"
        )
    return len(entries)


@dataclass(frozen=True, slots=True)
class Entry:
    """One who waits. *code* and *expires_at* are those of the offer, if there is one that can be used."""

    event_id: UUID
    type_id: UUID
    state: str
    name: str
    email: str
    language: str
    code: str | None
    expires_at: datetime | None


async def entry(connection: Connection, entry_id: UUID) -> Entry | None:
    row = await connection.fetchrow(
        "SELECT s.event_id, w.type_id, w.state, p.name, p.email, p.language, v.code, v.expires_at "
        "FROM waiting_entry w JOIN person p ON p.id = w.person_id JOIN ticket_type t ON t.id = w.type_id "
        "JOIN event_session s ON s.id = t.session_id "
        "LEFT JOIN voucher v ON v.id = w.voucher_id AND v.expires_at > clock_timestamp() WHERE w.id = $1",
        entry_id,
    )
    return None if row is None else Entry(**dict(row))
