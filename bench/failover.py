"""How long a hive is without a leader, and what that costs: one of two operators is lost while tenants are being made.

In turns the leader is killed and told to stop, each time in the middle of a crowd of new tenants. A witness on the
swarm's own stream of events notes every creation; what was made twice, or never, is counted at the end of each turn.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.report import Aim, Report, Row, row
from tests.e2e.hives import Hive, on_swarm, tenant
from tests.faults.leaders import Witness, container_of, leader, operators, other
from tests.rig import images
from tests.rig.outer import engine as outer_engine
from tests.rig.swarm import running_swarm

TIMES = 3
CROWD = 24  # more than are in hand at once: somebody has to go on with the others
LEASE_S = 15.0
KILLED = Aim(LEASE_S + 5.0)
STOPPED = Aim(2.0)

Way = Literal["SIGKILL", "SIGTERM"]


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds since the signal: until another led, until it wrote, until the crowd was Ready; and what went wrong."""

    led: float
    wrote: float
    ready: float
    twice: int
    lost: int


def run() -> Report:
    turns: dict[Way, list[Turn]] = {"SIGKILL": [], "SIGTERM": []}
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as scratch, outer_engine() as client:
        tags = images.stack(client)
        with running_swarm(client, images.node(client)) as swarm:
            swarm.load_image(*tags.values())
            with on_swarm(swarm, tags, Path(scratch)) as hive:
                for number in range(TIMES):
                    for way, done in turns.items():
                        done.append(turn(hive, way, f"{way[3:].lower()}{number}"))
    return report(turns["SIGKILL"], turns["SIGTERM"])


def turn(hive: Hive, way: Way, prefix: str) -> Turn:
    hive.until(lambda: operators(hive) == 2, within_s=90, what="two healthy operators")
    crowd = [f"{prefix}x{number}" for number in range(CROWD)]
    folder = hive.work / prefix
    folder.mkdir()
    for name in crowd:
        (folder / f"{name}.yaml").write_text(json.dumps(tenant(name, suspend=True)))
    before = leader(hive.client)
    _, container = container_of(hive, before)
    with Witness(hive.client) as witness:
        hive.skep("apply", folder, "--source", prefix)
        hive.until(lambda: any(name.startswith(f"t_{prefix}") for name in hive.databases()), what="work has begun")
        told = time.monotonic()
        container.kill(way)
        other(hive.client, before, within_s=60)
        led = witness.lease_written(before=time.monotonic())
        wrote = witness.first_write(led)
        hive.until(lambda: settled(hive, crowd), within_s=120, what="the crowd is made")
        ready = time.monotonic()
    made = {name.split("_")[1] for name in hive.databases() if name.startswith(f"t_{prefix}")}
    services = {str(each.name) for each in hive.client.services.list(filters={"label": "skep.uid"})}
    lost = sum(name not in made or f"skep-{name}-web" not in services for name in crowd)
    return Turn(led - told, wrote - told, ready - told, sum(times - 1 for times in witness.twice().values()), lost)


def settled(hive: Hive, crowd: Sequence[str]) -> bool:
    items = hive.items()
    return all(items.get(name, {}).get("status", {}).get("phase") == "Suspended" for name in crowd)


def report(killed: Sequence[Turn], stopped: Sequence[Turn]) -> Report:
    rows: list[Row] = []
    for what, turns, aim in (("killed", killed, KILLED), ("told to stop", stopped, STOPPED)):
        rows += [
            row(f"{what}: another leads after", [each.led for each in turns], "s", aim=aim),
            row(f"{what}: it writes after", [each.wrote for each in turns], "s", aim=aim if what == "killed" else None),
            row(f"{what}: all {CROWD} tenants are made after", [each.ready for each in turns], "s"),
            Row(f"{what}: objects made twice", float(sum(each.twice for each in turns)), "", aim=Aim(0)),
            Row(f"{what}: tenants lost", float(sum(each.lost for each in turns)), "", aim=Aim(0)),
        ]
    notes = (
        f"The shipped stack on three managers in containers, two operators; medians of {TIMES}, in turns.",
        f"{CROWD} tenants (suspended, so that containers' starts do not count) are applied; the signal comes with the first database.",
        f"A lease lasts {LEASE_S:g} s and was renewed up to 5 s before the kill: 10 s is the least there can be.",
    )
    return Report("failover", "The leader is lost while tenants are being made", tuple(rows), notes)
