"""`skep seed`, and what `skep up --samples` does with every tenant: sample events for a site that has none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable

import click

from skep.operator.cli.command import Shared, command, skep
from skep.operator.cli.oneoff import job, running
from skep.operator.cli.output import say
from skep.operator.cli.view import View, look
from skep.operator.engine.port import Engine
from skep.operator.errors import SkepError, TerminalError

LOOK_S = 0.5


async def fill(engine: Engine, view: View, name: str) -> int:
    """How many events were made; 0 for a site that has some. Raises TerminalError if its image cannot."""
    service, record = running(view, name), view.records[name]
    result = await engine.run_job(job("seed", name, service, record, ("samples",)))
    if not result.ok:
        raise TerminalError(f"the job failed: {(result.error or result.output).strip()[-300:]}")
    try:
        return int(json.loads(result.output.strip().splitlines()[-1])["events"])
    except (ValueError, LookupError, TypeError) as error:
        raise TerminalError(
            "the image's answer says nothing of events", remedy="docs/app-contract.md says what an image must answer"
        ) from error


async def fill_when_ready(engine: Engine, tenants: Iterable[str], *, timeout_s: float) -> None:
    """Fill each of *tenants* as soon as it is Ready. What fails is told, and keeps nobody else from it."""
    left = set(tenants)
    deadline = time.monotonic() + timeout_s
    while left:
        view = await look(engine)
        for name in sorted(left):
            status = view.statuses.get(name)
            if status is None or status.phase != "Ready":
                continue
            left.discard(name)
            try:
                if made := await fill(engine, view, name):
                    say(f"{name}: {made} sample events")
            except SkepError as error:
                say(f"{name} has no sample events: {error}", err=True)
        if left and time.monotonic() > deadline:
            say(f"no sample events for {', '.join(sorted(left))}: not Ready in time; `skep seed NAME` later", err=True)
            return
        if left:
            await asyncio.sleep(LOOK_S)


@skep.command("seed")
@click.argument("name")
@command
async def seed(shared: Shared, name: str) -> int:
    """Fill a tenant's site with sample events. A site that has an event already stays as it is."""
    async with shared.target.connect() as engine:
        made = await fill(engine, await look(engine), name)
    say(f"tenant {name}: {made} sample events" if made else f"tenant {name} has events already: nothing was changed")
    return 0
