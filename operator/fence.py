"""The right to write, as whoever writes sees it: checked before, and carried to where the write lands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Fence(Protocol):
    """Held by the leader. No check before a write is a fence by itself: a process may be stopped right after it."""

    @property
    def term(self) -> int:
        """Grows with each new leader: what a database server remembers, to refuse older ones. 0 for who never led."""
        ...

    def check(self) -> None:
        """Raises NotLeader unless the lease outlasts a write that starts now."""
        ...

    async def confirm(self) -> None:
        """As `check`, after reading the lease again. For what carries no version of its own: deletions."""
        ...

    async def outgrow(self, term: int) -> None:
        """Take a term above *term*, which a server remembers although the lease is ours: the lease object was lost.

        Raises NotLeader if it is not ours.
        """
        ...


class Unfenced:
    """For a process that only reads, or is alone by its nature."""

    term = 0

    def check(self) -> None: ...

    async def confirm(self) -> None: ...

    async def outgrow(self, term: int) -> None: ...


_around: ContextVar[Fence | None] = ContextVar("fence", default=None)


@contextmanager
def around(fence: Fence) -> Iterator[None]:
    """What is sent in this block, or by a task that it starts, is looked at once more by `last_look`."""
    fence.check()
    token = _around.set(fence)
    try:
        yield
    finally:
        _around.reset(token)


def last_look() -> None:
    """For who sends a write, right before: to look up what it names may have taken longer than the lease."""
    if (fence := _around.get()) is not None:
        fence.check()
