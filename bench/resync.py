"""A resync with nothing to do: what does it cost to look at a whole fleet and leave it alone?

One real manager, suspended tenants (services at 0 replicas), a real PostgreSQL. The operator runs as its container
does, in a process of its own for each size, so that the peak of its memory is its own. The floor runs in another: the
same list calls and the same catalog query, answers decoded and thrown away.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from bench.fleet import ADMIN, Fleet
from bench.report import Aim, Report, Row, median, row
from skep.operator import names
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.engine.swarm.api import Api, Json
from skep.operator.fence import Unfenced
from skep.operator.hive import Hive
from skep.operator.keys import RootKey
from skep.operator.loop.clock import SystemClock
from skep.operator.reconcilers.database.catalog import QUERY
from skep.operator.reconcilers.database.servers import OURS, Server
from skep.operator.settings import Settings
from skep.operator.sources.fleet import Declared
from tests.rig import images
from tests.rig.outer import engine as outer_engine
from tests.rig.postgres import Postgres, running_postgres
from tests.rig.swarm import running_swarm

SIZES = tuple(int(size) for size in os.environ.get("BENCH_RESYNC_SIZES", "100 1000 10000").split())
REAL_DATABASES = 1000  # of 7.5 MB each
TIMES = 5
CPU_MS = Aim(0.3)
PEAK_MB = Aim(300)
NEVER_S = 100_000.0  # the bench itself says when to resync


@dataclass(frozen=True, slots=True)
class Pass:
    """One resync until the queue was idle. *calls* are of the Engine API, by method and path."""

    wall_s: float
    cpu_s: float
    calls: dict[str, int]

    @property
    def asked(self) -> int:
        """All calls but those of the lease, which is renewed every few seconds whatever else is done."""
        return sum(count for call, count in self.calls.items() if not call.startswith("LEASE "))

    @property
    def writes(self) -> int:
        """The lease is renewed whatever there is to do, and is none of these."""
        return sum(count for call, count in self.calls.items() if not call.startswith(("GET ", "LEASE ")))


@dataclass(frozen=True, slots=True)
class Found:
    """Of one size: the operator's start and its later passes, its peak, and what bare calls cost."""

    size: int
    start: Pass
    passes: tuple[Pass, ...]
    peak_mb: float
    start_peak_mb: float
    floor: tuple[Pass, ...]
    sql_writes: int


def is_lease(spec: Json) -> bool:
    return bool((spec.get("Labels") or {}).get(names.KIND) == "lease")


