"""A whole operator over the memory engine, a real PostgreSQL and a real HTTP edge."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from skep.operator import names
from skep.operator.engine.memory import Call, MemoryEngine
from skep.operator.engine.spec import Config, JobResult, JobSpec, NetworkSpec, Service, pairs
from skep.operator.history import DATABASE, OWNER
from skep.operator.hive import Hive
from skep.operator.keys import RootKey
from skep.operator.reconcilers import record, status
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.status import Status
from skep.operator.settings import Settings
from skep.operator.sources.approvals import Request, Verb, new_id
from skep.operator.sources.fleet import Declared
from skep.operator.sources.revision import encode, labels_of
from skep.webapp.errors import AppError
from skep.webapp.schema import Migration, known_migrations
from skep.webapp.schema import migrate as migrate_app
from skep.webapp.settings import Settings as AppSettings
from tests.fakes.edge import FakeEdge
from tests.rig.postgres import Postgres, running_postgres

ADMIN = "skep_admin"
SPEED = 10.0  # the operator's clock runs this much faster than the tests'
SETTLED = ("Ready", "Degraded", "Suspended", "Retained")
LEASE_S = 36_000.0  # as below: no renewal comes between; what is said of leases has tests of its own
RESYNC_S = 3600.0  # tests ask for a resync when they want one, so that nothing else can have repaired the world


class QuickClock:
    """Real time, quicker: waits of the operator cost a test a tenth."""

    def monotonic(self) -> float:
        return time.monotonic() * SPEED

    def boottime(self) -> float:
        return time.monotonic() * SPEED

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / SPEED)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


PLATFORM = """
apiVersion: skep/v1
kind: Platform
metadata: {name: test}
spec:
  baseDomain: test
  tls: off
  databases: [{name: main, host: postgres, user: ADMIN}]
  app: {image: "skep:1", allowedImages: ["skep"]}
""".replace("ADMIN", ADMIN)

PLAN = """
apiVersion: skep/v1
kind: Plan
metadata: {name: free}
spec:
  database: {connectionLimit: 6}
