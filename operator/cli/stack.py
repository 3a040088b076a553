"""`skep up --engine swarm`: init, stack, apply, on the swarm that this Docker context names."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from importlib.metadata import version
from pathlib import Path

from skep.crds.reader import read_path
from skep.operator import names
from skep.operator.cli.command import EXIT_FAILED, Shared
from skep.operator.cli.declare import DEFAULT_SOURCE, count, publish_reading, tell, wait_ready
from skep.operator.cli.init import Plan, prepare
from skep.operator.cli.output import say
from skep.operator.cli.samples import fill_when_ready
from skep.operator.cli.target import docker_host
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.errors import NotFound, SkepError, UsageError

STACK = Path("swarm/skep.yml")
FIRST_NETWORKS = frozenset({"skep-control", "skep-edge-1", "skep-data-1"})
SERVICES = ("skep_postgres", "skep_redis", "skep_traefik", "skep_operator")


async def up(shared: Shared, path: Path | None, *, timeout_s: float, samples: bool = False) -> int:
    """Prepare the swarm, deploy the stack, publish PATH and wait until its tenants are Ready."""
    host = docker_host(shared.target.context)
    environment = os.environ | {"DOCKER_HOST": host, "SKEP_DOCKER_GID": _group(host)}
    environment.setdefault("SKEP_IMAGE", f"skep:{version('skep')}")
    _check_stack()
    deadline = time.monotonic() + timeout_s
    engine = SwarmEngine(host)
    try:
        await prepare(engine, Plan(yes=False))
        await _deploy(environment, stack_files({each.name for each in await engine.list_networks(label=names.NETWORK)}))
        for name in SERVICES:
            await _running(engine, name, deadline)
        if path is None:
            return 0
        reading = read_path(path)
        tell(reading.problems)
        if reading.problems:
            say(f"{count(len(reading.problems), 'problem')} in {path}; nothing was published", err=True)
            return EXIT_FAILED
        if await publish_reading(engine, reading, source=DEFAULT_SOURCE, prune=True) is None:
            return EXIT_FAILED
        tenants = [document.name for document in reading.documents if document.kind == "Tenant"]
        code = await wait_ready(engine, tenants, timeout_s=max(1.0, deadline - time.monotonic()))
        if samples and code == 0:
            await fill_when_ready(engine, tenants, timeout_s=max(1.0, deadline - time.monotonic()))
        return code
    finally:
        await engine.close()


def _check_stack() -> None:
    if not STACK.exists():
        raise UsageError(f"there is no {STACK} here", remedy="run this in a checkout of skep")


def _group(host: str) -> str:
    """The group of the engine's socket on the managers: SKEP_DOCKER_GID, or as it is on this machine."""
    if said := os.environ.get("SKEP_DOCKER_GID"):
        return said
    socket = Path(host.removeprefix("unix://"))
    if host.startswith("unix://") and socket.exists():
        return str(socket.stat().st_gid)
    raise UsageError(
        "the group of the managers' engine socket is not known from here",
        remedy="set SKEP_DOCKER_GID; on a manager: stat -c %g /var/run/docker.sock",
    )


def stack_files(networks: AbstractSet[str]) -> tuple[Path, ...]:
    """The stack, and a file for each further network: without it Traefik or PostgreSQL would leave that one.

    Raises UsageError for a network that has no file.
    """
    found = [STACK]
    for name in sorted(networks - FIRST_NETWORKS):
        file = STACK.with_name(f"{name.removeprefix('skep-')}.yml")
        if not file.exists():
            raise UsageError(f"there is no {file} for network {name}", remedy="docs/grow.md says how to make it")
        found.append(file)
    return tuple(found)


async def _deploy(environment: dict[str, str], files: Iterable[Path]) -> None:
    parts = [part for file in files for part in ("--compose-file", str(file))]
    command = ("docker", "stack", "deploy", *parts, "skep")
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError as error:
        raise UsageError("the docker command is not installed here", remedy=" ".join(command)) from error
    _, said = await process.communicate()
    if process.returncode != 0:
        raise SkepError(f"`{' '.join(command)}` failed: {said.decode(errors='replace').strip()[-400:]}")
    say("deployed the stack skep")


async def _running(engine: SwarmEngine, name: str, deadline: float) -> None:
    """Wait for the tasks of the stack's service; the engine's own error if none comes.

    What finds no node is not waited for while another runs: one manager takes one of two operators.
    """
    while True:
        try:
            tasks = await engine.list_tasks(service=name)
        except NotFound:
            tasks = ()
        wanted = [task for task in tasks if task.wanted == "running" and task.node]
        if wanted and all(task.state == "running" for task in wanted):
            say(f"{name}: up")
            return
        if time.monotonic() > deadline:
            said = next((task.error for task in tasks if task.error), "no task started")
            raise SkepError(f"{name} does not run: {said}", remedy=f"docker service ps --no-trunc {name}")
        await asyncio.sleep(0.3)
