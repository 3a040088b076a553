"""The queue: a table in the tenant's database, written in the transaction that causes the work (docs/adr/0013).

Whoever works claims due jobs with SKIP LOCKED, so that many may. A claim that is not answered in time is due again; an
answer for an older claim changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from skep.webapp.ids import uuid7

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

CLAIM_LIFETIME = timedelta(minutes=2)  # longer than any job may take: its worker is gone
KEPT_AFTER_DONE = timedelta(days=90)  # a cause that is told twice so long apart does not happen
FIRST_DELAY_S = 15
LONGEST_DELAY_S = 6 * 3600


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. *attempts* counts this one too."""

    id: UUID
    claim: UUID
    kind: str
    payload: dict[str, Any]
    attempts: int


def backoff_s(attempts: int) -> int:
    """Seconds to wait after so many failed attempts: 15 s, doubled each time, at most 6 h."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S << min(attempts - 1, 20))


async def enqueue(
    connection: Connection,
    kind: str,
    payload: dict[str, Any],
    *,
    unique_key: str | None = None,
    run_at: datetime | None = None,
) -> bool:
    """False if *unique_key* was queued before, done or not. *payload* holds ids, never names or addresses."""
    made = await connection.fetchval(
        "INSERT INTO job (id, kind, payload, unique_key, run_at) "
        "VALUES ($1, $2, $3, $4, coalesce($5, clock_timestamp())) ON CONFLICT (unique_key) DO NOTHING RETURNING true",
        uuid7(),
        kind,
        json.dumps(payload),
        unique_key,
        run_at,
    )
    return bool(made)


async def enqueue_many(connection: Connection, kind: str, wanted: Sequence[tuple[dict[str, Any], str]]) -> None:
    """*wanted*: payloads with their unique keys, in one statement. What was queued before is left out."""
    await connection.execute(
        "INSERT INTO job (id, kind, payload, unique_key) SELECT w.id, $4, w.payload::jsonb, w.key "
        "FROM unnest($1::uuid[], $2::text[], $3::text[]) AS w(id, payload, key) ON CONFLICT (unique_key) DO NOTHING",
        [uuid7() for _ in wanted],
        [json.dumps(payload) for payload, _ in wanted],
        [key for _, key in wanted],
        kind,
    )


async def claim(connection: Connection, kinds: Collection[str] | None = None, *, limit: int = 10) -> list[Job]:
    """Due jobs, the longest due first, each given to one caller. Must be committed before the work begins.

    Only of *kinds*: who cannot send mail leaves mails to wait, and an older image leaves what it does not know.
    """
    await connection.execute(
        "UPDATE job SET dead_at = clock_timestamp(), error = 'lost' WHERE done_at IS NULL AND dead_at IS NULL "
        "AND attempts >= max_attempts AND claimed_at <= clock_timestamp() - $1::interval",
        CLAIM_LIFETIME,
    )
    turn = uuid7()
    rows = await connection.fetch(
        "UPDATE job SET claim = $1, claimed_at = clock_timestamp(), attempts = attempts + 1 WHERE id IN ("
        "SELECT id FROM job WHERE done_at IS NULL AND dead_at IS NULL AND parked_at IS NULL "
        "AND run_at <= clock_timestamp() "
        "AND (claimed_at IS NULL OR claimed_at <= clock_timestamp() - $2::interval) "
        "AND ($4::text[] IS NULL OR kind = ANY($4)) "
        "ORDER BY run_at LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING id, kind, payload, attempts",
        turn,
        CLAIM_LIFETIME,
        limit,
        None if kinds is None else list(kinds),
    )
    return [Job(row["id"], turn, row["kind"], json.loads(row["payload"]), row["attempts"]) for row in rows]


async def finish(connection: Connection, job: Job) -> bool:
    """False if the claim had passed to somebody else."""
    done = await connection.fetchval(
        "UPDATE job SET done_at = clock_timestamp(), claim = NULL, claimed_at = NULL, error = NULL "
        "WHERE id = $1 AND claim = $2 RETURNING true",
        job.id,
        job.claim,
    )
    return bool(done)


async def fail(connection: Connection, job: Job, error: str, *, final: bool = False) -> None:
    """Due again after a while; dead after its last attempt, or at once if trying again is of no use (*final*).

    *error* is a word that organizers find explained, perhaps with a code: no personal data.
    """
    await connection.execute(
        "UPDATE job SET claim = NULL, claimed_at = NULL, error = $3, "
        "run_at = clock_timestamp() + make_interval(secs => $4), "
        "dead_at = CASE WHEN $5 OR attempts >= max_attempts THEN clock_timestamp() END WHERE id = $1 AND claim = $2",
        job.id,
        job.claim,
        error[:500],
        backoff_s(job.attempts),
        final,
    )


async def next_due(connection: Connection, kinds: Collection[str]) -> datetime | None:
    """When the first open job of *kinds* may be claimed, by the database's clock; None: there is none."""
    due: datetime | None = await connection.fetchval(
        "SELECT min(CASE WHEN claimed_at IS NULL THEN run_at ELSE greatest(run_at, claimed_at + $2::interval) END) "
        "FROM job WHERE done_at IS NULL AND dead_at IS NULL AND parked_at IS NULL AND kind = ANY($1)",
        list(kinds),
        CLAIM_LIFETIME,
    )
    return due


async def sweep(connection: Connection) -> None:
    """Forget what was done long ago."""
    await connection.execute("DELETE FROM job WHERE done_at <= clock_timestamp() - $1::interval", KEPT_AFTER_DONE)


@dataclass(frozen=True, slots=True)
class DeadJob:
    id: UUID
    kind: str
    attempts: int
    error: str
    created_at: datetime
    dead_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """*waiting*: open jobs; *mails* of them; *oldest_s*: how long the first has been due; *dead*: given up."""

    waiting: int
    mails: int
    oldest_s: float
    dead: int


async def backlog(connection: Connection) -> Backlog:
    row = await connection.fetchrow(
        "SELECT count(*) FILTER (WHERE dead_at IS NULL) AS waiting, "
        "count(*) FILTER (WHERE dead_at IS NULL AND kind LIKE 'mail.%') AS mails, "
        "coalesce(extract(epoch FROM clock_timestamp() - min(run_at) FILTER (WHERE dead_at IS NULL)), 0)::float8 "
        "AS oldest_s, count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead FROM job WHERE done_at IS NULL AND parked_at IS NULL"
    )
    assert row is not None  # noqa: S101 (an aggregate without groups is one row)
    return Backlog(row["waiting"], row["mails"], max(0.0, row["oldest_s"]), row["dead"])


async def dead(connection: Connection, *, limit: int) -> list[DeadJob]:
    """What was given up, the latest first."""
    rows = await connection.fetch(
        "SELECT id, kind, attempts, coalesce(error, '') AS error, created_at, dead_at FROM job "
        "WHERE dead_at IS NOT NULL ORDER BY dead_at DESC, id LIMIT $1",
        limit,
    )
    return [DeadJob(**dict(row)) for row in rows]


async def revive(connection: Connection, job_id: UUID | None = None) -> int:
    """Try *job_id* again, or everything that was given up; how many. Its attempts begin anew."""
    rows = await connection.fetch(
        "UPDATE job SET dead_at = NULL, attempts = 0, claim = NULL, claimed_at = NULL, run_at = clock_timestamp() "
        "WHERE dead_at IS NOT NULL AND ($1::uuid IS NULL OR id = $1) RETURNING id",
        job_id,
    )
    return len(rows)
