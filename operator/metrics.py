"""What the operator counts for Prometheus as it goes, in the words of the code.

What is a state and not a happening (tenants, sources, servers, the ages of what is known) is read when somebody
scrapes: `operator/scrape.py`. docs/monitoring.md lists all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

REGISTRY = CollectorRegistry()
ProcessCollector(
    registry=REGISTRY
)  # process_start_time_seconds among others: age of an operator that knows nothing yet
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

reconciles = Counter(
    "skep_reconcile", "Runs of one reconciler for one tenant, by what came of it", ["reconciler", "result"],
    registry=REGISTRY,
)  # fmt: skip  # exposed as skep_reconcile_total
reconcile_errors = Counter(
    "skep_reconcile_errors", "Runs of one reconciler that failed, by reason", ["reconciler", "reason"],
    registry=REGISTRY,
)  # fmt: skip
reconcile_duration = Histogram(
    "skep_reconcile_duration_seconds", "How long one run of one reconciler took", ["reconciler"],
    registry=REGISTRY, buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300),
)  # fmt: skip
drift = Counter(
    "skep_drift", "Differences repaired on objects whose declaration had not changed", ["reconciler", "kind"],
    registry=REGISTRY,
)  # fmt: skip
engine_calls = Counter(
    "skep_engine_calls", "Calls to the orchestrator: ok, or the name of the error", ["method", "outcome"],
    registry=REGISTRY,
)  # fmt: skip
engine_call_duration = Histogram(
    "skep_engine_call_duration_seconds", "How long one call to the orchestrator took", ["method"],
    registry=REGISTRY, buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 20),
)  # fmt: skip
probes = Counter("skep_edge_probes", "Questions of the judge to the edge: ok or failed", ["outcome"], registry=REGISTRY)
leader = Gauge("skep_leader", "1 while this operator leads, 0 while it follows", registry=REGISTRY)
strangers = Gauge("skep_strangers", "Objects with our labels that are not ours: left alone", registry=REGISTRY)
resyncs = Counter("skep_resyncs", "Full lists read", registry=REGISTRY)
streams = Counter(
    "skep_change_streams", "Streams of changes that ended: broken, or silent for too long", registry=REGISTRY
)
history_dropped = Counter(
    "skep_history_dropped",
    "Events that were forgotten because the control database was away too long",
    registry=REGISTRY,
)


@cache  # a handful of each, asked for with every run
def _ran(reconciler: str, result: str) -> tuple[Counter, Histogram]:
    return reconciles.labels(reconciler, result), reconcile_duration.labels(reconciler)


def ran(reconciler: str, result: str, seconds: float) -> None:
    """One run of *reconciler* came to *result*."""
    total, duration = _ran(reconciler, result)
    total.inc()
    duration.observe(seconds)


# controller-runtime's, so that its dashboards fit: ten to the -8 to ten to the 3 seconds.
_WORKQUEUE_BUCKETS = tuple(10.0**power for power in range(-8, 4))


class QueueMetrics(Collector):
    """The observer of one work queue, in the names that controller-runtime gave these numbers.

    *now* is the queue's own clock, in seconds. As there, a key counts as waiting from the moment it is added, also
    while it is still worked on, and `retries` counts every key that is put off.
    """

    def __init__(self, name: str, now: Callable[[], float], registry: CollectorRegistry) -> None:
        self._name = name
        self._now = now
        self._added: dict[object, float] = {}
        self._taken: dict[object, float] = {}
        self._adds = Counter("workqueue_adds", "Keys added", ["name"], registry=registry).labels(name)
        self._retries = Counter(
            "workqueue_retries", "Keys put off to a later time", ["name"], registry=registry
        ).labels(name)
        self._waited = Histogram(
            "workqueue_queue_duration_seconds", "How long a key waited before it was worked on", ["name"],
            registry=registry, buckets=_WORKQUEUE_BUCKETS,
        ).labels(name)  # fmt: skip
        self._worked = Histogram(
            "workqueue_work_duration_seconds", "How long a key was worked on", ["name"],
            registry=registry, buckets=_WORKQUEUE_BUCKETS,
        ).labels(name)  # fmt: skip
        registry.register(self)

    def added(self, key: object) -> None:
        self._adds.inc()
        self._added[key] = self._now()

    def taken(self, key: object) -> None:
        now = self._now()
        self._taken[key] = now
        if (added := self._added.pop(key, None)) is not None:
            self._waited.observe(now - added)

    def done(self, key: object) -> None:
        if (taken := self._taken.pop(key, None)) is not None:
            self._worked.observe(self._now() - taken)

    def retried(self, key: object) -> None:
        self._retries.inc()

    def collect(self) -> Iterator[Metric]:
        now = self._now()
        working = [now - taken for taken in self._taken.values()]
        for metric, said, value in (
            ("workqueue_depth", "Keys that wait to be worked on", len(self._added)),
            ("workqueue_unfinished_work_seconds", "Time spent so far on keys in hand, summed", sum(working)),
            ("workqueue_longest_running_processor_seconds", "Time spent so far on the oldest key in hand",
             max(working, default=0.0)),
        ):  # fmt: skip
            family = GaugeMetricFamily(metric, said, labels=["name"])
            family.add_metric([self._name], value)
            yield family
