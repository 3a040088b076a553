"""Holding back what a database would do to the world: for rows that were put back, or copied to another site.

Jobs that wait are parked; chores that tell people something, or take something from them, do not run. What people cause
from then on happens as ever. A person lets go what is parked, or drops it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.store import audit
from skep.webapp.store.audit import Actor

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Report:
    jobs: int
    sessions: int


async def begin(connection: Connection) -> Report:
    """Park what waits, end sessions, hold chores. Must run in a transaction; again parks what came meanwhile."""
    await connection.execute("INSERT INTO quarantine DEFAULT VALUES ON CONFLICT DO NOTHING")
    jobs = await connection.fetch(
        "UPDATE job SET parked_at = clock_timestamp(), claim = NULL, claimed_at = NULL "
        "WHERE done_at IS NULL AND dead_at IS NULL AND parked_at IS NULL RETURNING true"
    )
    sessions = await connection.fetch("DELETE FROM web_session RETURNING true")
    return Report(len(jobs), len(sessions))


async def since(connection: Connection) -> datetime | None:
    """None: nothing is held back."""
    moment: datetime | None = await connection.fetchval("SELECT since FROM quarantine")
    return moment


async def parked(connection: Connection) -> list[tuple[str, int]]:
    """(kind, how many), by kind."""
    rows = await connection.fetch(
        "SELECT kind, count(*) AS number FROM job WHERE parked_at IS NOT NULL GROUP BY kind ORDER BY kind"
    )
    return [(row["kind"], row["number"]) for row in rows]


async def release(connection: Connection, kind: str, actor: Actor) -> int:
    """Jobs of *kind* are done as if they had just been caused; how many."""
    rows = await connection.fetch(
        "UPDATE job SET parked_at = NULL, attempts = 0, run_at = greatest(run_at, clock_timestamp()) "
        "WHERE parked_at IS NOT NULL AND kind = $1 RETURNING id",
        kind,
    )
    await _record(connection, actor, "job released", [row["id"] for row in rows])
    return len(rows)


async def drop(connection: Connection, kind: str, actor: Actor) -> int:
    """Jobs of *kind* are never done; how many. Their causes count as told: they are not queued again."""
    rows = await connection.fetch(
        "UPDATE job SET parked_at = NULL, done_at = clock_timestamp(), error = 'dropped' "
        "WHERE parked_at IS NOT NULL AND kind = $1 RETURNING id",
        kind,
    )
    await _record(connection, actor, "job dropped", [row["id"] for row in rows])
    return len(rows)


async def end(connection: Connection) -> bool:
    """Chores run again. False: they did."""
    return await connection.fetchval("DELETE FROM quarantine RETURNING true") is not None


async def _record(connection: Connection, actor: Actor, action: str, jobs: list[UUID]) -> None:
    for job_id in jobs:
        await audit.record(connection, actor, action, "job", job_id)
