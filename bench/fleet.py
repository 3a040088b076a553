"""A fleet that already is as declared, without the hours that making it through the operator would take.

Suspended tenants: every object the operator would have made for them, by its own pure functions, put in place by bare
concurrent calls. An operator that comes up finds nothing to do; if it does, this module is wrong, and its writes show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version

import asyncpg

from skep.crds.platform import Platform
from skep.operator import names
from skep.operator.engine.spec import Image, Mount, NetworkSpec, ServiceSpec
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.engine.swarm.render import Names, render_service
from skep.operator.keys import RootKey
from skep.operator.reconcilers import app, secret, status
from skep.operator.reconcilers import record as records
from skep.operator.reconcilers.database import reconciler as database
from skep.operator.reconcilers.database.catalog import QUERY, Catalog, parse
from skep.operator.reconcilers.database.plan import CreateDatabase, Furnish, close_shared, plan, sql
from skep.operator.reconcilers.database.template import key_of
from skep.operator.reconcilers.placement import place
from skep.operator.reconcilers.record import Record
from skep.operator.settings import Settings
from skep.operator.sources.announcement import Announcement
from skep.operator.sources.fleet import Declared, survey
from skep.operator.sources.ledger import Ledger
from skep.operator.sources.revision import encode, from_config, labels_of
from tests.rig.postgres import Postgres

SOURCE = "bench"
ADMIN = "skep_admin"
IMAGE = "skep.invalid/bench:1"  # never started, so it need not be there
AT_ONCE = 16
EDGE, DATA = "skep-edge-1", "skep-data-1"

COMMON = f"""\
apiVersion: skep/v1
kind: Platform
metadata: {{name: bench}}
spec:
  baseDomain: test
  tls: off
  databases: [{{name: main, host: postgres, user: {ADMIN}, capacity: 100000}}]
  app: {{image: "{IMAGE}", allowedImages: ["skep.invalid/bench"]}}
---
apiVersion: skep/v1
kind: Plan
metadata: {{name: free}}
spec:
  app: {{replicas: 1, resources: {{cpus: 0.5, memory: 256Mi}}}}
  database: {{connectionLimit: 10, statementTimeout: 10s}}
