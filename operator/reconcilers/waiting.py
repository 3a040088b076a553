"""Why a service does not run as it should: the engine's own words, sorted into reasons that people can act on. Pure.

Swarm tells some causes in a task's error, some only by a state that does not move, and one (out of memory) only by an
exit code. Each reason here has one remedy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skep.operator.engine.spec import Service, Task

# A task of a network without a free address stays New, and the API says nothing of it.
ADDRESS_WAIT = timedelta(seconds=30)
KILLED = 137  # 128 and SIGKILL: what the kernel sends a process beyond its memory limit


@dataclass(frozen=True, slots=True)
class Why:
    """*reason* is one stable CamelCase word, *message* a sentence with the engine's words, *remedy* may be empty."""

    reason: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


_MORE_NETWORKS = "add a network to the stack and to spec.networks of the Platform"
# In the order in which they are tried; the first that matches a task's error names the cause.
_CAUSES = (
    (
        "NoSuitableNode",
        "no suitable node|scheduling constraints",
        "free a node or add one, or ask for less: `docker node ls` shows which take tasks",
    ),
    (
        "ImageMissing",
        "no such image|manifest (for .* )?(unknown|not found)|pull access denied|does not exist|unauthorized|built-in",
        "push the image where every node can pull it, or name another",
    ),
    ("NoAddress", "no available (ip|address)|could not find an available|address.* exhausted", _MORE_NETWORKS),
    ("Unhealthy", "unhealthy", "`skep logs` has its last words"),
    ("NodeDown", "heartbeat failure|node is down|node is not ready", "`docker node ls` shows which"),
)
_OUT_OF_MEMORY = "give the plan more memory (spec.app.resources.memory), or find out who killed it"

REASONS = frozenset({"TaskStuck", "TaskFailing", "OutOfMemory", *(reason for reason, _, _ in _CAUSES)})
"""What rarely mends itself."""


def why(service: Service, tasks: Sequence[Task], now: datetime) -> Why:
    """What keeps *service* from running all of its tasks; Starting or RollingOut if nothing is wrong so far."""
    name = service.name
    current = [task for task in tasks if task.wanted in ("running", "new", "ready", "accepted")]
    for task in current:
        if task.error:
            return _told(name, task, service, otherwise="TaskStuck")
    for task in current:
        if task.state == "new" and task.since is not None and now - task.since >= ADDRESS_WAIT:
            networks = ", ".join(service.spec.networks)
            return Why(
                "NoAddress",
                f"{name}: a task is New since {task.since:%H:%M:%S} UTC and nobody says why: most likely no address "
                f"is left on one of its networks ({networks})",
                _MORE_NETWORKS,
            )
    failed = newest_failure(tasks)
    if failed is not None and not any(task.state == "running" for task in current):
        return _told(name, failed, service, otherwise="TaskFailing")
    if service.update_state == "updating":
        return Why("RollingOut", f"{name} is being updated")
    return Why("Starting", f"{name} is starting")


def newest_failure(tasks: Sequence[Task]) -> Task | None:
    """The newest task that the engine says something bad of."""
    failed = [task for task in tasks if task.error]
    return max(failed, key=lambda task: task.since.timestamp() if task.since else 0.0, default=None)


def _told(name: str, task: Task, service: Service, *, otherwise: str) -> Why:
    for reason, pattern, remedy in _CAUSES:
        if re.search(pattern, task.error, re.IGNORECASE):
            return Why(reason, f"{name}: {task.error}", remedy)
    if task.exit_code == KILLED or f"({KILLED})" in task.error:
        limit = service.spec.resources.memory_bytes
        beyond = f" of {limit // 2**20} MiB" if limit else ""
        return Why(
            "OutOfMemory",
            f"{name}: {task.error}: it was killed, most likely beyond its memory limit{beyond}",
            _OUT_OF_MEMORY,
        )
    return Why(otherwise, f"{name}: {task.error}", "`skep logs` has its last words" if task.node else "")
