"""`skep doctor`: what is wrong here, and the command that mends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from pathlib import Path

import click

from skep.operator import formats, names
from skep.operator.cli import limits, output
from skep.operator.cli.command import EXIT_FAILED, Shared, command, skep
from skep.operator.cli.declare import count
from skep.operator.cli.init import CACHE_ADMIN, EDGE_NODE, POSTGRES_ADMIN, POSTGRES_NODE, ROOT_KEY
from skep.operator.cli.limits import Check
from skep.operator.cli.view import View, look
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.errors import NotFound, SkepError, TerminalError
from skep.operator.keys import RootKey
from skep.operator.leadership import grant_of
from skep.operator.reconcilers.strangers import strangers

STACK_SERVICES = ("skep_operator", "skep_traefik", "skep_postgres", "skep_redis")


@skep.command("doctor")
@click.option(
    "--root-key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Compare this key file with the hive's.",
)
@command
async def doctor(shared: Shared, key_file: Path | None) -> int:
    """Say what is wrong with this machine or swarm, and the command that mends it. Exit code 1 if anything is."""
    checks = [check async for check in _checks(shared, key_file)]
    rows = [("ok" if check.ok else "!!", check.what, check.said) for check in checks]
    console = output.console()
    console.print(output.table(("", "WHAT", "STATE"), rows))
    for check in checks:
        if not check.ok and check.remedy:
            console.print(f"\n{check.what}: {check.remedy}")
    return 0 if all(check.ok for check in checks) else EXIT_FAILED


async def _checks(shared: Shared, key_file: Path | None) -> AsyncIterator[Check]:
    async with shared.target.connect() as engine:
        try:
            info = await engine.info()
        except SkepError as error:
            yield Check("engine", False, error.message, error.remedy or "`skep up` starts the embedded one")
            return
        yield Check(
            "engine",
            True,
            f"{info.kind} {info.version}, {count(info.nodes, 'node')}, {count(info.managers, 'manager')}",
        )
        if info.kind == "swarm" and info.managers % 2 == 0:
            yield Check(
                "managers", False, f"{info.managers} managers", "an odd number survives more: add or demote one"
            )
        if isinstance(engine, SwarmEngine):
            async for check in _swarm(engine):
                yield check
        view = await look(engine)
        for check in _hive(view, key_file):
            yield check
        for check in strangers_of(view):
            yield check
        for check in _tenants(view):
            yield check
        async for check in limits.checks(engine, view):
            yield check


async def _swarm(engine: SwarmEngine) -> AsyncIterator[Check]:
    networks = {network.name for network in await engine.list_networks(label=names.NETWORK)}
    missing = sorted({"skep-control", "skep-edge-1", "skep-data-1"} - networks)
    yield Check("networks", not missing, f"missing: {', '.join(missing)}" if missing else "all there", "skep init")
    for name in (ROOT_KEY, POSTGRES_ADMIN, CACHE_ADMIN):
        try:
            await engine.inspect_secret(name)
            yield Check(f"secret {name}", True, "there")
        except NotFound:
            yield Check(f"secret {name}", False, "missing", "skep init")
    nodes = await engine.nodes()
    for label, meaning in ((POSTGRES_NODE, "keeps the servers' data"), (EDGE_NODE, "serves the edge")):
        having = [node.hostname for node in nodes if dict(node.labels).get(label) == "true"]
        yield Check(f"label {label}", bool(having), ", ".join(having) or f"no node {meaning}", "skep init")
    down = [node.hostname for node in nodes if node.state != "ready"]
    yield Check("nodes", not down, f"not ready: {', '.join(down)}" if down else f"{len(nodes)} ready", "docker node ls")
    for name in STACK_SERVICES:
        try:
            places = await engine.places(name)
        except NotFound:
            remedy = "docker stack deploy --compose-file swarm/skep.yml skep"
            yield Check(f"service {name}", False, "not deployed", remedy)
            continue
        where = ", ".join(place.hostname for place in places)
        yield Check(f"service {name}", bool(places), where or "no running task", f"docker service ps --no-trunc {name}")


def _formats(view: View) -> Iterator[Check]:
    for config in view.configs:
        try:
            formats.check(config.name, dict(config.labels))
        except TerminalError as newer:
            yield Check(f"config {config.name}", False, newer.message, newer.remedy)


def _leader(view: View) -> Check:
    for config in view.configs:
        if config.name == names.LEASE and (grant := grant_of(config)).holder:
            return Check("leader", True, f"{grant.holder}, term {grant.term}")
    return Check("leader", False, "no operator leads", "docker service ps --no-trunc skep_operator")


def _hive(view: View, key_file: Path | None) -> list[Check]:
    word = view.announcement
    if word is None:
        return [Check("operator", False, "has never run here", "`skep up`, or deploy swarm/skep.yml")]
    ours = version("skep")
    checks = [
        Check("operator", True, f"version {word.version}, key {word.key_id} ({word.key_fingerprint})"),
    ]
    checks += [*_formats(view), _leader(view)]
    if word.version != ours:
        checks.append(
            Check("version", False, f"this command is {ours}", f"use skep {word.version}, or update the operator")
        )
    if key_file is not None:
        same = RootKey.read(key_file).own_fingerprint == word.key_fingerprint
        checks.append(Check("root key", same, "is this hive's" if same else "is another hive's", "find the right file"))
    for state in view.fleet.sources:
        if state.problem:
            checks.append(Check(f"source {state.name}", False, state.problem, "`skep apply` or deploy it again"))
        for problem in state.problems:
            checks.append(Check(f"source {state.name}", False, str(problem), "mend the document and publish again"))
        if state.held:
            remedy = f"skep approve deletions {state.name}"
            checks.append(Check(f"source {state.name}", False, f"the brake holds {state.held} deletions", remedy))
    if view.fleet.platform is None:
        checks.append(Check("platform", False, "no valid Platform is declared", "skep apply manifests/demo"))
    return checks


def strangers_of(view: View) -> Iterator[Check]:
    declared = {*view.fleet.tenants, *view.fleet.absent}
    for each in strangers(
        view.records,
        configs=view.configs,
        secrets=view.secrets,
        services=view.services,
        tenants=declared,
        is_damaged=lambda config: dict(config.labels).get(names.TENANT) not in view.records,
    ):
        kind, _, name = each.partition(" ")
        said = "carries skep's labels and is not skep's: left alone"
        yield Check(each, False, said, f"if nobody needs it: docker {kind} rm {name}")


def _tenants(view: View) -> Iterator[Check]:
    wrong = [name for name in view.tenants if (status := view.statuses.get(name)) and status.phase == "Degraded"]
    ready = sum(1 for status in view.statuses.values() if status.phase == "Ready")
    if not wrong:
        yield Check("tenants", True, f"{ready} of {len(view.tenants)} ready")
    for name in wrong:
        condition = view.statuses[name].condition("Ready")
        said = condition.message if condition is not None else "Degraded"
        yield Check(f"tenant {name}", False, said, f"skep describe tenant {name}")
