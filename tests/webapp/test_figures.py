"""Figures are counted from rows: whose, of which day in which zone, and what waits for somebody."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from skep.webapp.shop import orders
from skep.webapp.shop.payments import record
from skep.webapp.shop.states import PaymentState
from skep.webapp.store import audit, figures
from skep.webapp.store.pool import Database
from tests.rig.rows import make_event, make_type
from tests.rig.shop import ordered

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def somebody_with(eyes: Connection, event: UUID, may: str) -> UUID:
    person: UUID = await eyes.fetchval("SELECT id FROM person WHERE kind = 'member' LIMIT 1")
    await eyes.execute("INSERT INTO event_right VALUES ($1, $2, $3)", person, event, may)
    return person


async def test_sales_count_by_the_day_of_the_zone_and_only_what_is_good(database: Database, eyes: Connection) -> None:
    sample, other = await make_event(eyes, capacity=9), await make_event(eyes, capacity=9)
    late, early = await ordered(database, sample, number=2), await ordered(database, sample)
    await ordered(database, other)
    await eyes.execute("UPDATE ticket_order SET created_at = '2026-05-01T22:30Z' WHERE id = $1", late.order_id)
    await eyes.execute("UPDATE ticket_order SET created_at = '2026-05-01T08:00Z' WHERE id = $1", early.order_id)
    in_paris = await figures.sold_by_day(eyes, "Europe/Paris", event_id=sample.event)
    assert in_paris == {date(2026, 5, 2): 2, date(2026, 5, 1): 1}
    assert await figures.sold_by_day(eyes, "UTC", event_id=sample.event) == {date(2026, 5, 1): 3}
    async with database.transaction() as connection:
        first = await eyes.fetchval("SELECT id FROM order_position WHERE order_id = $1 LIMIT 1", late.order_id)
        await orders.cancel(connection, late.order_id, [first], audit.BUYER)
    assert await figures.sold_by_day(eyes, "UTC", event_id=sample.event) == {date(2026, 5, 1): 2}
    since = datetime(2026, 5, 2, tzinfo=UTC)
    assert sum((await figures.sold_by_day(eyes, "UTC", since=since)).values()) == 1  # the other event's, today
    assert sum((await figures.sold_by_day(eyes, "UTC")).values()) == 3


async def test_figures_of_all_events_are_of_those_that_are_theirs(database: Database, eyes: Connection) -> None:
    sample, other = await make_event(eyes, capacity=9), await make_event(eyes, capacity=9)
    await ordered(database, sample, number=2)
    await ordered(database, other, number=3)
    person = await somebody_with(eyes, sample.event, "checkin")  # letting people in shows no figures
    assert await figures.sold_by_day(eyes, "UTC", person_id=person) == {}
    await somebody_with(eyes, sample.event, "orders")
    assert sum((await figures.sold_by_day(eyes, "UTC", person_id=person)).values()) == 2


async def test_what_waits_for_somebody_is_told(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=10, price=1000)
    await eyes.execute("UPDATE event SET transfer_details = 'Acme'")
    nothing = await figures.attention(eyes)
    assert (nothing.due_soon, nothing.owed, nothing.nearly_full) == (0, 0, 0)
    transfer = await ordered(database, sample, method="transfer")
    await ordered(database, sample, number=8)  # at the door: due when the event is over, which waits for nobody
    await eyes.execute("UPDATE ticket_order SET due_at = clock_timestamp() + interval '1 day'")
    paid = await ordered(database, await make_event(eyes, capacity=50, price=500))
    payment = await eyes.fetchval("SELECT id FROM payment WHERE order_id = $1", paid.order_id)
    await record(database, payment, PaymentState.CONFIRMED, audit.PROVIDER)
    async with database.transaction() as connection:
        ids = [
            row["id"] for row in await eyes.fetch("SELECT id FROM order_position WHERE order_id = $1", paid.order_id)
        ]
        await orders.cancel(connection, paid.order_id, ids, audit.BUYER)
    found = await figures.attention(eyes)
    assert (found.due_soon, found.owed, found.nearly_full) == (1, 1, 1)
    money = await figures.money(eyes, sample.event)
    assert (money.paid, money.expected, money.owed) == (0, 9000, 0)
    assert transfer.order_id


async def test_every_type_that_is_offered_or_was_sold_is_told(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=9, price=1000)
    await make_type(eyes, sample.session, sample.pool, title={"en": "Unsold"})
    await make_type(eyes, sample.session, sample.pool, title={"en": "Off"}, is_active=False)
    await ordered(database, sample, number=3)
    kinds = await figures.sold_by_type(eyes, sample.event)
    assert {(kind.title.text("en"), kind.sold, kind.revenue) for kind in kinds} == {
        ("Ticket", 3, 3000),
        ("Unsold", 0, 0),
    }
