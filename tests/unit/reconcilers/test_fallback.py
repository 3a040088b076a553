"""The edge's last resort: a known host without a task is a 503, an unknown one stays a 404."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from skep.crds.effective import EffectiveDatabase, EffectiveTenant
from skep.operator.reconcilers.fallback import configuration
from skep.operator.reconcilers.record import Record

SPEC = EffectiveTenant(
    name="acme",
    display_name="Acme",
    plan="free",
    hosts=("acme.test", "tickets.acme.org"),
    image="skep:1",
    replicas=1,
    cpus=None,
    memory_bytes=None,
    settings=(),
    secrets=(),
    database=EffectiveDatabase(None, (), 20, 30.0),
    suspend=False,
    deletion_policy="Retain",
    owner=None,
    secure=False,
)
RECORD = Record("acme", "0" * 32, datetime(2026, 1, 1, tzinfo=UTC), "prod", 1, SPEC, edge_network="skep-edge-1")


def test_every_tenant_has_a_router_of_the_lowest_priority_to_nothing() -> None:
    made = configuration([RECORD])["http"]
    assert made["routers"]["skep-acme-web"] == {
        "rule": "Host(`acme.test`) || Host(`tickets.acme.org`)",
        "entryPoints": ["web"],
        "priority": 1,
        "service": "skep-closed",
    }
    assert made["services"] == {"skep-closed": {"loadBalancer": {"servers": []}}}


def test_over_tls_the_router_is_on_the_tls_entry_point() -> None:
    made = configuration([replace(RECORD, spec=replace(SPEC, secure=True))])["http"]["routers"]["skep-acme-web"]
    assert made["entryPoints"] == ["websecure"]
    assert made["tls"] == {}


def test_who_left_has_no_router() -> None:
    assert "routers" not in configuration([replace(RECORD, leaving="retained")])["http"]


def test_without_tenants_the_answer_is_still_a_configuration() -> None:
    assert configuration([])["http"]["services"]
