"""Passwords: argon2id, at most two at once, and the same time for accounts that do not exist.

One hash takes 19 MiB and 20 to 50 ms of a core. argon2 is imported when the first password comes: most processes
never see one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from skep.webapp.errors import Busy

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

MIN_LENGTH = 10
MAX_LENGTH = 200
AT_ONCE = 2
MAX_WAITING = 20  # about half a second of work; more at once is an attack or a very odd morning

# The hash of a random password that nobody knows, with today's parameters: what an unknown account is checked against.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$cadM+uEaExS3vM7B/DkCvQ$RfIU3Ej8Xn/v8LfUFWalyYaBxx/cW8asvCUmPpWV2Wg"


class Passwords:
    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The encoded hash, parameters and salt included. Raises Busy."""
        return await self._run(_hash, password)

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Does *password* belong to *encoded*? None (no such account) takes as long and is never true. Raises Busy."""
        matches = await self._run(_verify, encoded or NOBODY, password)
        return matches and encoded is not None

    async def _run(self, work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        if self._waiting >= MAX_WAITING:
            raise Busy("too many passwords at once")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._waiting -= 1


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    _give_memory_back()
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _give_memory_back() -> None:
    """Have glibc return a hash's 19 MiB to the system: otherwise it raises its threshold and keeps them for ever.

    Measured: 67 MB resident after eight sign-ins without it, 48 MB with it. Other C libraries have no `mallopt`.
    """
    import ctypes

    mmap_threshold, size_bytes = -3, 1 << 20  # M_MMAP_THRESHOLD of malloc.h
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(mmap_threshold, size_bytes)


def _hash(password: str) -> str:
    return _hasher().hash(password)


def _verify(encoded: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(encoded, password)
    except (InvalidHashError, VerificationError):
        return False
