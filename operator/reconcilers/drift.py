"""Drift for Prometheus: what was repaired on objects whose declaration had not changed. Somebody else's hand, or a loss."""

from __future__ import annotations

from collections.abc import Iterable

from skep.operator import metrics, names
from skep.operator.engine.spec import Mount
from skep.operator.reconcilers import status
from skep.operator.reconcilers.subject import Subject


def is_settled(subject: Subject, secrets: Iterable[Mount]) -> bool:
    """Whether this declaration, with *secrets* to mount, was followed to its end before: what differs now is drift.

    Asked only when something differs: it reads the tenant's own report, and looks at what its service mounts.
    """
    record, world = subject.known, subject.ports.world
    config = world.config(names.status(subject.name))
    report = status.from_config(config) if config is not None else None
    if report is None or report.observed_generation != record.generation:
        return False
    service = world.service(names.service(subject.name))
    return (
        report.phase in ("Ready", "Degraded", "Suspended")
        and not record.latched
        and (service is None or set(secrets) <= set(service.spec.secrets))  # else secrets are rotated
    )


def repaired(reconciler: str, kinds: Iterable[str]) -> None:
    """Count each of *kinds* (service, config, secret, database, role)."""
    for kind in kinds:
        metrics.drift.labels(reconciler, kind).inc()
