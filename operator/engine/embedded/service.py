"""One service: a keeper a slot that keeps a task there, and the rollout of a changed spec, slot by slot."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import aiohttp

from skep.operator.engine.embedded.book import Book
from skep.operator.engine.embedded.task import TaskRun
from skep.operator.engine.embedded.workshop import Workshop
from skep.operator.engine.rules import task_part
from skep.operator.engine.spec import Service, ServiceSpec, Task, UpdateState

log = logging.getLogger(__name__)

HISTORY = 5  # ended tasks remembered a slot, as Swarm does
RESTART_FIRST_S = 0.2
RESTART_CEILING_S = 30.0
STEADY_S = 30.0  # a task that ran this long starts the count of failures anew


@dataclass(slots=True)
class Slot:
    """*run* is the task that serves; *keeper* starts another when it ends."""

    number: int
    spec: ServiceSpec
    run: TaskRun | None = None
    keeper: asyncio.Task[None] | None = None


class Runner:
    """Runs one service. *saved* stores a changed service with its next version; *routed* is told when the answers to
    `servers` may have changed."""

    def __init__(
        self,
        workshop: Workshop,
        session: aiohttp.ClientSession,
        service: Service,
        *,
        saved: Callable[[Service], Service],
        routed: Callable[[Runner], None],
    ) -> None:
        self.service = service
        self.book = Book(workshop.home.logs / "services" / service.name)
        self._workshop = workshop
        self._session = session
        self._saved = saved
        self._routed = routed
        self._slots: dict[int, Slot] = {}
        self._runs: list[TaskRun] = []  # oldest first, ended ones too
        self._roll: asyncio.Task[None] | None = None
        self._may_roll_back = True
        self._draw = random.Random()  # noqa: S311 - jitter, not a secret

    def start(self) -> None:
        """Begin, or go on after a restart: an update that was under way starts from the previous spec again."""
        service = self.service
        if service.update_state == "updating" and service.previous is not None:
            self._scale(service.previous)
            self._begin_roll()
        else:
            if service.update_state == "rollback_started":
                self._save(update_state="rollback_completed", message=service.update_message)
            self._scale(service.spec)

    @property
    def servers(self) -> tuple[int, ...]:
        """Ports of the tasks that may be asked."""
        return tuple(slot.run.port for slot in self._slots.values() if slot.run is not None and slot.run.is_healthy)

    @property
    def tasks(self) -> tuple[Task, ...]:
        newest_first = [run.task for run in reversed(self._runs)]
        return tuple(sorted(newest_first, key=lambda task: task.slot))

    @property
    def view(self) -> Service:
        return replace(self.service, running=sum(task.state == "running" for task in self.tasks))

    def update(self, spec: ServiceSpec) -> None:
        old = self.service.spec
        changed = task_part(old) != task_part(spec)
        rolling = self._roll is not None and not self._roll.done()
        self.service = self._saved(
            replace(
                self.service,
                spec=spec,
                previous=old,
                update_state="updating" if changed or rolling else "none",
                update_message="",
            )
        )
        if changed:
            self._begin_roll()
        else:
            self._may_roll_back = False  # as Swarm: what a rollback would return to is no other task now
            for slot in self._slots.values():
                if task_part(slot.spec) == task_part(spec):
                    slot.spec = spec
        self._scale(spec)
        self._routed(self)

    async def remove(self) -> None:
        """Every task gets its grace; then the logs go."""
        await self._quiesce()
        for run in self._runs:
            run.retire()
        await asyncio.gather(*(run.over.wait() for run in self._runs))
        self.book.remove()

    async def close(self) -> None:
        """End every task now: nobody reaches them any more."""
        await self._quiesce()
        self.hurry()
        await asyncio.gather(*(run.over.wait() for run in self._runs))
        self.book.end()

    def hurry(self) -> None:
        """End every task within a second."""
        for run in self._runs:
            run.hurry()

    async def _quiesce(self) -> None:
        tasks = [self._roll, *(slot.keeper for slot in self._slots.values())]
        self._slots.clear()
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    # Keeping

    def _scale(self, spec: ServiceSpec) -> None:
        for number in [number for number in self._slots if number > spec.replicas]:
            slot = self._slots.pop(number)
            if slot.keeper is not None:
                slot.keeper.cancel()
            if slot.run is not None:
                slot.run.retire()
        for number in range(1, spec.replicas + 1):
            if number not in self._slots:
                slot = self._slots[number] = Slot(number, spec)
                slot.keeper = asyncio.create_task(self._keep(slot), name=f"keeper {spec.name}.{number}")

    def _new_run(self, number: int, spec: ServiceSpec) -> TaskRun:
        ended = [run for run in self._runs if run.task.slot == number and run.over.is_set()]
        for run in ended[: max(0, len(ended) - HISTORY + 1)]:
            self._runs.remove(run)
        run = TaskRun(self._workshop, self.book, self.service, number, spec, lambda: self._routed(self), self._session)
        self._runs.append(run)
        return run

    async def _keep(self, slot: Slot) -> None:
        failures = 0
        while True:
            if slot.run is None:
                slot.run = self._new_run(slot.number, slot.spec)
            began = time.monotonic()
            await slot.run.over.wait()
            ended, slot.run = slot.run, None
            failures = 1 if time.monotonic() - began > STEADY_S else failures + 1
            wait = min(RESTART_CEILING_S, RESTART_FIRST_S * 2.0 ** min(failures - 1, 16)) * self._draw.uniform(0.8, 1.0)
            log.warning(
                "task ended",
                extra={"service": slot.spec.name, "error": ended.task.error, "again_in_s": round(wait, 1)},
            )
            await asyncio.sleep(wait)

    def _adopt(self, slot: Slot, run: TaskRun) -> None:
        """From now on *run* is the slot's task, and what it had before goes."""
        if slot.keeper is not None:
            slot.keeper.cancel()
        old, slot.run, slot.spec = slot.run, run, run.spec
        slot.keeper = asyncio.create_task(self._keep(slot), name=f"keeper {run.spec.name}.{slot.number}")
        self._routed(self)  # the edge forgets the old one before it is asked to go
        if old is not None:
            old.retire()

    # Rolling

    def _begin_roll(self) -> None:
        if self._roll is not None:
            self._roll.cancel()
        self._may_roll_back = True
        self._roll = asyncio.create_task(self._roll_out(), name=f"rollout {self.service.name}")

    async def _roll_out(self) -> None:
        spec = self.service.spec
        wrong = await self._replace(spec, give_up=spec.update.failure_action != "continue")
        if wrong is None:
            self._save(update_state="completed", message="update completed")
            return
        log.warning("update failed", extra={"service": spec.name, "error": wrong})
        previous = self.service.previous
        if spec.update.failure_action == "rollback" and previous is not None and self._may_roll_back:
            message = f"rollback completed after: {wrong}"
            if any(task_part(slot.spec) != task_part(previous) for slot in self._slots.values()):
                self._save(update_state="rollback_started", message=message, spec=previous, previous=None)
                self._scale(previous)
                await self._replace(previous, give_up=False)
            self._save(update_state="rollback_completed", message=message, spec=previous, previous=None)
            self._scale(previous)
            self._routed(self)
        else:
            message = f"update paused due to failure or early termination: {wrong}"
            self._save(update_state="paused", message=message)

    async def _replace(self, spec: ServiceSpec, *, give_up: bool) -> str | None:
        """Give each slot a task of *spec*; with *give_up* stop at the first that does not start and say why."""
        stale = [slot for slot in self._slots.values() if task_part(slot.spec) != task_part(spec)]
        step = max(1, spec.update.parallelism)
        for at in range(0, len(stale), step):
            batch = [slot for slot in stale[at : at + step] if self._slots.get(slot.number) is slot]
            try:
                wrong = await self._replace_batch(batch, spec, give_up=give_up)
            finally:
                for slot in batch:
                    if slot.keeper is None and self._slots.get(slot.number) is slot:  # emptied, and nothing came
                        slot.run = None
                        slot.keeper = asyncio.create_task(self._keep(slot), name=f"keeper {spec.name}.{slot.number}")
            if wrong is not None:
                return wrong
            if spec.update.delay_s:
                await asyncio.sleep(spec.update.delay_s)
        return None

    async def _replace_batch(self, batch: list[Slot], spec: ServiceSpec, *, give_up: bool) -> str | None:
        if spec.update.order == "stop-first":
            await self._empty(batch)
        coming = [(slot, self._new_run(slot.number, spec)) for slot in batch]
        try:
            await asyncio.gather(*(run.up.wait() for _, run in coming))
        except asyncio.CancelledError:
            for _, run in coming:
                run.retire()
            raise
        wrong: str | None = None
        for slot, run in coming:
            if self._slots.get(slot.number) is not slot:  # scaled down meanwhile
                run.retire()
            elif run.is_healthy or not give_up:
                self._adopt(slot, run)
            else:
                wrong = run.task.error or f"task {run.task.id} is {run.task.state}"
                run.retire()
        return wrong

    async def _empty(self, slots: Iterable[Slot]) -> None:
        for slot in slots:
            if slot.keeper is not None:
                slot.keeper.cancel()
                slot.keeper = None
            if slot.run is not None:
                slot.run.retire()
        self._routed(self)
        await asyncio.gather(*(slot.run.over.wait() for slot in slots if slot.run is not None))

    def _save(self, *, update_state: UpdateState, message: str, **changes: ServiceSpec | None) -> None:
        self.service = self._saved(
            replace(self.service, update_state=update_state, update_message=message, **changes)  # type: ignore[arg-type]  # spec and previous only
        )