"""


def name_of(number: int) -> str:
    return f"t{number:05d}"


def document(name: str) -> str:
    return (
        f"apiVersion: skep/v1\nkind: Tenant\nmetadata:\n  name: {name}\n"
        f"spec:\n  displayName: Tenant {name}\n  plan: free\n  hosts: [www.{name}.example.com]\n  suspend: true\n"
        f"  owner: lea@{name}.example.com\n"
    )


@dataclass
class Fleet:
    """Grows in place. *real_databases*: so many of its databases have files, the others only their catalog rows."""

    engine: SwarmEngine
    postgres: Postgres
    settings: Settings
    keys: RootKey
    real_databases: int
    size: int = 0
    revisions: int = 0
    networks: dict[str, str] = field(default_factory=dict)

    async def grow(self, size: int) -> None:
        """To *size* tenants, declared by a revision of their own."""
        fresh = [name_of(number) for number in range(self.size, size)]
        declared, platform = await self._publish([name_of(number) for number in range(size)])
        image = await self.engine.resolve_image(IMAGE)
        catalog = await self._catalog()
        made = [self._record(declared[name], platform, image, catalog.system_id) for name in fresh]
        await at_once(self._objects(record, platform, image) for record in made)
        await self._databases(made, catalog, key_of(image))
        self.size = size

    async def prepare(self) -> None:
        """What `skep init` and an operator's first minute leave behind."""
        for name in (EDGE, DATA):
            self.networks[name] = await self.engine.create_network(NetworkSpec(name))
        word = Announcement.of(version("skep"), self.keys, self.settings)
        await self.engine.create_config(names.OPERATOR, b"who operates this hive\n", word.labels())
        await self.engine.create_config(names.SOURCES, b"what is remembered\n", {names.KIND: "sources"})
        connection = await asyncpg.connect(self.postgres.dsn())
        try:
            # A database without files would trouble autovacuum, which nothing here needs.
            await connection.execute("alter system set autovacuum = off")
            await connection.execute("select pg_reload_conf()")
            await connection.execute(
                f"create role {ADMIN} superuser login password '{self.keys.password('platform', 'postgres-admin')}'"
            )
            for statement in close_shared(parse(await connection.fetchval(QUERY, ["postgres", "template1"]))):
                await connection.execute(statement)
        finally:
            await connection.close()

    async def _publish(self, tenants: Sequence[str]) -> tuple[dict[str, Declared], Platform]:
        self.revisions += 1
        text = "---\n".join((COMMON, *(document(name) for name in tenants))).encode()
        made = await self.engine.create_config(
            names.revision(SOURCE, self.revisions), encode(text), labels_of(SOURCE, self.revisions, text, "bench")
        )
        revision = from_config(await self.engine.inspect_config(made))
        assert revision is not None
        found = survey([revision], Ledger(), {})
        assert found.platform is not None
        ledger = await self.engine.inspect_config(names.SOURCES)
        await self.engine.label_config(
            ledger.id, ledger.version, {names.KIND: "sources", **Ledger({SOURCE: revision.index}).labels()}
        )
        return {name: fate for name, fate in found.tenants.items() if isinstance(fate, Declared)}, found.platform

    def _record(self, fate: Declared, platform: Platform, image: Image, system_id: str) -> Record:
        now = datetime.now(UTC).replace(microsecond=0)
        new = records.desire(fate, None, None, name=fate.effective.name, fresh_uid=records.new_uid(), now=now)
        assert new is not None
        record = replace(
            place(new, platform, {}, {}),
            key_id=self.keys.id,
            system_id=system_id,
            provisioned=True,
            schema=key_of(image),
        )
        file = app.settings_file(record, platform, self.settings)
        return replace(record, attempted=app.revision_label(app.desire(record, file, image)))

    async def _objects(self, record: Record, platform: Platform, image: Image) -> None:
        """Record, settings, secret, service and status of one tenant."""
        file = app.settings_file(record, platform, self.settings)
        spec = app.desire(record, file, image)
        (want,) = secret.desire(record, self.keys)
        urls = tuple(f"http://{host}{self.settings.edge_suffix}" for host in record.spec.hosts)
        finding = status.Finding("Suspended", 1, "Suspended", "suspended by its declaration", urls, record.spec.image)
        report = status.report(finding, None, record.created_at)
        own = app.owner_labels(record)
        file_id: str
        secret_id: str
        _, _, file_id, secret_id = await asyncio.gather(
            self.engine.create_config(names.record(record.name), records.data_of(record), records.labels_of(record)),
            self.engine.create_config(
                names.status(record.name),
                b"a report; see the labels\n",
                status.labels_of(record.name, record.uid, report),
            ),
            self.engine.create_config(file.name, file.body, own | {names.KIND: "settings"}),
            self.engine.create_secret(
                want.name,
                self.keys.password(record.uid, want.purpose, record.secret_generation).encode(),
                own | {names.PURPOSE: want.purpose, names.FINGERPRINT: want.fingerprint or ""},
            ),
        )
        await self._service(spec, file_id, secret_id)

    async def _service(self, spec: ServiceSpec, file_id: str, secret_id: str) -> None:
        """Straight away, since the adapter would look up four names for each of thousands."""

        def by_name(mounts: Iterable[Mount], object_id: str) -> dict[str, str]:
            return {mount.name: object_id for mount in mounts}

        known = Names(
            self.networks,
            by_name(spec.configs, file_id),
            by_name(spec.secrets, secret_id),
            await self.engine.api.version() >= (1, 44),
        )
        await self.engine.api.post("services/create", render_service(spec, known))

    async def _catalog(self) -> Catalog:
        connection = await asyncpg.connect(self.postgres.dsn())
        try:
            return parse(await connection.fetchval(QUERY, [ADMIN]))
        finally:
            await connection.close()

    async def _databases(self, made: Sequence[Record], catalog: Catalog, schema: str) -> None:
        """Databases and roles in the verified shape, by the operator's own plan.

        Beyond *real_databases* a database is the row that CREATE DATABASE would write, without its files: 10,000 real
        ones are 75 GB. Everything after that row (grants, settings, comment, limit) is done in earnest.
        """
        async with asyncpg.create_pool(self.postgres.dsn(), min_size=4, max_size=4) as pool:
            await at_once(
                self._database(record, number < self.real_databases, catalog, schema, pool)
                for number, record in enumerate(made, self.size)
            )

    async def _database(
        self, record: Record, real: bool, catalog: Catalog, schema: str, pool: asyncpg.Pool[asyncpg.Record]
    ) -> None:
        spec = database.desire(record, self.keys, ADMIN)
        before: list[str] = []
        after: list[str] = []
        creation = ""
        for action in plan(spec, catalog, template="template0", schema=schema):
            match action:
                case CreateDatabase():
                    (creation,) = sql(action)
                case Furnish():  # changes only the inside, which no catalog shows
                    pass
                case _:
                    (after if creation else before).extend(sql(action))
        async with pool.acquire() as connection:
            if real:
                await connection.execute(";".join(before))
                await connection.execute(creation)
                await connection.execute(";".join(after))
            else:
                row = (
                    "insert into pg_database select (jsonb_populate_record(d, jsonb_build_object('oid', "
                    f"(select max(oid)::bigint + 1 from pg_database), 'datname', '{spec.name}', 'datallowconn', true, "
                    "'datistemplate', false, 'datconnlimit', 0))).* from pg_database d where datname = 'template0'"
                )
                quiet = ["set local log_statement = none", "set local allow_system_table_mods = on"]
                alone = "lock table pg_database in share row exclusive mode"  # the next oid is nobody else's
                await connection.execute(";".join([*quiet, *before, alone, row, *after]))


async def at_once(work: Iterable[Awaitable[None]]) -> None:
    """AT_ONCE at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[None]) -> None:
        async with gate:
            await each

    await asyncio.gather(*(one(each) for each in work))