"""


def tenant(name: str, **spec: object) -> str:
    document = {
        "apiVersion": "skep/v1",
        "kind": "Tenant",
        "metadata": {"name": name},
        "spec": {"displayName": name.title(), "plan": "free"} | spec,
    }
    return json.dumps(document)


def is_of_lease(call: Call) -> bool:
    """Of who leads, and of nothing else."""
    return names.LEASE in call.args or any(
        isinstance(labels, dict) and labels.get(names.KIND) == "lease" for labels in call.args
    )


class Killer:
    """SIGKILL after the *n*-th write, to the engine or to PostgreSQL: it never returns, and nothing else gets through.

    A write to PostgreSQL is a statement of the operator on any database; *written* holds them all, in words.
    """

    def __init__(self, n: int) -> None:
        self.fired = asyncio.Event()
        self.written: list[str] = []
        self._n = n

    @property
    def seen(self) -> int:
        return len(self.written)

    async def see(self, call: Call) -> None:
        await self._pass()
        if call.phase == "after" and call.writes and not is_of_lease(call):
            await self._step(f"{call.method} {call.args[0] if call.args else ''}")

    @contextmanager
    def armed(self, engine: MemoryEngine) -> Iterator[None]:
        execute = asyncpg.Connection.execute

        async def step_by_step(connection: Any, query: str, *args: Any, **more: Any) -> Any:
            database = connection._params.database
            if connection._params.user != ADMIN or not is_write(database, query):  # a job is a process of its own
                return await execute(connection, query, *args, **more)
            await self._pass()
            answer = await execute(connection, query, *args, **more)
            await self._step(f"{database}: {query.strip()}")
            return answer

        engine.on_call = self.see
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncpg.Connection, "execute", step_by_step)
            yield
        engine.on_call = None

    async def _pass(self) -> None:
        if self.fired.is_set():
            await asyncio.Event().wait()

    async def _step(self, what: str) -> None:
        self.written.append(what)
        if self.seen == self._n:
            self.fired.set()
        await self._pass()


def is_write(database: str, query: str) -> bool:
    """Whether a statement changes something of tenants or templates. The control database is written in its own time."""
    if database == DATABASE or OWNER in query or f"database {DATABASE} " in query:
        return False
    return not query.lstrip().lower().startswith(("select", "set ", "reset", "begin", "commit", "rollback"))


@dataclass
class Rig:
    """*engine* and *postgres* outlive operators; `operator()` runs one."""

    engine: MemoryEngine
    postgres: Postgres
    settings: Settings
    keys: RootKey
    edge: FakeEdge
    make_engine: Callable[[], MemoryEngine]
    migrations: dict[str, tuple[Migration, ...]]  # of images that bring others than the app's own
    published: dict[str, int] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)  # the writes of the last run that was to be killed

    @asynccontextmanager
    async def operator(self, **settings: Any) -> AsyncIterator[Hive]:
        """One operator until the end of the block; it stops as at SIGTERM."""
        hive = Hive(self.engine, replace(self.settings, **settings), self.keys, QuickClock())
        running = asyncio.create_task(hive.run())
        try:
            yield hive
        finally:
            hive.stop()
            await running

    async def killed_at(self, n: int, *, within_s: float = 20.0) -> int | None:
        """Run an operator until its *n*-th write and kill it there; if it comes to rest before, how many it made."""
        killer = Killer(n)
        with killer.armed(self.engine):
            hive = Hive(self.engine, self.settings, self.keys, QuickClock())
            running = asyncio.create_task(hive.run())
            try:
                await self.until(lambda: killer.fired.is_set() or self.at_rest(hive), within_s=within_s)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        self.run_out_lease()
        self.killed = killer.written
        return None if killer.fired.is_set() else killer.seen

    def run_out_lease(self) -> None:
        """As if its time had passed: whoever comes need not wait."""
        for config in self.engine.configs.values():
            if config.name == names.LEASE:
                left = {key: value for key, value in config.labels if key != "skep.lease.holder"}
                self.engine.configs[config.id] = replace(config, version=self.engine.tick(), labels=pairs(left))

    async def rest(self, hive: Hive, *, within_s: float = 30.0) -> None:
        await self.until(lambda: self.at_rest(hive), within_s=within_s)

    def at_rest(self, hive: Hive) -> bool:
        """Everything published was surveyed, everybody followed, and nobody waits for what comes by itself."""
        newest: dict[str, int] = {}
        for config in self.engine.configs.values():
            if source := dict(config.labels).get(names.SOURCE):
                newest[source] = max(config.version, newest.get(source, 0))
        surveyed = {state.name: state.newest.index for state in hive.fleet.sources if state.newest is not None}
        asked = any(config.name.startswith("skep.request.") for config in self.engine.configs.values())
        if asked or newest != surveyed or not hive.ready.is_set() or not hive.queue.idle:
            return False
        held = self.records()
        if any(
            held[name].leaving != "retained"
            for name, fate in hive.fleet.absent.items()
            if name in held and not fate.held
        ):
            return False
        return all(self._settled(hive, name, held.get(name)) for name in {*hive.fleet.tenants, *held})

    def _settled(self, hive: Hive, name: str, known: Record | None) -> bool:
        report, fate = self.status(name), hive.fleet.fate(name)
        if report is None or report.phase not in SETTLED or hive.queue.due(name) is not None:
            return False
        if known is None or known.leaving:
            return True
        followed = not isinstance(fate, Declared) or known.spec == fate.effective
        return followed and report.observed_generation == known.generation

    async def renew(self) -> None:
        """A new world: nothing on the engine, nothing but templates on the server."""
        await self.engine.close()
        self.engine = self.make_engine()
        self.edge.engine = self.engine
        self.published.clear()
        connection = await asyncpg.connect(self.postgres.dsn())
        await empty(connection, templates=False)
        await connection.close()
        await make_networks(self.engine)

    async def resync(self, hive: Hive) -> None:
        """A full list, and every tenant's turn over."""
        await hive.ready.wait()
        await hive.resync()
        await self.until(lambda: hive.queue.idle)

    async def ask(self, verb: Verb, target: str, *, index: int | None = None) -> None:
        request = Request(verb, target, "test", index=index)
        await self.engine.create_config(names.request(new_id()), request.body(), request.labels())

    def config(self, name: str) -> Config:
        return next(config for config in self.engine.configs.values() if config.name == name)

    def records(self) -> dict[str, Record]:
        return self.records_but("")

    def records_but(self, tenant: str) -> dict[str, Record]:
        """Without that of *tenant*, which may be one that we cannot read."""
        found = (
            config
            for config in self.engine.configs.values()
            if config.name.startswith("skep.record.") and config.name != names.record(tenant)
        )
        return {one.name: one for one in map(record.from_config, found)}

    def service(self, tenant: str) -> Service:
        return self.engine.service(names.service(tenant))

    def written(self) -> list[tuple[str, str]]:
        """Every write but the lease's."""
        return [(method, name) for method, name in self.engine.writes if name != names.LEASE]

    def made(self) -> Counter[tuple[str, str]]:
        """Creations and deletions of the engine's objects, by name; reports and requests do not count."""
        return Counter(
            (method, name)
            for method, name in self.engine.writes
            if method.startswith(("create_", "remove_")) and not name.startswith(("skep.request.", "skep.status."))
        )

    def database(self, tenant: str) -> str:
        return names.database(tenant, self.records()[tenant].uid)

    async def login(self, tenant: str, slot: str = "a") -> asyncpg.Connection[asyncpg.Record]:
        """A connection as the tenant's app makes it."""
        known = self.records()[tenant]
        password = self.keys.password(known.uid, f"db-{slot}", known.secret_generation)
        dsn = self.postgres.dsn(self.database(tenant), user=f"{self.database(tenant)}_{slot}", password=password)
        return await asyncpg.connect(dsn)

    async def publish(self, *documents: str, source: str = "prod") -> None:
        number = self.published[source] = self.published.get(source, 0) + 1
        text = "\n---\n".join(documents).encode()
        await self.engine.create_config(f"{source}.r{number}", encode(text), labels_of(source, number, text, "test"))

    async def retract(self, source: str = "prod") -> None:
        """Remove the newest revision, as somebody would by hand."""
        await self.engine.remove_config(self.config(f"{source}.r{self.published[source]}").id)

    def status(self, name: str) -> Status | None:
        for config in self.engine.configs.values():
            if config.name == names.status(name):
                return status.from_config(config)
        return None

    async def until(self, holds: Callable[[], object], *, within_s: float = 30.0) -> None:
        async with asyncio.timeout(within_s):
            while not holds():  # noqa: ASYNC110 - the world has no event for everything a test may ask
                await asyncio.sleep(0.01)

    async def phase(self, name: str, phase: str, *, reason: str | None = None, within_s: float = 30.0) -> Status:
        def holds() -> bool:
            report = self.status(name)
            if report is None or report.phase != phase:
                return False
            ready = report.condition("Ready")
            return reason is None or (ready is not None and ready.reason == reason)

        try:
            await self.until(holds, within_s=within_s)
        except TimeoutError:
            raise AssertionError(f"{name} is {self.status(name)}, not {phase}") from None
        report = self.status(name)
        assert report is not None
        return report

    async def sql(self, query: str, *args: object, database: str = "postgres") -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.postgres.dsn(database))
        try:
            return list(await connection.fetch(query, *args))
        finally:
            await connection.close()

    async def databases(self) -> set[str]:
        return {row["datname"] for row in await self.sql("select datname from pg_database where datname like 't\\_%'")}


