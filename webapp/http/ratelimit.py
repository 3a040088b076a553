"""How often something may be tried: at most *limit* times in any *window_s* seconds, by key.

In memory: nothing is written for it, and a restart forgives. Bounded: the keys tried longest ago are forgotten first.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MAX_KEYS = 10_000


class RateLimiter:
    def __init__(self, limit: int, window_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._window_s = window_s
        self._clock = clock
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def retry_after_s(self, key: str) -> int | None:
        """Whole seconds until *key* may try again; None if it may now. Counts nothing."""
        tries = self._recent(key)
        if len(tries) < self._limit:
            return None
        return max(1, math.ceil(tries[0] + self._window_s - self._clock()))

    def count(self, key: str) -> None:
        tries = self._recent(key)
        tries.append(self._clock())
        self._tries[key] = tries
        self._tries.move_to_end(key)
        while len(self._tries) > MAX_KEYS:
            self._tries.popitem(last=False)

    def forget(self, key: str) -> None:
        self._tries.pop(key, None)

    def _recent(self, key: str) -> deque[float]:
        tries = self._tries.get(key, deque())
        while tries and tries[0] <= self._clock() - self._window_s:
            tries.popleft()
        return tries
