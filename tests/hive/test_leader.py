"""Two operators on one engine and one PostgreSQL: one writes, and whoever led before is refused wherever it writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Literal

import asyncpg
import pytest
from prometheus_client import generate_latest

from skep.operator import formats, metrics, names
from skep.operator.engine.memory import Call
from skep.operator.engine.spec import JobResult, JobSpec
from skep.operator.errors import NotLeader
from skep.operator.hive import Hive
from skep.operator.reconcilers.database import terms
from tests.hive.conftest import ADMIN, PLAN, PLATFORM, SPEED, QuickClock, Rig, is_of_lease, tenant
from tests.hive.test_killed import end_state, made, neutral_record

LONG_S = 100_000.0  # longer than any lease of these tests
OWNER: ContextVar[str] = ContextVar("owner", default="nobody")  # whose task runs


Phase = Literal["before", "after"]
BOTH: tuple[Phase, ...] = ("before", "after")


class SharedTime:
    """The boot-time clock of all machines: `pass_` lets a lease run out without a test waiting for it."""

    def __init__(self) -> None:
        self.passed = 0.0

    def pass_(self, seconds: float) -> None:
        self.passed += seconds


class Clock(QuickClock):
    """One operator's. While its process is stopped nobody in it wakes."""

    def __init__(self, time: SharedTime) -> None:
        self._time = time
        self.goes = asyncio.Event()
        self.goes.set()

    def boottime(self) -> float:
        return super().boottime() + self._time.passed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / SPEED)
        await self.goes.wait()


@dataclass
class Replica:
    name: str
    hive: Hive
    clock: Clock
    running: asyncio.Task[None]

    @property
    def leads(self) -> bool:
        return self.hive.lease.leading.is_set()


class Freezer:
    """SIGSTOP of one operator at a write: before it arrives, or after it was done and before the answer was read.

    *kind* is a method of the engine, or `sql:` with the database's kind, `maintenance` or `tenant`; *which* is a part
    of the object's name or of the statement.
    """

    def __init__(self, victim: Replica, kind: str, which: str, phase: Phase) -> None:
        self.stopped = asyncio.Event()
        self._victim, self._kind, self._which, self._phase = victim, kind, which, phase
        self._late: list[Call] = []
        self.arrived: list[str] = []  # what came from the victim after it was stopped, and was not refused

    async def see(self, call: Call, name: str) -> None:
        if OWNER.get() != self._victim.name:
            return
        fits = call.phase == self._phase and call.method == self._kind and self._which in name
        await self._pass(fits and not is_of_lease(call))
        if call.phase == "before" and self.stopped.is_set():
            self._late.append(call)
        elif call.phase == "after" and call.writes and any(call is each for each in self._late):
            self.arrived.append(f"{call.method} {name}")

    async def statement(self, database: str, text: str, do: Callable[[], Awaitable[Any]]) -> Any:
        if OWNER.get() != self._victim.name:
            return await do()
        kind = "sql:maintenance" if database == "postgres" else "sql:tenant"
        fits = kind == self._kind and self._which in text
        await self._pass(fits and self._phase == "before")
        late = self.stopped.is_set()
        answer = await do()
        if late:
            self.arrived.append(text)
        await self._pass(fits and self._phase == "after")
        return answer

    async def _pass(self, here: bool) -> None:
        if here and not self.stopped.is_set():
            self._victim.clock.goes.clear()
            self.stopped.set()
        await self._victim.clock.goes.wait()

    def thaw(self) -> None:
        self._victim.clock.goes.set()


