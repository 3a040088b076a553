"""What the queue tells who watches it, and what becomes of it under controller-runtime's names."""

from __future__ import annotations

import random

import pytest
from prometheus_client import CollectorRegistry

from skep.operator.loop.backoff import Backoff
from skep.operator.loop.queue import Lane, WorkQueue
from skep.operator.metrics import QueueMetrics
from tests.fakes.clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def queue(clock: VirtualClock, registry: CollectorRegistry) -> WorkQueue[str]:
    observer = QueueMetrics("tenant", clock.monotonic, registry)
    return WorkQueue(clock, backoff=Backoff(1.0, 1.0), draw=random.Random(1), observer=observer)


def read(registry: CollectorRegistry, metric: str) -> float | None:
    return registry.get_sample_value(f"workqueue_{metric}", {"name": "tenant"})


async def test_a_key_that_waits_is_counted_once_however_often_it_is_added(
    queue: WorkQueue[str], registry: CollectorRegistry
) -> None:
    queue.add("a", Lane.RESYNC)
    queue.add("a", Lane.EDIT)
    queue.add("b")
    assert (read(registry, "depth"), read(registry, "adds_total")) == (2, 2)


async def test_a_key_added_while_it_is_worked_on_waits_once_and_is_one_more_add(
    queue: WorkQueue[str], registry: CollectorRegistry
) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    assert (read(registry, "depth"), read(registry, "adds_total")) == (1, 2)
    queue.done("a")
    assert (read(registry, "depth"), read(registry, "adds_total")) == (1, 2)
    await queue.get()
    assert read(registry, "depth") == 0


async def test_times_of_waiting_and_working_are_the_queues_own(
    queue: WorkQueue[str], registry: CollectorRegistry, clock: VirtualClock
) -> None:
    queue.add("a")
    await clock.advance(3.0)
    await queue.get()
    await clock.advance(5.0)
    queue.add("b")
    await queue.get()
    await clock.advance(2.0)
    assert read(registry, "queue_duration_seconds_sum") == 3.0
    assert read(registry, "unfinished_work_seconds") == 9.0
    assert read(registry, "longest_running_processor_seconds") == 7.0
    queue.done("a")
    queue.done("b")
    assert read(registry, "work_duration_seconds_sum") == 9.0
    assert read(registry, "work_duration_seconds_count") == 2
    assert (read(registry, "unfinished_work_seconds"), read(registry, "longest_running_processor_seconds")) == (0, 0)


async def test_what_comes_back_later_is_a_retry_and_waits_only_from_then_on(
    queue: WorkQueue[str], registry: CollectorRegistry, clock: VirtualClock
) -> None:
    queue.add("a")
    await queue.get()
    queue.done("a", failed=True)
    assert (read(registry, "retries_total"), read(registry, "depth")) == (1, 0)
    await clock.advance(1.0)
    assert await queue.get() == "a"
    assert read(registry, "adds_total") == 2
    assert read(registry, "queue_duration_seconds_sum") == 0.0
