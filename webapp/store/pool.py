"""Connections to the tenant's database, and the one place where the driver's errors become ours.

The pool is empty while nobody visits: hundreds of tenants share a server with a hundred connections.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from skep.webapp.errors import DatabaseDown
from skep.webapp.settings import DatabaseSettings

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

CONNECT_TIMEOUT_S = 5.0  # also the longest wait for a free connection: a visitor gives up after a few more
COMMAND_TIMEOUT_S = 15.0
IDLE_LIFETIME_S = 30.0
IDLE_IN_TRANSACTION_S = 30.0
READINESS_AGE_S = 10.0

_GONE_CLASSES = ("08", "53", "57P")  # connection exceptions, out of resources, shutdown and cannot-connect-now
_GONE_CODES = frozenset({
    "3D000", "55000",  # a database that is being swapped
    "57014",  # a statement that ran into its time limit
    "40001", "40P01",  # a transaction that lost against another
})  # fmt: skip


def is_gone(error: BaseException) -> bool:
    """Does *error* say that the database is away for the moment (and not that the query is wrong)?

    asyncpg says InterfaceError for a connection that was closed under it, and OSError or TimeoutError where the
    server cannot be reached; a statement prepared before a migration is refused once within a transaction. Its protocol
    says InternalClientError where the server's farewell came between two requests.
    """
    if isinstance(error, asyncpg.InternalClientError):
        return True
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        return True
    if isinstance(error, ValueError):  # asyncpg's DataError is an InterfaceError too
        return False
    if isinstance(error, asyncpg.PostgresError):
        code = error.sqlstate or ""
        return code.startswith(_GONE_CLASSES) or code in _GONE_CODES
    return isinstance(error, asyncpg.InterfaceError | OSError | TimeoutError)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_gone(error):
            raise DatabaseDown(f"the database went away ({type(error).__name__}: {error})") from error
        raise


async def connect(
    database: DatabaseSettings, *, command_timeout_s: float | None = COMMAND_TIMEOUT_S, name: str = "skep"
) -> asyncpg.Connection[asyncpg.Record]:
    """One connection of its own. Raises DatabaseDown for whatever keeps us out."""
    try:
        return await asyncpg.connect(
            host=database.host,
            port=database.port,
            database=database.name,
            user=database.user,
            password=database.password(),
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=command_timeout_s,
            server_settings={"application_name": name},
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise DatabaseDown(
            f"cannot connect to database {database.name} at {database.host}:{database.port} as {database.user}: "
            f"{str(error).strip() or type(error).__name__}"
        ) from error


@dataclass(frozen=True, slots=True)
class Use:
    """Connections that work, that wait for work, and the most there may be."""

    used: int
    idle: int
    most: int


class _Connection(asyncpg.Connection):
    """Given back without asyncpg's reset: all that we set or lock is local to a transaction, and a round trip counts."""

    def get_reset_query(self) -> str:
        return ""


class Database:
    """A process's pool. Use `connection()` for reads and `transaction()` for writes.

    *on_commit* hears of each transaction that was committed: there may be work to do.
    """

    def __init__(self, settings: DatabaseSettings, *, name: str = "skep web") -> None:
        self._settings = settings
        self._name = name
        self.on_commit: Callable[[], None] | None = None
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._answered_at = float("-inf")
        self._asked_at = float("-inf")
        self._ready = False
        self._asking = asyncio.Lock()
        # At most so many connections wait for the lock of a session's last places; other guests queue here, so that
        # page views never starve.
        self.stock_turns = asyncio.Semaphore(max(1, min(4, settings.pool_max - 1)))

    async def open(self) -> None:
        """Makes no connection yet."""
        self._pool = asyncpg.create_pool(
            host=self._settings.host,
            port=self._settings.port,
            database=self._settings.name,
            user=self._settings.user,
            password=self._settings.password,  # read for each connection: a rotated one is used without a restart
            min_size=0,
            max_size=self._settings.pool_max,
            max_inactive_connection_lifetime=IDLE_LIFETIME_S,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings={
                "application_name": self._name,
                # A process that was stopped inside a sale must not finish it when others have its places.
                "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S:g}s",
            },
            connection_class=_Connection,
        )
        await self._pool

    async def close(self) -> None:
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), timeout=2.0)
        except (TimeoutError, OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Raises DatabaseDown if there is none, or if it breaks inside the block."""
        if self._pool is None:
            raise DatabaseDown("the pool is not open")
        with _translated():
            try:
                connection = await self._pool.acquire(timeout=CONNECT_TIMEOUT_S)
            except asyncpg.PostgresError as error:  # whatever the server says at the door keeps us out
                raise DatabaseDown(f"cannot connect ({type(error).__name__})") from error
            try:
                yield connection
                self._answered_at = time.monotonic()
            except asyncpg.InternalClientError:
                connection.terminate()  # its state is lost: nobody may get it again
                raise
            finally:
                await self._pool.release(connection, timeout=CONNECT_TIMEOUT_S)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self.connection() as connection, connection.transaction():
            yield connection
        if self.on_commit is not None:
            self.on_commit()

    @asynccontextmanager
    async def brief(self) -> AsyncIterator[Connection]:
        """A connection of its own that closes at once: one of the pool would stay open. Raises DatabaseDown."""
        with _translated():
            connection = await connect(self._settings, name=self._name)
            try:
                yield connection
            finally:
                await connection.close(timeout=CONNECT_TIMEOUT_S)

    @property
    def use(self) -> Use:
        if self._pool is None:
            return Use(0, 0, self._settings.pool_max)
        idle = self._pool.get_idle_size()
        return Use(self._pool.get_size() - idle, idle, self._settings.pool_max)

    async def is_ready(self) -> bool:
        """Has the database answered within the last 10 s? Asks it at most once in that time.

        By a connection of its own that closes at once: a probe through the pool would keep one open for ever.
        """
        async with self._asking:
            now = time.monotonic()
            if now - self._answered_at < READINESS_AGE_S:
                return True
            if now - self._asked_at >= READINESS_AGE_S:
                self._asked_at = now
                try:
                    connection = await connect(self._settings, command_timeout_s=CONNECT_TIMEOUT_S)
                    try:
                        await connection.fetchval("SELECT 1")
                        self._ready = True
                    finally:
                        await connection.close(timeout=CONNECT_TIMEOUT_S)
                except (DatabaseDown, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                    self._ready = False
            return self._ready
