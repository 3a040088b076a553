"""The work queue: each key at most once, one worker a key, edits before resyncs, nobody starves."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator.loop.backoff import Backoff
from skep.operator.loop.queue import Lane, WorkQueue
from tests.fakes.clock import VirtualClock, settle


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def queue(clock: VirtualClock) -> WorkQueue[str]:
    return WorkQueue(clock, draw=random.Random(1), fairness=3)


async def take(queue: WorkQueue[str]) -> str | None:
    """The next key, if there is one now."""
    getter = asyncio.ensure_future(queue.get())
    await settle()
    if getter.done():
        return getter.result()
    getter.cancel()
    await asyncio.gather(getter, return_exceptions=True)
    return None


async def test_a_key_added_twice_is_one_piece_of_work(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("a")
    assert len(queue) == 1
    assert await take(queue) == "a"
    assert await take(queue) is None


async def test_keys_come_in_the_order_in_which_they_were_added(queue: WorkQueue[str]) -> None:
    for key in "cab":
        queue.add(key)
    assert [await take(queue) for _ in range(3)] == ["c", "a", "b"]


async def test_a_key_is_with_one_worker_at_a_time(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert await take(queue) == "a"
    queue.add("a")
    assert await take(queue) is None
    queue.done("a")
    assert await take(queue) == "a"


async def test_a_key_added_many_times_during_work_comes_again_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await take(queue)
    for _ in range(5):
        queue.add("a")
    queue.done("a")
    assert await take(queue) == "a"
    queue.done("a")
    assert await take(queue) is None


async def test_a_key_that_changed_during_failing_work_comes_again_at_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await take(queue)
    queue.add("a")
    queue.done("a", failed=True, retry_after_s=60)
    assert await take(queue) == "a"


async def test_edits_go_before_resyncs(queue: WorkQueue[str]) -> None:
    queue.add("old", Lane.RESYNC)
    queue.add("new")
    assert [await take(queue), await take(queue)] == ["new", "old"]


async def test_a_queued_resync_that_is_edited_moves_to_the_front_and_is_done_once(queue: WorkQueue[str]) -> None:
    for key in "abc":
        queue.add(key, Lane.RESYNC)
    queue.add("c")
    assert [await take(queue) for _ in range(4)] == ["c", "a", "b", None]


async def test_a_queued_edit_is_not_moved_back_by_a_resync(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b", Lane.RESYNC)
    queue.add("a", Lane.RESYNC)
    assert [await take(queue) for _ in range(3)] == ["a", "b", None]


async def test_a_resync_gets_its_turn_among_endless_edits(queue: WorkQueue[str]) -> None:
    queue.add("slow", Lane.RESYNC)
    taken: list[str | None] = []
    for number in range(6):
        queue.add(f"edit-{number}")
        taken.append(await take(queue))
    assert taken.index("slow") == 3, "after `fairness` edits in a row"


async def test_an_edit_gets_its_turn_among_resyncs(queue: WorkQueue[str]) -> None:
    for number in range(100):
        queue.add(f"r{number}", Lane.RESYNC)
    queue.add("edit")
    assert await take(queue) == "edit"


async def test_during_work_an_edit_wins_over_a_resync(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await take(queue)
    queue.add("a", Lane.RESYNC)
    queue.add("a", Lane.EDIT)
    queue.add("b", Lane.RESYNC)
    queue.done("a")
    assert await take(queue) == "a"


async def test_a_failure_comes_again_after_its_backoff(queue: WorkQueue[str], clock: VirtualClock) -> None:
    queue.add("a")
    await take(queue)
    wait = queue.done("a", failed=True)
    assert wait is not None
    assert 0.25 <= wait <= 0.5
    await clock.advance(wait - 0.01)
    assert await take(queue) is None
    await clock.advance(0.02)
    assert await take(queue) == "a"


async def test_failures_in_a_row_wait_longer_and_a_success_forgets_them(
    queue: WorkQueue[str], clock: VirtualClock
) -> None:
    waits = []
    queue.add("a")
    for _ in range(6):
        assert await take(queue) == "a"
        waits.append(queue.done("a", failed=True) or 0)
        await clock.advance(waits[-1])
    assert all(earlier < later for earlier, later in itertools.pairwise(waits))
    assert await take(queue) == "a"
    queue.done("a")
    assert queue.failures("a") == 0


@pytest.mark.parametrize(
    ("failed", "retry_after_s", "low", "high"),
    [
        pytest.param(False, 30.0, 30.0, 30.0, id="a wish after success"),
        pytest.param(True, 30.0, 30.0, 30.0, id="a wish above the backoff"),
        pytest.param(True, 0.1, 0.25, 0.5, id="a wish below the backoff"),
        pytest.param(True, None, 0.25, 0.5, id="no wish"),
    ],
)
async def test_retry_after(
    queue: WorkQueue[str], failed: bool, retry_after_s: float | None, low: float, high: float
) -> None:
    queue.add("a")
    await take(queue)
    wait = queue.done("a", failed=failed, retry_after_s=retry_after_s)
    assert wait is not None
    assert low <= wait <= high


async def test_success_without_a_wish_does_not_come_again(queue: WorkQueue[str], clock: VirtualClock) -> None:
    queue.add("a")
    await take(queue)
    assert queue.done("a") is None
    await clock.advance(10_000)
    assert await take(queue) is None


async def test_an_edit_does_not_wait_for_the_backoff(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await take(queue)
    queue.done("a", failed=True, retry_after_s=100)
    queue.add("a")
    assert await take(queue) == "a"


async def test_the_earlier_of_two_times_counts(queue: WorkQueue[str], clock: VirtualClock) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    assert queue.due("a") == 5
    await clock.advance(5)
    assert await take(queue) == "a"
    queue.done("a")
    await clock.advance(100)
    assert await take(queue) is None, "the later times are void"


async def test_a_waiting_worker_is_woken_by_an_earlier_time(queue: WorkQueue[str], clock: VirtualClock) -> None:
    queue.add_after("late", 100)
    getter = asyncio.ensure_future(queue.get())
    await settle()
    queue.add_after("soon", 1)
    await clock.advance(1)
    assert await getter == "soon"


async def test_every_waiting_worker_gets_a_key(queue: WorkQueue[str]) -> None:
    getters = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await settle()
    for key in "abc":
        queue.add(key)
    assert set(await asyncio.gather(*getters)) == set("abc")


async def test_closing_lets_every_worker_go(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 100)
    getters = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await settle()
    queue.close()
    assert await asyncio.gather(*getters) == [None, None, None]


async def test_idle_counts_queued_and_active_but_not_waiting_keys(queue: WorkQueue[str]) -> None:
    queue.add_after("later", 5)
    assert queue.idle
    queue.add("a")
    assert not queue.idle
    await take(queue)
    assert not queue.idle
    queue.done("a")
    assert queue.idle


async def test_a_cancelled_worker_loses_no_key(queue: WorkQueue[str]) -> None:
    getter = asyncio.ensure_future(queue.get())
    await settle()
    getter.cancel()
    await asyncio.gather(getter, return_exceptions=True)
    queue.add("a")
    assert await take(queue) == "a"


Operation = st.tuples(st.sampled_from(["edit", "resync", "take", "done", "fail", "wait"]), st.sampled_from("abcd"))


@given(st.lists(Operation, max_size=60))
def test_no_history_loses_a_key_or_gives_it_twice(history: list[tuple[str, str]]) -> None:
    async def run() -> None:
        clock = VirtualClock()
        queue: WorkQueue[str] = WorkQueue(clock, backoff=Backoff(1.0, 8.0), draw=random.Random(1), fairness=2)
        owed: set[str] = set()  # added since it was last taken
        active: list[str] = []
        for operation, key in history:
            match operation:
                case "edit" | "resync":
                    queue.add(key, Lane.EDIT if operation == "edit" else Lane.RESYNC)
                    owed.add(key)
                case "take":
                    if len(queue):
                        taken = await queue.get()
                        assert taken is not None
                        assert taken not in active, "one worker a key"
                        active.append(taken)
                        owed.discard(taken)
                case "done" | "fail" if active:
                    done = active.pop(0)
                    queue.done(done, failed=operation == "fail")
                    if operation == "fail":
                        owed.add(done)
                case _:
                    await clock.advance(3)
        for done in active:
            queue.done(done)
        await clock.advance(100)
        seen: Counter[str] = Counter()
        while (rest := await take(queue)) is not None:
            seen[rest] += 1
            queue.done(rest)
        assert owed <= seen.keys(), "nothing that was asked for is forgotten"

    asyncio.run(run())
