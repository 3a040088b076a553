"""Leaving without a bad answer: after SIGTERM the app serves on while the proxy learns that it goes.

Traefik polls, so a task that stops at once gives 502 for seconds. Here: readiness 503 and `Connection: close` on every
answer for `drainSeconds`, then no new connections, then what runs is finished.
"""

from __future__ import annotations

import asyncio


class Drain:
    def __init__(self) -> None:
        self._begun = asyncio.Event()

    @property
    def is_draining(self) -> bool:
        return self._begun.is_set()

    def begin(self) -> None:
        self._begun.set()

    async def wait_begun(self) -> None:
        await self._begun.wait()
