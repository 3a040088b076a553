"""What the edge answers for a tenant that has no running task: 503, and not the 404 of a host that nobody has.

Traefik drops the router of a Swarm service without tasks, whatever `allowEmptyServices` says, for want of an address. So
the operator offers one more router per tenant, of the lowest priority, to a service without servers. Traefik polls it
(its HTTP provider) and keeps the last answer while the operator is away. The page that visitors read comes from the
operator; while that is away they get the bare 503.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from skep.operator.reconcilers.app import route
from skep.operator.reconcilers.record import Record

CLOSED = "skep-closed"
PAGE = "skep-closed-page"
PAGE_PATH = "/edge/closed"
PRIORITY = 1  # below every tenant's own router


def configuration(records: Iterable[Record], *, pages: str) -> dict[str, Any]:
    """Traefik's dynamic configuration; *pages* is the operator's own address as the edge knows it.

    Hosts were validated when they were declared: they hold nothing but DNS.
    """
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
            "middlewares": [CLOSED],
        } | ({"tls": {}} if wanted.tls else {})
    services: dict[str, Any] = {
        CLOSED: {"loadBalancer": {"servers": []}},
        PAGE: {"loadBalancer": {"servers": [{"url": pages}]}},
    }
    middlewares = {CLOSED: {"errors": {"status": ["503"], "service": PAGE, "query": PAGE_PATH}}}
    return {"http": {"services": services, "middlewares": middlewares} | ({"routers": routers} if routers else {})}
