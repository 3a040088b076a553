"""Workers: what each kind of outcome leads to, and that one key never pays for another."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from skep.operator.errors import EngineUnavailable, NotFound, TerminalError, TransientError
from skep.operator.loop.controller import Controller, Outcome
from skep.operator.loop.queue import WorkQueue
from tests.fakes.clock import VirtualClock, settle

Reconcile = Callable[[str], Awaitable[Outcome]]


@asynccontextmanager
async def working(reconcile: Reconcile, *, workers: int = 2, deadline_s: float = 900) -> AsyncIterator[WorkQueue[str]]:
    queue: WorkQueue[str] = WorkQueue(VirtualClock(), draw=random.Random(1))
    running = asyncio.create_task(Controller(queue, reconcile, workers=workers, deadline_s=deadline_s).run())
    try:
        yield queue
    finally:
        queue.close()
        await running


@pytest.mark.parametrize(
    ("outcome", "due", "failures"),
    [
        pytest.param(Outcome(), False, 0, id="done"),
        pytest.param(Outcome(requeue_after_s=5), True, 0, id="waits"),
        pytest.param(Outcome(error=TransientError("later")), True, 1, id="transient"),
        pytest.param(Outcome(error=EngineUnavailable("later", retry_after_s=9)), True, 1, id="transient with a wish"),
        pytest.param(Outcome(error=TerminalError("never")), False, 0, id="terminal"),
        pytest.param(Outcome(error=NotFound("gone")), True, 1, id="another of ours"),
        pytest.param(Outcome(error=RuntimeError("bug")), True, 1, id="a bug"),
        pytest.param(RuntimeError("bug"), True, 1, id="a bug that is raised"),
        pytest.param(TransientError("later"), True, 1, id="a transient error that is raised"),
        pytest.param(TerminalError("never"), False, 0, id="a terminal error that is raised"),
        pytest.param(TimeoutError(), True, 1, id="a deadline"),
    ],
)
async def test_an_outcome_decides_when_the_key_comes_again(
    outcome: Outcome | Exception, due: bool, failures: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)

    async def reconcile(_: str) -> Outcome:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async with working(reconcile) as queue:
        queue.add("a")
        await settle()
        assert queue.idle
        assert (queue.due("a") is not None, queue.failures("a")) == (due, failures)


async def test_one_key_that_fails_does_not_stop_its_neighbours() -> None:
    seen: list[str] = []

    async def reconcile(key: str) -> Outcome:
        seen.append(key)
        if key == "bad":
            raise RuntimeError("bug")
        return Outcome()

    async with working(reconcile, workers=1) as queue:
        for key in ("bad", "a", "b"):
            queue.add(key)
        await settle()
    assert seen == ["bad", "a", "b"]


async def test_one_key_that_hangs_leaves_the_other_workers_free() -> None:
    free = asyncio.Event()
    seen: list[str] = []

    async def reconcile(key: str) -> Outcome:
        if key == "slow":
            await free.wait()
        seen.append(key)
        return Outcome()

    async with working(reconcile, workers=2) as queue:
        for key in ("slow", "a", "b"):
            queue.add(key)
        await settle()
        assert seen == ["a", "b"]
        assert queue.active == {"slow"}
        free.set()
        await settle()
    assert seen == ["a", "b", "slow"]


async def test_a_thousand_turns_that_wait_for_nothing_let_others_have_theirs() -> None:
    done: list[str] = []

    async def nothing_to_do(key: str) -> Outcome:
        done.append(key)
        return Outcome()

    async with working(nothing_to_do, workers=4) as queue:
        for number in range(1000):
            queue.add(f"tenant-{number}")
        before: list[int] = []
        while len(done) < 1000:
            before.append(len(done))
            await asyncio.sleep(0)
        longest = max(after - now for now, after in zip(before, [*before[1:], 1000], strict=True))
        assert longest <= 4, "between two looks of somebody else no worker had more than one turn"


async def test_a_reconcile_past_its_deadline_is_given_up_and_tried_again() -> None:
    async def reconcile(_: str) -> Outcome:
        await asyncio.Event().wait()
        return Outcome()

    async with working(reconcile, deadline_s=0.01) as queue:
        queue.add("a")
        async with asyncio.timeout(5):
            while queue.due("a") is None:  # noqa: ASYNC110 - asyncio's own timer has no event
                await asyncio.sleep(0.005)
    assert queue.failures("a") == 1


async def test_stopping_finishes_what_is_in_hand_and_nothing_more() -> None:
    free = asyncio.Event()
    seen: list[str] = []

    async def reconcile(key: str) -> Outcome:
        await free.wait()
        seen.append(key)
        return Outcome()

    async with working(reconcile, workers=1) as queue:
        queue.add("a")
        queue.add("b")
        await settle()
        queue.close()
        free.set()
    assert seen == ["a"]


async def test_being_cancelled_gives_the_key_back() -> None:
    async def reconcile(_: str) -> Outcome:
        await asyncio.Event().wait()
        return Outcome()

    queue: WorkQueue[str] = WorkQueue(VirtualClock())
    running = asyncio.create_task(Controller(queue, reconcile, workers=1).run())
    queue.add("a")
    await settle()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert queue.active == frozenset()
