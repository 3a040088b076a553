"""How long one scrape of an operator with 10,000 tenants takes, and for how long it keeps other work waiting.

The hive is a real one that never runs: records and reports are put into its cache as a list would. No engine, no
database: a scrape asks nobody.
"""

from __future__ import annotations

import asyncio
import gc
import time
from dataclasses import replace
from datetime import UTC, datetime

from bench.report import Aim, Report, Row, median, spread
from skep.crds.declarations import gather
from skep.crds.effective import effective
from skep.crds.reader import read_text
from skep.operator import names
from skep.operator.engine.memory import MemoryEngine
from skep.operator.engine.spec import Config, pairs
from skep.operator.hive import Hive
from skep.operator.keys import RootKey
from skep.operator.loop.clock import SystemClock
from skep.operator.reconcilers import record as records
from skep.operator.reconcilers import status
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.status import EVENTS_KEPT, Event, Finding
from skep.operator.settings import Settings

TENANTS = 10_000
TIMES = 10
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DOCUMENTS = """
apiVersion: skep/v1
kind: Platform
metadata: {name: bench}
spec:
  baseDomain: test
  tls: off
  databases: [{name: main, host: postgres}]
  app: {image: "skep:1"}
---
apiVersion: skep/v1
kind: Plan
metadata: {name: free}
---
apiVersion: skep/v1
kind: Tenant
metadata: {name: some}
spec: {displayName: Some, plan: free}
"""


def fill(hive: Hive, size: int, *, ready: bool = True, at: int = 1) -> None:
    """*size* tenants with full reports into the cache, all of version *at*."""
    declared, _ = gather(read_text(DOCUMENTS.encode(), file="bench"))
    assert declared.platform is not None
    spec = effective(declared.platform, declared.plans["free"], declared.tenants["some"])
    finding = Finding("Ready" if ready else "Degraded", 1, "Ready" if ready else "NotRouted", "as it is", ("http://x",))
    report = replace(
        status.report(finding, None, NOW),
        events=tuple(Event(NOW, "Ready", "Ready: as it is") for _ in range(EVENTS_KEPT)),
    )
    for number in range(size):
        name, uid = f"t{number:05d}", f"{number:032x}"
        record = Record(name, uid, NOW, "bench", 1, replace(spec, name=name), attempted="r")
        put = hive.world.configs.put
        labels = pairs(records.labels_of(record))
        put(Config(f"r{number}", names.record(name), 2 * at, labels, records.data_of(record)))
        put(Config(f"s{number}", names.status(name), 2 * at + 1, pairs(status.labels_of(name, uid, report)), b"x"))


async def watched(hive: Hive) -> tuple[float, float, int]:
    """Seconds of one scrape, of the longest time that the loop stood still meanwhile, and the answer's bytes."""
    longest, done = 0.0, False

    async def turn() -> None:
        nonlocal longest
        before = time.perf_counter()
        while not done:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, before = max(longest, now - before), now

    gc.disable()  # whoever happens to make the last straw pays for all: told as a row of its own
    turning = asyncio.create_task(turn())
    await asyncio.sleep(0)
    started = time.perf_counter()
    body = await hive.exposition()
    took = time.perf_counter() - started
    done = True
    await turning
    gc.enable()
    return took, longest, len(body)


def run() -> Report:
    return asyncio.run(_run())


async def _run() -> Report:
    hive = Hive(MemoryEngine(), Settings(), RootKey("k1", bytes(32)), SystemClock())
    fill(hive, TENANTS)
    first = await watched(hive)
    same = [await watched(hive) for _ in range(TIMES)]
    changed = []
    for turn in range(2, 5):
        fill(hive, TENANTS, ready=turn % 2 == 0, at=turn)
        changed.append(await watched(hive))
    started = time.perf_counter()
    gc.collect()
    collected = time.perf_counter() - started
    stalls = [each[1] * 1000 for each in (first, *same, *changed)]
    return Report(
        "scrape",
        f"one scrape of {TENANTS:,} tenants",
        (
            Row("the first: every report is read", first[0], "s", aim=Aim(2.0)),
            Row("nothing changed since the last", median([each[0] for each in same]), "s", aim=Aim(0.2),
                spread=spread([each[0] for each in same])),
            Row("everything changed since the last", median([each[0] for each in changed]), "s", aim=Aim(2.0),
                spread=spread([each[0] for each in changed])),
            Row("the longest that other work waited", max(stalls), "ms", aim=Aim(50.0)),
            Row("a full garbage collection of that heap", collected * 1000, "ms"),
            Row("size of the answer", same[0][2] / 1e6, "MB"),
        ),
        (
            "a hive of the memory engine that does not run; records and reports as a list would bring them",
            "garbage was not collected during a scrape; in an operator it may be, and other work waits for that too",
        ),
    )  # fmt: skip
