"""What readers meet: pages a second for anonymous visitors, next to a bare handler with one SELECT on the same pool.

Loaded by wrk (Debian's), on loopback. A page that everybody sees is kept for 2 s; a request with a cookie never gets it,
which is how the table says what a page costs without. A million requests must leave the process as large as before:
SKEP_BENCH_REQUESTS=100000 asks for fewer.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from bench.idle import kilobytes
from bench.report import Aim, Report, Row, median, spread
from skep.webapp.schema import migrate
from skep.webapp.settings import Settings
from tests.rig.postgres import running_postgres
from tests.rig.rows import make_event
from tests.rig.tenant import Tenant, Web, free_port, make_tenant

if TYPE_CHECKING:
    from aiohttp import web

ROUNDS = 3
ROUND_S = 3
CONNECTIONS = 32
EVENTS = 12
REQUESTS = int(os.environ.get("SKEP_BENCH_REQUESTS", "1000000"))
OF_FLOOR = Aim(2.5, "ratio")  # at least 0.4 as many a second
GROWTH_MB = Aim(8.0)
# Each request from an address of its own, as behind a real proxy: the API counts strangers.
MANY = """local n = 0
request = function()
  n = n + 1
  wrk.headers["X-Forwarded-For"] = "198.18." .. (math.floor(n / 250) % 250) .. "." .. (n % 250)
  return wrk.format()
end
"""
DONE = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m)")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def run() -> Report:
    if shutil.which("wrk") is None:
        raise SystemExit("bench web needs wrk: apt-get install wrk")
    return asyncio.run(_run())


async def _run() -> Report:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as scratch, running_postgres() as server:
        admin = await asyncpg.connect(server.dsn())
        await admin.execute("ALTER SYSTEM SET log_statement = 'none'")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()
        tenant = await make_tenant(server, Path(scratch), proxies=["127.0.0.1"])
        (tenant.home / "many.lua").write_text(MANY)
        await migrate(Settings.read(tenant.env).database)
        eyes = await tenant.admin()
        samples = [await make_event(eyes, capacity=100, price=1250) for _ in range(EVENTS)]
        await eyes.close()
        page = f"/events/{samples[0].slug}"
        what = {
            "event page": (page, False),
            "event page, made each time": (page, True),
            f"list of {EVENTS} events": ("/", False),
            f"list of {EVENTS} events, made each time": ("/", True),
        }
        what["availability, by the API"] = (f"/api/v1/events/{samples[0].event}/availability", False)
        async with tenant.running() as process, _bare(tenant) as floor_port:
            floors: list[float] = []
            found: dict[str, list[float]] = {name: [] for name in what}
            for _ in range(ROUNDS):  # in turns, so that a busy moment of the machine is everybody's
                floors.append(await _load(tenant, floor_port, f"/{samples[0].slug}"))
                for name, (path, with_cookie) in what.items():
                    found[name].append(await _load(tenant, tenant.port, path, cookie=with_cookie))
            for name, taken in found.items():
                aim = OF_FLOOR if name == "event page" else None
                rows.append(Row(f"{name}: time", 1000 * median(taken), "ms", 1000 * median(floors), aim,
                                _scaled(spread(taken))))  # fmt: skip
            rows.append(Row("event page: a second", 1 / median(found["event page"]), "/s", 1 / median(floors)))
            rows += await _memory(tenant, process, page)
    notes = (
        f"One web process and one bare handler, {CONNECTIONS} connections of wrk, {ROUNDS} rounds of {ROUND_S} s in turns.",
        "The floor answers one row of one SELECT through the app's own pool, by aiohttp and uvloop as the app does.",
        "Time is of one request, all connections busy: a second divided by requests a second.",
    )
    return Report("web", "Pages for anonymous readers", tuple(rows), notes)


def _scaled(pair: tuple[float, float]) -> tuple[float, float]:
    return 1000 * pair[0], 1000 * pair[1]


async def _memory(tenant: Tenant, process: Web, page: str) -> list[Row]:
    """The process's size once it is warm, and after very many requests more, kept pages and fresh ones."""
    for cookie in (True, False):
        await _storm(tenant, tenant.port, page, cookie=cookie)
    before = _megabytes(process)
    done, rounds = 0, 0
    while done < REQUESTS:
        done += (await _storm(tenant, tenant.port, page, cookie=rounds % 5 == 0))[0]
        rounds += 1
    after = _megabytes(process)
    return [
        Row("memory after the first visitors", before, "MB"),
        Row(f"growth by {done:,} requests more", after - before, "MB", aim=GROWTH_MB),
    ]


def _megabytes(process: Web) -> float:
    return kilobytes(process.proc("status"), "VmRSS")


async def _load(tenant: Tenant, port: int, path: str, *, cookie: bool = False) -> float:
    """Seconds a request takes under load."""
    requests, seconds = await _storm(tenant, port, path, cookie=cookie)
    return seconds / requests


async def _storm(tenant: Tenant, port: int, path: str, *, cookie: bool) -> tuple[int, float]:
    """A round of it: how many requests in how many seconds."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_S}s", "-H", f"X-Skep-Tenant: {tenant.uid}"]
    if path.startswith("/api/"):
        command += ["-s", str(tenant.home / "many.lua")]
    command += ["-H", "Accept-Language: en", *(["-H", "Cookie: seen=1"] if cookie else [])]
    process = await asyncio.create_subprocess_exec(
        *command, f"http://127.0.0.1:{port}{path}", stdout=asyncio.subprocess.PIPE
    )
    said = (await process.communicate())[0].decode()
    finished = DONE.search(said)
    if finished is None or "Non-2xx" in said:
        raise AssertionError(f"{path} was not answered well:\n{said}")
    return int(finished[1]), float(finished[2]) * UNITS[finished[3]]


@asynccontextmanager
async def _bare(tenant: Tenant) -> AsyncIterator[int]:
    """The floor as a process of its own; its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.web", env=replace(tenant, port=port).env, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"serving\n"
        yield port
    finally:
        process.terminate()
        await process.wait()


def _floor() -> None:
    """What `python -m bench.web` is: one handler, one SELECT."""
    import uvloop
    from aiohttp import web

    from skep.webapp.store.pool import Database

    async def serve() -> None:
        settings = Settings.read()
        database = Database(settings.web_database)
        await database.open()

        async def handler(request: web.Request) -> web.Response:
            async with database.connection() as connection:
                row = await connection.fetchrow("SELECT id FROM event WHERE slug = $1", request.match_info["slug"])
            return web.Response(text=str(row and row["id"]))

        app = web.Application()
        app.router.add_get("/{slug}", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", settings.port).start()
        print("serving", flush=True)
        await asyncio.Event().wait()

    uvloop.run(serve())


if __name__ == "__main__":
    _floor()