class CountingApi(Api):
    """Counts what goes to the engine, at the last place that all calls pass."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.calls: Counter[str] = Counter()

    async def get(self, path: str, params: Mapping[str, Any] | None = None, **more: Any) -> Any:
        answer = await super().get(path, params, **more)
        lease = isinstance(answer, dict) and is_lease(answer.get("Spec", {}))
        self.calls[f"{'LEASE' if lease else 'GET'} {path}"] += 1
        return answer

    async def post(self, path: str, body: Json | None = None, *args: Any, **more: Any) -> Any:
        self.calls[f"{'LEASE' if is_lease(body or {}) else 'POST'} {path}"] += 1
        return await super().post(path, body, *args, **more)

    async def delete(self, path: str) -> None:
        self.calls[f"DELETE {path}"] += 1
        await super().delete(path)

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, Any], *, body: Json | None = None
    ) -> AsyncIterator[aiohttp.StreamReader]:
        self.calls[f"GET {path}"] += 1
        async with super().stream(path, params, body=body) as content:
            yield content


class Watch:
    """Time and calls since it was made."""

    def __init__(self, api: CountingApi) -> None:
        self._api = api
        api.calls.clear()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> Pass:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Pass(wall, cpu, dict(self._api.calls))


# In a process of their own


async def operate(settings: Settings, keys: RootKey, size: int) -> dict[str, Any]:
    """Start an operator, wait until it has nothing to do, then let it look at everything TIMES times."""
    engine = SwarmEngine(settings.engine)
    await engine.api.close()
    engine.api = api = CountingApi(settings.engine)
    hive = Hive(engine, settings, keys, SystemClock(), sole=True)  # the fleet looks as if an operator had run
    watch = Watch(api)
    running = asyncio.create_task(hive.run())
    await hive.ready.wait()
    await idle(hive)
    start, start_peak = watch.stop(), peak_mb()
    declared = sum(isinstance(fate, Declared) for fate in hive.fleet.tenants.values())
    assert declared == size, f"{declared} tenants are declared, not {size}: {hive.fleet.problems[:3]}"
    passes = []
    for _ in range(TIMES):
        watch = Watch(api)
        await hive.resync()
        await idle(hive)
        passes.append(asdict(watch.stop()))
    if profile := os.environ.get("BENCH_PROFILE"):
        import cProfile

        profiler = cProfile.Profile()
        profiler.enable()
        await hive.resync()
        await idle(hive)
        profiler.disable()
        profiler.dump_stats(profile)
    wrote = Counter(
        call for each in (asdict(start), *passes) for call in each["calls"] if not call.startswith(("GET ", "LEASE "))
    )
    if wrote:
        print(f"written: {dict(wrote)}", file=sys.stderr)
    assert not any(hive.queue.failures(name) for name in hive.fleet.tenants), "a tenant failed"
    peak = peak_mb()
    hive.stop()
    await running
    await engine.close()
    return {"start": asdict(start), "passes": passes, "peak_mb": peak, "start_peak_mb": start_peak}


async def idle(hive: Hive) -> None:
    while not hive.queue.idle:  # noqa: ASYNC110 - the queue has no event for it, and 5 ms cost nothing
        await asyncio.sleep(0.005)


async def look(settings: Settings, keys: RootKey, size: int) -> dict[str, Any]:
    """The floor: the lists and the catalog, fetched at once as the operator does, decoded, thrown away."""
    del keys, size
    api = CountingApi(settings.engine)
    platform = Server(database_server(), settings, Unfenced())
    await api.version()

    async def listed(path: str, label: str, **more: Any) -> None:
        async for _ in api.get_each(path, {"filters": {"label": [label]}, **more}):
            pass

    async def catalog() -> None:
        async with (await platform._maintenance()).acquire() as connection:
            json.loads(await connection.fetchval(QUERY, list(OURS)))

    passes = []
    for _ in range(TIMES + 1):
        watch = Watch(api)
        await asyncio.gather(
            listed("configs", names.KIND),
            listed("configs", names.SOURCE),
            listed("secrets", names.TENANT),
            listed("services", names.UID, status=True),
        )
        await catalog()
        passes.append(asdict(watch.stop()))
    await platform.close()
    await api.close()
    return {"passes": passes[1:]}  # the first opened the connections


def database_server() -> Any:
    from skep.crds.platform import DatabaseServer

    return DatabaseServer(name="main", host="postgres", user=ADMIN)


def peak_mb() -> float:
    """This process's own peak: getrusage would count what its parent had before it became this program."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def child(what: str, size: int) -> None:
    settings = Settings.from_env()
    keys = RootKey.read(settings.secrets_dir / "skep.root-key")
    print(json.dumps(uvloop.run({"operate": operate, "look": look}[what](settings, keys, size))))


# The bench


def run() -> Report:
    with outer_engine() as client, tempfile.TemporaryDirectory(prefix="skep-bench-") as scratch:
        node = images.node(client)
        with running_swarm(client, node, nodes=1) as swarm, running_postgres() as postgres:
            found = list(measure(swarm.url, postgres, Path(scratch)))
    return report(found)