@dataclass
class Pair:
    """Two operators as on a swarm; *a* began."""

    rig: Rig
    time: SharedTime
    a: Replica
    b: Replica

    @contextmanager
    def armed(self, freezer: Freezer) -> Iterator[None]:
        engine, execute = self.rig.engine, asyncpg.Connection.execute
        known: dict[str, str] = {}  # names by ID, of what is gone too

        async def see(call: Call) -> None:
            first = str(call.args[0]) if call.args else ""
            objects: list[Any] = [*engine.configs.values(), *(each for each, _ in engine.secrets.values())]
            known.update({each.id: each.name for each in objects})
            known.update({service.id: service.spec.name for service in engine.services.values()})
            await freezer.see(call, known.get(first, first))

        async def stepwise(connection: Any, query: str, *args: Any, **more: Any) -> Any:
            if connection._params.user != ADMIN:  # a job is a process of its own
                return await execute(connection, query, *args, **more)
            database = connection._params.database
            return await freezer.statement(database, query, lambda: execute(connection, query, *args, **more))

        engine.on_call = see
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncpg.Connection, "execute", stepwise)
            yield
        engine.on_call = None

    async def take_over(self) -> None:
        """B's turn: the lease of who is stopped or dead has run out."""
        self.time.pass_(LONG_S)
        self.b.hive.lease.nudge()
        await self.rig.until(lambda: self.b.leads)


async def start(rig: Rig, name: str, time: SharedTime) -> Replica:
    clock = Clock(time)
    hive = Hive(rig.engine, replace(rig.settings, workers=1), rig.keys, clock)
    token = OWNER.set(name)
    try:
        running = asyncio.create_task(hive.run())
    finally:
        OWNER.reset(token)
    await hive.ready.wait()
    return Replica(name, hive, clock, running)


async def stop(replica: Replica) -> None:
    replica.hive.stop()
    await replica.running


@asynccontextmanager
async def two(rig: Rig) -> AsyncIterator[Pair]:
    time = SharedTime()
    a = await start(rig, "a", time)
    b = await start(rig, "b", time)
    try:
        yield Pair(rig, time, a, b)
    finally:
        for each in (a, b):
            each.clock.goes.set()
        for each in (a, b):
            if not each.running.done():
                await stop(each)


async def world(rig: Rig) -> dict[str, object]:
    """Everything there is, versions included; the lease is nobody's business."""
    query = (
        "select datname, datconnlimit, datallowconn, datacl::text, shobj_description(oid, 'pg_database') "
        "from pg_database where datname <> 'skep' order by 1"
    )
    # Without the control database and its role, which are made in their own time.
    roles = "select rolname, rolcanlogin, rolconnlimit, rolpassword from pg_authid where rolname <> 'skep_control' order by 1"
    engine = rig.engine
    return {
        "configs": {each.name: each for each in engine.configs.values() if each.name != names.LEASE},
        "secrets": dict(engine.secrets),
        "services": {each.spec.name: (each.id, each.version) for each in engine.services.values()},
        "jobs": len(engine.jobs_run),
        "databases": [tuple(row) for row in await rig.sql(query)],
        "roles": [tuple(row) for row in await rig.sql(roles)],
    }


# Leading and following


async def test_one_leads_and_the_other_sees_everything_and_writes_nothing(rig: Rig) -> None:
    async with two(rig) as pair:
        wrote: set[str] = set()
        rig.engine.on_call = lambda call: wrote.add(OWNER.get()) if call.writes else None
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(pair.a.hive)
        await rig.until(lambda: "acme" in pair.b.hive.fleet.tenants)
        assert (pair.a.leads, pair.b.leads) == (True, False)
        assert wrote - {"nobody"} == {"a"}
        assert pair.b.hive.world.service("skep-acme-web") is not None
        assert pair.b.hive.fallback_routes() == pair.a.hive.fallback_routes() != {}
        sessions = await rig.sql("select application_name from pg_stat_activity where application_name like 'skep-op%'")
        assert {row[0].rpartition("/")[2] for row in sessions} <= {"1"}
        rig.engine.on_call = None


async def test_a_lease_that_is_let_go_is_taken_at_the_hint(rig: Rig) -> None:
    """By itself the other would look again in more than an hour: the lease of these tests is that long."""
    async with two(rig) as pair:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(pair.a.hive)
        await stop(pair.a)
        await rig.until(lambda: pair.b.leads)
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("birch", "Ready")
        assert pair.b.hive.lease.term == 2
        assert [times for key, times in made(rig).items() if key[1] != names.LEASE and times != 1] == []


