"""The queue in the database: written with its cause, claimed once, tried again, given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from skep.webapp.store import jobs
from skep.webapp.store.pool import Database

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def test_a_job_goes_with_the_transaction_that_causes_it(database: Database, eyes: Connection) -> None:
    async def undone() -> None:
        async with database.transaction() as connection:
            await jobs.enqueue(connection, "mail", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await undone()
    assert await jobs.claim(eyes) == []


async def test_the_same_cause_queues_once_even_after_it_was_done(eyes: Connection) -> None:
    assert await jobs.enqueue(eyes, "mail", {"order": "1"}, unique_key="mail:1")
    assert not await jobs.enqueue(eyes, "mail", {"order": "1"}, unique_key="mail:1")
    (job,) = await jobs.claim(eyes)
    assert await jobs.finish(eyes, job)
    assert not await jobs.enqueue(eyes, "mail", {"order": "1"}, unique_key="mail:1")


async def test_many_workers_get_each_job_once(database: Database, eyes: Connection) -> None:
    for number in range(20):
        await jobs.enqueue(eyes, "mail", {"number": number})

    async def work() -> list[int]:
        async with database.transaction() as connection:
            return [job.payload["number"] for job in await jobs.claim(connection, limit=5)]

    claimed = [number for numbers in await asyncio.gather(*(work() for _ in range(6))) for number in numbers]
    assert sorted(claimed) == list(range(20))


async def test_a_worker_that_dies_leaves_its_job_to_the_next_and_its_late_answer_counts_nothing(
    eyes: Connection,
) -> None:
    await jobs.enqueue(eyes, "mail", {})
    (first,) = await jobs.claim(eyes)
    assert await jobs.claim(eyes) == []
    await eyes.execute("UPDATE job SET claimed_at = claimed_at - interval '1 hour'")
    (second,) = await jobs.claim(eyes)
    assert (second.id, second.attempts) == (first.id, 2)
    assert not await jobs.finish(eyes, first)
    assert await jobs.finish(eyes, second)


async def test_a_job_that_fails_waits_longer_each_time_and_is_dead_after_its_last_attempt(eyes: Connection) -> None:
    await jobs.enqueue(eyes, "mail", {})
    await eyes.execute("UPDATE job SET max_attempts = 2")
    waits = []
    for _ in range(2):
        await eyes.execute("UPDATE job SET run_at = clock_timestamp()")
        (job,) = await jobs.claim(eyes)
        await jobs.fail(eyes, job, "no such mailbox")
        waits.append(await eyes.fetchval("SELECT round(extract(epoch FROM run_at - clock_timestamp())) FROM job"))
    assert waits == [15, 30]
    await eyes.execute("UPDATE job SET run_at = clock_timestamp()")
    assert await jobs.claim(eyes) == []
    assert await eyes.fetchval("SELECT error FROM job WHERE dead_at IS NOT NULL") == "no such mailbox"


async def test_a_job_that_kills_its_workers_is_given_up_too(eyes: Connection) -> None:
    await jobs.enqueue(eyes, "mail", {})
    await eyes.execute("UPDATE job SET max_attempts = 1")
    assert len(await jobs.claim(eyes)) == 1
    await eyes.execute("UPDATE job SET claimed_at = claimed_at - interval '1 hour'")
    assert await jobs.claim(eyes) == []
    assert await eyes.fetchval("SELECT error FROM job WHERE dead_at IS NOT NULL") == "lost"
