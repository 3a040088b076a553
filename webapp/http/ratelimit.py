"""How often something may be tried: at most *limit* times in any *window_s* seconds, by key.

In memory: nothing is written for it, and a restart forgives. Bounded: the keys tried longest ago are forgotten first.
Where there is a cache, what other replicas count is known a moment later and counts too.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Protocol

MAX_KEYS = 10_000


class Elsewhere(Protocol):
    """What all replicas counted in a window of the clock; never makes anybody wait."""

    def tries(self, name: str, subject: str, window_s: float) -> tuple[int, float]:
        """(how many are known of, seconds until the window ends)."""

    def add(self, name: str, subject: str, window_s: float) -> None: ...

    def forget(self, name: str, subject: str, window_s: float) -> None: ...


class RateLimiter:
    def __init__(self, limit: int, window_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._window_s = window_s
        self._clock = clock
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._name = ""
        self._elsewhere: Elsewhere | None = None

    def share(self, name: str, elsewhere: Elsewhere) -> None:
        """Count as *name* together with all replicas."""
        self._name, self._elsewhere = name, elsewhere

    def retry_after_s(self, key: str) -> int | None:
        """Whole seconds until *key* may try again; None if it may now. Counts nothing."""
        tries = self._recent(key)
        if len(tries) >= self._limit:
            return max(1, math.ceil(tries[0] + self._window_s - self._clock()))
        if self._elsewhere is not None:
            number, left_s = self._elsewhere.tries(self._name, key, self._window_s)
            if number >= self._limit:
                return max(1, math.ceil(left_s))
        return None

    def count(self, key: str) -> None:
        tries = self._recent(key)
        tries.append(self._clock())
        self._tries[key] = tries
        self._tries.move_to_end(key)
        while len(self._tries) > MAX_KEYS:
            self._tries.popitem(last=False)
        if self._elsewhere is not None:
            self._elsewhere.add(self._name, key, self._window_s)

    def forget(self, key: str) -> None:
        self._tries.pop(key, None)
        if self._elsewhere is not None:
            self._elsewhere.forget(self._name, key, self._window_s)

    def _recent(self, key: str) -> deque[float]:
        tries = self._tries.get(key, deque())
        while tries and tries[0] <= self._clock() - self._window_s:
            tries.popleft()
        return tries
