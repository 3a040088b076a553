"""Public pages kept in memory for 2 s, so that a rush on one event costs one page and not thousands.

Only for who carries no cookie and asks without a query; dropped when anything but a sale was changed. Other replicas
learn of a change by a number on the cache, a quarter of a second later; without a cache they are 2 s behind at most.
Who asks for a page that is being made waits for it, so that its end does not bring everybody to the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

from aiohttp import web

from skep.webapp.cache.client import Cache, Reply
from skep.webapp.errors import CacheAway
from skep.webapp.http.keys import KEPT, VISIT

LIFETIME_S = 2.0
MAX_PAGES = 500
MAX_BYTES = 256 * 1024  # a page larger than that is made each time
LOOK_S = 0.25
EDITS = "edits"
EDITS_KEPT_MS = 10_000  # longer than any page lives: a number that begins anew is a change too

Handler = Callable[[web.Request], Awaitable[web.Response]]
T = TypeVar("T")
Key: TypeAlias = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class Page:
    made_at: float
    body: bytes
    headers: dict[str, str]


class KeptPages:
    def __init__(self, cache: Cache | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._clock = clock
        self._pages: dict[Key, Page | asyncio.Future[None]] = {}
        self._facts: dict[Hashable, tuple[float, object]] = {}
        self._changes = 0  # heard of so far
        self._edits: Reply = None
        self._looked_at = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()

    def drop(self) -> None:
        """Something was changed: nobody sees a page again that was begun before."""
        self._forget()
        if self._cache is not None:
            self._in_background(self._tell(self._cache))

    async def answer(self, key: Key, make: Callable[[], Awaitable[web.Response]]) -> web.Response:
        """The page of *key*, made at most once in 2 s. Whatever *make* raises is raised."""
        while True:
            self._look()
            found = self._pages.get(key)
            if isinstance(found, asyncio.Future):
                await found  # then it is kept, or it failed and this request makes its own
                continue
            if found is not None and self._clock() - found.made_at < LIFETIME_S:
                return web.Response(body=found.body, headers=found.headers)
            break
        being_made = asyncio.get_running_loop().create_future()
        self._pages[key] = being_made
        began = self._clock()
        try:
            response = await make()
            body = response.body
            is_ours = self._pages.get(key) is being_made  # nothing was dropped meanwhile
            if is_ours and response.status == 200 and isinstance(body, bytes) and len(body) <= MAX_BYTES:
                headers = {name: value for name, value in response.headers.items() if name != "Content-Length"}
                self._pages[key] = Page(began, body, headers)
                while len(self._pages) > MAX_PAGES:
                    self._pages.pop(next(iter(self._pages)))
            return response
        finally:
            if self._pages.get(key) is being_made:
                del self._pages[key]
            being_made.set_result(None)

    async def fact(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What *read* found within the last 2 s, of things that organizers write and nobody's cookie changes.

        For who is buying: what is stored in the end is read again there.
        """
        self._look()
        found = self._facts.get(key)
        if found is not None and self._clock() - found[0] < LIFETIME_S:
            return cast("T", found[1])
        began, changes = self._clock(), self._changes
        value = await read()
        if changes == self._changes:
            self._facts[key] = (began, value)
            while len(self._facts) > MAX_PAGES:
                self._facts.pop(next(iter(self._facts)))
        return value

    def _forget(self) -> None:
        self._pages.clear()
        self._facts.clear()
        self._changes += 1

    def _look(self) -> None:
        now = self._clock()
        if self._cache is not None and now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._in_background(self._compare(self._cache))

    async def _compare(self, cache: Cache) -> None:
        with contextlib.suppress(CacheAway):
            (edits,) = await cache.ask(("GET", cache.key(EDITS)))
            if edits != self._edits:
                self._edits = edits
                self._forget()

    async def _tell(self, cache: Cache) -> None:
        with contextlib.suppress(CacheAway):
            key = cache.key(EDITS)
            await cache.ask(("INCRBY", key, 1), ("PEXPIRE", key, EDITS_KEPT_MS))

    def _in_background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def kept(handler: Handler) -> Handler:
    """For pages that are the same for everybody who reads the same language."""

    @functools.wraps(handler)
    async def from_memory(request: web.Request) -> web.Response:
        if "Cookie" in request.headers or "Authorization" in request.headers or "?" in request.raw_path:
            return await handler(request)
        visit = request[VISIT]
        key = (request.path, visit.t.language, visit.asked_language)
        return await request.app[KEPT].answer(key, lambda: handler(request))

    return from_memory


SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
NO_EDITS = ("/events/", "/api/v1/checkin-lists/")


@web.middleware
async def drop_after_changes(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What buyers and doors do is not an edit: the places they take are shown 2 s later."""
    try:
        return await handler(request)
    finally:
        if request.method not in SAFE_METHODS and not request.path.startswith(NO_EDITS):
            request.app[KEPT].drop()
