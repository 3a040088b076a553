"""A database that is taken away, shut, renamed or swapped under a running app: 503 meanwhile, and no restart."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from tests.rig.postgres import Postgres
from tests.rig.tenant import Tenant
from tests.rig.visitor import Visitor, visiting

ASKED = "/?page=1"  # a page that is not kept


async def answers(visitor: Visitor) -> int:
    answer = await visitor.get(ASKED)
    if answer.status == 503:
        assert answer.headers["Retry-After"] == "5"
        assert "We will be right back" in answer.words
    return answer.status


async def until_well(visitor: Visitor) -> None:
    async with asyncio.timeout(15):
        while await answers(visitor) != 200:
            pass


async def shut(admin: asyncpg.Connection[asyncpg.Record], name: str) -> None:
    """As an operator does before it swaps a database."""
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)


@pytest.mark.parametrize(
    ("away", "back"),
    [
        pytest.param("SELECT 1", "SELECT 1", id="sessions ended"),  # 57P01
        pytest.param("ALTER DATABASE {0} ALLOW_CONNECTIONS false", "ALTER DATABASE {0} ALLOW_CONNECTIONS true", id="shut"),
        pytest.param("ALTER DATABASE {0} RENAME TO {0}_x", "ALTER DATABASE {0}_x RENAME TO {0}", id="renamed"),
        pytest.param("ALTER DATABASE {0} CONNECTION LIMIT 0", "ALTER DATABASE {0} CONNECTION LIMIT 9", id="full"),
    ],
)  # fmt: skip
async def test_a_database_that_is_away_for_a_moment_is_a_page_and_no_more(
    tenant: Tenant, postgres: Postgres, away: str, back: str
) -> None:
    name = tenant.database
    admin = await asyncpg.connect(postgres.dsn())
    try:
        async with tenant.running() as web, visiting(tenant) as visitor:
            assert await answers(visitor) == 200
            await admin.execute(f"ALTER ROLE {name}_a NOLOGIN")
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
            assert await answers(visitor) == 503
            await admin.execute(away.format(name))
            await admin.execute(f"ALTER ROLE {name}_a LOGIN")
            assert await answers(visitor) == (200 if away == back else 503)
            await admin.execute(back.format(name))
            await until_well(visitor)
            assert "Traceback" not in web.log.read_text()
    finally:
        await admin.close()


async def test_a_swap_under_visitors_is_a_few_pages_and_nothing_else(tenant: Tenant, postgres: Postgres) -> None:
    name = tenant.database
    admin = await asyncpg.connect(postgres.dsn())
    await shut(admin, name)
    await admin.execute(f"CREATE DATABASE {name}_new TEMPLATE {name}")
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    done = asyncio.Event()
    seen: Counter[int] = Counter()

    async def visit() -> None:
        async with visiting(tenant) as visitor:
            while not done.is_set():
                seen[await answers(visitor)] += 1
            await until_well(visitor)

    async with tenant.running() as web, asyncio.TaskGroup() as visitors:
        for _ in range(4):
            visitors.create_task(visit())
        while seen[200] < 20:  # noqa: ASYNC110 (the visitors below count)
            await asyncio.sleep(0)
        await shut(admin, name)
        await admin.execute(f"ALTER DATABASE {name} RENAME TO {name}_old")
        await admin.execute(f"ALTER DATABASE {name}_new RENAME TO {name}")
        before = seen[200]
        while seen[200] < before + 20:  # noqa: ASYNC110
            await asyncio.sleep(0)
        done.set()
        assert "Traceback" not in web.log.read_text()
    assert seen.keys() <= {200, 503}
    await admin.close()


async def test_metrics_say_what_happened_and_only_to_who_is_inside(tenant: Tenant, tmp_path: Path) -> None:
    async with tenant.running(), visiting(tenant) as visitor, visiting(tenant, tenant_header=False) as scraper:
        await visitor.get("/")
        await visitor.get("/orders/AAAAAAAAAAAAAAAAAAAAAA")
        assert (await visitor.get("/metrics")).status == 404  # as the edge would ask
        assert (await scraper.get("/metrics", headers={"X-Forwarded-For": "198.18.0.1"})).status == 404
        said = await scraper.get("/metrics")
    assert said.status == 200
    assert said.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = said.text.splitlines()
    assert 'skep_app_requests_total{method="GET",route="/",status="200"} 1' in lines
    assert 'skep_app_request_seconds_count{route="/"} 1' in lines
    assert "skep_app_database_up{} 1" in lines
    assert "skep_app_jobs_waiting{} 0" in lines
    assert "AAAAAAAA" not in said.text  # routes, never paths
    for line in lines:
        assert line.startswith("#") or line.split(" ")[-1].replace(".", "").replace("e-", "").isdigit(), line
