"""A tenant's record, its parts, and the world that a converged tenant has."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from skep.crds.effective import EffectiveTenant, effective
from skep.operator.engine.spec import Config, Image, Service, ServiceSpec, pairs
from skep.operator.reconcilers import app
from skep.operator.reconcilers.record import Record
from skep.operator.settings import Settings
from tests.unit.crds.documents import make_plan, make_platform, make_tenant

UID = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLATFORM = make_platform()
IMAGE = Image("skep:1", "skep:1@sha256:aaa", "sha256:aaa")
SETTINGS = Settings(proxies=("10.0.0.2",))


def make_spec(words: str = "", **fields: Any) -> EffectiveTenant:
    return replace(effective(PLATFORM, make_plan(), make_tenant(words)), **fields)


def make_record(words: str = "", **fields: Any) -> Record:
    known: dict[str, Any] = {
        "server": "main", "edge_network": "skep-edge-1", "data_network": "skep-data-1", "key_id": "k1",
        "system_id": "7", "provisioned": True,
    }  # fmt: skip
    return Record("acme", UID, NOW, "prod", 5, make_spec(words), **(known | fields))


def make_file(record: Record) -> app.AppFile:
    return app.settings_file(record, PLATFORM, SETTINGS)


def make_service(spec: ServiceSpec, **fields: Any) -> Service:
    known: dict[str, Any] = {"id": "s1", "version": 9, "spec": spec}
    return Service(**(known | fields))


def desired(record: Record, image: Image = IMAGE) -> ServiceSpec:
    return app.desire(record, make_file(record), image)


def config_of(record: Record, labels: dict[str, str], *, data: bytes, version: int = 3) -> Config:
    return Config("c1", f"skep.record.{record.name}", version, pairs(labels), data)
