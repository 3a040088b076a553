"""Database servers: connections, one catalog each, and the errors of the driver as ours.

The catalog of a server is read whole once a resync and kept; what the operator itself changes is read again by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING

import asyncpg

from skep.crds.platform import DatabaseServer, Platform
from skep.operator.errors import DatabaseUnavailable, SkepError, TerminalError, TransientError
from skep.operator.fence import Fence
from skep.operator.reconcilers.database import catalog, terms
from skep.operator.reconcilers.database.catalog import Catalog
from skep.operator.reconcilers.database.plan import SHARED, close_shared
from skep.operator.settings import Settings

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    PoolConnection = PoolConnectionProxy[asyncpg.Record]

log = logging.getLogger(__name__)

OURS = ("t\\_%", "skep\\_%")  # LIKE patterns of everything skep makes on a server
POOL_MAX = 8  # PostgreSQL clones 78 databases a second at 8 connections and gains nothing beyond
RACES = 6  # tries of one statement; together 0.3 s
QUIET_S = 1.0  # a server that could not be reached is not tried again for so long: workers are for those of others
CALL_S = 30.0  # CREATE and DROP DATABASE may wait for a checkpoint

# A session of the operator inside a tenant's database must resolve no name that the tenant could have made.
_SAFE = {"search_path": "pg_catalog", "lock_timeout": "5000"}

# SQLSTATE classes that heal by waiting: connection, insufficient resources, operator intervention, in use, lost races.
_TRANSIENT = ("08", "53", "57", "55", "58", "40", "XX")


def translate(error: Exception, where: str) -> SkepError:
    """By SQLSTATE, never by text."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or "XX000"
        if state.startswith("28"):
            return DatabaseUnavailable(
                f"{where} refused the operator's password",
                reason="DatabaseRefused",
                remedy="compare the server's admin secret with the root key: `skep doctor`",
                retry_after_s=10.0,
            )
        if state.startswith(_TRANSIENT):
            return DatabaseUnavailable(f"{where}: {error.args[0]} ({state})", retry_after_s=2.0)
        return TerminalError(f"{where}: {error.args[0]} ({state})", reason="DatabaseError")
    return DatabaseUnavailable(
        f"{where} cannot be reached: {error or type(error).__name__}",
        remedy="is the server up? `docker service ls --filter label=skep.database`",
        retry_after_s=2.0,
    )


@contextlib.contextmanager
def _translated(where: str) -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise translate(error, where) from error


async def _execute(connection: PoolConnection, statement: str) -> None:
    """Run *statement*, again at once when another tenant's DDL won the race for a shared catalog's row.

    PostgreSQL says so as XX000 "tuple concurrently updated" instead of waiting; nothing of the statement has happened.
    """
    for attempt in range(RACES):
        try:
            await connection.execute(statement)
            return
        except asyncpg.InternalServerError as error:
            if attempt == RACES - 1 or "concurrently" not in str(error):
                raise
            await asyncio.sleep(0.01 * 2**attempt)


