"""What the API keeps in a process: how often somebody asks, and whose token was seen a moment ago."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from skep.webapp.http.ratelimit import RateLimiter
from skep.webapp.ids import token_hash

if TYPE_CHECKING:
    from skep.webapp.store.tokens import Token

MINUTE_S = 60.0
QUARTER_HOUR_S = 900.0
TRUSTED_S = 1.0  # a revoked token is good for so long at most
MAX_TRUSTED = 1000


class Trusted:
    """Tokens that the database knew within the last second: a door scans faster than it can be asked each time."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, tuple[float, Token]] = OrderedDict()

    def find(self, secret: str) -> Token | None:
        seen = self._seen.get(token_hash(secret))
        return seen[1] if seen is not None and time.monotonic() - seen[0] < TRUSTED_S else None

    def add(self, secret: str, token: Token) -> None:
        key = token_hash(secret)
        self._seen[key] = (time.monotonic(), token)
        self._seen.move_to_end(key)
        while len(self._seen) > MAX_TRUSTED:
            self._seen.popitem(last=False)

    def forget(self) -> None:
        """Something was revoked here: ask again for all."""
        self._seen.clear()


@dataclass(frozen=True, slots=True)
class ApiState:
    by_token: RateLimiter = field(default_factory=lambda: RateLimiter(1200, MINUTE_S))  # a busy door: 20 a second
    by_address: RateLimiter = field(default_factory=lambda: RateLimiter(300, MINUTE_S))  # without a token
    wrong_tokens: RateLimiter = field(default_factory=lambda: RateLimiter(60, QUARTER_HOUR_S))
    trusted: Trusted = field(default_factory=Trusted)


API_STATE = web.AppKey("api_state", ApiState)
