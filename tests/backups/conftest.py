"""A real PostgreSQL with one tenant's database, and a real restic repository in a folder."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from skep.backups.dump import About, Source
from skep.backups.repository import Repository
from tests.rig.postgres import Postgres, running_postgres

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

PASSPHRASE = "correct horse"
RESTIC = shutil.which("restic")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without restic these tests say so; CI installs it."""
    if RESTIC is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(
                    pytest.mark.skip(reason="NO BACKUP TESTS: restic is not installed (apt-get install restic)")
                )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@dataclass(frozen=True)
class Tenant:
    """A database made as the operator makes one: owned by the admin, its contents by a NOLOGIN role.

    *source* is how a backup reads it: a login that may only act as that role.
    """

    postgres: Postgres
    source: Source

    async def admin(self) -> Connection:
        connection: Connection = await asyncpg.connect(self.postgres.dsn(self.source.database))
        return connection

    async def run(self, *statements: str) -> None:
        connection = await self.admin()
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


def about(backup: str = "b1") -> About:
    return About(backup, "acme", "ab12cd34", "skep:1@sha256:00", "sha256:11", "{}")


@pytest.fixture
async def tenant(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Tenant]:
    name, password = f"t_acme_{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    root: Connection = await asyncpg.connect(postgres.dsn())
    await root.execute(f"CREATE ROLE {name} NOLOGIN")
    await root.execute(f"CREATE ROLE {name}_d LOGIN NOINHERIT PASSWORD '{password}' IN ROLE {name}")
    await root.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    await root.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    await root.execute(f"GRANT CONNECT ON DATABASE {name} TO {name}")
    await root.execute(f"GRANT CONNECT ON DATABASE {name} TO {name}_d")
    await root.execute(f"ALTER DATABASE {name} SET statement_timeout = '30s'")
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:{postgres.port}:{name}:{name}_d:{password}\n")
    passfile.chmod(0o600)
    source = Source("127.0.0.1", postgres.port, name, f"{name}_d", name, passfile, pg_dump=postgres.tool("pg_dump"))
    made = Tenant(postgres, source)
    await made.run(
        f"ALTER SCHEMA public OWNER TO {name}",
        f"SET ROLE {name}",
        "CREATE TABLE event (id bigserial PRIMARY KEY, title text NOT NULL)",
        "CREATE TABLE ticket (id bigserial PRIMARY KEY, event_id bigint NOT NULL REFERENCES event)",
        "INSERT INTO event (title) SELECT 'Event ' || n FROM generate_series(1, 20) n",
        "INSERT INTO ticket (event_id) SELECT 1 + n % 20 FROM generate_series(1, 300) n",
    )
    yield made
    await root.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await root.execute(f"DROP ROLE {name}_d")
    await root.execute(f"DROP ROLE {name}")
    await root.close()


@dataclass(frozen=True)
class Store:
    """A repository in a folder, and the folder."""

    repository: Repository
    folder: Path
    address_file: Path
    password_file: Path


def repository_in(place: Path, folder: Path, password: str = PASSPHRASE) -> Store:
    place.mkdir(exist_ok=True)
    address_file, password_file = place / "repository", place / "password"
    address_file.write_text(str(folder))
    password_file.write_text(password)
    return Store(Repository(address_file, password_file), folder, address_file, password_file)


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository without snapshots. Making one takes a second, by its key's design; copying it none."""
    place = tmp_path_factory.mktemp("blank")
    made = repository_in(place / "secrets", place / "store")
    asyncio.run(made.repository.make())
    return made.folder


@pytest.fixture
def store(blank: Path, tmp_path: Path) -> Store:
    shutil.copytree(blank, tmp_path / "store")
    return repository_in(tmp_path / "secrets", tmp_path / "store")


async def seen(what: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Wait for what another process does; nobody tells us of it."""

    def look() -> None:
        deadline = time.monotonic() + within_s
        while not what():
            assert time.monotonic() < deadline, "it does not happen"
            time.sleep(0.02)

    await asyncio.to_thread(look)


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def is_gone(pid: int) -> bool:
    """Ended, though perhaps nobody took note of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def ran(*words: str, data: bytes = b"") -> tuple[int, bytes]:
    """(exit code, output) of a program that is given *data*."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await process.communicate(data)
    return process.returncode or 0, out


async def bare_restic(store: Store, *words: str, data: bytes = b"") -> tuple[int, bytes]:
    """As a person would type it, without skep."""
    files = (f"--repository-file={store.address_file}", f"--password-file={store.password_file}")
    return await ran("restic", *files, "--no-cache", *words, data=data)
