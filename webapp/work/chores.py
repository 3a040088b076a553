"""What must run in time: orders that were not paid, carts that ended, the waiting list, names that nobody needs.

A chore is due at a moment that rows say, so nothing has to be written to plan it. It runs in one transaction under an
advisory lock: several workers may want to. One that fails is put off like a job, and does not hold up the others.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from skep.webapp.errors import Busy, DatabaseDown
from skep.webapp.shop import carts, orders, waiting
from skep.webapp.store import jobs, onces, quarantine, retention, webhooks

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection, Database

log = logging.getLogger(__name__)

BUSY_S = 2.0


@dataclass(frozen=True, slots=True)
class Chore:
    """*due* says when there is something to do (None: nothing to come); *run* does it, in a transaction.

    *is_inward*: nobody outside notices, so that it runs in quarantine too.
    """

    name: str
    due: Callable[[Connection], Awaitable[datetime | None]]
    run: Callable[[Connection], Awaitable[object]]
    is_inward: bool = False


def chores(*, keep_names: timedelta) -> tuple[Chore, ...]:
    """Those of every tenant. *keep_names*: how long after an event its guests' names are kept."""

    async def sweep_due(connection: Connection) -> datetime | None:
        swept: datetime | None = await connection.fetchval(
            "SELECT least((SELECT min(expires_at) FROM cart) + $1::interval, "
            "(SELECT min(done_at) FROM job WHERE done_at IS NOT NULL) + $2::interval, "
            "(SELECT min(created_at) FROM idempotency) + $3::interval, (SELECT min(at) FROM webhook_call) + $4::interval)",
            carts.KEPT_AFTER_END,
            jobs.KEPT_AFTER_DONE,
            onces.KEPT,
            webhooks.KEPT,
        )
        return swept

    async def sweep(connection: Connection) -> None:
        await carts.sweep(connection)
        await jobs.sweep(connection)
        await onces.sweep(connection)
        await webhooks.sweep(connection)

    return (
        Chore("expire orders", _orders_due, orders.expire),
        Chore("waiting list", waiting.next_due, waiting.pass_on),
        Chore("sweep", sweep_due, sweep, is_inward=True),
        Chore(
            "retention",
            lambda connection: retention.next_due(connection, keep_names),
            lambda connection: retention.erase(connection, keep_names),
            is_inward=True,
        ),
        Chore("old invoices", retention.next_invoices_due, retention.erase_invoices, is_inward=True),
    )


async def _orders_due(connection: Connection) -> datetime | None:
    due: datetime | None = await connection.fetchval("SELECT min(due_at) FROM ticket_order WHERE state = 'pending'")
    return due


async def next_due(connection: Connection, todo: Sequence[Chore]) -> datetime | None:
    """When the first of *todo* is due, by the database's clock."""
    return min((moment for moment in (await _moments(connection, todo)).values() if moment is not None), default=None)


async def _moments(connection: Connection, todo: Sequence[Chore]) -> dict[str, datetime | None]:
    put_off = {row["task"]: row["retry_at"] for row in await connection.fetch("SELECT task, retry_at FROM chore")}
    is_held = await quarantine.since(connection) is not None
    moments: dict[str, datetime | None] = {}
    for chore in todo:
        if is_held and not chore.is_inward:
            moments[chore.name] = None
            continue
        due = await chore.due(connection)
        retry_at = put_off.get(chore.name)
        moments[chore.name] = due if due is None or retry_at is None else max(due, retry_at)
    return moments


async def run_due(database: Database, todo: Sequence[Chore]) -> int:
    """Run what is due and not being run elsewhere; how many ran. Raises DatabaseDown."""
    async with database.connection() as connection:
        moments = await _moments(connection, todo)
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")  # later than any "now" among them
    done = 0
    for chore in todo:
        moment = moments[chore.name]
        if moment is None or moment > now:
            continue
        try:
            done += await _run(database, chore)
        except DatabaseDown:
            raise
        except Busy:
            await _put_off(database, chore, BUSY_S, "many people at once")
        except Exception as error:
            log.exception("chore failed", extra={"chore": chore.name})
            await _put_off(database, chore, None, type(error).__name__)
    return done


async def _run(database: Database, chore: Chore) -> bool:
    """False if another worker has it."""
    async with database.transaction() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", lock_key(chore.name)):
            return False
        changed = await chore.run(connection)
        await connection.execute("DELETE FROM chore WHERE task = $1", chore.name)
    log.info("chore done", extra={"chore": chore.name, "changed": changed})
    return True


async def _put_off(database: Database, chore: Chore, delay_s: float | None, error: str) -> None:
    """Until after *delay_s*; None: longer after each failure, as with jobs."""
    async with database.transaction() as connection:
        attempts = 1 + (await connection.fetchval("SELECT attempts FROM chore WHERE task = $1", chore.name) or 0)
        await connection.execute(
            "INSERT INTO chore (task, attempts, retry_at, error) "
            "VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3), $4) ON CONFLICT (task) DO UPDATE "
            "SET attempts = excluded.attempts, retry_at = excluded.retry_at, error = excluded.error",
            chore.name,
            attempts,
            delay_s if delay_s is not None else jobs.backoff_s(attempts),
            error,
        )


def lock_key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(b"chore " + name.encode()).digest()[:8], "big", signed=True)
