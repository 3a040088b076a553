"""A whole operator over the memory engine, a real PostgreSQL and a real HTTP edge."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from skep.operator import names
from skep.operator.engine.memory import MemoryEngine
from skep.operator.engine.spec import JobResult, JobSpec, NetworkSpec
from skep.operator.hive import Hive
from skep.operator.keys import RootKey
from skep.operator.loop.clock import SystemClock
from skep.operator.reconcilers import status
from skep.operator.reconcilers.status import Status
from skep.operator.settings import Settings
from skep.operator.sources.revision import encode, labels_of
from tests.fakes.edge import FakeEdge
from tests.rig.postgres import Postgres, running_postgres

ADMIN = "skep_admin"


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


@dataclass
class Rig:
    """*engine* and *postgres* outlive operators; `operator()` runs one."""

    engine: MemoryEngine
    postgres: Postgres
    settings: Settings
    keys: RootKey
    published: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[Hive]:
        hive = Hive(self.engine, self.settings, self.keys, SystemClock())
        running = asyncio.create_task(hive.run())
        try:
            yield hive
        finally:
            hive.stop()
            await running

    async def publish(self, *documents: str, source: str = "prod") -> None:
        number = self.published[source] = self.published.get(source, 0) + 1
        text = "\n---\n".join(documents).encode()
        await self.engine.create_config(f"{source}.r{number}", encode(text), labels_of(source, number, text, "test"))

    def status(self, name: str) -> Status | None:
        for config in self.engine.configs.values():
            if config.name == names.status(name):
                return status.from_config(config)
        return None

    async def until(self, holds: Callable[[], object], *, within_s: float = 30.0) -> None:
        async with asyncio.timeout(within_s):
            while not holds():  # noqa: ASYNC110 - the world has no event for everything a test may ask
                await asyncio.sleep(0.02)

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

    async def sql(self, query: str, database: str = "postgres") -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.postgres.dsn(database))
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    async def databases(self) -> set[str]:
        return {row["datname"] for row in await self.sql("select datname from pg_database where datname like 't\\_%'")}


async def migrate(engine: MemoryEngine, job: JobSpec, scratch: Path) -> JobResult:
    """What a node would do with a schema job: run the app's own `schema` with the job's files."""
    home = scratch / job.name
    for folder in ("configs", "secrets"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    for mount in job.configs:
        config = next(each for each in engine.configs.values() if each.name == mount.name)
        (home / "configs" / mount.file).write_bytes(config.data)
    for mount in job.secrets:
        (home / "secrets" / mount.file).write_bytes(engine.secret_data(mount.name))
    environment = {"SKEP_CONFIGS_DIR": str(home / "configs"), "SKEP_SECRETS_DIR": str(home / "secrets")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "skep.webapp", *job.args,
        env={"PATH": os.environ["PATH"], **environment}, stdout=-1, stderr=-1,
    )  # fmt: skip
    out, err = await process.communicate()
    return JobResult(process.returncode, out.decode(), err.decode()[-500:])


@pytest.fixture
async def rig(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Rig]:
    password = "admin-password"
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "skep.postgres-admin").write_text(password)
    connection = await asyncpg.connect(postgres.dsn())
    try:
        if not await connection.fetchval("select 1 from pg_roles where rolname = $1", ADMIN):
            await connection.execute(f"create role {ADMIN} superuser login password '{password}'")
        await _empty(connection)
    finally:
        await connection.close()
    engine = MemoryEngine()
    engine.register_job(lambda job: migrate(engine, job, tmp_path), args=("schema",))
    for network in ("skep-edge-1", "skep-data-1"):
        await engine.create_network(NetworkSpec(network))
    edge = FakeEdge(engine)
    async with edge.serve():
        settings = Settings(
            secrets_dir=secrets,
            edge_url=edge.url,
            addresses=(f"postgres=127.0.0.1:{postgres.port}",),
            resync_s=2.0,
            proxies=("127.0.0.1",),
        )
        yield Rig(engine, postgres, settings, RootKey("k1", bytes(range(32))))
        await engine.close()


async def _empty(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Drop what an earlier test left: databases first, then roles."""
    for row in await connection.fetch(r"select datname from pg_database where datname like any('{t\\_%,skep\\_%}')"):
        await connection.execute(f'alter database "{row[0]}" with allow_connections true')
        await connection.execute(f'drop database "{row[0]}" with (force)')
    query = r"select rolname from pg_roles where rolname like any('{t\\_%,skep\\_%}') and rolname <> $1"
    for row in await connection.fetch(query, ADMIN):
        await connection.execute(f'drop role "{row[0]}"')
