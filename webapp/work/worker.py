"""The worker: does what is due, over and over, until there is nothing or it is told to stop.

It may be killed at any moment. A job is claimed in a transaction of its own before it is done, and marked done after:
a killed worker's job is claimed again when its claim has lapsed. What a job does to the world twice is its own affair.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from skep.webapp.errors import DatabaseDown
from skep.webapp.store import jobs
from skep.webapp.store.jobs import Job
from skep.webapp.work import chores
from skep.webapp.work.due import Duties

if TYPE_CHECKING:
    from skep.webapp.store.pool import Database

log = logging.getLogger(__name__)

LANES = 4  # jobs at once: most of a mail is waiting for a server
IDLE_S = 30.0
JOB_S = 90.0  # well within a claim's lifetime
POLL_S = 5.0  # without a bell that rings; a dedicated worker may look this often
PAUSE_S = 1.0  # the least time between two rounds that found nothing to do though something is due
DOWN_S = 5.0

Handler = Callable[[Job], Awaitable[None]]


class JobFailed(Exception):
    """The job could not be done. The message is one of the outbox's words, and a code. *final*: trying is no use."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class Bell(Protocol):
    """Says that there may be work. Whoever wakes workers (a parent process, a message from elsewhere) rings it."""

    @property
    def is_over(self) -> bool:
        """Take no more work."""

    async def wait(self, timeout_s: float) -> bool:
        """Returns when it rang or after *timeout_s*; False: it will never ring again, so stop."""


class Worker:
    """*handlers* has one for each kind of *duties*. *poll_s*: the longest wait without looking; None where the bell is known to ring for every write."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        duties: Duties,
        bell: Bell,
        *,
        poll_s: float | None = None,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._duties = duties
        self._bell = bell
        self._poll_s = poll_s

    async def run(self, *, idle_s: float | None = None) -> None:
        """Until the bell says to stop, or nothing was due for *idle_s*."""
        last = time.monotonic()
        while True:
            wait_s, did = await self._round()
            now = time.monotonic()
            if did:
                last = now
            if idle_s is not None:
                if (left_s := last + idle_s - now) <= 0:
                    return
                wait_s = left_s if wait_s is None else min(wait_s, left_s)
            if self._poll_s is not None:
                wait_s = self._poll_s if wait_s is None else min(wait_s, self._poll_s)
            if not await self._bell.wait(3600.0 if wait_s is None else wait_s):
                return

    async def _round(self) -> tuple[float | None, bool]:
        """(how long until something is due, whether something was done)."""
        did, due_s, down = 0, None, None
        try:
            did = await chores.run_due(self._database, self._duties.chores)
            async with asyncio.TaskGroup() as lanes:
                taken = [lanes.create_task(self._lane()) for _ in range(LANES)]
            did += sum(task.result() for task in taken)
            async with self._database.connection() as connection:
                due_s = await self._duties.due_in_s(connection)
        except* DatabaseDown as group:
            down = str(group.exceptions[0])
        if down is not None:
            log.warning("database down", extra={"reason": down})
            return DOWN_S, False
        if due_s is None or due_s > 0:
            log.info("worker waits", extra={"due_in_s": None if due_s is None else round(due_s, 1), "done": did})
        if due_s is None:
            return None, did > 0
        return (due_s if due_s > 0 else 0.0 if did else PAUSE_S), did > 0

    async def _lane(self) -> int:
        """Jobs one after the other, until none is due; how many."""
        count = 0
        while not self._bell.is_over and (job := await self._claim()):
            await self._work(job)
            count += 1
        return count

    async def _claim(self) -> Job | None:
        async with self._database.transaction() as connection:
            kinds = await self._duties.open_kinds(connection)
            found = await jobs.claim(connection, kinds, limit=1) if kinds else []
        return found[0] if found else None

    async def _work(self, job: Job) -> None:
        about = {"job": str(job.id), "kind": job.kind, "attempt": job.attempts}
        try:
            async with asyncio.timeout(JOB_S):
                await self._handlers[job.kind](job)
        except DatabaseDown:
            raise  # its claim lapses
        except JobFailed as failure:
            log.warning("job failed", extra={**about, "reason": str(failure), "final": failure.final})
            await self._fail(job, str(failure), final=failure.final)
        except TimeoutError:
            log.warning("job failed", extra={**about, "reason": "took too long"})
            await self._fail(job, "slow")
        except MemoryError:
            log.warning("job failed", extra={**about, "reason": "out of memory"})
            await self._fail(job, "memory")
        except Exception:
            log.exception("job failed", extra=about)
            await self._fail(job, "mistake")
        else:
            async with self._database.transaction() as connection:
                await jobs.finish(connection, job)
            log.info("job done", extra=about)

    async def _fail(self, job: Job, error: str, *, final: bool = False) -> None:
        async with self._database.transaction() as connection:
            await jobs.fail(connection, job, error, final=final)
