"""Waking a worker that is a service of its own: a word on a list of the cache, where there is one.

A worker sleeps on that list. With the cache away, or without one, it looks into the database by itself: nothing is ever
known only to the cache.
"""

from __future__ import annotations

import asyncio
import contextlib

from skep.webapp.cache.client import Cache
from skep.webapp.errors import CacheAway

WAKE = "wake"
KEPT_MS = 60_000  # a ring that nobody hears is of no use later: whoever starts looks first
GATHER_S = 0.1  # many commits in a rush are one ring
LONGEST_SLEEP_S = 30.0  # while the cache answers; a ring may be lost with it
POLL_S = 5.0  # while it does not


class Ringer:
    """The web process's side: `notice` after each commit; nobody waits for it."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._task: asyncio.Task[None] | None = None

    def notice(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ring(), name="ring the worker")

    async def _ring(self) -> None:
        await asyncio.sleep(GATHER_S)
        self._task = None  # what is committed from here on is another ring
        key = self._cache.key(WAKE)
        with contextlib.suppress(CacheAway):
            await self._cache.ask(("LPUSH", key, 1), ("LTRIM", key, 0, 0), ("PEXPIRE", key, KEPT_MS))


class CacheBell:
    """The worker's side, a `Bell`."""

    def __init__(self, cache: Cache, stop: asyncio.Event) -> None:
        self._cache = cache
        self._stop = stop

    @property
    def is_over(self) -> bool:
        return self._stop.is_set()

    async def wait(self, timeout_s: float) -> bool:
        """Comes back earlier than *timeout_s* asks, to look: rings may be lost."""
        ends = asyncio.create_task(self._stop.wait())
        rings = asyncio.create_task(self._listen(min(timeout_s, LONGEST_SLEEP_S)))
        try:
            await asyncio.wait({ends, rings}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ends, rings):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        return not self._stop.is_set()

    async def _listen(self, timeout_s: float) -> None:
        try:
            seconds = max(0.01, timeout_s)  # 0 would be for ever
            await self._cache.ask(("BLPOP", self._cache.key(WAKE), f"{seconds:.3f}"), wait_s=seconds)
        except CacheAway:
            await asyncio.sleep(min(timeout_s, POLL_S))
