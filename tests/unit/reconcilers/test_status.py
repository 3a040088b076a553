"""The report: nothing but a difference moves a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator import names
from skep.operator.engine.spec import Config, pairs
from skep.operator.reconcilers import status
from skep.operator.reconcilers.status import EVENTS_KEPT, Finding, Phase, Status, report
from tests.unit.reconcilers.tenants import NOW, UID

READY = Finding("Ready", 1, "Ready", "answers on every host", ("http://acme.test",), "skep:1")
LATER = NOW + timedelta(hours=1)
PHASES: tuple[Phase, ...] = ("Pending", "Progressing", "Ready", "Degraded", "Suspended", "Deleting", "Retained")
findings = st.builds(
    Finding, st.sampled_from(PHASES), st.integers(0, 3), st.sampled_from(["A", "B"]), st.sampled_from(["x", "y"]),
    st.just(()), st.just("i"), st.sampled_from([None, "broken"]),
)  # fmt: skip


def verdicts(found: Status) -> dict[str, str]:
    return {condition.type: condition.status for condition in found.conditions}


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        pytest.param(READY, {"Ready": "True", "Degraded": "False", "Declared": "True"}, id="ready"),
        pytest.param(
            replace(READY, phase="Progressing"), {"Ready": "False", "Degraded": "False", "Declared": "True"},
            id="progressing",
        ),
        pytest.param(
            replace(READY, phase="Degraded", reason="RolledBack"),
            {"Ready": "False", "Degraded": "True", "Declared": "True"}, id="degraded",
        ),
        pytest.param(
            replace(READY, declared="acme.yaml:3:1: no"), {"Ready": "True", "Degraded": "False", "Declared": "False"},
            id="runs on though its document is broken",
        ),
        pytest.param(
            replace(READY, phase="Suspended"), {"Ready": "False", "Degraded": "False", "Declared": "True"},
            id="suspended",
        ),
    ],
)  # fmt: skip
def test_conditions(finding: Finding, expected: dict[str, str]) -> None:
    assert verdicts(report(finding, None, NOW)) == expected


def test_the_reason_of_a_problem_is_with_both_conditions() -> None:
    found = report(Finding("Degraded", 1, "DatabaseMissing", "it is gone"), None, NOW)
    for kind in ("Ready", "Degraded"):
        condition = found.condition(kind)
        assert condition is not None
        assert (condition.reason, condition.message) == ("DatabaseMissing", "it is gone")


def test_a_broken_declaration_says_why() -> None:
    condition = report(replace(READY, declared="acme.yaml:3:1: no"), None, NOW).condition("Declared")
    assert condition is not None
    assert (condition.reason, condition.message) == ("Invalid", "acme.yaml:3:1: no")


@given(findings)
def test_an_equal_finding_gives_an_equal_status(finding: Finding) -> None:
    first = report(finding, None, NOW)
    assert report(finding, first, LATER) == first


@given(findings, findings)
def test_a_time_moves_only_with_its_verdict(before: Finding, after: Finding) -> None:
    first = report(before, None, NOW)
    second = report(after, first, LATER)
    for old, new in zip(first.conditions, second.conditions, strict=True):
        assert new.since == (NOW if old.status == new.status else LATER)


@given(st.lists(findings, min_size=1, max_size=30))
def test_events_are_the_last_few_turns(history: list[Finding]) -> None:
    found: Status | None = None
    turns = 0
    last: tuple[str, str] | None = None
    for finding in history:
        found = report(finding, found, NOW)
        if (finding.phase, finding.reason) != last:
            turns += 1
            last = finding.phase, finding.reason
    assert found is not None
    assert len(found.events) == min(turns, EVENTS_KEPT)
    assert found.events[-1].reason == found.conditions[0].reason


def test_another_message_alone_is_no_event() -> None:
    first = report(READY, None, NOW)
    second = report(replace(READY, message="answers"), first, LATER)
    assert second.events == first.events


@given(findings)
def test_a_status_survives_its_labels(finding: Finding) -> None:
    found = report(finding, None, NOW)
    labels = status.labels_of("acme", UID, found)
    assert labels[status.PHASE] == finding.phase
    assert labels[names.KIND] == "status"
    assert status.from_config(Config("i", "skep.status.acme", 1, pairs(labels), b"x")) == found


@pytest.mark.parametrize("text", ["", "{", "[]", '{"phase": "Ready"}', '{"phase": "Odd", "observed_generation": 1}'])
def test_a_status_that_cannot_be_read_is_none(text: Any) -> None:
    assert status.from_config(Config("i", "skep.status.acme", 1, pairs({"skep.status": text}), b"x")) is None
