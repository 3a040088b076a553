"""One tenant is edited while a thousand resync: how much longer does it wait for its first write than on a quiet day?

One real manager, suspended tenants, a real PostgreSQL, and an operator in a process of its own, as in `resync`. In turns
a revision that changes one tenant is published to an idle operator, and to one whose queue is kept full of all the
others. A revision's time is the engine's own; a write's is when the operator sends it.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop

from bench.fleet import COMMON, SOURCE, Fleet, document, name_of
from bench.report import Aim, Report, Row, median, row
from bench.resync import NEVER_S, CountingApi, idle
from skep.operator import names
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.engine.swarm.api import Json
from skep.operator.engine.swarm.parse import moment
from skep.operator.errors import TransientError
from skep.operator.hive import Hive
from skep.operator.keys import RootKey
from skep.operator.loop.clock import SystemClock
from skep.operator.settings import Settings
from skep.operator.sources.revision import encode, labels_of
from tests.rig import images
from tests.rig.outer import engine as outer_engine
from tests.rig.postgres import Postgres, running_postgres
from tests.rig.swarm import running_swarm

SIZE = int(os.environ.get("BENCH_STORM_SIZE", "1000"))
TIMES = int(os.environ.get("BENCH_STORM_TIMES", "9"))
BEYOND = Aim(0.5)
WITHIN_S = 60.0
API = "v1.41"


class TimedApi(CountingApi):
    """Notes when a write of one tenant is sent."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.watched = ""
        self.wrote = asyncio.Event()
        self.wrote_at = 0.0

    async def post(self, path: str, body: Json | None = None, *args: Any, **more: Any) -> Any:
        if self.watched and not self.wrote.is_set() and is_of(self.watched, body or {}):
            self.wrote_at = time.time()
            self.wrote.set()
        return await super().post(path, body, *args, **more)

    def watch(self, tenant: str) -> None:
        self.watched = tenant
        self.wrote.clear()


def is_of(tenant: str, body: Mapping[str, Any]) -> bool:
    """Whether a request writes an object of *tenant*; its status is a report and does not count."""
    labels = body.get("Labels") or {}
    return labels.get(names.TENANT) == tenant and labels.get(names.KIND) != "status"


def edited(size: int, tenant: str, word: str) -> bytes:
    """The fleet's documents, one tenant with another display name."""
    documents = [
        document(name).replace(f"Tenant {name}", word) if name == tenant else document(name)
        for name in map(name_of, range(size))
    ]
    return "---\n".join((COMMON, *documents)).encode()


def publish(url: str, number: int, text: bytes) -> float:
    """When the engine had the new revision, by its own clock."""
    body = {
        "Name": names.revision(SOURCE, number),
        "Data": b64encode(encode(text)).decode(),
        "Labels": labels_of(SOURCE, number, text, "bench"),
    }
    host, _, port = url.removeprefix("tcp://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        made = _exchange(connection, "POST", "configs/create", json.dumps(body))
        created = moment(_exchange(connection, "GET", f"configs/{made['ID']}")["CreatedAt"])
    finally:
        connection.close()
    assert created is not None
    return created.timestamp()


def _exchange(connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None) -> Any:
    connection.request(method, f"/{API}/{path}", body=body, headers={"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 400:
        raise RuntimeError(f"{method} {path} -> {answer.status}: {text.decode()}")
    return json.loads(text)


async def operate(settings: Settings, keys: RootKey, size: int, revisions: int) -> dict[str, list[float]]:
    """Seconds from revision to first write, in turns of an idle operator and of one in a storm."""
    engine = SwarmEngine(settings.engine)
    await engine.api.close()
    engine.api = api = TimedApi(settings.engine)
    hive = Hive(engine, settings, keys, SystemClock(), sole=True)
    running = asyncio.create_task(hive.run())
    await hive.ready.wait()
    await idle(hive)
    found: dict[str, list[float]] = {"idle": [], "storm": [], "resync": []}
    for turn in range(TIMES):
        for way in ("idle", "storm"):
            revisions += 1
            tenant = name_of((size // (TIMES + 1)) * (turn + 1))
            text = edited(size, tenant, f"{way} {turn}")
            storm = asyncio.create_task(storms(hive, found["resync"])) if way == "storm" else None
            patience = time.monotonic() + 2.0  # a whole resync may pass between two looks
            while storm is not None and hive.queue.idle and time.monotonic() < patience:
                if storm.done():
                    storm.result()  # why it ended
                await asyncio.sleep(0.001)
            api.watch(tenant)
            published = await asyncio.to_thread(publish, settings.engine, revisions, text)
            async with asyncio.timeout(WITHIN_S):
                await api.wrote.wait()
            found[way].append(api.wrote_at - published)
            print(f"{way} {turn}: {found[way][-1]:.3f} s", file=sys.stderr, flush=True)
            if storm is not None:
                storm.cancel()
                await asyncio.gather(storm, return_exceptions=True)
            await idle(hive)
    hive.stop()
    await running
    await engine.close()
    return found


async def storms(hive: Hive, took: list[float]) -> None:
    """Everybody's turn, again and again."""
    while True:
        began = time.perf_counter()
        try:
            await hive.resync()
        except TransientError as error:  # the operator's own loop would try again as well
            print(f"resync: {error}", file=sys.stderr)
            continue
        await idle(hive)
        took.append(time.perf_counter() - began)


def run() -> Report:
    with outer_engine() as client, tempfile.TemporaryDirectory(prefix="skep-bench-") as scratch:
        node = images.node(client)
        with running_swarm(client, node, nodes=1) as swarm, running_postgres() as postgres:
            found = measure(swarm.url, postgres, Path(scratch))
    return report(found)


def measure(url: str, postgres: Postgres, scratch: Path) -> dict[str, list[float]]:
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

    async def make() -> int:
        engine = SwarmEngine(url, deadline_s=60.0)
        try:
            fleet = Fleet(engine, postgres, settings, keys, SIZE)
            await fleet.prepare()
            await fleet.grow(SIZE)
            return fleet.revisions
        finally:
            await engine.close()

    revisions = uvloop.run(make())
    done = subprocess.run(
        [sys.executable, "-m", "bench.storm", str(SIZE), str(revisions)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=580,
    )
    if done.returncode:
        raise RuntimeError(f"the operator ended with {done.returncode}")
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(found: Mapping[str, list[float]]) -> Report:
    calm = median(found["idle"])
    rows: list[Row] = [
        row("first write after the revision, in the storm", found["storm"], "s", floor=found["idle"]),
        row("   of it beyond an idle operator's", [each - calm for each in found["storm"]], "s", aim=BEYOND),
        row("first write after the revision, idle", found["idle"], "s"),
    ]
    if found["resync"]:
        rows.append(row(f"   a resync of {SIZE:,} that nobody disturbed", found["resync"], "s"))
    notes = (
        f"One manager, {SIZE:,} suspended tenants with real databases; medians of {TIMES}, calm and storm in turns.",
        "Storm: resync follows resync, so that the queue is never empty; the revision comes while it is full.",
        "From the revision's own time in the engine until the operator sends the tenant's first write.",
        "Both hold the parsing of a revision with everybody in it, which is the same.",
    )
    return Report("storm", f"One tenant edited while {SIZE:,} resync", tuple(rows), notes)


if __name__ == "__main__":
    said = Settings.from_env()
    root_key = RootKey.read(said.secrets_dir / "skep.root-key")
    print(json.dumps(uvloop.run(operate(said, root_key, int(sys.argv[1]), int(sys.argv[2])))))
