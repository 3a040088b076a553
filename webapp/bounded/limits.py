"""Bounds that a process puts on itself, so that one bad job never takes its tenant's site down with it.

Memory: what it may allocate; beyond that, asking for more fails (MemoryError) here and nowhere else. Time: an alarm
that is wound up again and again by a living event loop; where the loop hangs, the kernel ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
from pathlib import Path

MEMORY_BYTES = 384 * 1024 * 1024
STUCK_S = 60.0  # longer than any stretch of work that does not let the event loop go on
WIND_S = 5.0

LEFT_TO_THE_SITE_BYTES = 96 * 1024 * 1024  # of the container's memory: a web process with visitors
LEAST_BYTES = 96 * 1024 * 1024  # less, and Python with its libraries does not start
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def memory_bytes(container: Path = CONTAINER_LIMIT, *, alone: bool = False) -> int:
    """What this process may take: what its container leaves beside the site, and no more than MEMORY_BYTES.

    *alone*: the container is its own, and a little less than its limit is an error here instead of an end.
    """
    try:
        most = int(container.read_text())
    except (OSError, ValueError):  # no such limit, or "max"
        return MEMORY_BYTES
    return max(LEAST_BYTES, min(MEMORY_BYTES, most * 9 // 10 if alone else most - LEFT_TO_THE_SITE_BYTES))


def go_first() -> None:
    """If the container's memory ends all the same, the kernel shall end this process, never the site."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def bound_memory(size_bytes: int | None = None) -> None:
    """RLIMIT_DATA counts what is written to, unlike RLIMIT_AS, which counts the files of every library too."""
    size_bytes = memory_bytes() if size_bytes is None else size_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    size = size_bytes if hard == resource.RLIM_INFINITY else min(size_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold names and secrets


def bound_cpu(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


async def wind_alarm(stuck_s: float = STUCK_S) -> None:
    """For ever: the process is ended by SIGALRM when this did not run for *stuck_s*."""
    try:
        while True:
            signal.setitimer(signal.ITIMER_REAL, stuck_s)
            await asyncio.sleep(min(WIND_S, stuck_s / 4))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