async def test_who_takes_over_a_hive_at_rest_writes_nothing_but_the_lease(rig: Rig) -> None:
    async with two(rig) as pair:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(pair.a.hive)
        before = await world(rig)
        await stop(pair.a)
        await rig.until(lambda: pair.b.leads)
        await rig.until(lambda: pair.b.hive.queue.idle)
        await rig.resync(pair.b.hive)
        assert await world(rig) == before


async def test_a_request_is_consumed_by_the_leader_alone(rig: Rig) -> None:
    async with two(rig) as pair:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.ask("forced-delete", "acme")
        await rig.phase("acme", "Retained")
        await rig.rest(pair.a.hive)
        wrote = [each for each in rig.engine.writes if each[1].startswith("skep.request.")]
        assert [method for method, _ in wrote] == ["create_config", "remove_config"]


async def test_who_loses_the_lead_ends_what_is_in_hand_and_lives_on_as_a_follower(rig: Rig) -> None:
    async with two(rig) as pair:
        started, never = asyncio.Event(), asyncio.Event()

        async def hang(job: Any) -> Any:
            started.set()
            await never.wait()

        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        rig.engine.register_job(hang, args=("schema",))
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:slow"}))
        await started.wait()
        assert "acme" in pair.a.hive.queue.active
        await pair.take_over()
        await rig.until(lambda: not pair.a.leads)
        await rig.until(lambda: not pair.a.hive.queue.active)
        assert not pair.a.running.done()
        await rig.until(lambda: "acme" in pair.b.hive.queue.active)
        runs = [job.name for job in rig.engine.jobs_run if job.name.startswith("skep-acme")]
        assert len(runs) == len(set(runs))  # B awaits the job that A began
        await stop(pair.b)
        await rig.until(lambda: pair.a.leads)
        assert pair.a.hive.lease.term == 3


async def test_who_is_told_to_stop_lets_go_though_a_job_is_under_way_and_the_next_one_awaits_it(rig: Rig) -> None:
    async with two(rig) as pair:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        started, goes_on = asyncio.Event(), asyncio.Event()

        async def long(job: JobSpec) -> JobResult:
            started.set()
            await goes_on.wait()
            return JobResult(0, json.dumps({"migrations": "abc", "applied": []}))

        rig.engine.register_job(long, args=("schema",))
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:2"}))
        await started.wait()
        await stop(pair.a)
        await rig.until(lambda: pair.b.leads)
        await rig.until(lambda: "acme" in pair.b.hive.queue.active)
        goes_on.set()
        await rig.rest(pair.b.hive)
        runs = [job.name for job in rig.engine.jobs_run if job.name.startswith("skep-acme")]
        assert len(runs) == len(set(runs)) == 1


async def test_the_gauge_says_who_leads(rig: Rig) -> None:
    async with two(rig):
        assert b"skep_leader 1.0" in generate_latest(metrics.REGISTRY)


# Stopped at a write


async def nothing(rig: Rig) -> None:
    pass


async def create(rig: Rig) -> None:
    await rig.publish(PLATFORM, PLAN, tenant("acme", deletionPolicy="Delete"))


async def another_image(rig: Rig) -> None:
    await rig.publish(PLATFORM, PLAN, tenant("acme", deletionPolicy="Delete", app={"image": "skep:2"}))


async def leave_out(rig: Rig) -> None:
    await rig.publish(PLATFORM, PLAN)


Step = Callable[[Rig], Awaitable[None]]


