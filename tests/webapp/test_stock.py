"""A place is never sold twice: many buyers at once, and step by step what one transaction does while another waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from skep.webapp.errors import Busy, DatabaseDown
from skep.webapp.ids import new_secret, secret_text, uuid7
from skep.webapp.shop import carts, stock
from skep.webapp.shop.orders import Placed
from skep.webapp.store import offers
from skep.webapp.store.pool import IDLE_IN_TRANSACTION_S, Database
from tests.rig.rows import Sample, make_event
from tests.rig.shop import buy, check_out, make_buyer, set_remaining
from tests.rig.tenant import Tenant

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@asynccontextmanager
async def connections(tenant: Tenant, number: int) -> AsyncIterator[list[Connection]]:
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(number):
            connection = await tenant.admin()
            stack.push_async_callback(connection.close)
            opened.append(connection)
        yield opened


async def until_waiting(witness: Connection) -> None:
    """Returns when some transaction waits for a lock on places."""
    async with asyncio.timeout(10):
        while not await witness.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            pass  # each round is a query


async def held(connection: Connection, sample: Sample) -> int:
    pools = await stock.pools_by_id(connection, [sample.pool])
    return pools[sample.pool].used


async def test_many_buyers_for_few_places_get_exactly_those(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=10)

    async def one() -> int:
        buyer = make_buyer()
        notes = await carts.add(database, sample.event, buyer, {sample.type: 1})
        return 1 - sum(note.number for note in notes)

    assert sum(await asyncio.gather(*(one() for _ in range(60)))) == 10
    assert await held(eyes, sample) == 10


async def test_adding_and_confirming_at_once_sells_exactly_what_there_is(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=25)
    placed = await asyncio.gather(*(buy(database, sample) for _ in range(60)))
    assert sum(isinstance(order, Placed) for order in placed) == 25
    assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 25
    assert await eyes.fetchval("SELECT count(*) FROM cart_hold") == 0


async def test_control_one_statement_for_lock_and_count_oversells_and_two_do_not(
    tenant: Tenant, eyes: Connection
) -> None:
    """Why `stock.lock` is a statement of its own: the count of a statement is older than the lock inside it."""
    locked_and_counted = """
        WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock($1))
        INSERT INTO cart_hold (id, cart_id, type_id, session_id, price, tax_bp)
        SELECT $2, $3, $4, $5, 0, 0 FROM lock WHERE (SELECT count(*) FROM cart_hold WHERE type_id = $4) < 1 RETURNING 1
    """
    counted = """
        INSERT INTO cart_hold (id, cart_id, type_id, session_id, price, tax_bp)
        SELECT $1, $2, $3, $4, 0, 0 WHERE (SELECT count(*) FROM cart_hold WHERE type_id = $3) < 1 RETURNING 1
    """
    async with connections(tenant, 2) as (first, second):
        for one_statement in (True, False):
            sample = await make_event(eyes, capacity=1)
            key = stock.pool_key(sample.pool)
            mine, yours = await make_cart(eyes, sample), await make_cart(eyes, sample)

            async def take(
                connection: Connection, cart: UUID, key: int = key, sample: Sample = sample, one: bool = one_statement
            ) -> bool:
                async with connection.transaction():
                    if one:
                        return bool(
                            await connection.fetchval(
                                locked_and_counted, key, uuid7(), cart, sample.type, sample.session
                            )
                        )
                    await stock.lock(connection, [key])
                    return bool(await connection.fetchval(counted, uuid7(), cart, sample.type, sample.session))

            async with first.transaction():
                await stock.lock(first, [key])
                assert await first.fetchval(counted, uuid7(), mine, sample.type, sample.session)
                other = asyncio.create_task(take(second, yours))
                await until_waiting(eyes)
            assert await other is one_statement
            assert await held(eyes, sample) == (2 if one_statement else 1)


async def test_control_without_the_lock_the_last_place_is_given_twice(tenant: Tenant, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=1)
    async with connections(tenant, 2) as (first, second):
        one, other = first.transaction(), second.transaction()
        await one.start()
        await other.start()
        for connection in (first, second):  # each counts before the other's place can be seen
            assert (await stock.pools_by_id(connection, [sample.pool]))[sample.pool].left == 1
            await hold(connection, await make_cart(connection, sample), sample)
        await one.commit()
        await other.commit()
    assert await held(eyes, sample) == 2


async def test_the_second_buyer_waits_and_gets_the_place_that_the_first_gave_up(
    tenant: Tenant, database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=1)
    async with connections(tenant, 1) as (first,):
        undecided = first.transaction()
        await undecided.start()
        await stock.lock(first, [stock.pool_key(sample.pool)])
        await hold(first, await make_cart(first, sample), sample)
        other = asyncio.create_task(carts.add(database, sample.event, make_buyer(), {sample.type: 1}))
        await until_waiting(eyes)
        await undecided.rollback()
        assert await other == ()
    assert await held(eyes, sample) == 1


async def test_other_pools_and_unlimited_ones_do_not_wait(tenant: Tenant, database: Database, eyes: Connection) -> None:
    busy, other, endless = [await make_event(eyes, capacity=number) for number in (1, 1, None)]
    async with connections(tenant, 1) as (first,), first.transaction():
        await stock.lock(first, [stock.pool_key(busy.pool), stock.pool_key(endless.pool)])
        async with asyncio.timeout(2):
            for sample in (other, endless):
                assert await carts.add(database, sample.event, make_buyer(), {sample.type: 1}) == ()


async def test_page_views_do_not_starve_while_buyers_wait(tenant: Tenant, database: Database, eyes: Connection) -> None:
    """Forty buyers queue for a lock that is not given; of eight connections four stay for everybody else."""
    sample = await make_event(eyes, capacity=1)
    async with connections(tenant, 1) as (first,):
        async with first.transaction():
            await stock.lock(first, [stock.pool_key(sample.pool)])
            waiting = [
                asyncio.create_task(carts.add(database, sample.event, make_buyer(), {sample.type: 1}))
                for _ in range(40)
            ]
            await until_waiting(eyes)
            async with asyncio.timeout(2):
                for _ in range(20):
                    async with database.connection() as connection:
                        await connection.fetchval("SELECT 1")
            count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            assert await eyes.fetchval(count) <= 4
        notes = await asyncio.gather(*waiting)
    assert sum(not note for note in notes) == 1


async def test_waiting_too_long_is_busy_and_takes_nothing(
    tenant: Tenant, database: Database, eyes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "LOCK_TIMEOUT_MS", 30)
    sample = await make_event(eyes, capacity=1)
    async with connections(tenant, 1) as (first,), first.transaction():
        await stock.lock(first, [stock.pool_key(sample.pool)])
        with pytest.raises(Busy):
            await carts.add(database, sample.event, make_buyer(), {sample.type: 1})
    assert await held(eyes, sample) == 0


async def test_a_safe_cart_is_confirmed_without_the_lock_and_a_late_one_with_it(
    tenant: Tenant, database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=2)
    safe, late = make_buyer(), make_buyer()
    for buyer in (safe, late):
        await carts.add(database, sample.event, buyer, {sample.type: 1})
    await set_remaining(eyes, sample, late, seconds=100)
    async with connections(tenant, 1) as (first,):
        async with first.transaction():
            await stock.lock(first, [stock.pool_key(sample.pool)])
            async with asyncio.timeout(2):
                assert isinstance(await check_out(database, sample, safe), Placed)
            other = asyncio.create_task(check_out(database, sample, late))
            await until_waiting(eyes)
            assert not other.done()
        assert isinstance(await other, Placed)
    assert await held(eyes, sample) == 2


async def test_a_cart_that_runs_out_between_check_and_commit_does_not_sell_its_place_twice(
    database: Database, eyes: Connection
) -> None:
    """The ended cart's place went to another buyer: its checkout is told so, whoever comes first."""
    sample = await make_event(eyes, capacity=1)
    slow, quick = make_buyer(), make_buyer()
    await carts.add(database, sample.event, slow, {sample.type: 1})
    await set_remaining(eyes, sample, slow, seconds=-1)
    results = await asyncio.gather(check_out(database, sample, slow), buy(database, sample, quick))
    assert sum(isinstance(result, Placed) for result in results) == 1
    assert await held(eyes, sample) == 1


