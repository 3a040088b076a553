"""A cache of objects that somebody else keeps: a full list is the truth, a hint only makes it quick.

The cache never replaces an object by one of a lower index, keeps what a subscriber needs to know who changed, and
lets a writer wait until its own write has come back (read-your-writes).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from skep.operator.loop.clock import Clock

log = logging.getLogger(__name__)


class Versioned(Protocol):
    """An object with an identity that is never used again and an index that only grows."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...


T = TypeVar("T", bound=Versioned)
Subscriber = Callable[[T | None, T | None], None]  # old, new; None for "was not there" and "is gone"


class Informer(Generic[T]):
    """The cached objects of one kind.

    *fetch* lists all of them. *read* gets one by ID, None if it is gone; without it a hint leads to a full list.
    """

    def __init__(
        self,
        kind: str,
        fetch: Callable[[], Awaitable[Iterable[T]]],
        *,
        clock: Clock,
        read: Callable[[str], Awaitable[T | None]] | None = None,
    ) -> None:
        self.kind = kind
        self._fetch = fetch
        self._read = read
        self._clock = clock
        self._items: dict[str, T] = {}
        self._names: dict[str, str] = {}
        self._gone: set[str] = set()  # removed while a list may be under way: that list must not bring them back
        self._subscribers: list[Subscriber[T]] = []
        self._changed = asyncio.Event()
        self._listing = asyncio.Lock()
        self.synced_at: float | None = None

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items.values())

    def get(self, object_id: str) -> T | None:
        return self._items.get(object_id)

    def named(self, name: str) -> T | None:
        object_id = self._names.get(name)
        return self._items.get(object_id) if object_id is not None else None

    def subscribe(self, subscriber: Subscriber[T]) -> None:
        self._subscribers.append(subscriber)

    async def sync(self) -> None:
        """Take the full list as the truth. What appeared in the cache while it was fetched stays."""
        async with self._listing:
            before = frozenset(self._items)
            self._gone.clear()
            listed = {item.id: item for item in await self._fetch() if item.id not in self._gone}
            for item in listed.values():
                self.put(item)
            for object_id in before - listed.keys():
                self.drop(object_id)
            self.synced_at = self._clock.monotonic()

    async def hint(self, object_id: str, *, gone: bool = False) -> None:
        """Somebody says that this object changed: look."""
        if gone:
            self.drop(object_id)
        elif self._read is None:
            await self.sync()
        else:
            known_gone = object_id in self._gone
            item = await self._read(object_id)
            if item is None:
                self.drop(object_id)
            elif known_gone or object_id not in self._gone:  # else it was removed while it was read
                self.put(item)

    def put(self, item: T) -> None:
        old = self._items.get(item.id)
        if old is not None and (old is item or old.version > item.version or old == item):
            return
        self._items[item.id] = item
        self._names[item.name] = item.id
        self._tell(old, item)

    def drop(self, object_id: str) -> None:
        self._gone.add(object_id)
        if (old := self._items.pop(object_id, None)) is not None:
            if self._names.get(old.name) == object_id:
                del self._names[old.name]
            self._tell(old, None)

    async def until(self, seen: Callable[[], bool], *, object_id: str, patience_s: float = 2.0) -> None:
        """Wait until the cache shows a write (*seen*); after *patience_s* read the object itself."""
        deadline = self._clock.monotonic() + patience_s
        while not seen():
            self._changed.clear()
            left = deadline - self._clock.monotonic()
            if left <= 0:
                await self.hint(object_id)
                return
            waiter = asyncio.ensure_future(self._changed.wait())
            timer = asyncio.ensure_future(self._clock.sleep(left))
            try:
                await asyncio.wait((waiter, timer), return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiter.cancel()
                timer.cancel()

    def _tell(self, old: T | None, new: T | None) -> None:
        self._changed.set()
        for subscriber in self._subscribers:
            subscriber(old, new)
