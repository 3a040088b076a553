"""What keeps a tenant from being Ready, in the engine's own words."""

from __future__ import annotations

from typing import Any

import pytest

from skep.operator.engine.spec import Task
from skep.operator.reconcilers.judge import Probe, first_wrong, waiting_for
from tests.unit.reconcilers.tenants import NOW, desired, make_record, make_service


def task(state: Any = "running", wanted: Any = "running", error: str = "", age: int = 0) -> Task:
    return Task(f"t{age}", "s1", 1, "node", state, wanted, error=error, since=NOW.replace(second=59 - age))


@pytest.mark.parametrize(
    ("tasks", "update", "reason", "said"),
    [
        pytest.param([], "none", "Starting", "is starting", id="no task yet"),
        pytest.param([task("starting")], "none", "Starting", "is starting", id="starting"),
        pytest.param([task("starting")], "updating", "RollingOut", "is being updated", id="rolling out"),
        pytest.param(
            [task("pending", error="no suitable node (insufficient memory)")], "none", "TaskStuck",
            "insufficient memory", id="no node takes it",
        ),
        pytest.param(
            [task("starting"), task("failed", "shutdown", "exit (1)", 5)], "none", "TaskFailing", "exit (1)",
            id="crashes and starts again",
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
            [task("rejected", "shutdown", "No such image: skep:9")], "updating", "TaskFailing", "No such image",
            id="an image that is not there",
        ),
    ],
)  # fmt: skip
def test_what_is_waited_for(tasks: list[Task], update: Any, reason: str, said: str) -> None:
    service = make_service(desired(make_record()), update_state=update)
    got, sentence = waiting_for(service, tasks)
    assert got == reason
    assert said in sentence
    assert sentence.startswith("skep-acme-web")


def test_the_first_wrong_answer_counts() -> None:
    good, bad, worse = Probe("a", "1", True), Probe("b", "1", False, "x"), Probe("c", "1", False, "y")
    assert first_wrong([good, bad, worse]) == bad
    assert first_wrong([good]) is None
    assert first_wrong([]) is None
