"""A hundred tenants from one revision on the real swarm: how many a second, and where their time goes.

The floor is made in the same run, in turns: the same services and databases by bare calls, as many at once as the
operator has workers. Both count from when the work could begin (the revision's own time; the first bare call) until the
last container is healthy by the engine's own word.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench.report import Aim, Report, Row, median, row
from bench.time_to_ready import (
    MODEL,
    NO_ROWS,
    call,
    cloned_at,
    created_at,
    declared,
    empty,
    renamed,
    service_body,
    stamp,
    template_of,
)
from bench.visits import first_answers
from skep.operator.settings import Settings
from tests.e2e.hives import Hive, inside, on_swarm
from tests.faults.leaders import container_of, leader
from tests.rig import images
from tests.rig.outer import engine as outer_engine
from tests.rig.swarm import running_swarm

TENANTS = int(os.environ.get("BENCH_PROVISION_TENANTS", "100"))
TIMES = int(os.environ.get("BENCH_PROVISION_TIMES", "2"))
WORKERS = Settings().workers
# The rate is to be at least 0.9 of the floor's, so the time at most 1 / 0.9 of it.
SHARE = Aim(1 / 0.9, "ratio")
LOOK_S = 0.5
WITHIN_S = 300.0
MADE_BY_WRITES = r"(create_config|create_secret|create_service|label_config|label_secret|update_service)"


@dataclass(frozen=True, slots=True)
class Crowd:
    """Seconds since the beginning, until ...; *spent* is what a tenant took of the operator, by what it was for."""

    services: float  # the last service was made
    running: float  # the last container was healthy
    answered: float  # the last answered at the edge
    start: float  # a container, from its service's creation on: the median
    spent: Mapping[str, float]


def run() -> Report:
    floors: list[Crowd] = []
    crowds: list[Crowd] = []
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as scratch, outer_engine() as client:
        tags = images.stack(client)
        with running_swarm(client, images.node(client)) as swarm:
            swarm.load_image(*tags.values())
            with on_swarm(swarm, tags, Path(scratch)) as hive:
                for number in range(TIMES):
                    floors.append(bare(hive, f"bare{number}"))
                    crowds.append(provision(hive, f"many{number}"))
                empty(hive)
    return report(floors, crowds)


def provision(hive: Hive, source: str) -> Crowd:
    """One revision with everybody, and everybody gone again."""
    crowd = [f"{source}x{number:03}" for number in range(TENANTS)]
    folder = declared(hive, crowd)
    before = spent_by(hive)
    hive.skep("apply", folder, "--source", source)
    began = created_at(call(hive, "GET", f"configs/{source}.r1"))
    services, starts, running = followed(hive, [f"skep-{name}-web" for name in crowd])
    answered = first_answers(hive.edge, [f"{name}.localhost" for name in crowd], path=NO_ROWS)
    after = spent_by(hive)
    spent = {what: (after[what] - before.get(what, 0.0)) / TENANTS for what in after}
    let_go(hive, source, crowd, folder)
    return Crowd(services - began, running - began, max(answered.values()) - began, median(starts), spent)


def bare(hive: Hive, prefix: str) -> Crowd:
    """The same by bare calls: settings, secret and service of each, and beside them the databases."""
    crowd = [f"{prefix}x{number:03}" for number in range(TENANTS)]
    body, template = service_body(hive, f"skep-{MODEL}-web"), template_of(hive)
    shares = [[f"bench_{name}" for name in crowd[worker::WORKERS]] for worker in range(WORKERS)]
    began = time.time()
    with ThreadPoolExecutor(2 * WORKERS) as pool:
        clones = [pool.submit(cloned_at, hive, template, share) for share in shares if share]
        made = list(pool.map(lambda name: bare_service(hive, body, name), crowd))
        cloned = max(each.result() for each in clones)
    services, starts, running = followed(hive, [f"skep-{name}-web" for name in crowd])
    answered = first_answers(hive.edge, [f"{name}.localhost" for name in crowd], path=NO_ROWS)
    found = Crowd(
        services - began, max(running, cloned) - began, max(answered.values()) - began, median(starts),
        {"databases": cloned - began},
    )  # fmt: skip
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda each: call(hive, "DELETE", f"services/{each}"), made))
    gone(hive, [f"skep-{name}-web" for name in crowd])
    for name in crowd:
        hive.sql(f'drop database "bench_{name}"')
    return found


def bare_service(hive: Hive, body: str, name: str) -> str:
    """A config and a secret as a tenant has them, then the service; its ID."""
    data = b64encode(secrets.token_bytes(400)).decode()
    for kind in ("configs", "secrets"):
        call(hive, "POST", f"{kind}/create", json.dumps({"Name": f"bench.{name}", "Data": data, "Labels": {}}))
    return str(call(hive, "POST", "services/create", renamed(body, name))["ID"])


def followed(hive: Hive, services: Sequence[str]) -> tuple[float, list[float], float]:
    """When the last of *services* was made, seconds from service to healthy container, when the last was healthy."""
    wanted, deadline = set(services), time.monotonic() + WITHIN_S
    while True:
        found = [each for each in call(hive, "GET", "services?status=true") if each["Spec"]["Name"] in wanted]
        if len(found) == len(wanted) and all(each["ServiceStatus"]["RunningTasks"] for each in found):
            break
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(found)} of {len(wanted)} services are there")
        time.sleep(LOOK_S)
    made = {each["ID"]: created_at(each) for each in found}
    filters = quote(json.dumps({"service": list(made), "desired-state": ["running"]}))
    ran: dict[str, float] = {}
    for task in call(hive, "GET", f"tasks?filters={filters}"):
        if task["Status"]["State"] == "running":
            ran[task["ServiceID"]] = stamp(task["Status"]["Timestamp"])
    return max(made.values()), [ran[each] - made[each] for each in made], max(ran.values())


def let_go(hive: Hive, source: str, crowd: Sequence[str], folder: Path) -> None:
    """All but one by a revision, which the brake holds; that one stays with the source."""
    for name in crowd[1:]:
        (folder / f"{name}.yaml").unlink()
    hive.skep("apply", folder, "--source", source, "--prune")
    hive.until(lambda: hive.items("sources")[source]["status"]["heldDeletions"], what="the brake holds")
    hive.skep("approve", "deletions", source, "--yes")
    gone(hive, [f"skep-{name}-web" for name in crowd[1:]])


def gone(hive: Hive, services: Sequence[str]) -> None:
    """Until no container of them is left, so that the next turn has the machine to itself."""
    assert hive.swarm is not None
    wanted, deadline = set(services), time.monotonic() + WITHIN_S
    label: dict[str, str | list[str] | bool] = {"label": "com.docker.swarm.service.name"}
    for node in hive.swarm.nodes:
        while any(
            each.labels["com.docker.swarm.service.name"] in wanted
            for each in node.client.containers.list(filters=label, ignore_removed=True)
        ):
            if time.monotonic() > deadline:
                raise TimeoutError("containers do not end")
            time.sleep(LOOK_S)


def spent_by(hive: Hive) -> dict[str, float]:
    """Seconds that the leading operator has spent so far, by its own metrics: of each reconciler, and in engine calls."""
    _, container = container_of(hive, leader(hive.client))
    words = "import urllib.request as u;print(u.urlopen('http://127.0.0.1:9120/metrics').read().decode())"
    code, text = inside(container, ["python3", "-c", words])
    if code:
        raise RuntimeError(text)
    return sums(text)


def sums(text: str) -> dict[str, float]:
    """Of each reconciler its name, of engine calls that write `API`."""
    found: dict[str, float] = {"API": 0.0}
    for line in text.splitlines():
        if said := re.match(r'skep_reconcile_duration_seconds_sum\{reconciler="(\w+)"\} (\S+)', line):
            found[said[1]] = float(said[2])
        elif said := re.match(rf'skep_engine_call_duration_seconds_sum\{{method="{MADE_BY_WRITES}"\}} (\S+)', line):
            found["API"] += float(said[2])
    return found


def report(floors: Sequence[Crowd], crowds: Sequence[Crowd]) -> Report:
    def spent(what: str) -> list[float]:
        return [each.spent.get(what, 0.0) * 1000 for each in crowds]

    rows: list[Row] = [
        row(
            f"{TENANTS} tenants: until the last container is healthy",
            [each.running for each in crowds],
            "s",
            floor=[each.running for each in floors],
            aim=SHARE,
        ),
        row(
            "   tenants a second",
            [TENANTS / each.running for each in crowds],
            "",
            floor=[TENANTS / each.running for each in floors],
        ),
        row(
            "   until the last answers at the edge",
            [each.answered for each in crowds],
            "s",
            floor=[each.answered for each in floors],
        ),
        row(
            "   until the last service is made (floor: without its database)",
            [each.services for each in crowds],
            "s",
            floor=[each.services for each in floors],
        ),
        row(
            "   a container, from its service to healthy: median",
            [each.start for each in crowds],
            "s",
            floor=[each.start for each in floors],
        ),
        row("   floor: until the last database is cloned", [each.spent["databases"] for each in floors], "s"),
        row("a tenant's time in the operator: database", spent("database"), "ms"),
        row("   writes to the engine, waiting included", spent("API"), "ms"),
        *(
            row(f"   reconciler {name}", spent(name), "ms")
            for name in ("record", "secrets", "settings", "schema", "app", "judge", "status")
            if any(spent(name))
        ),
    ]
    notes = (
        f"Three managers in containers, the shipped stack, {TENANTS} tenants of one revision, {TIMES} turns each.",
        (
            f"Floor: config, secret and service of each by {WORKERS} threads, and CREATE DATABASE ... TEMPLATE by "
            f"{WORKERS} sessions beside them; no roles, grants, records or reports."
        ),
        f"The operator has {WORKERS} workers. A tenant's time in a reconciler counts every run of it, side by side.",
    )
    return Report("provision", f"{TENANTS} tenants from one revision", tuple(rows), notes)
