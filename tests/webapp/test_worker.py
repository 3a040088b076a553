"""The worker as a process: started when there is work, gone when there is none, and nothing lost when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import asyncpg
import pytest

from skep.webapp.settings import Settings
from skep.webapp.shop import orders
from skep.webapp.store import jobs
from skep.webapp.store.jobs import Job
from skep.webapp.store.pool import Database
from skep.webapp.work import chores
from skep.webapp.work.bells import QuietBell
from skep.webapp.work.chores import Chore
from skep.webapp.work.due import Duties, duties_of
from skep.webapp.work.worker import JobFailed, Worker
from tests.rig.rows import Sample, make_event
from tests.rig.shop import ordered
from tests.rig.tenant import Tenant
from tests.rig.visitor import visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

PAST = "UPDATE ticket_order SET due_at = clock_timestamp() - interval '1 s'"


async def until(connection: Connection, query: str, *, timeout_s: float = 15.0) -> None:
    """Wait until *query* answers true."""
    async with asyncio.timeout(timeout_s):
        while not await connection.fetchval(query):
            pass  # each round is a query


@pytest.fixture
async def sample(eyes: Connection) -> Sample:
    return await make_event(eyes, capacity=5, price=1500)


def workers_of(pid: int) -> list[int]:
    """Processes below *pid* that are workers."""
    done = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line.split()[0]) for line in done.stdout.splitlines() if "worker" in line]


def quiet() -> QuietBell:
    return QuietBell(asyncio.Event())


# What must run in time


async def test_an_order_past_its_date_expires_though_nobody_visits(
    tenant: Tenant, database: Database, eyes: Connection, sample: Sample
) -> None:
    await ordered(database, sample)
    await eyes.execute(PAST)
    async with tenant.running() as web:
        await until(eyes, "SELECT state = 'expired' FROM ticket_order")
        assert not await eyes.fetchval("SELECT EXISTS (SELECT FROM order_position WHERE is_held)")
        (worker,) = workers_of(web.process.pid)
        assert worker


async def test_a_date_in_the_future_is_waited_for_without_a_worker_and_without_a_connection(
    tenant: Tenant, database: Database, eyes: Connection, sample: Sample
) -> None:
    await ordered(database, sample)
    await database.close()
    await eyes.execute("UPDATE ticket_order SET due_at = clock_timestamp() + interval '3 s'")
    started = await eyes.fetchval("SELECT clock_timestamp()")
    async with tenant.running() as web:
        held = f"SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = '{tenant.database}_a'"
        await until(eyes, held)
        assert workers_of(web.process.pid) == []
        await until(eyes, "SELECT state = 'expired' FROM ticket_order")
    took = await eyes.fetchval("SELECT clock_timestamp() - $1", started)
    assert 2 < took.total_seconds() < 9


async def test_an_idle_site_neither_asks_nor_writes(tenant: Tenant, eyes: Connection) -> None:
    before = tenant.postgres.log.stat().st_size
    async with tenant.running(), visiting(tenant) as visitor:
        async with asyncio.timeout(10):
            while b"FROM chore" not in tenant.postgres.log.read_bytes()[before:]:  # its look at the start
                await visitor.get("/healthz")
        await until(eyes, f"SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = '{tenant.database}_a'")
        sent = tenant.postgres.log.stat().st_size
        await eyes.fetchval("SELECT pg_sleep(1.5)")
        said = tenant.postgres.log.read_text()[sent:]
        assert [line for line in said.splitlines() if "pg_sleep" not in line and "checkpoint" not in line] == []


async def test_what_a_page_commits_starts_one_worker(tenant: Tenant, eyes: Connection) -> None:
    """A cart that ended a day ago is swept, because somebody else put something into theirs."""
    sample = await make_event(eyes, capacity=5)
    async with tenant.running() as web, visiting(tenant) as visitor:
        await visitor.add(sample.slug, Ticket=1)
        await eyes.execute("UPDATE cart SET expires_at = clock_timestamp() - interval '25 h'")
        async with visiting(tenant) as another:
            await another.add(sample.slug, Ticket=1)
        await until(eyes, "SELECT count(*) = 1 FROM cart")
        for _ in range(3):
            await visitor.add(sample.slug, Ticket=1)
        assert len(workers_of(web.process.pid)) == 1


async def test_a_worker_ends_with_the_web_process_that_started_it(
    tenant: Tenant, database: Database, eyes: Connection, sample: Sample
) -> None:
    await ordered(database, sample)
    await eyes.execute(PAST)
    async with tenant.running() as web:
        await until(eyes, "SELECT state = 'expired' FROM ticket_order")
        (worker,) = workers_of(web.process.pid)
        web.process.kill()
        await web.process.wait()
        async with asyncio.timeout(10):
            while await asyncio.to_thread(_lives, worker):
                pass  # each round is a process


def _lives(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


async def test_a_worker_that_is_killed_is_started_again(
    tenant: Tenant, database: Database, eyes: Connection, sample: Sample
) -> None:
    """Killed while it waits for a lock, in the middle of a chore: the next one does it."""
    await ordered(database, sample)
    await eyes.execute(PAST)
    other = await tenant.admin()
    async with other.transaction():
        await other.execute("LOCK TABLE order_position IN ACCESS EXCLUSIVE MODE")
        web = await tenant.start()
        await until(
            eyes,
            "SELECT count(*) = 1 FROM pg_stat_activity "
            "WHERE application_name = 'skep worker' AND wait_event_type = 'Lock'",
        )
        (worker,) = workers_of(web.process.pid)
        os.kill(worker, signal.SIGKILL)
    try:
        await until(eyes, "SELECT state = 'expired' FROM ticket_order")
        assert "worker died" in web.log.read_text()
    finally:
        await web.kill()
        await other.close()


async def test_a_worker_without_work_ends_by_itself(database: Database, tenant: Tenant) -> None:
    worker = Worker(database, {}, duties_of(Settings.read(tenant.env)), quiet())
    async with asyncio.timeout(10):
        await worker.run(idle_s=0.2)


async def test_chores_of_several_workers_run_once(database: Database, eyes: Connection, sample: Sample) -> None:
    for _ in range(5):
        await ordered(database, sample)
    await eyes.execute(PAST)
    todo = [Chore("expire orders", chores._orders_due, orders.expire)]
    await asyncio.gather(*(chores.run_due(database, todo) for _ in range(4)))
    assert await eyes.fetchval("SELECT count(*) FROM audit WHERE action = 'order expired'") == 5
    assert await chores.run_due(database, todo) == 0  # behaviour 16: nothing the second time


async def test_a_chore_that_fails_is_put_off_and_holds_up_no_other(
    database: Database, eyes: Connection, sample: Sample
) -> None:
    await ordered(database, sample)
    await eyes.execute(PAST)

    async def broken(connection: object) -> None:
        raise ZeroDivisionError

    todo = [
        Chore("broken", chores._orders_due, broken),
        Chore("expire orders", chores._orders_due, orders.expire),
    ]
    assert await chores.run_due(database, todo) == 1
    assert await eyes.fetchval("SELECT state FROM ticket_order") == "expired"
    row = await eyes.fetchrow("SELECT attempts, error, retry_at > clock_timestamp() AS later FROM chore")
    assert row is not None
    assert tuple(row.values()) == (1, "ZeroDivisionError", True)


# Jobs


async def test_jobs_of_a_kind_that_nobody_can_do_wait(tenant: Tenant, eyes: Connection) -> None:
    """Without a mail server mails wait, and what a newer image queued waits for a newer worker."""
    await jobs.enqueue(eyes, "mail.order_paid", {"order": "0" * 32})
    await jobs.enqueue(eyes, "from.the.future", {})
    await tenant.work()
    assert await eyes.fetchval("SELECT count(*) FROM job WHERE attempts = 0 AND done_at IS NULL") == 2


@pytest.mark.parametrize(
    ("error", "said", "is_dead"),
    [
        pytest.param(JobFailed("no such box", final=True), "no such box", True, id="final"),
        pytest.param(JobFailed("later"), "later", False, id="again"),
        pytest.param(MemoryError(), "memory", False, id="memory"),
        pytest.param(ZeroDivisionError(), "mistake", False, id="mistake"),
    ],
)
async def test_what_goes_wrong_with_a_job_is_written_on_it(
    database: Database, eyes: Connection, error: Exception, said: str, is_dead: bool
) -> None:
    await jobs.enqueue(eyes, "work", {})

    async def handler(job: Job) -> None:
        raise error

    await Worker(database, {"work": handler}, Duties(("work",), ()), quiet()).run(idle_s=0.05)
    row = await eyes.fetchrow("SELECT error, dead_at IS NOT NULL AS is_dead, attempts FROM job")
    assert row is not None
    assert tuple(row.values()) == (said, is_dead, 1)


async def test_a_dead_job_can_be_tried_again(database: Database, eyes: Connection) -> None:
    await jobs.enqueue(eyes, "work", {})
    (job,) = await jobs.claim(eyes)
    await jobs.fail(eyes, job, "no such box", final=True)
    assert (await jobs.backlog(eyes)).dead == 1
    assert await jobs.revive(eyes) == 1
    (again,) = await jobs.claim(eyes)
    assert (again.id, again.attempts) == (job.id, 1)


# Its own limits


def test_a_worker_that_hangs_is_ended_by_its_alarm() -> None:
    code = (
        "import asyncio, time\nfrom skep.webapp.bounded import limits\n"
        "async def main():\n"
        "    task = asyncio.create_task(limits.wind_alarm(0.5)); await asyncio.sleep(1.2); print('lives', flush=True)\n"
        "    while True: pass\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout == "lives\n"
    assert done.returncode == -signal.SIGALRM


def test_a_worker_that_wants_too_much_memory_gets_an_error_and_lives_on() -> None:
    code = (
        "from skep.webapp.bounded import limits\nlimits.bound_memory(64 * 1024 * 1024)\n"
        "try: bytearray(256 * 1024 * 1024)\n"
        "except MemoryError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout, done.returncode) == ("refused\n", 0)
