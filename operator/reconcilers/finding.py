"""What one reconcile came to, as a finding for the status: phase, reason and a sentence. Pure."""

from __future__ import annotations

from skep.operator.errors import TerminalError, TransientError
from skep.operator.loop.backoff import Backoff
from skep.operator.loop.registry import Result, Wait
from skep.operator.reconcilers import waiting
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.status import Finding, Phase, Status
from skep.operator.sources.fleet import Absent, Broken, Fate

# What rarely mends itself: told as Degraded at once, though it is tried again.
BROKEN = waiting.REASONS | {"JobNotStarted"}


def find(
    record: Record | None,
    fate: Fate,
    result: Result,
    error: Exception | None,
    previous: Status | None,
    *,
    edge_suffix: str = "",
) -> Finding | None:
    """None for a tenant that is gone. *error* counts before *result*.

    A tenant that was settled in this generation and no longer is, is Degraded; one on its way there is Progressing.
    """
    if record is None and error is None:
        if not isinstance(fate, Broken):
            return None
        return Finding("Degraded", 0, "Invalid", _sentence(fate), declared=_sentence(fate))
    generation = record.generation if record is not None else 0
    scheme = "https" if record is not None and record.spec.secure else "http"
    urls = tuple(f"{scheme}://{host}{edge_suffix}" for host in record.spec.hosts) if record is not None else ()
    declared = _sentence(fate) if isinstance(fate, Broken) else None
    if isinstance(fate, Absent) and fate.held:
        declared = fate.held
    if fate is None and record is not None and not record.leaving:
        declared = f"source {record.source} says nothing of it any more; it stays as it is"

    def finding(phase: Phase, reason: str, message: str) -> Finding:
        image = record.spec.image if record is not None else ""
        waits = phase in ("Pending", "Progressing", "Degraded", "Deleting")
        return Finding(
            phase, generation, reason, message, urls, image, declared, _next_try(error, result) if waits else ""
        )

    settled = (
        previous is not None
        and previous.observed_generation == generation
        and previous.phase in ("Ready", "Degraded", "Suspended")
    )
    match error, result:
        case TerminalError() as terminal, _:
            return finding("Degraded", terminal.reason, str(terminal))
        case TransientError() as transient, _:
            broken = settled or transient.reason in BROKEN
            return finding("Degraded" if broken else "Progressing", transient.reason, str(transient))
        case Exception() as bug, _:
            return finding("Degraded", "InternalError", f"{type(bug).__name__}: {bug}; see the operator's log")
        case _, Wait(reason=reason, message=message):
            broken = settled or reason in BROKEN
            return finding("Degraded" if broken else "Progressing", reason, message)
        case _ if record is not None and record.leaving == "retained":
            return finding("Retained", "Retained", "deleted; its database is kept, `skep approve adopt` brings it back")
        case _ if record is not None and record.leaving:
            return finding("Deleting", "Deleting", "its parts are being removed")
        case _ if record is not None and record.spec.suspend:
            return finding("Suspended", "Suspended", "suspended by its declaration")
        case _:
            return finding("Ready", "Ready", "answers on every host")


def _next_try(error: Exception | None, result: Result) -> str:
    """When the operator looks again by itself, in words that stay the same from one try to the next."""
    match error, result:
        case TerminalError(), _:
            return "when its declaration changes, and at each resync"
        case TransientError(retry_after_s=float() as pause), _:
            return f"every {pause:g} s"
        case Exception(), _:
            return f"in growing pauses of up to {Backoff().ceiling_s:g} s"
        case _, Wait(requeue_after_s=None):
            return "when something of it changes, and at each resync"
        case _:
            return "every few seconds"


def _sentence(fate: Broken) -> str:
    return "; ".join(str(problem) for problem in fate.problems[:3])
