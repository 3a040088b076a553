"""`GET /metrics`: what this process did, and what waits, in Prometheus' text format.

Never through the edge, which marks each request that it passes on; a neighbour on the network must not read it either.
So it answers on loopback, and elsewhere to who brings the tenant's secret `metrics-token`. Written by hand: the
exposition library costs each of hundreds of idle processes 5 MB for a dozen numbers.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
from aiohttp import web

from skep.webapp.errors import DatabaseDown
from skep.webapp.http.keys import DATABASE, METRICS, SETTINGS
from skep.webapp.store import vitals
from skep.webapp.store.vitals import Vitals

if TYPE_CHECKING:
    from skep.webapp.store.pool import Database

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Labels: TypeAlias = tuple[tuple[str, str], ...]

PATH = "/metrics"
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FIGURES_AGE_S = 30.0  # what is counted from rows is asked for no more often than that, whoever scrapes

routes = web.RouteTableDef()


@dataclass(slots=True)
class Latency:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    sum_s: float = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds


class Metrics:
    """Counts as the process goes; *routes* are patterns, never paths: those may hold secrets, and are without end."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._latency: dict[str, Latency] = {}
        self._figures: Vitals | None = None
        self._asked_at = float("-inf")

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests[method, route, status] += 1
        if (latency := self._latency.get(route)) is None:
            latency = self._latency[route] = Latency()
        latency.observe(seconds)

    async def text(self, database: Database) -> str:
        if self._clock() - self._asked_at >= FIGURES_AGE_S:
            self._asked_at = self._clock()
            try:
                self._figures = await vitals.read(database)
            except (DatabaseDown, asyncpg.PostgresError):  # away, or not migrated yet
                self._figures = None
        return "".join((*self._of_requests(), *_of_pool(database), *_of_figures(self._figures)))

    def _of_requests(self) -> Iterator[str]:
        yield from _family(
            "skep_app_requests_total",
            "counter",
            "Requests answered",
            (
                ((("method", method), ("route", route), ("status", str(status))), number)
                for (method, route, status), number in sorted(self._requests.items())
            ),
        )
        name = "skep_app_request_seconds"
        yield _head(name, "histogram", "How long requests took")
        for route, latency in sorted(self._latency.items()):
            total = 0
            for bound, number in zip((*map(str, BUCKETS_S), "+Inf"), latency.counts, strict=True):
                total += number
                yield _line(f"{name}_bucket", (("route", route), ("le", bound)), total)
            yield _line(f"{name}_sum", (("route", route),), round(latency.sum_s, 6))
            yield _line(f"{name}_count", (("route", route),), total)


def _of_pool(database: Database) -> Iterator[str]:
    use = database.use
    yield from _family(
        "skep_app_pool_connections",
        "gauge",
        "Connections to the database",
        (((("state", "used"),), use.used), ((("state", "idle"),), use.idle)),
    )
    yield from _family("skep_app_pool_max", "gauge", "The most connections", (((), use.most),))


def _of_figures(found: Vitals | None) -> Iterator[str]:
    yield from _family("skep_app_database_up", "gauge", "1 if the database answered", (((), int(found is not None)),))
    if found is None:
        return
    backlog = found.backlog
    yield from _family("skep_app_jobs_waiting", "gauge", "Jobs that are not done", (((), backlog.waiting),))
    yield from _family("skep_app_job_oldest_seconds", "gauge", "How long the first is due", (((), backlog.oldest_s),))
    yield from _family("skep_app_jobs_dead", "gauge", "Jobs that were given up", (((), backlog.dead),))
    yield from _family("skep_app_jobs_parked", "gauge", "Jobs that wait for a person", (((), found.parked),))
    yield from _family(
        "skep_app_orders", "gauge", "Orders by state", (((("state", state),), n) for state, n in found.orders)
    )
    yield from _family("skep_app_check_ins", "gauge", "Tickets checked in", (((), found.check_ins),))


def _family(name: str, kind: str, said: str, lines: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    yield _head(name, kind, said)
    for labels, value in lines:
        yield _line(name, labels, value)


def _head(name: str, kind: str, said: str) -> str:
    return f"# HELP {name} {said}\n# TYPE {name} {kind}\n"


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{shown}}} {value:g}\n" if isinstance(value, float) else f"{name}{{{shown}}} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: counts what was answered, errors too."""
    began = time.perf_counter()
    status = 500
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "?"
        request.app[METRICS].count(request.method, route, status, time.perf_counter() - began)


@routes.get(PATH)
async def metrics(request: web.Request) -> web.Response:
    if not may_read(request.headers, request.remote or "", request.app[SETTINGS].metrics_token()):
        raise web.HTTPNotFound
    return web.Response(
        text=await request.app[METRICS].text(request.app[DATABASE]),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"},
    )


def may_read(headers: Mapping[str, str], remote: str, token: str | None) -> bool:
    """Not the edge, whatever else it brings; on loopback anybody, elsewhere who knows the *token*."""
    if "X-Skep-Tenant" in headers or "X-Forwarded-For" in headers:
        return False
    try:
        if ipaddress.ip_address(remote).is_loopback:
            return True
    except ValueError:
        return False
    brought = headers.get("Authorization", "").removeprefix("Bearer ")
    return token is not None and hmac.compare_digest(brought.encode(errors="replace"), token.encode())
