"""The status: a report for people and scripts, in the labels of config `skep.status.<name>`. Never an input.

Written only when it changes. Losing it costs nothing: it is made again by the next reconcile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from skep.operator import formats, names
from skep.operator.engine.spec import Config

_LABEL = "skep.status"
PHASE = "skep.phase"  # beside the whole report, so that `docker config ls --filter` can use it
EVENTS_KEPT = 10

Phase = Literal["Pending", "Progressing", "Ready", "Degraded", "Suspended", "Deleting", "Retained"]


@dataclass(frozen=True, slots=True)
class Condition:
    """As in Kubernetes: *since* moves only when *status* does; *reason* is one stable CamelCase word."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    observed_generation: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Event:
    at: datetime
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Status:
    phase: Phase
    observed_generation: int
    conditions: tuple[Condition, ...] = ()
    urls: tuple[str, ...] = ()
    image: str = ""
    events: tuple[Event, ...] = ()
    next_try: str = ""  # when the operator looks again by itself, in words; empty where nothing is waited for

    def condition(self, kind: str) -> Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)


_STATUS = TypeAdapter(Status)


def labels_of(tenant: str, uid: str, status: Status) -> dict[str, str]:
    return {
        names.KIND: "status",
        names.TENANT: tenant,
        names.UID: uid,
        PHASE: status.phase,
        # A field that came later is left out where it says nothing: a report of before stays as it is.
        _LABEL: _STATUS.dump_json(status, exclude=None if status.next_try else {"next_try"}).decode(),
    }


def from_config(config: Config) -> Status | None:
    """None for a report that cannot be read: it is only a report, the next one replaces it.

    Raises TerminalError for a newer format: that one is not replaced.
    """
    formats.check(config.name, dict(config.labels))
    try:
        return _STATUS.validate_json(dict(config.labels).get(_LABEL, ""))
    except ValidationError:
        return None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one reconcile came to. *ready* is the Ready condition; *problem* the Degraded one, None if all is well.

    *declared* carries the declaration's own errors: the tenant runs on with its last good spec.
    """

    phase: Phase
    generation: int
    reason: str
    message: str
    urls: tuple[str, ...] = ()
    image: str = ""
    declared: str | None = None
    next_try: str = ""


def report(finding: Finding, previous: Status | None, now: datetime) -> Status:
    """The next status. Nothing but a difference moves a time, so an equal finding gives an equal status."""
    wanted: list[tuple[str, Literal["True", "False"], str, str]] = [
        ("Ready", "True" if finding.phase == "Ready" else "False", finding.reason, finding.message),
        ("Degraded", "True" if finding.phase == "Degraded" else "False", finding.reason, finding.message),
        (
            "Declared",
            "True" if finding.declared is None else "False",
            "Accepted" if finding.declared is None else "Invalid",
            finding.declared or "the declaration is valid",
        ),
    ]
    conditions = []
    for kind, verdict, reason, message in wanted:
        if kind == "Degraded" and verdict == "False":
            reason, message = "AsExpected", "nothing is wrong"
        known = previous.condition(kind) if previous is not None else None
        since = known.since if known is not None and known.status == verdict else now
        conditions.append(Condition(kind, verdict, reason, message, finding.generation, since))
    events = previous.events if previous is not None else ()
    last = previous.condition("Ready") if previous is not None else None
    if previous is None or previous.phase != finding.phase or last is None or last.reason != finding.reason:
        events = (*events, Event(now, finding.reason, f"{finding.phase}: {finding.message}"))[-EVENTS_KEPT:]
    return Status(
        finding.phase, finding.generation, tuple(conditions), finding.urls, finding.image, events, finding.next_try
    )
