"""A supervised system process: started, asked for its health, started again with backoff, its log kept."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from abc import ABC, abstractmethod

from skep.operator.engine.embedded.children import Child, Children
from skep.operator.engine.embedded.files import LogFile
from skep.operator.engine.embedded.home import Home

log = logging.getLogger(__name__)

START_S = 60.0  # after a crash PostgreSQL may have to replay its log first
LOOK_S = 0.05
HEALTH_INTERVAL_S = 5.0
HEALTH_RETRIES = 3
RESTART_FIRST_S = 0.2
RESTART_CEILING_S = 15.0


class Daemon(ABC):
    """One system process. *healthy* is set while it answers."""

    name: str
    stop_signal = signal.SIGTERM
    stop_grace_s = 10.0

    def __init__(self, home: Home, children: Children) -> None:
        self.home = home
        self.children = children
        self.healthy = asyncio.Event()
        self.trouble = ""  # why it is not healthy, in a sentence; empty while nothing went wrong
        self.log = LogFile(home.logs / f"{self.name}.log")
        self._child: Child | None = None
        self._stopping = False

    @abstractmethod
    async def spawn(self) -> Child: ...

    @abstractmethod
    async def ask(self) -> str | None:
        """None if it is healthy, else what is wrong. Never raises for a process that is not up."""

    async def run(self) -> None:
        """Keep it up until cancelled."""
        failures = 0
        while True:
            try:
                self._child = await self.spawn()
                failures = await self._attend(self._child, failures)
            except OSError as error:
                self.trouble = f"{self.name} cannot be started: {error}"
            self.healthy.clear()
            failures += 1
            wait = min(RESTART_CEILING_S, RESTART_FIRST_S * 2.0 ** min(failures - 1, 16))
            log.warning("restarting", extra={"part": self.name, "because": self.trouble, "in_s": wait})
            await asyncio.sleep(wait)

    async def _attend(self, child: Child, failures: int) -> int:
        """Until it ended, or was ended because it does not answer; the failures in a row before this one."""
        deadline = asyncio.get_running_loop().time() + START_S
        wrong = 0
        while True:
            said = await self.ask() if child.is_alive else "it ended"
            if said is None:
                failures, wrong = 0, 0
                self.trouble = ""
                self.healthy.set()
            elif self.healthy.is_set() or asyncio.get_running_loop().time() > deadline:
                wrong += 1
            pause = HEALTH_INTERVAL_S if self.healthy.is_set() else LOOK_S
            done, _ = await asyncio.wait({child.exited}, timeout=pause)
            if done:
                self.trouble = f"{self.name} ended with {child.exited.result()}: {self.log.tail(4)}"
                return failures
            if wrong >= HEALTH_RETRIES:
                self.trouble = f"{self.name} does not answer: {said}"
                self.healthy.clear()
                await child.stop(self.stop_grace_s, self.stop_signal)
                return failures

    async def stop(self) -> None:
        """After `run` was cancelled."""
        if self._child is not None:
            await self._child.stop(self.stop_grace_s, self.stop_signal)
        with contextlib.suppress(OSError):
            self.log.close()

    def note(self, stream: str, text: str) -> None:
        """Where its output goes."""
        del stream
        if text:
            self.log.write(text)
