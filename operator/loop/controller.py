"""Workers that take keys from the queue and hand each to its reconcilers, one worker a key.

Level-based: a worker is told who, never what happened. An error in one key never stops another: a TransientError and
anything unknown come again with backoff, a TerminalError waits for a change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from skep.operator.errors import TerminalError, TransientError
from skep.operator.loop.queue import WorkQueue

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one reconcile of one key came to; *error* is None when nothing failed."""

    error: Exception | None = None
    requeue_after_s: float | None = None


class Controller(Generic[K]):
    """*reconcile* brings one key nearer to what is declared; *deadline_s* bounds one call of it."""

    def __init__(
        self,
        queue: WorkQueue[K],
        reconcile: Callable[[K], Awaitable[Outcome]],
        *,
        workers: int,
        deadline_s: float = 900.0,
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._workers = workers
        self._deadline_s = deadline_s

    async def run(self) -> None:
        """Work until the queue is closed; each worker ends after the key it has in hand."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"worker-{number}")

    async def _work(self) -> None:
        while (key := await self._queue.get()) is not None:
            try:
                async with asyncio.timeout(self._deadline_s):
                    outcome = await self._reconcile(key)
            except asyncio.CancelledError:
                self._queue.done(key)
                raise
            except Exception as error:  # noqa: BLE001 - the one place that catches all: a neighbour must not pay
                outcome = Outcome(error=error)
            self._finish(key, outcome)
            # A turn with nothing to do never waits for anything: without this a fleet's resync would hold the event
            # loop, and with it edits, probes and the lease, until its last key.
            await asyncio.sleep(0)

    def _finish(self, key: K, outcome: Outcome) -> None:
        extra: dict[str, object] = {"key": str(key)}
        match outcome.error:
            case None:
                self._queue.done(key, retry_after_s=outcome.requeue_after_s)
            case TerminalError() as error:
                log.error("reconcile needs a change", extra=extra | {"reason": error.reason, "error": str(error)})
                self._queue.done(key, retry_after_s=outcome.requeue_after_s)
            case TransientError() as error:
                wait = self._queue.done(key, failed=True, retry_after_s=error.retry_after_s)
                log.warning(
                    "reconcile waits", extra=extra | {"reason": error.reason, "error": str(error), "wait_s": wait}
                )
            case error:
                wait = self._queue.done(key, failed=True)
                log.error("reconcile failed", extra=extra | {"wait_s": wait}, exc_info=error)
