"""What `describe` says of a tenant that is not Ready."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from skep.operator.cli.show import waits
from skep.operator.engine.spec import Task
from skep.operator.errors import TerminalError, TransientError
from skep.operator.loop.registry import DONE, Result, Wait
from skep.operator.reconcilers import status as statuses
from skep.operator.reconcilers.finding import find
from skep.operator.reconcilers.status import Status
from tests.unit.reconcilers.tenants import NOW, desired, make_record, make_service


def told(result: Result, error: Exception | None = None) -> Status:
    finding = find(make_record(), None, result, error, None)
    assert finding is not None
    return statuses.report(finding, None, NOW)


def test_nothing_is_said_of_a_ready_tenant() -> None:
    assert waits(told(DONE), None, (), now=NOW) == []


def test_the_engine_is_asked_once_more() -> None:
    status = told(Wait("Starting", "skep-acme-web is starting", 0.25))
    task = Task(
        "0123456789abcdef", "s1", 1, "", "pending", "running", "no suitable node (1 node not available)", since=NOW
    )
    later = NOW + timedelta(minutes=4)
    lines = dict(waits(status, make_service(desired(make_record())), [task], now=later))
    assert lines["Waits for"].startswith("skep-acme-web: no suitable node (1 node not available)")
    assert lines["Waits for"].endswith("(NoSuitableNode)")
    assert lines["Since"].endswith("(4m ago)")
    assert lines["Last error"] == "no suitable node (1 node not available) (task 0123456789ab, 4m ago)"
    assert lines["Tries again"] == "every few seconds"


def test_each_error_says_when_it_is_tried_again() -> None:
    cases = [
        (TransientError("no room", reason="ServersFull", retry_after_s=30.0), "every 30 s"),
        (TransientError("gone", reason="DatabaseUnavailable"), "in growing pauses of up to 120 s"),
        (TerminalError("never", reason="RolledBack"), "when its declaration changes, and at each resync"),
    ]
    for error, word in cases:
        status = told(DONE, error)
        lines = dict(waits(status, None, (), now=NOW))
        assert lines["Tries again"] == word
        assert lines["Waits for"] == f"{error} ({error.reason})"


def test_a_report_of_before_reads_and_stays_the_same() -> None:
    status = replace(told(DONE), next_try="")
    labels = statuses.labels_of("acme", "0" * 32, status)
    assert "next_try" not in labels["skep.status"], (
        "or every status would be written once after an update of the operator"
    )
