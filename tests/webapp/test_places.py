"""The last place, step by step: what one transaction does while another is not decided yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from skep.webapp.errors import Busy
from skep.webapp.store import registrations
from skep.webapp.store.registrations import Guest
from tests.rig.rows import make_session
from tests.rig.tenant import Tenant

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

GUEST = Guest(name="Noor", email="noor@example.com", language="en")


@asynccontextmanager
async def connections(tenant: Tenant, number: int) -> AsyncIterator[list[Connection]]:
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(number):
            connection = await tenant.admin()
            stack.push_async_callback(connection.close)
            opened.append(connection)
        yield opened


async def register(connection: Connection, session: UUID, *, limited: bool = True) -> str | None:
    async with connection.transaction():
        return await registrations.register(connection, session, GUEST, limited=limited)


async def until_waiting(witness: Connection) -> None:
    """Returns when some transaction waits for a session's places."""
    async with asyncio.timeout(10):
        while not await witness.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            pass  # each round is a query


async def test_the_second_guest_waits_and_sees_what_the_first_took(tenant: Tenant) -> None:
    async with connections(tenant, 3) as (first, second, witness):
        session = await make_session(witness, capacity=1)
        async with first.transaction():
            assert await registrations.register(first, session, GUEST, limited=True)
            other = asyncio.create_task(register(second, session))
            await until_waiting(witness)
        assert await other is None
        assert await registrations.count(witness, session) == 1


async def test_the_second_guest_gets_the_place_that_the_first_gave_up(tenant: Tenant) -> None:
    async with connections(tenant, 3) as (first, second, witness):
        session = await make_session(witness, capacity=1)
        undecided = first.transaction()
        await undecided.start()
        assert await registrations.register(first, session, GUEST, limited=True)
        other = asyncio.create_task(register(second, session))
        await until_waiting(witness)
        await undecided.rollback()
        assert await other is not None
        assert await registrations.count(witness, session) == 1


async def test_control_without_the_lock_the_last_place_is_given_twice(tenant: Tenant) -> None:
    """Shows that the tests above would notice: the same steps, the lock left out."""
    async with connections(tenant, 3) as (first, second, witness):
        session = await make_session(witness, capacity=None)
        async with first.transaction():
            await registrations.register(first, session, GUEST, limited=False)
            assert await registrations.count(second, session) == 0  # what a check without the lock would see
            assert await register(second, session, limited=False)
        assert await registrations.count(witness, session) == 2


async def test_other_sessions_do_not_wait(tenant: Tenant) -> None:
    async with connections(tenant, 2) as (first, second):
        one, another = await make_session(first, capacity=1), await make_session(first, capacity=1)
        async with first.transaction():
            await registrations.register(first, one, GUEST, limited=True)
            async with asyncio.timeout(5):
                assert await register(second, another)


async def test_waiting_too_long_is_busy_and_gives_nothing(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrations, "LOCK_TIMEOUT_MS", 50)
    async with connections(tenant, 2) as (first, second):
        session = await make_session(first, capacity=1)
        async with first.transaction():
            await registrations.register(first, session, GUEST, limited=True)
            with pytest.raises(Busy):
                await register(second, session)
        assert await registrations.count(first, session) == 1


async def test_a_limit_set_a_moment_ago_is_not_run_past(tenant: Tenant) -> None:
    async with connections(tenant, 1) as (connection,):
        session = await make_session(connection, capacity=5)
        with pytest.raises(Busy):
            await register(connection, session, limited=False)
