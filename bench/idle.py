"""What a tenant costs while nobody visits it: memory and CPU of its web process, its health checks, its connections.

A hundred tenants, made by the operator, on one node of a real swarm. The floor is the smallest server that the same
image can run: an aiohttp application of one route, with the same health check.
"""

from __future__ import annotations

import json
import re
import secrets
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.report import Aim, Report, Row, row
from bench.time_to_ready import MODEL, call, empty, service_body
from skep.operator import names
from tests.e2e.hives import Hive, inside, on_swarm, tenant
from tests.rig import images
from tests.rig.outer import engine as outer_engine
from tests.rig.swarm import running_swarm

TENANTS = 100
BARE = 10
SETTLE_S = 20.0  # start-up is not idleness
WINDOW_S = 60.0  # two health checks each
READY_WITHIN_S = 420
MEMORY_MB = Aim(70)
CPU_PERCENT = Aim(1)
SMALLEST = """
from aiohttp import web
async def healthz(_): return web.Response(text="ok")
app = web.Application()
app.add_routes([web.get("/healthz", healthz)])
web.run_app(app, port=8080, print=None)
"""
_TICKS = 100  # of /proc/<pid>/stat a second, on every Linux


@dataclass(frozen=True, slots=True)
class Process:
    """The first process of a container, as its node numbers it; *usage* is the file with its container's CPU time."""

    pid: int
    usage: str
    rss_mb: float
    pss_mb: float


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds since the start: of a container as a whole, and of its first process."""

    container_s: float
    process_s: float


def run() -> Report:
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as scratch, outer_engine() as client:
        tags = images.stack(client)
        with running_swarm(client, images.node(client), nodes=1) as swarm:
            swarm.load_image(*tags.values(), nodes=(0,))
            with on_swarm(swarm, tags, Path(scratch)) as hive:
                rows = measure(hive)
                empty(hive)
    notes = (
        f"{TENANTS} tenants on one node, each one task with its health check every 30 s; {WINDOW_S:g} s without a visitor.",
        f"Floor: an aiohttp application of one route in the same image, with the same health check; {BARE} of them.",
        "CPU is of the container: the web process and its probes. What the engine itself spends on a probe is told apart.",
    )
    return Report("idle", f"{TENANTS} idle tenants on a node", tuple(rows), notes)


def measure(hive: Hive) -> list[Row]:
    crowd = [f"idle{number:03d}" for number in range(TENANTS)]
    began = time.monotonic()
    folder = hive.declare(*(tenant(name) for name in crowd), source="idle", wait=False)
    hive.skep(
        "apply", folder, "--source", "idle", "--wait", "--timeout", str(READY_WITHIN_S), timeout_s=READY_WITHIN_S + 20
    )
    ready_s = time.monotonic() - began
    start_smallest(hive)
    time.sleep(SETTLE_S)

    web, bare = processes(hive, "skep-idle"), processes(hive, "skep-bare")
    assert (len(web), len(bare)) == (TENANTS, BARE), f"{len(web)} web and {len(bare)} bare processes"
    before, engine_before = spent(hive, [*web, *bare]), engine_s(hive)
    time.sleep(WINDOW_S)
    after, engine_after = spent(hive, [*web, *bare]), engine_s(hive)
    web, bare = processes(hive, "skep-idle"), processes(hive, "skep-bare")
    (connections,) = hive.sql(r"select count(*) from pg_stat_activity where datname like 't\_idle%'")[0]

    def percent(of: Sequence[Process], *, whole: bool) -> list[float]:
        def used(pid: int) -> float:
            if whole:
                return after[pid].container_s - before[pid].container_s
            return after[pid].process_s - before[pid].process_s

        return [used(each.pid) / WINDOW_S * 100 for each in of]

    return [
        row("memory of a web process (RSS)", rss(web), "MB", floor=rss(bare), aim=MEMORY_MB),
        row("   of it its own share (PSS)", pss(web), "MB", floor=pss(bare)),
        row(
            "CPU of a tenant, of a core",
            percent(web, whole=True),
            "%",
            floor=percent(bare, whole=True),
            aim=CPU_PERCENT,
        ),
        row("   of it the web process", percent(web, whole=False), "%", floor=percent(bare, whole=False)),
        Row("engine's own CPU, a tenant", (engine_after - engine_before) / WINDOW_S * 100 / (TENANTS + BARE), "%"),
        Row("open connections to PostgreSQL, all tenants", float(connections), "", aim=Aim(0)),
        Row(f"from `skep apply` to {TENANTS} Ready", ready_s, "s"),
    ]


def rss(of: Sequence[Process]) -> list[float]:
    return [each.rss_mb for each in of]


def pss(of: Sequence[Process]) -> list[float]:
    return [each.pss_mb for each in of]


def start_smallest(hive: Hive) -> None:
    body = service_body(hive, f"skep-{MODEL}-web")
    for number in range(BARE):
        name = f"skep-bare{number}-web"
        text = body.replace(f"skep-{MODEL}-web", name).replace(f"{MODEL}.localhost", f"bare{number}.localhost")
        spec = json.loads(text)
        spec["Labels"] |= {names.TENANT: f"bare{number}", names.UID: secrets.token_hex(16)}
        spec["TaskTemplate"]["ContainerSpec"] |= {"Command": ["/opt/skep/bin/python", "-c", SMALLEST], "Args": []}
        call(hive, "POST", "services/create", json.dumps(spec))
    hive.until(
        lambda: all(hive.running_tasks(f"skep-bare{number}-web") for number in range(BARE)), what="the bare ones run"
    )


def processes(hive: Hive, prefix: str) -> list[Process]:
    """Of all containers whose service's name begins with *prefix*; looked at inside the node, which needs no root here."""
    assert hive.swarm is not None
    listed = hive.swarm.client.containers.list()
    mine = [each for each in listed if str(each.labels.get("com.docker.swarm.service.name", "")).startswith(prefix)]
    pids = [int(each.attrs["State"]["Pid"]) for each in mine]
    said = on_node(hive, f"for p in {words(pids)}; do echo @ $p; cat /proc/$p/smaps_rollup /proc/$p/cgroup; done")
    found = []
    for part in said.split("@ ")[1:]:
        pid, _, text = part.partition("\n")
        found.append(Process(int(pid), usage_file(text), kilobytes(text, "Rss"), kilobytes(text, "Pss")))
    return found


