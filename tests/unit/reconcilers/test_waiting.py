"""What keeps a tenant from being Ready, in the engine's own words and with what to do about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from skep.operator.engine.spec import Resources, Task
from skep.operator.reconcilers.waiting import newest_failure, why
from tests.unit.reconcilers.tenants import NOW, desired, make_record, make_service


def task(
    state: Any = "running", wanted: Any = "running", error: str = "", age: int = 0, code: int | None = None
) -> Task:
    return Task(f"t{age}", "s1", 1, "node", state, wanted, error, code, since=NOW - timedelta(seconds=age))


@pytest.mark.parametrize(
    ("tasks", "update", "reason", "said"),
    [
        pytest.param([], "none", "Starting", "is starting", id="no task yet"),
        pytest.param([task("starting")], "none", "Starting", "is starting", id="starting"),
        pytest.param([task("starting")], "updating", "RollingOut", "is being updated", id="rolling out"),
        pytest.param(
            [task("pending", error="no suitable node (insufficient resources on 3 nodes)")], "none", "NoSuitableNode",
            "insufficient resources on 3 nodes", id="no node takes it",
        ),
        pytest.param([task("new", age=29)], "none", "Starting", "is starting", id="an address may still come"),
        pytest.param(
            [task("new", age=30)], "none", "NoAddress", "(skep-data-1, skep-edge-1)", id="no address is left",
        ),
        pytest.param(
            [task("starting"), task("failed", "shutdown", "task: non-zero exit (1)", 5)], "none", "TaskFailing",
            "non-zero exit (1)", id="crashes and starts again",
        ),
        pytest.param(
            [task("failed", "shutdown", "new", 1), task("failed", "shutdown", "old", 9)], "none", "TaskFailing", "new",
            id="the newest failure is told",
        ),
        pytest.param(
            [task("running"), task("failed", "shutdown", "exit (1)", 5)], "none", "Starting", "is starting",
            id="one runs: an older failure is history",
        ),
        pytest.param(
            [task("rejected", "shutdown", "No such image: skep:9")], "updating", "ImageMissing", "No such image",
            id="an image that is not there",
        ),
        pytest.param(
            [task("starting"), task("failed", "shutdown", "task: unhealthy container", 5)], "updating", "Unhealthy",
            "unhealthy container", id="never healthy",
        ),
        pytest.param(
            [task("starting"), task("failed", "shutdown", "task: non-zero exit (137)", 5, 137)], "none", "OutOfMemory",
            "memory limit of 256 MiB", id="out of memory",
        ),
        pytest.param(
            [task("pending", error="invalid mount config")], "none", "TaskStuck", "invalid mount", id="anything else",
        ),
    ],
)  # fmt: skip
def test_what_is_waited_for(tasks: list[Task], update: Any, reason: str, said: str) -> None:
    spec = replace(desired(make_record()), resources=Resources(memory_bytes=256 * 2**20))
    found = why(make_service(spec, update_state=update), tasks, NOW)
    assert found.reason == reason
    assert said in str(found)
    assert found.message.startswith("skep-acme-web")


def test_what_does_not_mend_itself_says_what_to_do() -> None:
    for error in ("no suitable node", "No such image: x", "task: unhealthy container", "task: non-zero exit (137)"):
        found = why(make_service(desired(make_record())), [task("pending", error=error)], NOW)
        assert found.remedy, error


@pytest.mark.parametrize(
    ("errors", "last"),
    [
        pytest.param(["", ""], None, id="no error"),
        pytest.param(["first", "second"], "second", id="the newest"),
        pytest.param(["first", ""], "first", id="healthy since"),
    ],
)
def test_the_newest_failure_is_told(errors: list[str], last: str | None) -> None:
    tasks = [task("failed", "shutdown", error, age=len(errors) - n) for n, error in enumerate(errors)]
    for order in (tasks, tasks[::-1]):
        found = newest_failure(order)
        assert (found.error if found else None) == last
