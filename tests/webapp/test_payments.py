"""Money that arrives late, twice and out of order changes each order once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import asyncpg
import pytest

from skep.webapp.shop import orders, payments
from skep.webapp.shop.orders import Placed
from skep.webapp.shop.payments import BUILT_IN, PaymentRef
from skep.webapp.shop.states import PaymentState
from skep.webapp.store import audit
from skep.webapp.store.pool import Database
from tests.fakes.provider import BadProvider
from tests.rig.rows import Sample, make_event
from tests.rig.shop import ordered

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

CREATED, PENDING, CONFIRMED, FAILED, REFUNDED = PaymentState


@pytest.fixture
def provider(database: Database) -> BadProvider:
    return BadProvider(database)


@pytest.fixture
async def sample(eyes: Connection) -> Sample:
    return await make_event(eyes, capacity=2, price=1500)


async def begun(database: Database, sample: Sample, provider: BadProvider) -> tuple[Placed, PaymentRef]:
    """An order whose payment was begun at the provider."""
    placed = await ordered(database, sample, method="bad", providers=(*BUILT_IN, provider))
    assert placed.payment is not None
    assert await provider.begin(placed.payment) is not None
    return placed, placed.payment


async def counts(connection: Connection) -> tuple[str, str, int, int]:
    """(the order's state, its payment's, mails of being paid, refunds owed)."""
    row = await connection.fetchrow(
        "SELECT (SELECT state FROM ticket_order), (SELECT state FROM payment), "
        "(SELECT count(*) FROM job WHERE kind = 'mail.order_paid'), (SELECT count(*) FROM refund)"
    )
    assert row is not None
    state, payment, mails, refunds = row.values()
    return state, payment, mails, refunds


async def test_17_confirmed_twice_is_one_confirmation_and_one_mail(
    database: Database, eyes: Connection, sample: Sample, provider: BadProvider
) -> None:
    _, payment = await begun(database, sample, provider)
    provider.says(payment, PENDING, CONFIRMED, CONFIRMED)
    assert await provider.deliver() == ["unchanged", "paid", "unchanged"]
    assert await counts(eyes) == ("paid", "confirmed", 1, 0)


async def test_17b_confirmed_many_times_at_once_is_one_confirmation(
    database: Database, eyes: Connection, sample: Sample, provider: BadProvider
) -> None:
    _, payment = await begun(database, sample, provider)
    outcomes = await asyncio.gather(
        *(payments.record(database, payment.id, CONFIRMED, audit.PROVIDER) for _ in range(6))
    )
    assert Counter(outcomes) == {"paid": 1, "unchanged": 5}
    assert await counts(eyes) == ("paid", "confirmed", 1, 0)


@pytest.mark.parametrize(
    ("said", "end"),
    [
        pytest.param((CONFIRMED, FAILED), ("paid", "confirmed", 1, 0), id="failed after confirmed"),
        pytest.param((CONFIRMED, PENDING), ("paid", "confirmed", 1, 0), id="pending after confirmed"),
        pytest.param((FAILED, CONFIRMED), ("paid", "confirmed", 1, 0), id="confirmed after failed"),
        pytest.param((FAILED, FAILED, PENDING), ("pending", "failed", 0, 0), id="failed"),
        pytest.param((CONFIRMED, REFUNDED, CONFIRMED), ("paid", "refunded", 1, 0), id="refunded"),
    ],
)
async def test_messages_out_of_order_end_where_they_should(
    database: Database,
    eyes: Connection,
    sample: Sample,
    provider: BadProvider,
    said: tuple[PaymentState, ...],
    end: tuple[str, str, int, int],
) -> None:
    _, payment = await begun(database, sample, provider)
    provider.says(payment, *said)
    await provider.deliver()
    assert await counts(eyes) == end


async def test_money_for_a_cancelled_order_is_owed_back(
    database: Database, eyes: Connection, sample: Sample, provider: BadProvider
) -> None:
    placed, payment = await begun(database, sample, provider)
    ids = [row["id"] for row in await eyes.fetch("SELECT id FROM order_position")]
    async with database.transaction() as connection:
        await orders.cancel(connection, placed.order_id, ids, audit.BUYER)
    provider.says(payment, CONFIRMED, CONFIRMED)
    assert await provider.deliver() == ["refused", "unchanged"]
    assert await counts(eyes) == ("cancelled", "confirmed", 0, 1)


async def test_a_message_about_an_unknown_payment_changes_nothing(eyes: Connection, provider: BadProvider) -> None:
    provider.outbox.append(("bad-nothing", CONFIRMED))
    assert await provider.deliver() == ["unknown"]
    assert await eyes.fetchval("SELECT count(*) FROM payment") == 0


async def test_late_payments_of_many_expired_orders_fill_the_places_and_no_more(
    database: Database, eyes: Connection, sample: Sample, provider: BadProvider
) -> None:
    refs = []
    for _ in range(5):
        _, payment = await begun(database, sample, provider)
        refs.append(payment)
        await eyes.execute(
            "UPDATE ticket_order SET due_at = clock_timestamp() - interval '1 s' WHERE state = 'pending'"
        )
        async with database.transaction() as connection:
            await orders.expire(connection)
    outcomes = await asyncio.gather(*(payments.record(database, ref.id, CONFIRMED, audit.PROVIDER) for ref in refs))
    assert Counter(outcomes) == {"paid": 2, "refused": 3}
    assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 2
    assert await eyes.fetchval("SELECT count(*) FROM refund WHERE reason = 'late'") == 3
