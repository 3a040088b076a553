"""A real PostgreSQL, and in it a fresh tenant for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from skep.webapp.schema import migrate
from skep.webapp.settings import Settings
from skep.webapp.store.pool import Database
from tests.rig.postgres import Postgres, running_postgres
from tests.rig.tenant import Tenant, Web, make_tenant
from tests.rig.visitor import Visitor, visiting


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
async def empty_tenant(postgres: Postgres, tmp_path: Path) -> Tenant:
    """A tenant whose database holds nothing yet."""
    return await make_tenant(postgres, tmp_path)


@pytest.fixture
async def tenant(empty_tenant: Tenant) -> Tenant:
    """A tenant whose database is migrated."""
    await migrate(Settings.read(empty_tenant.env).database)
    return empty_tenant


@pytest.fixture
async def database(tenant: Tenant) -> AsyncIterator[Database]:
    """The tenant's pool, as the app's process opens it."""
    pool = Database(Settings.read(tenant.env).database)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
async def eyes(tenant: Tenant) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """The test's own look at the rows."""
    connection = await tenant.admin()
    yield connection
    await connection.close()


@pytest.fixture
async def web(tenant: Tenant) -> AsyncIterator[Web]:
    async with tenant.running() as process:
        yield process


@pytest.fixture
async def visitor(web: Web) -> AsyncIterator[Visitor]:
    """Somebody who only looks and registers."""
    async with visiting(web.tenant) as somebody:
        yield somebody


@pytest.fixture
async def organizer(web: Web) -> AsyncIterator[Visitor]:
    """Somebody signed in."""
    async with visiting(web.tenant) as somebody:
        answer = await somebody.become_organizer()
        assert answer.status == 200, answer.words
        yield somebody


@pytest.fixture
def postgres_of_its_own() -> Iterator[Postgres]:
    """A server that a test may stop."""
    with running_postgres() as server:
        yield server
