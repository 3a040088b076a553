"""Time as a port, so that tests own it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol


async def first(*waits: Coroutine[Any, Any, object]) -> None:
    """Return with the first of *waits* that ends; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds that never jump; only differences mean something."""
        ...

    def boottime(self) -> float:
        """As `monotonic`, but it goes on while the machine sleeps: what a lease is counted on."""
        ...

    def now(self) -> datetime:
        """The wall clock in UTC, for people only: nothing is ordered by it."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        # Elsewhere than on Linux there is one clock for both, and it does what the system's makers chose.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
