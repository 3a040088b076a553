"""One attempt to run a service: a process, its health, its log, and how it ended."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import aiohttp

from skep.operator.engine.embedded.book import Book
from skep.operator.engine.embedded.children import Child
from skep.operator.engine.embedded.store import new_id
from skep.operator.engine.embedded.workshop import NODE, Workshop
from skep.operator.engine.spec import HealthCheck, Service, ServiceSpec, Task
from skep.operator.errors import SkepError

START_CAP_S = 30.0  # a first answer takes a second here; nobody at a terminal waits minutes for a rollback
LOOK_FIRST_S = 0.01  # between two looks at a starting task: one that is not there yet refuses at no cost ...
LOOK_LATER_S = 0.5  # ... that takes longer than the usual second
HURRY_S = 1.0  # for a task that nobody can reach
TWICE_S = 0.1
ALIVE_S = 0.5  # without a health check: alive this long counts as started


class TaskRun:
    """Starts at once. *up* is set when it is decided whether it started, *over* when it ended. *noticed* is called then.

    A service's port is not free to choose here, where all tasks share one address: each gets one of its own.
    """

    def __init__(
        self, workshop: Workshop, book: Book, service: Service, slot: int, spec: ServiceSpec,
        noticed: Callable[[], None], session: aiohttp.ClientSession,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.task = Task(
            new_id(), service.id, slot, NODE, "starting", "running", image=spec.image, since=datetime.now(UTC)
        )
        self.port = workshop.take_port()
        self.up = asyncio.Event()
        self.over = asyncio.Event()
        self._workshop = workshop
        self._book = book
        self._noticed = noticed
        self._session = session
        self._stop = asyncio.Event()
        self._hurried = asyncio.Event()
        self._life = asyncio.create_task(self._live(), name=f"task {spec.name}.{slot}")

    @property
    def is_healthy(self) -> bool:
        return self.task.state == "running" and self.task.wanted == "running"

    def retire(self) -> None:
        """Begin to stop it: SIGTERM, and after its grace the end."""
        if not self.over.is_set():
            self.task = replace(self.task, wanted="shutdown")
        self._stop.set()

    def hurry(self) -> None:
        """Stop it, and end it in a second: nobody can reach it any more."""
        self.retire()
        self._hurried.set()

    async def _live(self) -> None:
        folder = self._workshop.home.tasks / self.task.id
        log = self._book.open(self.task.id)
        try:
            try:
                env = self._workshop.lay_out(folder, self.spec) | {
                    "SKEP_HOST": "127.0.0.1",
                    "SKEP_PORT": str(self.port),
                }
                child = await self._workshop.launch(self.spec.image, self.spec.args, log, env=env, cwd=folder)
            except (SkepError, OSError) as error:
                self._end("rejected", str(error))
                return
            await self._watch(child)
        finally:
            self._workshop.clear(folder)
            self._workshop.give_back(self.port)
            self._book.close(self.task.id)

    async def _watch(self, child: Child) -> None:
        health = asyncio.create_task(self._look_after())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({child.exited, health, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                code = await self._stop_child(child)
                self._end("shutdown", exit_code=exit_code_of(code))
            elif child.exited.done():
                number = exit_code_of(child.exited.result())
                self._end("failed" if number else "complete", ended_sentence(number), number)
            else:
                said = health.result()
                await child.stop(min(self.spec.stop_grace_s, HURRY_S))
                self._end("failed", said)
        finally:
            health.cancel()
            stopping.cancel()

    async def _stop_child(self, child: Child) -> int:
        child.send(signal.SIGTERM)
        hurried = asyncio.create_task(self._hurried.wait())
        await asyncio.wait({child.exited, hurried}, timeout=self.spec.stop_grace_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if self._hurried.is_set():
            # A second signal ends an app's drain. Two that come together count as one, so let it see the first.
            await asyncio.wait({child.exited}, timeout=TWICE_S)
        return await child.stop(HURRY_S if self._hurried.is_set() else 0.0)

    async def _look_after(self) -> str:
        """Returns only if it is not healthy: the sentence why."""
        check = self.spec.health
        if check is None:
            await asyncio.sleep(ALIVE_S)
            self._started()
            await asyncio.Event().wait()
        else:
            if (wrong := await self._wait_healthy(check)) is not None:
                return wrong
            self._started()
            failures = 0
            while failures < max(1, check.retries):
                await asyncio.sleep(check.interval_s)
                said = await self._ask(check)
                failures = failures + 1 if said else 0
        return f"task: unhealthy container: {said}"

    async def _wait_healthy(self, check: HealthCheck) -> str | None:
        began = time.monotonic()
        limit = min(START_CAP_S, check.start_period_s + check.interval_s * check.retries)
        while True:
            said = await self._ask(check)
            took = time.monotonic() - began
            if said is None:
                return None
            if took > limit:
                return f"task: unhealthy container: {said} for {limit:g} s"
            await asyncio.sleep(LOOK_FIRST_S if took < 2.0 else LOOK_LATER_S)

    async def _ask(self, check: HealthCheck) -> str | None:
        """None if it is healthy, else what it said."""
        timeout = aiohttp.ClientTimeout(total=check.timeout_s)
        try:
            async with self._session.get(f"http://127.0.0.1:{self.port}{check.path}", timeout=timeout) as answer:
                return None if answer.status == 200 else f"GET {check.path} answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return f"GET {check.path} did not answer ({type(error).__name__})"

    def _started(self) -> None:
        if self.task.wanted == "running":
            self.task = replace(self.task, state="running", since=datetime.now(UTC))
            self.up.set()
            self._noticed()

    def _end(
        self,
        state: Literal["shutdown", "failed", "complete", "rejected"],
        error: str = "",
        exit_code: int | None = None,
    ) -> None:
        self.task = replace(
            self.task, state=state, wanted="shutdown", error=error, exit_code=exit_code, since=datetime.now(UTC)
        )
        self.up.set()
        self.over.set()
        self._noticed()


def exit_code_of(code: int) -> int:
    """As shells and Docker count: 128 and the signal's number."""
    return 128 - code if code < 0 else code


def ended_sentence(code: int) -> str:
    return f"task: non-zero exit ({code})" if code else "task: it ended by itself"
