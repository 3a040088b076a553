"""Names, addresses and answers of guests are erased when nobody needs them any more; amounts stay."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg

from skep.webapp.ids import uuid7
from skep.webapp.shop import orders, waiting
from skep.webapp.store import audit, retention
from skep.webapp.store.pool import Database
from tests.rig.rows import Sample, make_event
from tests.rig.shop import ordered
from tests.rig.tenant import Tenant
from tests.rig.visitor import visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

KEEP = timedelta(days=400)


async def sold(database: Database, eyes: Connection) -> Sample:
    """An event with an order, a holder of another name, an answer, and somebody who waits."""
    sample = await make_event(eyes, capacity=5, price=1500)
    placed = await ordered(database, sample, number=2)
    position = await eyes.fetchval("SELECT id FROM order_position WHERE order_id = $1 LIMIT 1", placed.order_id)
    question = uuid7()
    await eyes.execute(
        "INSERT INTO question (id, event_id, kind, label) VALUES ($1, $2, 'line', '{}')", question, sample.event
    )
    await eyes.execute("INSERT INTO answer (id, position_id, question_id, value) VALUES ($1, $2, $3, 'no nuts')",
                       uuid7(), position, question)  # fmt: skip
    async with database.transaction() as connection:
        await orders.set_holder(connection, placed.order_id, position, "Ada", audit.BUYER)
        await waiting.join(connection, sample.type, name="Eve", email="eve@example.com", language="en")
    return sample


async def end(eyes: Connection, sample: Sample, *, days_ago: int) -> None:
    await eyes.execute(
        "UPDATE event_session SET starts_at = clock_timestamp() - make_interval(days => $2, hours => 2), "
        "ends_at = clock_timestamp() - make_interval(days => $2) WHERE event_id = $1",
        sample.event,
        days_ago,
    )


async def erase(database: Database) -> int:
    async with database.transaction() as connection:
        return await retention.erase(connection, KEEP)


async def test_guests_are_forgotten_in_time_and_their_orders_keep_their_amounts(
    database: Database, eyes: Connection
) -> None:
    old, young = await sold(database, eyes), await sold(database, eyes)
    await end(eyes, old, days_ago=401)
    await end(eyes, young, days_ago=399)
    assert await erase(database) == 1
    assert await erase(database) == 0
    named = "SELECT count(*) FROM person WHERE kind = 'guest' AND (name <> '' OR email <> '')"
    assert await eyes.fetchval(named) == 3  # the young event's buyer, holder and who waits
    assert await eyes.fetchval("SELECT count(*) FROM answer") == 1
    assert await eyes.fetchval("SELECT count(*) FROM person WHERE kind = 'member' AND name = 'Léa'") == 2
    assert await eyes.fetchval("SELECT sum(gross) FROM order_position") == 6000
    due = await retention.next_due(eyes, KEEP)
    left = await eyes.fetchval("SELECT $1 - clock_timestamp()", due)
    assert timedelta(hours=23) < left < timedelta(hours=25)


async def test_a_postponed_event_and_one_with_a_session_to_come_are_not_over(
    database: Database, eyes: Connection
) -> None:
    sample = await sold(database, eyes)
    await end(eyes, sample, days_ago=500)
    await eyes.execute("UPDATE event SET status = 'postponed'")
    assert await erase(database) == 0
    await eyes.execute("UPDATE event SET status = 'live'")
    await eyes.execute(
        "INSERT INTO event_session (id, event_id, starts_at, ends_at) VALUES ($1, $2, '2090-01-01Z', '2090-01-02Z')",
        uuid7(),
        sample.event,
    )
    assert await erase(database) == 0


async def test_the_days_are_a_setting_and_the_worker_does_it(
    tenant: Tenant, database: Database, eyes: Connection
) -> None:
    sample = await sold(database, eyes)
    await end(eyes, sample, days_ago=8)
    tenant.settings["settings"]["RETENTION_DAYS"] = "7"
    tenant.write()
    await tenant.work()
    assert await eyes.fetchval("SELECT erased_at IS NOT NULL FROM event")
    async with tenant.running(), visiting(tenant) as organizer:
        await organizer.become_organizer()
        assert (await organizer.get(f"/organizer/events/{sample.event}/orders")).status == 200
        assert (await organizer.get(f"/organizer/events/{sample.event}/attendees")).status == 200
