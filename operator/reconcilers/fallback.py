"""What the edge answers for a tenant that has no running task: 503, and not the 404 of a host that nobody has.

Traefik drops the router of a Swarm service without tasks, whatever `allowEmptyServices` says, for want of an address. So
the operator offers one more router per tenant, of the lowest priority, to a service without servers. Traefik polls it
(its HTTP provider) and keeps the last answer while the operator is away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from skep.operator.reconcilers.app import route
from skep.operator.reconcilers.record import Record

CLOSED = "skep-closed"
PRIORITY = 1  # below every tenant's own router


def configuration(records: Iterable[Record]) -> dict[str, Any]:
    """Traefik's dynamic configuration. Hosts were validated when they were declared: they hold nothing but DNS."""
    routers: dict[str, Any] = {}
    for record in sorted(records, key=lambda each: each.name):
        if record.leaving:
            continue
        wanted = route(record)
        routers[wanted.name] = {
            "rule": " || ".join(f"Host(`{host}`)" for host in wanted.hosts),
            "entryPoints": ["websecure" if wanted.tls else "web"],
            "priority": PRIORITY,
            "service": CLOSED,
        } | ({"tls": {}} if wanted.tls else {})
    services: dict[str, Any] = {CLOSED: {"loadBalancer": {"servers": []}}}
    return {"http": {"services": services} | ({"routers": routers} if routers else {})}