# A job that was not sent yet does not arrive at all: tests/engine/test_fenced.py. One that was is found by its name.
WRITES: tuple[tuple[str, Step, Step, str, str, tuple[Phase, ...]], ...] = (
    ("create the record", nothing, create, "create_config", "skep.record.", BOTH),
    ("create the status", nothing, create, "create_config", "skep.status.", BOTH),
    ("create the settings", nothing, create, "create_config", "settings", BOTH),
    ("label the record", nothing, create, "label_config", "skep.record.", BOTH),
    ("label the status", create, another_image, "label_config", "skep.status.", BOTH),
    ("label the ledger", nothing, create, "label_config", "skep.sources", BOTH),
    ("create a secret", nothing, create, "create_secret", "skep.acme.", BOTH),
    ("create the service", nothing, create, "create_service", "", BOTH),
    ("create a role", nothing, create, "sql:maintenance", 'create role "t_', BOTH),
    ("create the database", nothing, create, "sql:maintenance", 'create database "t_', BOTH),
    ("inside the database", nothing, create, "sql:tenant", "", BOTH),
    ("the schema's job", create, another_image, "run_job", "skep-acme", ("after",)),
    ("update the service", create, another_image, "update_service", "skep-acme", BOTH),
    ("remove the service", create, leave_out, "remove_service", "skep-acme", BOTH),
    ("drop the database", create, leave_out, "sql:maintenance", "drop database", BOTH),
    ("remove a secret", create, leave_out, "remove_secret", "skep.acme.", BOTH),
    ("remove the record", create, leave_out, "remove_config", "skep.record.", BOTH),
    ("remove the settings", create, leave_out, "remove_config", "settings", BOTH),
)


@pytest.mark.fault(1, 8)
@pytest.mark.parametrize(
    ("before", "step", "kind", "which", "phase"),
    [
        pytest.param(before, step, kind, which, phase, id=f"{phase} {what}")
        for what, before, step, kind, which, phases in WRITES
        for phase in phases
    ],
)
async def test_a_leader_stopped_at_a_write_changes_nothing_when_it_wakes(
    rig: Rig, before: Step, step: Step, kind: str, which: str, phase: Phase
) -> None:
    await reference(rig, nothing, create)  # builds the template, which stays
    expected, counts = await reference(rig, before, step)
    await rig.renew()
    async with two(rig) as pair:
        await before(rig)
        await rig.rest(pair.a.hive)
        freezer = Freezer(pair.a, kind, which, phase)
        with pair.armed(freezer):
            await step(rig)
            async with asyncio.timeout(20.0):
                await freezer.stopped.wait()
            await pair.take_over()
            await rig.rest(pair.b.hive)
            done = await world(rig)
            freezer.thaw()
            await rig.until(lambda: not pair.a.leads)
            await rig.until(lambda: not pair.a.hive.queue.active)
            await rig.resync(pair.b.hive)
        assert freezer.arrived == []
        assert await world(rig) == done
        assert pair.b.leads
        assert not pair.a.leads
    assert await outcome(rig) == (expected, counts)


async def reference(rig: Rig, before: Step, step: Step) -> tuple[dict[str, object], object]:
    """What one undisturbed operator makes of it."""
    await rig.renew()
    async with rig.operator() as hive:
        await before(rig)
        await rig.rest(hive)
        await step(rig)
        await rig.rest(hive)
    return await outcome(rig)


async def outcome(rig: Rig) -> tuple[dict[str, object], object]:
    """End state and counts; a revision's index depends on how often a lease was written before it."""
    state = await end_state(rig)
    return state | {"records": [replace(neutral_record(each), index=0) for each in rig.records().values()]}, made(rig)


# PostgreSQL's own fence


async def test_a_session_of_an_older_term_is_ended_and_none_is_opened(rig: Rig) -> None:
    async with two(rig) as pair:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(pair.a.hive)
        server = pair.a.hive._ports.servers.get("main")
        async with server.inside(rig.database("acme")) as session:
            assert await session.fetchval("select 1") == 1
            lease = pair.a.hive.lease
            term = lease.term
            await pair.take_over()
            await rig.until(lambda: pair.b.hive.queue.idle)
            await pair.b.hive.resync()
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
                await session.fetchval("select 1")
        known = await rig.sql("select term from skep.leader")
        assert [row[0] for row in known] == [term + 1]
        connection = await asyncpg.connect(rig.postgres.dsn())
        hive = rig.keys.own_fingerprint
        with pytest.raises(NotLeader):
            await terms.admit(connection, hive, term, lease)
        with pytest.raises(NotLeader):
            await terms.still(connection, hive, term)
        await connection.close()


