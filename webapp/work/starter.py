"""The web process starts a worker when there is work, and never looks into the database while nothing happens.

It knows when the next thing is due: it looked once at its start and after each of its own commits, and sleeps until
then. What another web process commits is that one's to start; whoever starts anew looks again. One worker a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from skep.webapp.errors import DatabaseDown
from skep.webapp.settings import DatabaseSettings
from skep.webapp.store.pool import connect, is_gone

if TYPE_CHECKING:
    from skep.webapp.work.due import Duties

log = logging.getLogger(__name__)

GATHER_S = 0.25  # many commits in a rush are one look
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 300.0
LONGEST_SLEEP_S = 7 * 86400.0  # a look a week costs nothing, and no clock is trusted for longer
END_S = 8.0

Look = Callable[[], Awaitable[float | None]]
COMMAND = (sys.executable, "-P", "-m", "skep.webapp", "worker", "--until-idle")


class Starter:
    """*look* says in how many seconds something is due (None: nothing), by a connection that it closes again."""

    def __init__(self, look: Look, command: tuple[str, ...] = COMMAND) -> None:
        self._look = look
        self._command = command
        self._noticed = asyncio.Event()
        self._child: asyncio.subprocess.Process | None = None
        self._failures = 0  # looks that failed, in a row
        self._deaths = 0
        self._task: asyncio.Task[None] | None = None
        self._ends: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._run(), name="worker starter")

    def notice(self) -> None:
        """Something was committed."""
        self._noticed.set()

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    async def close(self) -> None:
        """The worker finishes what it has at hand; after a while it is killed, and its jobs are claimed again."""
        for task in (self._task, self._ends):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        child, self._child = self._child, None
        if child is None or child.returncode is not None:
            return
        if child.stdin is not None:
            child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), END_S)
        except TimeoutError:
            child.kill()
            await child.wait()

    async def _run(self) -> None:
        while True:
            if self._child is not None:
                self._ring()
                wait_s: float | None = None
            else:
                wait_s = await self._ask()
                if wait_s is not None and wait_s <= 0:
                    await self._start()
                    continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._noticed.wait(), wait_s)
            await asyncio.sleep(GATHER_S)
            self._noticed.clear()

    async def _ask(self) -> float | None:
        try:
            due_s = await self._look()
        except DatabaseDown:
            self._failures += 1
            return _backoff_s(self._failures)
        except Exception:  # a database of another image, or not migrated yet: pages say it too
            self._failures += 1
            log.warning("cannot see what is due", exc_info=self._failures == 1)
            return _backoff_s(self._failures)
        self._failures = 0
        return None if due_s is None else min(due_s, LONGEST_SLEEP_S)

    async def _start(self) -> None:
        try:
            self._child = await asyncio.create_subprocess_exec(*self._command, stdin=asyncio.subprocess.PIPE)
        except OSError as error:
            log.error("cannot start a worker", extra={"reason": error.strerror})
            self._deaths += 1
            await asyncio.sleep(_backoff_s(self._deaths))
            return
        log.info("worker started", extra={"pid": self._child.pid})
        self._ends = asyncio.create_task(self._wait_for(self._child), name="worker")

    def _ring(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            with contextlib.suppress(OSError, RuntimeError):  # it ends at this moment; then we look ourselves
                self._child.stdin.write(b"\n")

    async def _wait_for(self, child: asyncio.subprocess.Process) -> None:
        code = await child.wait()
        if code:
            self._deaths += 1
            log.warning("worker died", extra={"pid": child.pid, "code": code})
            await asyncio.sleep(_backoff_s(self._deaths))  # what kills it at once must not keep a container busy
        else:
            self._deaths = 0
        self._child = None
        self.notice()


def _backoff_s(times: int) -> float:
    return min(LONGEST_RETRY_S, FIRST_RETRY_S * (1 << min(times - 1, 10)))


def look_at(database: DatabaseSettings, duties: Duties) -> Look:
    """A look by a connection of its own: one of the pool would stay open after it."""

    async def look() -> float | None:
        connection = await connect(database, name="skep web")
        try:
            return await duties.due_in_s(connection)
        except Exception as error:
            if is_gone(error):
                raise DatabaseDown(f"the database went away ({type(error).__name__})") from error
            raise
        finally:
            await connection.close(timeout=END_S)

    return look
