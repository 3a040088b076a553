"""Bring the tenant's database to the state this image needs: `python -m skep.webapp schema`.

Migrations are the SQL files of `migrations/`, in the order of their names, each applied in one transaction and
recorded in the table `migration` with its SHA-256. What was applied must be exactly the beginning of what this image
knows: an unknown, changed or skipped file means that the database belongs to another image, and is refused untouched.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import asyncpg

from skep.webapp.errors import DatabaseDown, SchemaRefused
from skep.webapp.settings import DatabaseSettings
from skep.webapp.store.pool import connect, is_gone

MIGRATIONS_DIR = Path(__file__).parent / "migrations"
ADVISORY_LOCK = 0x736B6570_73636D61  # "skepscma": one migration of a database at a time
LOCK_WAIT_S = 60  # how long to wait for another migration of the same database
LOCK_TIMEOUT_S = 5  # a migration that waits longer for a table would queue every visitor behind it
STATEMENT_TIMEOUT_S = 120
CLOSE_TIMEOUT_S = 5.0

Applied: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: *id* is its name, *checksum* the SHA-256 of its bytes in hex."""

    id: str
    sql: str
    checksum: str


@dataclass(frozen=True, slots=True)
class SchemaReport:
    migrations: str
    applied: tuple[str, ...]


def load_migrations(directory: Path = MIGRATIONS_DIR) -> tuple[Migration, ...]:
    """All files of *directory*, in order."""
    migrations = []
    for path in sorted(directory.glob("*.sql")):
        content = path.read_bytes()
        migrations.append(Migration(path.name, content.decode(), hashlib.sha256(content).hexdigest()))
    return tuple(migrations)


def migrations_hash(migrations: tuple[Migration, ...] | None = None) -> str:
    """One hash over ids and checksums in order (hex SHA-256): equal if and only if the schemas are made alike."""
    lines = "".join(f"{m.id} {m.checksum}\n" for m in (known_migrations() if migrations is None else migrations))
    return hashlib.sha256(lines.encode()).hexdigest()


@cache
def known_migrations() -> tuple[Migration, ...]:
    return load_migrations()


def plan(known: tuple[Migration, ...], applied: Applied) -> tuple[Migration, ...]:
    """The migrations still to apply. *applied* is (id, checksum) in the order of ids.

    Raises SchemaRefused unless *applied* is the beginning of *known*.
    """
    checksums = {migration.id: migration.checksum for migration in known}
    for identity, checksum in applied:
        if identity not in checksums:
            raise SchemaRefused(
                f"the database holds migration {identity}, which this image does not know: start a newer image"
            )
        if checksums[identity] != checksum:
            raise SchemaRefused(
                f"migration {identity} was applied with checksum {checksum[:12]}, this image has "
                f"{checksums[identity][:12]}: an applied migration must never change"
            )
    done = {identity for identity, _ in applied}
    for migration in known[: len(done)]:
        if migration.id not in done:
            raise SchemaRefused(
                f"migration {migration.id} is missing below {max(done)}: migrations are added at the end"
            )
    return known[len(done) :]


async def migrate(database: DatabaseSettings, known: tuple[Migration, ...] | None = None) -> SchemaReport:
    """Apply what is missing, one migration at a time over all processes. Raises SchemaRefused, DatabaseDown."""
    known = known_migrations() if known is None else known
    connection = await connect(database, command_timeout_s=None)
    try:
        await connection.execute(f"SET search_path = public; SET lock_timeout = '{LOCK_WAIT_S}s'")
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        except asyncpg.LockNotAvailableError as error:
            raise SchemaRefused(f"another migration of this database has been running for {LOCK_WAIT_S} s") from error
        await connection.execute(
            f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'; SET statement_timeout = '{STATEMENT_TIMEOUT_S}s'"
        )
        todo = plan(known, await _applied(connection))
        for migration in todo:
            await _apply(connection, migration)
        return SchemaReport(migrations_hash(known), tuple(migration.id for migration in todo))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        if is_gone(error):
            raise DatabaseDown(f"the database went away while it was migrated ({type(error).__name__})") from error
        raise SchemaRefused(f"the database cannot be migrated: {error}") from error
    finally:
        await connection.close(timeout=CLOSE_TIMEOUT_S)  # ends the lock too


async def _applied(connection: asyncpg.Connection[asyncpg.Record]) -> Applied:
    if await connection.fetchval("SELECT to_regclass('public.migration')") is None:
        await connection.execute(
            "CREATE TABLE migration (id text PRIMARY KEY, checksum text NOT NULL, "
            "applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
    rows = await connection.fetch('SELECT id, checksum FROM migration ORDER BY id COLLATE "C"')
    return tuple((row["id"], row["checksum"]) for row in rows)


async def _apply(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO migration (id, checksum) VALUES ($1, $2)", migration.id, migration.checksum
            )
    except asyncpg.PostgresError as error:
        if is_gone(error):
            raise
        raise SchemaRefused(f"migration {migration.id} failed and was undone: {error} ({error.sqlstate})") from error