async def test_two_hives_on_one_server_do_not_end_each_others_sessions(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        stranger = await asyncpg.connect(
            rig.postgres.dsn(), server_settings={"application_name": terms.application_name("another-hive", 0)}
        )
        await rig.resync(hive)
        async with hive._ports.servers.get("main").inside(rig.database("acme")):
            assert await stranger.fetchval("select 1") == 1
        await stranger.close()


async def test_a_lease_that_lost_its_term_outgrows_what_the_server_knows(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
    await rig.sql("update skep.leader set term = 41")
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("birch", "Ready")
        assert hive.lease.term == 42


# Old and new


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        pytest.param("skep.sources", "the whole hive", id="ledger"),
        pytest.param("skep.operator", "the whole hive", id="announcement"),
        pytest.param("skep.status.acme", "its tenant", id="status"),
        pytest.param("skep.record.acme", "its tenant", id="record"),
    ],
)
async def test_an_object_of_a_newer_format_is_refused_and_left_alone(
    rig: Rig, name: str, condition: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
        await rig.rest(hive)
    label = "skep.record.format" if "record" in name else formats.LABEL
    config = rig.config(name)
    await rig.engine.label_config(config.id, config.version, {**dict(config.labels), label: "2"})
    newer, service = rig.config(name), rig.service("acme")
    clock = QuickClock()
    hive = Hive(rig.engine, rig.settings, rig.keys, clock)
    running = asyncio.create_task(hive.run())
    await rig.publish(PLATFORM, PLAN, tenant("acme", displayName="New"), tenant("birch", displayName="New"))
    if condition == "the whole hive":
        await rig.until(lambda: any(f"{name} has format '2'" in _said(record) for record in caplog.records))
        assert rig.records()["birch"].spec.display_name == "Birch"
    else:
        await rig.until(lambda: any("format" in _said(record) and name in _said(record) for record in caplog.records))
        await rig.until(lambda: rig.records_but("acme")["birch"].spec.display_name == "New")
    hive.stop()
    await running
    assert rig.config(name) == newer
    if condition != "its tenant" or "record" in name:
        assert rig.service("acme") == service


def _said(record: Any) -> str:
    return f"{record.getMessage()} {getattr(record, 'error', '')}"


async def test_a_revision_of_a_newer_format_deletes_nobody_and_says_why(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        labels = {names.SOURCE: "prod", formats.LABEL: "2"}
        await rig.engine.create_config("prod.r2", b"who knows\n", labels)
        await rig.until(lambda: any("prod.r2 has format '2'" in str(each) for each in hive.fleet.problems))
        await rig.resync(hive)
        assert (await rig.phase("acme", "Ready")).phase == "Ready"
    assert rig.records()["acme"].leaving == ""


async def test_a_request_of_a_newer_format_waits_for_who_knows_it(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        labels = {names.KIND: "request", formats.LABEL: "2", "skep.verb": "approve-purge", "skep.target": "acme"}
        await rig.engine.create_config("skep.request.new", b"x\n", labels)
        await rig.until(lambda: hive.world.config("skep.request.new") is not None)
        await rig.resync(hive)
        assert rig.config("skep.request.new").labels


@pytest.mark.fault(21)
async def test_what_the_first_release_wrote_is_taken_over_without_a_write(rig: Rig) -> None:
    """No label of it has a version, but the record's, which had one from the beginning."""
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
    assert not [each.name for each in rig.engine.configs.values() if formats.LABEL in dict(each.labels)]
    lease = rig.config(names.LEASE)
    await rig.engine.remove_config(lease.id)  # the first release had none, and PostgreSQL knew no term
    await rig.sql("drop schema skep cascade")
    before = await world(rig)
    clock = SharedTime()
    hive = Hive(rig.engine, rig.settings, rig.keys, Clock(clock))
    running = asyncio.create_task(hive.run())
    await hive.ready.wait()
    assert not hive.lease.leading.is_set()  # the old one may be running yet
    clock.pass_(LONG_S)
    hive.lease.nudge()
    await rig.until(hive.lease.leading.is_set)
    await rig.resync(hive)
    await rig.rest(hive)
    after = await world(rig)
    assert after == before
    hive.stop()
    await running
