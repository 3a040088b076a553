"""How long one look of the edge at this swarm takes: the calls of Traefik's provider, timed from here.

Traefik lists the services, then asks for the tasks of each and for the node of every task. Of thousands a sample is
asked for and the rest reckoned, so that the question does not weigh as much as the answer.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from skep.operator.engine.swarm.api import Api, Json, segment

SAMPLE = 25  # of services


@dataclass(frozen=True, slots=True)
class Poll:
    """*seconds* of one look at *services* with *tasks* running."""

    seconds: float
    services: int
    tasks: int


async def time_poll(api: Api) -> Poll:
    """Raises SkepError where the engine does not answer."""
    await api.version()  # so that no call below waits for it
    listing, services = await _timed(lambda: api.get("services", {"status": True}))
    spent = listing
    spent += (await _timed(lambda: api.get("networks", {"filters": {"scope": ["swarm"]}})))[0]
    running = sum(int((each.get("ServiceStatus") or {}).get("RunningTasks") or 0) for each in services)
    step = max(1, len(services) // SAMPLE)
    asked = services[::step][:SAMPLE]
    tasks_s: list[float] = []
    node_s: list[float] = []
    for service in asked:
        took, tasks = await _timed(lambda service=service: _tasks(api, service))  # type: ignore[misc]  # a bound default
        tasks_s.append(took)
        for node in {task["NodeID"] for task in tasks or () if task.get("NodeID")}:
            node_s.append((await _timed(lambda node=node: api.get(f"nodes/{segment(node)}")))[0])  # type: ignore[misc]
    # Medians: one answer that was held up would be reckoned for hundreds.
    if tasks_s:
        spent += median(tasks_s) * len(services)
    if node_s:
        spent += median(node_s) * running
    return Poll(spent, len(services), running)


async def _tasks(api: Api, service: Json) -> Any:
    return await api.get("tasks", {"filters": {"service": [service["ID"]], "desired-state": ["running"]}})


async def _timed(call: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = await call()
    return time.perf_counter() - began, answer
