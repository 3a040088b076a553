"""One hive in time that the test owns, with everything that may go wrong drawn from one seed.

The engine is the one in memory, PostgreSQL is real. Time stands while PostgreSQL works and jumps to the next sleeper
once nothing is left to do, so a seed plays the same hours in a fraction of a second.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest

from skep.operator import names
from skep.operator.engine.memory import Call
from skep.operator.engine.spec import Change
from skep.operator.errors import EngineUnavailable
from skep.operator.hive import Hive
from skep.operator.reconcilers.judge import Edge, Probe
from tests.hive.conftest import ADMIN, Rig, empty, is_write, make_networks

START = datetime(2026, 1, 1, tzinfo=UTC)
RESYNC_S = 60.0
LEASE_S = 15.0
LIMIT_S = 3600.0  # of simulated time, for anything to come to rest
PATIENCE_S = 300.0  # the same, while faults happen
_ours: ContextVar[bool] = ContextVar("ours", default=False)  # the operator's task runs, not the test's


class Time:
    """Everybody's clock. It moves when nothing can happen at the present moment."""

    def __init__(self) -> None:
        self.at = 0.0
        self.busy = 0  # calls to PostgreSQL under way
        self._calm = asyncio.Event()
        self._calm.set()
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        return self.at

    def boottime(self) -> float:
        return self.at

    def now(self) -> datetime:
        return START + timedelta(seconds=self.at)

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self.at + max(0.0, seconds), next(self._order), woken))
        await woken.wait()

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Time does not move in this block."""
        self.busy += 1
        self._calm.clear()
        try:
            yield
        finally:
            self.busy -= 1
            if not self.busy:
                self._calm.set()

    async def run(self) -> None:
        while True:
            await self._settled()
            if not self._sleepers:
                await asyncio.sleep(0.0005)
                continue
            at, _, woken = heapq.heappop(self._sleepers)
            self.at = max(self.at, at)
            woken.set()

    async def _settled(self) -> None:
        """Everybody had a turn and nobody waits for PostgreSQL."""
        turns = 0
        while turns < 8:
            turns += 1
            await asyncio.sleep(0)
            if self.busy:
                await self._calm.wait()
                turns = 0


class Faults:
    """What goes wrong, how often, drawn once a seed. *fired* counts what really happened."""

    KINDS = (
        "hint lost", "hint doubled", "hint late", "call refused", "answer lost", "call timed out", "call slow",
        "list stale", "list empty", "list cut", "statement refused", "statement's answer lost", "foreign edit", "killed",
    )  # fmt: skip

    def __init__(self, draw: Random, time: Time, *, kinds: int | None = None) -> None:
        self.draw = draw
        self.time = time
        self.fired: Counter[str] = Counter()
        self.on = True
        self.dead = asyncio.Event()  # the operator that runs was killed: nothing of it gets through any more
        self.rates = {
            kind: draw.choice((0.03, 0.08, 0.2)) * (0.2 if kind == "killed" else 1.0)
            for kind in draw.sample(self.KINDS, kinds if kinds is not None else draw.randint(2, 8))
        }
        self._lists: dict[tuple[object, ...], Any] = {}
        self.by_hand: Callable[[], None] = lambda: None

    def __str__(self) -> str:
        return f"drawn {self.rates}, fired {dict(self.fired)}"

    def happens(self, kind: str) -> bool:
        if not self.on or self.draw.random() >= self.rates.get(kind, 0.0):
            return False
        self.fired[kind] += 1
        return True

    async def alive(self) -> None:
        if self.dead.is_set():
            await asyncio.Event().wait()

    async def see(self, call: Call) -> None:
        if not _ours.get():
            return
        await self.alive()
        if call.phase == "before":
            await self._before(call)
        else:
            self._after(call)
        if call.writes and self.happens("killed"):
            self.dead.set()
        await self.alive()

    async def _before(self, call: Call) -> None:
        if self.happens("call slow"):
            await self.time.sleep(self.draw.choice((0.01, 0.3, 2.0)))
        if self.happens("call timed out"):
            await self.time.sleep(5.0)
            raise EngineUnavailable("no answer in time")
        if self.happens("call refused"):
            raise EngineUnavailable("refused")
        if call.method in ("update_service", "label_config") and self.happens("foreign edit"):
            self.by_hand()

    def _after(self, call: Call) -> None:
        if call.writes and self.happens("answer lost"):
            raise EngineUnavailable("the answer was lost")
        if call.method.startswith("list_") and call.method != "list_tasks":
            key, now = (call.method, *call.args), call.result
            older, self._lists[key] = self._lists.get(key), now
            if older is not None and older != now and self.happens("list stale"):
                call.result = older
            elif now and self.happens("list empty"):
                call.result = ()
            elif len(now) > 1 and self.happens("list cut"):
                call.result = now[: len(now) // 2]

    async def statement(self, database: str, query: str, do: Callable[[], Awaitable[Any]]) -> Any:
        if not _ours.get() or not is_write(database, query):
            return await do()
        await self.alive()
        if self.happens("statement refused"):
            raise asyncpg.CannotConnectNowError("the server is starting up")
        answer = await do()
        if self.happens("statement's answer lost"):
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        if self.happens("killed"):
            self.dead.set()
        await self.alive()
        return answer


class Simulation:
    """A rig in simulated time. `begin` an operator; `step` until it rests; `faults` is None for an undisturbed run."""

    def __init__(self, rig: Rig, seed: int, *, disturbed: bool = True, start_s: float = 0.0) -> None:
        self.rig = rig
        self.time = Time()
        self.draw = Random(f"order {seed}")
        self.faults = Faults(Random(f"faults {seed}"), self.time, kinds=None if disturbed else 0)
        self.settings = replace(rig.settings, resync_s=RESYNC_S, lease_s=LEASE_S)
        self.running: list[tuple[Hive, asyncio.Task[None]]] = []
        self.statements: Counter[str] = Counter()  # that made or dropped a database, by their text
        self.written: list[str] = []  # every statement of the operator that changed something of tenants
        self._start_s = start_s

    @property
    def hive(self) -> Hive:
        return self.running[-1][0]

    def begin(self) -> None:
        token = _ours.set(True)
        try:
            hive = Hive(self.rig.engine, self.settings, self.rig.keys, self.time)
            hive.queue._draw = hive._draw = Random(self.draw.random())
            self.running.append((hive, asyncio.create_task(hive.run())))
        finally:
            _ours.reset(token)

    async def kill(self) -> None:
        """SIGKILL of all that run."""
        for _, task in self.running:
            task.cancel()
        await asyncio.gather(*(task for _, task in self.running), return_exceptions=True)
        self.running.clear()
        self.faults.dead.clear()

    async def take_over(self) -> None:
        """A second operator comes, and then the first goes: told to, or killed."""
        self.begin()
        await self.time.sleep(self.draw.uniform(0.0, 3.0))
        _, first = self.running.pop(0)
        if self.draw.random() < 0.5:
            first.cancel()
        else:
            self.running[0][0].lease.nudge()
            first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    async def revive(self) -> None:
        """Who was killed by a fault is started again, as the swarm would."""
        if self.faults.dead.is_set():
            await self.kill()
            await self.time.sleep(self.draw.uniform(0.1, 5.0))
        for hive, task in list(self.running):
            if task.done():
                task.result()
                self.running.remove((hive, task))
        if not self.running:
            self.begin()

    async def rest(self) -> None:
        """Until everything published was followed. While things go wrong, not for ever; then whatever it takes."""
        until = self.time.at + (PATIENCE_S if self.faults.on and self.faults.rates else LIMIT_S)
        while True:
            await self.revive()
            if self.hive.lease.leading.is_set() and self.rig.at_rest(self.hive):
                return
            if self.time.at > until:
                if self.faults.on and self.faults.rates:
                    return
                raise AssertionError(f"no rest in {LIMIT_S:g} s: {self.told()}")
            await self.time.sleep(1.5)

    def told(self) -> str:
        statuses = {name: self.rig.status(name) for name in self.rig.records()}
        return f"{statuses}, leads {self.hive.lease.leading.is_set()}, {self.faults}"

    async def resynced(self) -> None:
        """Two full rounds later."""
        await self.time.sleep(RESYNC_S * 1.5)
        await self.rest()


@asynccontextmanager
async def simulated(rig: Rig, seed: int, *, disturbed: bool = True, start_s: float = 0.0) -> AsyncIterator[Simulation]:
    """A new world in simulated time. What templates an earlier one built stay on the server."""
    await clean(rig)
    simulation = Simulation(rig, seed, disturbed=disturbed, start_s=start_s)
    time, faults, engine = simulation.time, simulation.faults, rig.engine
    engine.now = lambda: START.timestamp() + time.at
    engine.start_s = start_s
    engine.on_call = faults.see

    def deliver(change: Change) -> int:
        if faults.happens("hint lost"):
            return 0
        if faults.happens("hint late"):
            late.append(asyncio.create_task(_later(simulation, change)))
            return 0
        return 2 if faults.happens("hint doubled") else 1

    late: list[asyncio.Task[None]] = []
    engine.deliver = deliver
    pump = asyncio.create_task(time.run())
    try:
        with pytest.MonkeyPatch.context() as patch:
            _watch(patch, simulation)
            yield simulation
            await simulation.kill()
    finally:
        pump.cancel()
        for task in late:
            task.cancel()
        engine.on_call = None
        await asyncio.gather(pump, *late, return_exceptions=True)


async def _later(simulation: Simulation, change: Change) -> None:
    await simulation.time.sleep(simulation.faults.draw.uniform(0.01, 20.0))
    simulation.rig.engine.hint(change)


def _watch(patch: pytest.MonkeyPatch, simulation: Simulation) -> None:
    """Time stands while PostgreSQL works; its statements pass by the faults; the edge answers without a socket."""
    time = simulation.time
    connect = asyncpg.connection.connect

    async def connecting(*args: Any, **more: Any) -> Any:
        with time.standing():
            return await connect(*args, **more)

    def standing(method: str) -> None:
        do = getattr(asyncpg.Connection, method)

        async def stand(connection: Any, *args: Any, **more: Any) -> Any:
            with time.standing():
                return await do(connection, *args, **more)

        patch.setattr(asyncpg.Connection, method, stand)

    patch.setattr(asyncpg, "connect", connecting)
    patch.setattr(asyncpg.connection, "connect", connecting)
    for method in ("execute", "fetch", "fetchval", "fetchrow", "close", "reset"):
        standing(method)
    execute = asyncpg.Connection.execute

    async def seen(connection: Any, query: str, *args: Any, **more: Any) -> Any:
        parameters = connection._params
        if parameters.user != ADMIN:
            return await execute(connection, query, *args, **more)

        async def do() -> Any:
            answer = await execute(connection, query, *args, **more)
            if query.startswith(('create database "t_', "drop database ")):
                simulation.statements[query] += 1
            if is_write(parameters.database, query):
                simulation.written.append(query)
            return answer

        return await simulation.faults.statement(parameters.database, query, do)

    patch.setattr(asyncpg.Connection, "execute", seen)

    async def addresses(edge: Edge) -> tuple[str, ...]:
        return ("127.0.0.1",)

    async def probe(edge: Edge, host: str, address: str, *, uid: str, revision: str, tls: bool) -> Probe:
        found = simulation.rig.edge._service(host)
        if found is None or not found.running:
            return Probe(host, address, False, f"{host} does not answer")
        said = dict(found.spec.labels)[names.UID], dict(found.spec.env)["SKEP_REVISION"]
        return Probe(host, address, said == (uid, revision), f"{host} is answered by somebody else")

    patch.setattr(Edge, "addresses", addresses)
    patch.setattr(Edge, "probe", probe)


async def clean(rig: Rig) -> None:
    """An empty engine, and a server with nothing but templates and the control database."""
    await rig.engine.close()
    rig.engine = rig.make_engine()
    rig.edge.engine = rig.engine
    rig.published.clear()
    connection = await asyncpg.connect(rig.postgres.dsn())
    await empty(connection, templates=False, control=False)
    await connection.close()
    await make_networks(rig.engine)
