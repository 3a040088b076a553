"""What the operator tells Prometheus, in the words of the code."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

reconciles = Counter(
    "skep_reconcile", "Reconciles of tenants by their result", ["result"], registry=REGISTRY
)  # exposed as skep_reconcile_total
resyncs = Counter("skep_resyncs", "Full lists read", registry=REGISTRY)
duration = Histogram(
    "skep_reconcile_duration_seconds",
    "How long one reconcile of one tenant took",
    registry=REGISTRY,
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60),
)
tenants = Gauge("skep_tenants", "Tenants by phase", ["phase"], registry=REGISTRY)
leader = Gauge("skep_leader", "1 while this operator leads, 0 while it follows", registry=REGISTRY)
queue_depth = Gauge("skep_queue_depth", "Tenants that wait for a worker", registry=REGISTRY)
source_problems = Gauge("skep_source_problems", "Problems in the newest revision", ["source"], registry=REGISTRY)
held_deletions = Gauge("skep_brake_held", "Deletions that wait for an approval", ["source"], registry=REGISTRY)
streams = Counter(
    "skep_change_streams", "Streams of changes that ended: broken, or silent for too long", registry=REGISTRY
)
synced_at = Gauge("skep_last_resync_timestamp_seconds", "When the last full list was read", registry=REGISTRY)
history_dropped = Counter(
    "skep_history_dropped",
    "Events that were forgotten because the control database was away too long",
    registry=REGISTRY,
)
