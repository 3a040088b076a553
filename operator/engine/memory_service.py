"""A service in memory: its tasks and its rollouts, as Swarm would move them, on somebody's clock.

Nothing runs by itself. `settled()` lets happen what should have happened by now: slot by slot, each new task taking
*start_s* to become healthy, or failing then.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from skep.operator.engine.rules import task_part
from skep.operator.engine.spec import Service, ServiceSpec, Task, UpdateState

HISTORY = 5  # tasks remembered a slot, as Swarm does


class World(Protocol):
    """What a service needs of its engine."""

    start_s: float

    @property
    def now(self) -> _Now: ...
    def tick(self) -> int:
        """The next version of anything."""
        ...

    def new_id(self) -> str: ...
    def why_broken(self, spec: ServiceSpec) -> str | None: ...
    def moved(self, service: MemoryService) -> None: ...
    def started(self, service: MemoryService, task: str) -> None: ...


class _Now(Protocol):
    def __call__(self) -> float: ...


class MemoryService:
    def __init__(self, world: World, service_id: str, spec: ServiceSpec) -> None:
        self.id = service_id
        self.version = world.tick()
        self.spec = spec
        self.previous: ServiceSpec | None = None
        self.tasks: list[Task] = []
        self._world = world
        self._created_at = world.now()
        self._state: UpdateState = "none"
        self._message = ""
        self._rollout_at: float | None = None  # when the running step of a rollout began
        self._replacing: tuple[int, ...] = ()  # slots still on the old task, in order
        self._may_roll_back = True
        self._scale()

    def view(self) -> Service:
        return Service(
            self.id,
            self.version,
            self.spec,
            self.previous,
            self._state,
            self._message,
            running=sum(task.state == "running" for task in self.tasks),
            created_at=_moment(self._created_at),
        )

    def replace(self, spec: ServiceSpec) -> None:
        """An update. One that changes no task forgets the previous spec and disables a running rollback."""
        old = self.spec
        self.version = self._world.tick()
        self.previous, self.spec = old, spec
        self._state, self._message = "none", ""
        if task_part(old) != task_part(spec):
            self._state, self._rollout_at, self._may_roll_back = "updating", self._world.now(), True
            self._replacing = tuple(range(1, min(old.replicas, spec.replicas) + 1))
        else:
            self._may_roll_back = False
        self._scale()

    def settled(self) -> MemoryService:
        """This service, as far as the clock allows."""
        start_s, now = self._world.start_s, self._world.now()
        step = max(1, self.spec.update.parallelism)
        while self._rollout_at is not None and self._replacing:
            batch, began = self._replacing[:step], self._rollout_at
            for slot in batch:
                self._begin(slot, began)
            if now < began + start_s:
                return self
            if why := self._world.why_broken(self.spec):
                self._fail(batch, why)
                return self
            for slot in batch:
                self._finish(slot, began + start_s)
            self._replacing = self._replacing[step:]
            self._rollout_at = began + start_s + self.spec.update.delay_s
        self._rollout_at = None
        if self._state == "updating":
            self._state, self._message = "completed", "update completed"
            self.version = self._world.tick()
            self._world.moved(self)
        self._start_tasks()
        return self

    def _begin(self, slot: int, at: float) -> None:
        if any(task.state == "starting" and _at(task.since) >= at for task in self._wanted(slot)):
            return
        if self.spec.update.order == "stop-first":
            self._shut_down(slot, at)
        self._add_task(slot, at)

    def _finish(self, slot: int, at: float) -> None:
        newest = self._wanted(slot)[-1]
        self._shut_down(slot, at, but=newest.id)
        self._run(newest, at)

    def _fail(self, batch: tuple[int, ...], why: str) -> None:
        self._rollout_at, self._replacing = None, ()
        for slot in batch:
            self._end(self._wanted(slot)[-1], why)
            if not self._may_roll_back:
                self._shut_down(slot, self._world.now())
        if not self._may_roll_back:
            return
        if self.spec.update.failure_action == "rollback" and self.previous is not None:
            self.spec, self.previous = self.previous, None
            self._state, self._message = "rollback_completed", "rollback completed"
        elif self.spec.update.failure_action == "pause":
            self._state, self._message = "paused", f"update paused due to failure or early termination: {why}"
        self.version = self._world.tick()
        self._world.moved(self)
        self._scale()

    def _scale(self) -> None:
        """Tasks for slots that came, none for slots that went."""
        for slot in {task.slot for task in self.tasks if task.slot > self.spec.replicas}:
            self._shut_down(slot, self._world.now())
        for slot in range(1, self.spec.replicas + 1):
            if not self._wanted(slot):
                self._add_task(slot, self._world.now())

    def _start_tasks(self) -> None:
        why = self._world.why_broken(self.spec)
        for task in tuple(self.tasks):
            healthy_at = _at(task.since) + self._world.start_s
            if task.state == "starting" and self._world.now() >= healthy_at:
                if why:
                    self._end(task, why)
                else:
                    self._run(task, healthy_at)

    def _wanted(self, slot: int) -> list[Task]:
        return [task for task in self.tasks if task.slot == slot and task.wanted == "running"]

    def _add_task(self, slot: int, at: float) -> None:
        finished = [old.id for old in self.tasks if old.slot == slot and old.wanted != "running"]
        forgotten = set(finished[: max(0, len(finished) - HISTORY + 1)])
        task = Task(
            self._world.new_id(),
            self.id,
            slot,
            "node-1",
            "starting",
            "running",
            image=self.spec.image,
            since=_moment(at),
        )
        self.tasks = [*(old for old in self.tasks if old.id not in forgotten), task]

    def _shut_down(self, slot: int, at: float, *, but: str | None = None) -> None:
        for task in self._wanted(slot):
            if task.id != but:
                self._put(replace(task, state="shutdown", wanted="shutdown", since=_moment(at)))

    def _run(self, task: Task, at: float) -> None:
        self._put(replace(task, state="running", since=_moment(at)))
        self._world.started(self, task.id)

    def _end(self, task: Task, why: str) -> None:
        self._put(replace(task, state="failed", wanted="shutdown", error=why, exit_code=1))

    def _put(self, task: Task) -> None:
        self.tasks = [task if task.id == old.id else old for old in self.tasks]


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _at(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
