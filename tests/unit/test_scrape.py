"""What a scrape says of tenants, sources and servers, and that an unchanged fleet is not read twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.scrape import fill
from skep.operator import names
from skep.operator.engine.memory import MemoryEngine
from skep.operator.engine.spec import Config, Network, pairs
from skep.operator.hive import Hive
from skep.operator.keys import RootKey
from skep.operator.reconcilers import record as records
from skep.operator.reconcilers import status
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.status import Finding, Phase, Status
from skep.operator.settings import Settings
from tests.fakes.clock import VirtualClock
from tests.unit.reconcilers.tenants import NOW, PLATFORM, make_record

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def hive() -> Hive:
    return Hive(MemoryEngine(), Settings(), RootKey("k1", bytes(32)), VirtualClock())


def put(hive: Hive, record: Record, *, version: int = 3) -> None:
    labels = pairs(records.labels_of(record))
    hive.world.configs.put(
        Config(f"r-{record.name}", names.record(record.name), version, labels, records.data_of(record))
    )


def tell(hive: Hive, name: str, phase: Phase, reason: str, *, generation: int = 1, version: int = 4) -> None:
    report = status.report(Finding(phase, generation, reason, "so it is"), None, NOW)
    labels = pairs(status.labels_of(name, "0" * 32, report))
    hive.world.configs.put(Config(f"s-{name}", names.status(name), version, labels, b"x"))


async def samples(hive: Hive) -> Samples:
    text = (await hive.exposition()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: Samples, tenant: str) -> dict[str, float]:
    return {
        " ".join([name.removeprefix("skep_tenant_"), *(value for key, value in labels if key != "tenant")]): number
        for (name, labels), number in found.items()
        if ("tenant", tenant) in labels
    }


async def test_a_ready_tenant_has_three_series(hive: Hive) -> None:
    put(hive, make_record(generation=2))
    tell(hive, "acme", "Ready", "Ready", generation=2)
    assert of(await samples(hive), "acme") == {"ready": 1, "generation": 2, "observed_generation": 2}


async def test_one_that_is_not_ready_says_why(hive: Hive) -> None:
    put(hive, make_record(generation=2))
    tell(hive, "acme", "Degraded", "DatabaseMissing")
    assert of(await samples(hive), "acme") == {
        "ready": 0, "generation": 2, "observed_generation": 1, "not_ready Degraded DatabaseMissing": 1,
    }  # fmt: skip


async def test_a_tombstone_is_counted_and_has_no_series(hive: Hive) -> None:
    put(hive, make_record(leaving="retained"))
    tell(hive, "acme", "Retained", "Retained")
    found = await samples(hive)
    assert of(found, "acme") == {}
    assert found["skep_tenants", (("phase", "Retained"),)] == 1


async def test_a_damaged_record_hides_nothing_but_the_generation(hive: Hive) -> None:
    put(hive, make_record())
    config = hive.world.config("skep.record.acme")
    assert config is not None
    broken = pairs({**dict(config.labels), "skep.record.index": "x"})
    hive.world.configs.put(replace(config, version=9, labels=broken))
    tell(hive, "acme", "Degraded", "RecordDamaged")
    assert of(await samples(hive), "acme") == {
        "ready": 0, "observed_generation": 1, "not_ready Degraded RecordDamaged": 1
    }  # fmt: skip


async def test_a_report_that_somebody_else_wrote_cannot_break_the_scrape(hive: Hive) -> None:
    strange = 'a"b\\\n{} 1'
    labels = pairs({names.KIND: "status", names.TENANT: strange})
    hive.world.configs.put(Config("s", f"skep.status.{strange}", 1, labels, b"x"))
    assert of(await samples(hive), strange)["ready"] == 0


async def test_what_did_not_change_is_not_read_again(hive: Hive, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(hive, 600)
    before = await samples(hive)
    read: list[str] = []
    from_config = status.from_config

    def counted(config: Config) -> Status | None:
        read.append(config.name)
        return from_config(config)

    monkeypatch.setattr(status, "from_config", counted)
    assert {key: value for key, value in (await samples(hive)).items() if key[0].startswith("skep_tenant")} == {
        key: value for key, value in before.items() if key[0].startswith("skep_tenant")
    }
    assert read == []
    tell(hive, "t00007", "Degraded", "NotRouted", version=99)
    hive.world.configs.drop("s7")
    await samples(hive)
    assert read == ["skep.status.t00007"]


async def test_ages_are_absent_until_there_is_something_to_age(hive: Hive) -> None:
    found = await samples(hive)
    assert not [name for name, _ in found if name.endswith(("resync_timestamp_seconds", "heard_timestamp_seconds"))]
    assert not hive.reachable


async def test_addresses_of_networks_are_counted_as_placement_counts_them(hive: Hive) -> None:
    hive._surveyor.fleet = replace(hive.fleet, platform=PLATFORM)
    hive.world.networks = (Network("n", "skep-edge-1", (), ("10.0.0.0/28",)),)
    put(hive, make_record())
    used = make_record().spec.replicas + 1
    found = await samples(hive)
    assert {labels: value for (name, labels), value in found.items() if name == "skep_network_addresses"} == {
        (("network", "skep-edge-1"), ("state", "used")): used,
        (("network", "skep-edge-1"), ("state", "free")): 16 - 8 - used,
    }
