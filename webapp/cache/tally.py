"""How often something was tried at all of a tenant's replicas together.

Each process counts for itself and is bound by that alone while the cache is away. What it counts it also adds, a moment
later, to a number on the cache and learns the sum: nobody waits for the cache, and each replica lets through at most
what was under way meanwhile. Keys are hashes: addresses do not leave the process.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from skep.webapp.cache.client import Cache, Command
from skep.webapp.errors import CacheAway

MAX_KEYS = 10_000
MOST_AT_ONCE = 200  # keys in one go to the cache; more than that are counted here only


class Tally:
    def __init__(self, cache: Cache, *, clock: Callable[[], float] = time.time) -> None:
        self._cache = cache
        self._clock = clock
        self._known: OrderedDict[str, int] = OrderedDict()
        self._unsaid: Counter[str] = Counter()
        self._windows: dict[str, float] = {}
        self._forgotten: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def tries(self, name: str, subject: str, window_s: float) -> tuple[int, float]:
        """(how many all replicas are known to have counted in this window of the clock, seconds until it ends)."""
        now = self._clock()
        return self._known.get(self._key(name, subject, window_s), 0), window_s - now % window_s

    def add(self, name: str, subject: str, window_s: float) -> None:
        key = self._key(name, subject, window_s)
        if len(self._unsaid) < MOST_AT_ONCE or key in self._unsaid:
            self._unsaid[key] += 1
            self._windows[key] = window_s
            self._soon()

    def forget(self, name: str, subject: str, window_s: float) -> None:
        key = self._key(name, subject, window_s)
        self._known.pop(key, None)
        self._unsaid.pop(key, None)
        if len(self._forgotten) < MOST_AT_ONCE:
            self._forgotten.add(key)
            self._soon()

    async def settled(self) -> None:
        """Everything that was counted so far was told, or given up."""
        while self._task is not None:
            await asyncio.wait({self._task})

    def _key(self, name: str, subject: str, window_s: float) -> str:
        hashed = hashlib.sha256(subject.encode(errors="replace")).hexdigest()[:32]
        return self._cache.key(f"tries:{name}:{hashed}:{int(self._clock() // window_s)}")

    def _soon(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._tell(), name="tell the cache of tries")

    async def _tell(self) -> None:
        try:
            while self._unsaid or self._forgotten:
                counts, self._unsaid = self._unsaid, Counter()
                windows, self._windows = self._windows, {}
                gone, self._forgotten = self._forgotten, set()
                commands: list[Command] = [("UNLINK", *sorted(gone))] if gone else []
                for key, number in counts.items():
                    commands += [("INCRBY", key, number), ("PEXPIRE", key, int(windows[key] * 1000))]
                replies = await self._cache.ask(*commands)
                for key, said in zip(counts, replies[bool(gone) :: 2], strict=True):
                    if isinstance(said, int):
                        self._known[key] = said
                        self._known.move_to_end(key)
                while len(self._known) > MAX_KEYS:
                    self._known.popitem(last=False)
        except CacheAway:
            pass  # this process's own count holds
        finally:
            self._task = None
