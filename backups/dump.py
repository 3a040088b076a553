"""One tenant's database into its repository: pg_dump's stream, hashed on its way, then the manifest that proves it.

Rows are counted and pg_dump reads in one exported snapshot, so the counts are exact while the app goes on writing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from skep.backups.errors import DumpFailed, ToolMissing
from skep.backups.manifest import Manifest
from skep.backups.repository import CHUNK, Repository
from skep.backups.survey import contents

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

DUMP, MANIFEST = "/dump.pgdump", "/manifest.json"
DUMP_TAG, MANIFEST_TAG = "dump", "manifest"
CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where the database is and as whom it is read. *role* is the tenant's NOLOGIN role, which the login acts as.

    *passfile* is a PGPASSFILE of libpq (host:port:database:user:password); nothing secret is on a command line.
    """

    host: str
    port: int
    database: str
    user: str
    role: str
    passfile: Path
    pg_dump: str = "pg_dump"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "PGPASSFILE": str(self.passfile),
            "PGAPPNAME": "skep backup",
            "PGCONNECT_TIMEOUT": str(int(CONNECT_S)),
        }


@dataclass(frozen=True, slots=True)
class About:
    """What the manifest says beyond the database. *backup* is the uid that proves that this backup was made."""

    backup: str
    tenant: str
    uid: str
    app_image: str
    schema_version: str
    spec: str


@dataclass(slots=True)
class _Tally:
    """Size and hash of what went by."""

    size: int = 0
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def take(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self.hash.update(chunk)


async def back_up(
    source: Source,
    about: About,
    repository: Repository,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Manifest:
    """Make the backup, unless one of this uid is there already. Raises BackupError; then nothing counts as a backup."""
    if (done := await find(repository, about.backup)) is not None:
        return done
    tags = (f"backup={about.backup}", f"uid={about.uid}")
    async with _reading(source) as connection:
        snapshot = str(await connection.fetchval("SELECT pg_export_snapshot()"))
        found = await contents(connection)
        server = str(await connection.fetchval("SHOW server_version"))
        limit, settings = await _database(connection)
        made_at, tally = now(), _Tally()
        stored = await repository.store(
            _stream(source, snapshot, tally), path=DUMP, host=about.tenant, tags=(*tags, DUMP_TAG)
        )
    manifest = Manifest(
        **{name: getattr(about, name) for name in about.__dataclass_fields__},
        database=source.database,
        made_at=made_at,
        server_version=server,
        dumped_with=await version(source.pg_dump),
        settings=settings,
        limit=limit,
        structure=found.structure,
        tables=found.tables,
        sequences=found.sequences,
        size=tally.size,
        sha256=tally.hash.hexdigest(),
        dump=stored.snapshot,
    )
    await repository.store(_once(manifest.dump_json()), path=MANIFEST, host=about.tenant, tags=(*tags, MANIFEST_TAG))
    return manifest


async def find(repository: Repository, backup: str) -> Manifest | None:
    """The manifest of the backup with this uid: the proof that it was made."""
    for snapshot in await repository.snapshots(MANIFEST_TAG, f"backup={backup}"):
        return await read_manifest(repository, snapshot.id)
    return None


async def read_manifest(repository: Repository, snapshot: str) -> Manifest:
    from skep.backups.manifest import parse

    return parse(b"".join([chunk async for chunk in repository.read(snapshot, MANIFEST)]))


async def version(program: str) -> str:
    """What `pg_dump --version` says last, as `17.6`."""
    try:
        process = await asyncio.create_subprocess_exec(program, "--version", stdout=asyncio.subprocess.PIPE)
    except FileNotFoundError as error:
        raise ToolMissing(
            f"{program} is not installed here", remedy="on Debian: apt-get install postgresql-client"
        ) from error
    said, _ = await process.communicate()
    words = said.decode().split()
    return next((word for word in words if word[0].isdigit()), " ".join(words))


@contextlib.asynccontextmanager
async def _reading(source: Source) -> AsyncIterator[Connection]:
    """A connection in a REPEATABLE READ, READ ONLY transaction, acting as the tenant's role."""
    try:
        connection: Connection = await asyncpg.connect(
            host=source.host,
            port=source.port,
            user=source.user,
            database=source.database,
            passfile=str(source.passfile),
            timeout=CONNECT_S,
            server_settings={"application_name": "skep backup", "search_path": "pg_catalog"},
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise DumpFailed(f"database {source.database} cannot be read: {error or type(error).__name__}") from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(f'SET LOCAL ROLE "{source.role.replace(chr(34), chr(34) * 2)}"')
            yield connection
    except asyncpg.PostgresError as error:
        raise DumpFailed(f"database {source.database} cannot be read: {error}") from error
    finally:
        await connection.close(timeout=5.0)


async def _database(connection: Connection) -> tuple[int, dict[str, str]]:
    """Its connection limit, and its own settings: pg_dump leaves both out."""
    limit = await connection.fetchval("SELECT datconnlimit FROM pg_database WHERE datname = current_database()")
    rows = await connection.fetch(
        "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase "
        "WHERE d.datname = current_database() AND s.setrole = 0"
    )
    return int(limit), dict(str(row[0]).partition("=")[::2] for row in rows)


async def _stream(source: Source, snapshot: str, tally: _Tally) -> AsyncIterator[bytes]:
    """pg_dump's output; raises DumpFailed at its end if it did not end well, so that the reader keeps nothing of it.

    Not compressed: restic finds what has not changed in it, and compresses that once.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            source.pg_dump, "--format=custom", "--compress=0", f"--snapshot={snapshot}", f"--role={source.role}",
            "--no-password", f"--host={source.host}", f"--port={source.port}", f"--username={source.user}",
            f"--dbname={source.database}",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=source.environment, limit=CHUNK,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ToolMissing(
            f"{source.pg_dump} is not installed here", remedy="on Debian: apt-get install postgresql-client"
        ) from error
    assert process.stdout is not None  # noqa: S101 (asked for)
    assert process.stderr is not None  # noqa: S101
    complaining = asyncio.create_task(process.stderr.read())
    try:
        while chunk := await process.stdout.read(CHUNK):
            tally.take(chunk)
            yield chunk
        said = (await complaining).decode(errors="replace").strip()
        if code := await process.wait():
            last = said.splitlines()[-1] if said else "it said nothing"
            raise DumpFailed(f"pg_dump ended with {code}: {last}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.stdout.read()  # to its end: a pipe that nobody reads is never closed
            await process.wait()
        await complaining


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