def measure(url: str, postgres: Postgres, scratch: Path) -> Iterator[Found]:
    keys = RootKey("k1", bytes(range(32)))
    (scratch / "skep.root-key").write_text(keys.dump())
    (scratch / "skep.postgres-admin").write_text(keys.password("platform", "postgres-admin"))
    environment = {
        "SKEP_ENGINE": url,
        "SKEP_SECRETS_DIR": str(scratch),
        "SKEP_ADDRESSES": f"postgres=127.0.0.1:{postgres.port}",
        "SKEP_RESYNC_S": str(NEVER_S),
    }
    settings = Settings.from_env(environment)

    async def make(size: int, before: Fleet | None) -> Fleet:
        engine = SwarmEngine(url, deadline_s=60.0)
        try:
            if before is None:
                before = Fleet(engine, postgres, settings, keys, REAL_DATABASES)
                await before.prepare()
            before.engine = engine
            await before.grow(size)
        finally:
            await engine.close()
        return before

    fleet: Fleet | None = None
    for size in SIZES:
        fleet = uvloop.run(make(size, fleet))
        log_at = postgres.log.stat().st_size
        seen = started("operate", size, environment)
        with postgres.log.open("rb") as log:
            log.seek(log_at)
            writes = sql_writes(log.read().decode(errors="replace"))
        floor = started("look", size, environment)
        yield Found(
            size,
            Pass(**seen["start"]),
            tuple(Pass(**each) for each in seen["passes"]),
            seen["peak_mb"],
            seen["start_peak_mb"],
            tuple(Pass(**each) for each in floor["passes"]),
            writes,
        )


def sql_writes(log: str) -> int:
    """Statements that change something, by PostgreSQL's own log of all statements."""
    return sum(1 for said in re.findall(r"(?:statement|execute [^:]*): *(\w+)", log) if said.lower() in CHANGING)


CHANGING = frozenset({"alter", "create", "drop", "grant", "revoke", "comment", "insert", "update", "delete"})


def started(what: str, size: int, environment: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.resync", what, str(size)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise RuntimeError(f"{what} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    if done.stderr:
        print(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(found: list[Found]) -> Report:
    rows: list[Row] = []
    for each in found:
        at = f"{each.size:,}"
        passes, floor = each.passes, each.floor
        bare_ms = median([one.cpu_s for one in floor]) * 1000
        beyond = [(one.cpu_s * 1000 - bare_ms) / each.size for one in passes]
        everything = (each.start, *passes)
        rows += [
            Row(f"{at}: writes to the engine", float(sum(one.writes for one in everything)), "", aim=Aim(0)),
            Row(f"{at}: writes to PostgreSQL", float(each.sql_writes), "", aim=Aim(0)),
            row(
                f"{at}: engine calls a resync",
                [float(one.asked) for one in passes],
                "",
                floor=[float(one.asked) for one in floor],
            ),
            row(f"{at}: CPU a tenant beyond decoding", beyond, "ms", aim=CPU_MS),
            row(
                f"{at}: CPU of a resync",
                [one.cpu_s * 1000 for one in passes],
                "ms",
                floor=[one.cpu_s * 1000 for one in floor],
            ),
            row(
                f"{at}: wall time of a resync",
                [one.wall_s * 1000 for one in passes],
                "ms",
                floor=[one.wall_s * 1000 for one in floor],
            ),
            Row(f"{at}: peak memory of the operator", each.peak_mb, "MB", aim=PEAK_MB if each.size >= 10_000 else None),
            Row("   of it when it had nothing to do first", each.start_peak_mb, "MB"),
            Row(f"{at}: CPU from start to nothing to do", each.start.cpu_s, "s"),
        ]
    notes = (
        f"One manager in a container (services at 0 replicas), one PostgreSQL; median of {TIMES} resyncs a size.",
        "Floor: the same lists and the catalog query in a process of its own, decoded and thrown away.",
        "The lease, renewed every 5 s, and its term, written once a start and server, are not counted.",
        (
            f"Databases: CREATE DATABASE for the first {REAL_DATABASES:,}; beyond, catalog rows without files "
            "(10,000 are 75 GB). Roles, grants, settings and comments are real throughout, and so is the query."
        ),
    )
    return Report("resync", "A resync with nothing to do", tuple(rows), notes)


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[2]))
