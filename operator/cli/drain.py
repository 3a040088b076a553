"""`skep drain NODE`: empty a node without a bad answer.

`docker node update --availability drain` ends a task and only then starts its successor elsewhere. Here the node takes
nothing new first, then each tenant's service is rolled on: its new task is healthy before the old one goes.
"""

from __future__ import annotations

import asyncio
import difflib
import time

import click

from skep.operator import names
from skep.operator.cli.command import EXIT_FAILED, Shared, command, skep
from skep.operator.cli.declare import count
from skep.operator.cli.init import POSTGRES_NODE
from skep.operator.cli.output import say
from skep.operator.engine.spec import Service, Task
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.engine.swarm.nodes import Node
from skep.operator.errors import UsageError, VersionConflict

AT_ONCE = 4
LOOK_S = 0.5


@skep.command("drain")
@click.argument("node")
@click.option("--force", is_flag=True, help="Although the node keeps the data of a database server.")
@click.option("--timeout", "timeout_s", type=float, default=300.0, show_default=True, help="Seconds a tenant may take.")
@command
async def drain(shared: Shared, node: str, force: bool, timeout_s: float) -> int:
    """Move all tenants off a node, one by one and with no bad answer, then drain it.

    What is not a tenant's moves as Docker does it. Afterwards `docker node update --availability active NODE` takes the
    node into service again.
    """
    async with shared.target.connect() as engine:
        if not isinstance(engine, SwarmEngine):
            raise UsageError("the embedded engine has one node", remedy="`skep down` stops it")
        found = _node_named(await engine.nodes(), node)
        if _keeps_data(found) and not force:
            raise UsageError(
                f"{found.hostname} keeps PostgreSQL's data: drained, no tenant has a database until it is back",
                remedy="--force, if that is what you want",
            )
        if found.availability == "active":
            await engine.set_availability(found.id, "pause")
            say(f"{found.hostname} takes no new tasks")
        services = await engine.list_services(label=names.UID)
        turn = asyncio.Semaphore(AT_ONCE)

        async def move(service: Service) -> bool:
            async with turn:
                return await _move(engine, service, found, timeout_s)

        stuck = [
            service.name
            for service, moved in zip(services, await asyncio.gather(*map(move, services)), strict=True)
            if not moved
        ]
        if stuck:
            say(f"{count(len(stuck), 'service')} did not leave: {', '.join(stuck)}; the node stays paused", err=True)
            say(f"`skep describe tenant` says why; `docker node update --availability active {node}` undoes", err=True)
            return EXIT_FAILED
        await engine.set_availability(found.id, "drain")
        say(f"{found.hostname} is drained")
    return 0


def _keeps_data(node: Node) -> bool:
    """Of the first database server (`skep.postgres`) or of another (`skep.postgres-2`)."""
    return any(key.partition("-")[0] == POSTGRES_NODE and value == "true" for key, value in node.labels)


def _node_named(nodes: tuple[Node, ...], name: str) -> Node:
    """By host name or ID. Raises UsageError with the nearest name, or if two nodes share it."""
    found = [node for node in nodes if name in (node.hostname, node.id)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} nodes are called {name}", remedy="name one by its ID: `docker node ls`")
    near = difflib.get_close_matches(name, [node.hostname for node in nodes], 1)
    raise UsageError(f"there is no node {name}", remedy=f"did you mean {near[0]}?" if near else "`docker node ls`")


async def _move(engine: SwarmEngine, service: Service, node: Node, timeout_s: float) -> bool:
    """Roll *service* on if it has a task on *node*; whether it has none there in the end."""
    deadline = time.monotonic() + timeout_s
    if not _on(node, await engine.list_tasks(service=service.id)):
        return True
    while True:
        try:
            await engine.roll_on(service.id)
            break
        except VersionConflict:  # the operator wrote in between, or the rollout moved the version
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_S)
    while _on(node, await engine.list_tasks(service=service.id)):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_S)
    say(f"{service.name} moved")
    return True


def _on(node: Node, tasks: tuple[Task, ...]) -> bool:
    return any(task.node in (node.hostname, node.id) and task.state == "running" for task in tasks)