def usage_file(cgroups: str) -> str:
    """The file with a container's CPU time, under either version of control groups."""
    if (old := re.search(r"^\d+:[^:\n]*\bcpuacct\b[^:\n]*:(.*)$", cgroups, re.MULTILINE)) is not None:
        return f"/sys/fs/cgroup/cpuacct{old[1]}/cpuacct.usage"
    new = re.search(r"^0::(.*)$", cgroups, re.MULTILINE)
    assert new is not None
    return f"/sys/fs/cgroup{new[1]}/cpu.stat"


def cpu_s(usage: str) -> float:
    """Seconds, from what either file holds: nanoseconds alone, or microseconds under a name."""
    if (new := re.search(r"usage_usec (\d+)", usage)) is not None:
        return int(new[1]) / 1e6
    return int(usage.split()[0]) / 1e9


def ticks_s(stat: str) -> float:
    """Seconds of user and system time, from `/proc/<pid>/stat`; the name before them may hold spaces."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def kilobytes(rollup: str, field: str) -> float:
    """In MB."""
    found = re.search(rf"^{field}:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def spent(hive: Hive, of: Sequence[Process]) -> dict[int, Spent]:
    script = "; ".join(f"echo @ {each.pid}; cat /proc/{each.pid}/stat {each.usage}" for each in of)
    found = {}
    for part in on_node(hive, script).split("@ ")[1:]:
        pid, stat, usage = part.split("\n", 2)
        found[int(pid)] = Spent(cpu_s(usage), ticks_s(stat))
    return found


def engine_s(hive: Hive) -> float:
    """CPU seconds of the node's engine and its helpers that live now."""
    said = on_node(hive, "cat /proc/[0-9]*/stat 2>/dev/null; true")
    return sum(ticks_s(line) for line in said.splitlines() if re.search(r"\((dockerd|containerd)", line))


def words(numbers: Sequence[int]) -> str:
    return " ".join(str(number) for number in numbers)


def on_node(hive: Hive, script: str) -> str:
    assert hive.swarm is not None
    code, said = inside(hive.swarm.nodes[0].container, ["sh", "-c", script])
    if code:
        raise RuntimeError(said)
    return said