class Server:
    """One database server, as its admin role. Each session is one of the fence's term, and let in by `terms` only."""

    def __init__(self, spec: DatabaseServer, settings: Settings, fence: Fence, hive: str = "") -> None:
        self.spec = spec
        self.admin = spec.user
        self._settings = settings
        self._fence = fence
        self._hive = hive
        self._host, self._port = settings.address(spec.host, spec.port)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._term = 0  # of the pool
        self._opening = asyncio.Lock()
        self._catalog: Catalog | None = None
        self._last: Catalog | None = None  # the newest whole catalog, kept while the server is away
        self._last_term = 0  # in which it was read: what another leader made since is not in it
        self._away: SkepError | None = None  # what was said when it could not be reached, and until when that holds
        self._quiet_until = float("-inf")
        self.silent = False  # it did not answer when it was asked last

    @property
    def where(self) -> str:
        return f"database server {self.spec.name} ({self._host}:{self._port})"

    def _password(self) -> str:
        path = self._settings.secrets_dir / self.spec.secret
        try:
            return path.read_text().strip()
        except OSError as error:
            raise DatabaseUnavailable(
                f"cannot read {path}, the password of {self.where}: {error.strerror}",
                reason="DatabaseSecretMissing",
                remedy="mount the secret into the operator; `skep init` does",
                retry_after_s=10.0,
            ) from error

    def _session(self, term: int) -> dict[str, str]:
        return _SAFE | {"application_name": terms.application_name(self._hive, term)}

    async def _maintenance(self) -> asyncpg.Pool[asyncpg.Record]:
        self._fence.check()
        async with self._opening:
            term = self._fence.term
            if self._pool is not None and self._term != term:
                old, self._pool = self._pool, None
                old.terminate()

            async def admit(connection: asyncpg.Connection[asyncpg.Record]) -> None:
                await terms.admit(connection, self._hive, term, self._fence)

            if self._pool is None:
                self._term = term
                self._pool = await asyncpg.create_pool(
                    host=self._host,
                    port=self._port,
                    user=self.admin,
                    password=self._password(),
                    database="postgres",
                    min_size=0,
                    max_size=POOL_MAX,
                    max_inactive_connection_lifetime=30.0,
                    timeout=5.0,
                    command_timeout=CALL_S,
                    server_settings=self._session(term),
                    statement_cache_size=0,
                    init=admit,
                )
            return self._pool

    @contextlib.contextmanager
    def _reached(self, where: str) -> Iterator[None]:
        """Errors of the driver as ours. If the server was just out of reach, the same is raised at once."""
        if self._away is not None and asyncio.get_running_loop().time() < self._quiet_until:
            raise DatabaseUnavailable(self._away.message, remedy=self._away.remedy, retry_after_s=2.0)
        try:
            with _translated(where):
                yield
        except SkepError as error:
            if isinstance(error.__cause__, OSError):  # refused, no such host, timed out: each would hold up a worker
                self._away, self.silent = error, True
                self._quiet_until = asyncio.get_running_loop().time() + QUIET_S
            raise

    async def execute(self, statements: Iterable[str]) -> None:
        """Each statement on its own, on the maintenance database."""
        with self._reached(self.where):
            async with (await self._maintenance()).acquire(timeout=10.0) as connection:
                for statement in statements:
                    self._fence.check()
                    await _execute(connection, statement)

    @contextlib.asynccontextmanager
    async def inside(self, database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A short session in one database; superusers may enter one whose limit is 0."""
        with self._reached(f"{self.where}, database {database}"):
            maintenance = await self._maintenance()
            term = self._term
            connection = await asyncpg.connect(
                host=self._host,
                port=self._port,
                user=self.admin,
                password=self._password(),
                database=database,
                timeout=5.0,
                command_timeout=CALL_S,
                server_settings=self._session(term),
                statement_cache_size=0,
            )
            try:
                async with maintenance.acquire(timeout=10.0) as asking:  # now that the session is there to be ended
                    await terms.still(asking, self._hive, term)
                self._fence.check()
                yield connection
            finally:
                await connection.close(timeout=5.0)

    async def refresh(self) -> Catalog:
        """Read everything of ours, and the databases that a fresh server lets everybody enter: one query."""
        found = await self._read((*OURS, *(_pattern(name) for name in SHARED)))
        if closing := close_shared(found):
            log.info("shared databases closed to PUBLIC", extra={"server": self.spec.name})
            await self.execute(closing)
        self._catalog = self._last = found
        self._last_term = self._term
        return found

    @property
    def known(self) -> Catalog | None:
        """The catalog as last read, without asking; None before that, and once the server did not answer."""
        return self._catalog

    async def catalog(self) -> Catalog:
        """The kept catalog; read now if there is none."""
        return self._catalog if self._catalog is not None else await self.refresh()

    async def reread(self, names: frozenset[str]) -> Catalog:
        """The kept catalog with *names* read again."""
        newer = await self._read(tuple(_pattern(name) for name in sorted(names)))
        kept = self._catalog if self._catalog is not None else Catalog(newer.system_id)
        self._catalog = kept.merged(newer, names)
        if self._last is not None:
            self._last = self._catalog if kept is self._last else self._last.merged(newer, names)
        return self._catalog

    async def seek(self, prefix: str) -> Catalog:
        """What is there under names that begin with *prefix*, asked now; the kept catalog stays as it is."""
        return await self._read((_pattern(prefix) + "%",))

    def never_had(self, prefix: str) -> bool:
        """Whether nothing under names that begin with *prefix* was there when this operator saw everything last.

        Only the leader makes databases, so what it knows stays true while the server is away. False if it never saw
        the server.
        """
        if self._last is None or self._last_term != self._fence.term:
            return False
        return not any(name.startswith(prefix) for name in self._last.databases)

    def forget(self) -> None:
        """The server could not be asked: what was kept may be old, so the next reader asks again."""
        self._catalog, self.silent = None, True

    async def _read(self, patterns: tuple[str, ...]) -> Catalog:
        with self._reached(self.where):
            async with (await self._maintenance()).acquire(timeout=10.0) as connection:
                found = catalog.parse(await connection.fetchval(catalog.QUERY, list(patterns)), self._catalog)
        self.silent = False
        return found

    async def close(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                async with asyncio.timeout(5.0):
                    await pool.close()
            except TimeoutError:
                log.warning("sessions do not end", extra={"server": self.spec.name})
            finally:
                pool.terminate()  # of no effect on one that is closed


def _address(spec: DatabaseServer) -> DatabaseServer:
    """What of *spec* is said to reach the server: all but its capacity."""
    return spec.model_copy(update={"capacity": 1})


def _pattern(name: str) -> str:
    return name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")


class Servers:
    """The Platform's servers by name; a server whose address changed is a new one."""

    def __init__(self, settings: Settings, fence: Fence, hive: str = "") -> None:
        self._settings = settings
        self._fence = fence
        self._hive = hive
        self._servers: dict[str, Server] = {}

    async def adopt(self, platform: Platform) -> None:
        before = self._servers
        kept: dict[str, Server] = {}
        for spec in platform.spec.databases:
            server = before.get(spec.name)
            if server is not None and _address(server.spec) == _address(spec):
                server.spec = spec  # its capacity may differ
                kept[spec.name] = server
        self._servers = {
            spec.name: kept.get(spec.name) or Server(spec, self._settings, self._fence, self._hive)
            for spec in platform.spec.databases
        }
        for name, server in before.items():
            if name not in kept:
                await server.close()

    def get(self, name: str) -> Server:
        try:
            return self._servers[name]
        except KeyError:
            raise TransientError(
                f"the Platform has no database server {name}",
                reason="ServerUnknown",
                remedy=f"put {name} back under spec.databases",
                retry_after_s=10.0,
            ) from None

    def all(self) -> tuple[Server, ...]:
        return tuple(self._servers.values())

    async def refresh(self) -> None:
        """One catalog query a server; one that does not answer keeps nobody else waiting."""
        results = await asyncio.gather(*(server.refresh() for server in self.all()), return_exceptions=True)
        for server, result in zip(self.all(), results, strict=True):
            if isinstance(result, SkepError):
                server.forget()
                log.warning("catalog not read", extra={"server": server.spec.name, "error": str(result)})
            elif isinstance(result, BaseException):
                raise result

    async def close(self) -> None:
        for server in self.all():
            await server.close()
