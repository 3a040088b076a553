"""What happened is kept in the control database, and is never needed."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from skep.operator import history
from skep.operator.history import BUFFERED, Entry, History
from tests.hive.conftest import PLAN, PLATFORM, QuickClock, Rig, tenant


def entry(number: int = 0, *, at: datetime | None = None) -> Entry:
    moment = at or datetime.now(UTC)
    return Entry(uuid.uuid4(), moment, "acme", "0" * 32, 1, "Ready", "Ready", f"number {number}")


async def kept(rig: Rig) -> list[asyncpg.Record]:
    try:
        return await rig.sql("select * from event order by at, message", database=history.DATABASE)
    except (asyncpg.InvalidCatalogNameError, asyncpg.UndefinedTableError):
        return []


async def until_kept(rig: Rig, tenant: str, reason: str) -> list[asyncpg.Record]:
    async with asyncio.timeout(20):
        while True:
            found = await kept(rig)
            if (tenant, reason) in [(row["tenant"], row["reason"]) for row in found]:
                return found
            await asyncio.sleep(0.05)


async def test_what_happens_to_a_tenant_is_kept_after_it_is_gone(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme", deletionPolicy="Delete"))
        await rig.phase("acme", "Ready")
        uid = rig.records()["acme"].uid
        await until_kept(rig, "acme", "Ready")
        await rig.publish(PLATFORM, PLAN)
        await rig.until(lambda: not rig.records())
        found = await until_kept(rig, "acme", "Deleted")
    assert {row["tenant"] for row in found} == {"acme"}
    assert {row["uid"] for row in found} == {uid}
    assert found[-1]["generation"] == 1


async def test_the_control_database_is_no_tenants_business(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await until_kept(rig, "acme", "Ready")
    known = rig.records()["acme"]
    login = f"{rig.database('acme')}_a"
    dsn = rig.postgres.dsn(history.DATABASE, user=login, password=rig.keys.password(known.uid, "db-a", 1))
    with pytest.raises(asyncpg.PostgresError, match=r"permission denied"):
        await asyncpg.connect(dsn)
    ((owner, can_login),) = await rig.sql(
        "select tableowner, rolcanlogin from pg_tables join pg_roles on rolname = tableowner where tablename = 'event'",
        database=history.DATABASE,
    )
    assert (owner, can_login) == (history.OWNER, False)


async def test_while_the_server_is_down_events_wait_and_then_arrive_once(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await until_kept(rig, "acme", "Ready")
        rig.postgres.stop()
        try:
            await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
            await rig.phase("birch", "Progressing", reason="DatabaseUnavailable")
        finally:
            rig.postgres.start()
        await rig.phase("birch", "Ready")
        found = await until_kept(rig, "birch", "Ready")
    said = [(row["tenant"], row["reason"]) for row in found]
    assert ("birch", "DatabaseUnavailable") in said
    assert len({row["id"] for row in found}) == len(found)


async def test_a_lost_control_database_is_made_again(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await until_kept(rig, "acme", "Ready")
        await rig.sql(f"drop database {history.DATABASE} with (force)")
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("birch", "Ready")
        await until_kept(rig, "birch", "Ready")
        await rig.rest(hive)


async def test_only_so_many_wait_and_the_newest_are_kept(rig: Rig) -> None:
    waiting = History(lambda: None, QuickClock())
    for number in range(BUFFERED + 5):
        waiting.note(entry(number))
    assert len(waiting) == BUFFERED
    await waiting.flush()  # no Platform yet: nothing is lost
    assert len(waiting) == BUFFERED


async def test_what_is_older_than_half_a_year_goes(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await until_kept(rig, "acme", "Ready")
        old = datetime.now(UTC) - history.KEPT - timedelta(days=1)
        await rig.sql(
            "insert into event values (gen_random_uuid(), $1, 'old', '', 1, '', 'Old', '')",
            old,
            database=history.DATABASE,
        )
        server = hive._ports.servers.all()[0]
        again = History(lambda: server, QuickClock())  # a new one prunes with its first write
        again.note(entry())
        await again.flush()
        assert "Old" not in {row["reason"] for row in await kept(rig)}
