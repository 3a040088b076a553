"""How much of a kind a tenant may have by its plan; who reaches it is told what to do.

Counted from rows, under a lock of its own, in the transaction that adds one. Nothing that is there is ever taken away
by a smaller plan.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from skep.webapp.errors import QuotaReached
from skep.webapp.settings import Quotas

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

ADVISORY_LOCK = 0x736B6570_71756F74  # "skepquot": one more of anything at a time
DAY = timedelta(days=1)
NOT_COUNTED = ("mail.reset", "mail.invitation")  # a way into the site is never shut by its own mails


async def require_member(connection: Connection, quotas: Quotas) -> None:
    """Room for one more organizer. Raises QuotaReached. Must run in the transaction that adds it."""
    await _require(connection, "members", quotas.members, "SELECT count(*) FROM member WHERE disabled_at IS NULL")


async def require_event(connection: Connection, quotas: Quotas) -> None:
    """Room for one more event. Raises QuotaReached. Must run in the transaction that adds it."""
    await _require(
        connection,
        "events",
        quotas.events,
        "SELECT count(*) FROM event e WHERE e.status <> 'cancelled' AND EXISTS ("
        "SELECT FROM event_session s WHERE s.event_id = e.id AND s.ends_at > clock_timestamp())",
    )


async def _require(connection: Connection, kind: str, limit: int | None, query: str) -> None:
    if limit is None:
        return
    await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
    if await connection.fetchval(query) >= limit:
        raise QuotaReached(kind, limit)


async def lock_mails(connection: Connection) -> None:
    """Count and claim one at a time, until the transaction ends: several workers would each take the last one."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK + 1)


async def mails_again_at(connection: Connection, quotas: Quotas) -> datetime | None:
    """When the next mail may leave, by the database's clock; None: now."""
    if quotas.mails_per_day is None:
        return None
    again: datetime | None = await connection.fetchval(
        "SELECT done_at + $2::interval FROM (SELECT coalesce(done_at, clock_timestamp()) AS done_at FROM job "
        "WHERE kind LIKE 'mail.%' AND NOT kind = ANY($3) AND (done_at > clock_timestamp() - $2::interval "
        "OR (done_at IS NULL AND claimed_at IS NOT NULL))) AS sent ORDER BY 1 DESC LIMIT 1 OFFSET $1 - 1",
        quotas.mails_per_day,
        DAY,
        list(NOT_COUNTED),
    )
    return again