async def test_a_process_that_sleeps_inside_a_sale_has_lost_it(database: Database, eyes: Connection) -> None:
    async with database.connection() as connection:
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "30s"
    assert stock.SAFE_MARGIN.total_seconds() > stock.CONFIRM_TIMEOUT_S + IDLE_IN_TRANSACTION_S


async def test_a_sale_that_takes_too_long_is_given_up(
    database: Database, eyes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "CONFIRM_TIMEOUT_S", 0.05)

    async def no_keys(connection: object) -> set[int]:
        return set()

    async def endless(connection: object, locked: set[int]) -> None:
        await asyncio.Event().wait()

    with pytest.raises(DatabaseDown):
        await stock.in_turn(database, no_keys, endless)


async def test_a_pool_that_was_limited_a_moment_ago_is_locked_on_the_next_try(
    database: Database, eyes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = await make_event(eyes, capacity=None)
    choose = carts.keys_to_add
    rounds = 0

    async def stale(*arguments: object) -> set[int]:
        nonlocal rounds
        rounds += 1
        keys = await choose(*arguments)  # type: ignore[arg-type]  # handed on as they came
        if rounds == 1:
            await offers.resize_pool(eyes, sample.pool, 1)
        return keys

    monkeypatch.setattr(carts, "keys_to_add", stale)
    (note,) = await carts.add(database, sample.event, make_buyer(), {sample.type: 3})
    assert (rounds, note.kind, note.number) == (2, "fewer", 2)


async def make_cart(connection: Connection, sample: Sample) -> UUID:
    cart: UUID = await connection.fetchval(
        "INSERT INTO cart (id, event_id, buyer_sha256, expires_at, renew_until) "
        "VALUES ($1, $2, sha256($3), clock_timestamp() + '30 min', clock_timestamp() + '90 min') RETURNING id",
        uuid7(),
        sample.event,
        secret_text(new_secret()).encode(),
    )
    return cart


async def hold(connection: Connection, cart: UUID, sample: Sample) -> None:
    await connection.execute(
        "INSERT INTO cart_hold (id, cart_id, type_id, session_id, price, tax_bp) VALUES ($1, $2, $3, $4, 0, 0)",
        uuid7(),
        cart,
        sample.type,
        sample.session,
    )