async def migrate(rig: Rig, job: JobSpec, scratch: Path) -> JobResult:
    """What a node would do with a schema job: run the app's own migration with the job's files."""
    home = scratch / job.name
    for folder in ("configs", "secrets"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    for mount in job.configs:
        (home / "configs" / mount.file).write_bytes(rig.config(mount.name).data)
    for mount in job.secrets:
        (home / "secrets" / mount.file).write_bytes(rig.engine.secret_data(mount.name))
    env = {"SKEP_CONFIGS_DIR": str(home / "configs"), "SKEP_SECRETS_DIR": str(home / "secrets")}
    try:
        report = await migrate_app(AppSettings.read(env).database, rig.migrations.get(job.image) or known_migrations())
    except (AppError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return JobResult(1, "", str(error))
    return JobResult(0, json.dumps({"migrations": report.migrations, "applied": list(report.applied)}))


@pytest.fixture
async def rig(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_on(postgres, tmp_path) as found:
        yield found


@asynccontextmanager
async def rig_on(postgres: Postgres, folder: Path) -> AsyncIterator[Rig]:
    """A fresh world: an empty server, an empty engine. *folder* is for secrets and what jobs are given."""
    password = "admin-password"
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "skep.postgres-admin").write_text(password)
    connection = await asyncpg.connect(postgres.dsn())
    try:
        if not await connection.fetchval("select 1 from pg_roles where rolname = $1", ADMIN):
            await connection.execute(f"create role {ADMIN} superuser login password '{password}'")
        await empty(connection)
    finally:
        await connection.close()

    def make_engine() -> MemoryEngine:
        engine = MemoryEngine()
        engine.register_job(lambda job: migrate(world, job, folder), args=("schema",))
        return engine

    engine = make_engine()
    await make_networks(engine)
    edge = FakeEdge(engine)
    async with edge.serve():
        settings = Settings(
            secrets_dir=secrets,
            edge_url=edge.url,
            addresses=(f"postgres=127.0.0.1:{postgres.port}",),
            resync_s=RESYNC_S,
            lease_s=LEASE_S,
            proxies=("127.0.0.1",),
        )
        world = Rig(engine, postgres, settings, RootKey("k1", bytes(range(32))), edge, make_engine, {})
        yield world
        await world.engine.close()


async def make_networks(engine: MemoryEngine) -> None:
    for network in ("skep-edge-1", "skep-data-1"):
        await engine.create_network(NetworkSpec(network))


async def empty(
    connection: asyncpg.Connection[asyncpg.Record], *, templates: bool = True, control: bool = True
) -> None:
    """Drop what an earlier test left: databases first, then roles; *templates* and the *control* database if said."""
    await connection.execute("drop schema if exists skep cascade")
    patterns = [r"t\_%", *(["skep"] if control else []), *([r"skep\_%"] if templates else [])]
    for row in await connection.fetch("select datname from pg_database where datname like any($1)", patterns):
        await connection.execute(f'alter database "{row[0]}" with allow_connections true')
        await connection.execute(f'drop database "{row[0]}" with (force)')
    query = "select rolname from pg_roles where rolname like any($1) and rolname <> $2"
    for row in await connection.fetch(query, patterns, ADMIN):
        await connection.execute(f'drop role "{row[0]}"')
