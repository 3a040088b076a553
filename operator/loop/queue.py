"""A work queue that holds each key at most once and hands it to one worker at a time.

As controller-runtime's: a key added while it is queued is one piece of work; added while it is worked on, it comes
again afterwards. Edits go before resyncs, and every *fairness*-th turn belongs to a resync, so that none starves.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import itertools
import random
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from skep.operator.loop.backoff import Backoff
from skep.operator.loop.clock import Clock
from skep.operator.loop.observer import QueueObserver, Unobserved

K = TypeVar("K", bound=Hashable)


class Lane(enum.IntEnum):
    EDIT = 0
    RESYNC = 1


class WorkQueue(Generic[K]):
    def __init__(
        self,
        clock: Clock,
        *,
        backoff: Backoff | None = None,
        draw: random.Random | None = None,
        fairness: int = 8,
        observer: QueueObserver | None = None,
    ) -> None:
        self._clock = clock
        self._observer = observer or Unobserved()
        self._backoff = backoff or Backoff()
        self._draw = draw or random.Random()  # noqa: S311 - jitter, not a secret
        self._fairness = fairness
        self._lanes: tuple[deque[K], deque[K]] = (deque(), deque())
        self._queued: dict[K, Lane] = {}
        self._active: set[K] = set()
        self._again: dict[K, Lane] = {}
        self._failures: dict[K, int] = {}
        self._later: list[tuple[float, int, K, Lane]] = []
        self._due: dict[K, float] = {}
        self._order = itertools.count()
        self._edits_in_a_row = 0
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._queued)

    @property
    def active(self) -> frozenset[K]:
        return frozenset(self._active)

    @property
    def idle(self) -> bool:
        """Nothing queued and nothing worked on; keys that wait for a later time do not count."""
        return not self._queued and not self._active

    def due(self, key: K) -> float | None:
        """When *key* comes again by itself, on the clock's monotonic scale; None if it does not wait."""
        return self._due.get(key)

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)

    def add(self, key: K, lane: Lane = Lane.EDIT) -> None:
        if key not in self._again and key not in self._queued:
            self._observer.added(key)
        if key in self._active:
            self._again[key] = min(lane, self._again.get(key, lane))
        else:
            self._queue(key, lane)
        self._wake.set()

    def add_after(self, key: K, delay_s: float, lane: Lane = Lane.EDIT) -> None:
        """Add *key* after *delay_s* unless an earlier time is already set."""
        self._observer.retried(key)
        due = self._clock.monotonic() + delay_s
        if (known := self._due.get(key)) is not None and known <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._order), key, lane))
        self._wake.set()

    async def get(self) -> K | None:
        """The next key, now active until `done`; None once the queue is closed."""
        while True:
            self._promote_due()
            if self._closed:
                return None
            if (key := self._pop()) is not None:
                self._active.add(key)
                self._observer.taken(key)
                return key
            self._wake.clear()
            await self._wait()

    def done(self, key: K, *, failed: bool = False, retry_after_s: float | None = None) -> float | None:
        """Give *key* back. A failure comes again after *retry_after_s* or the backoff; the wait in seconds, or None."""
        self._active.discard(key)
        self._observer.done(key)
        delay: float | None = None
        if failed:
            self._failures[key] = self._failures.get(key, 0) + 1
            delay = self._backoff.delay(self._failures[key], self._draw)
            delay = max(delay, retry_after_s or 0.0)
        else:
            self._failures.pop(key, None)
            delay = retry_after_s
        if (lane := self._again.pop(key, None)) is not None:
            self._queue(key, lane)  # it waits since it was added, and was counted then
        elif delay is not None:
            self.add_after(key, delay)
        self._wake.set()
        return delay

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def _queue(self, key: K, lane: Lane) -> None:
        if (queued := self._queued.get(key)) is None or lane < queued:
            self._queued[key] = lane  # if promoted, the entry left in the slower lane is skipped at its turn
            self._lanes[lane].append(key)

    def _pop(self) -> K | None:
        edits, resyncs = self._lanes
        resync_turn = self._edits_in_a_row >= self._fairness
        for lane, keys in (
            ((Lane.RESYNC, resyncs), (Lane.EDIT, edits))
            if resync_turn
            else (
                (Lane.EDIT, edits),
                (Lane.RESYNC, resyncs),
            )
        ):
            while keys:
                key = keys.popleft()
                if self._queued.get(key) is lane:
                    del self._queued[key]
                    self._edits_in_a_row = self._edits_in_a_row + 1 if lane is Lane.EDIT else 0
                    return key
        return None

    def _promote_due(self) -> None:
        now = self._clock.monotonic()
        while self._later and self._later[0][0] <= now:
            due, _, key, lane = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key, lane)

    async def _wait(self) -> None:
        if not self._later:
            await self._wake.wait()
            return
        timer = asyncio.ensure_future(self._clock.sleep(max(0.0, self._later[0][0] - self._clock.monotonic())))
        wake = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((timer, wake), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            wake.cancel()
