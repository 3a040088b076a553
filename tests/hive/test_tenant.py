"""A tenant's life, through the whole operator."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from skep.operator import names
from skep.operator.engine.spec import Config
from tests.hive.conftest import PLAN, PLATFORM, Rig, tenant


async def test_tenants_become_ready_and_have_what_they_need(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        report = await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
    assert report.urls == ("http://acme.test",)
    assert {name[:7] for name in await rig.databases()} == {"t_acme_", "t_birch"}
    assert {service.spec.name for service in rig.engine.services.values()} == {"skep-acme-web", "skep-birch-web"}


async def test_nothing_to_do_writes_nothing(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
    rig.engine.writes.clear()
    async with rig.operator() as hive:
        for _ in range(3):
            await hive.resync()
            await rig.until(lambda: hive.queue.idle)
    assert rig.engine.writes == []


async def test_no_survey_before_everything_was_listed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
    fetch, create = rig.engine.list_configs, rig.engine.create_config
    tried: list[str] = []

    async def slow(*, label: str) -> tuple[Config, ...]:
        if label == names.KIND:
            await asyncio.sleep(0.5)  # a large fleet's records come long after its few revisions
        return await fetch(label=label)

    async def counted(name: str, data: bytes, labels: Mapping[str, str]) -> str:
        tried.append(name)
        return await create(name, data, labels)

    monkeypatch.setattr(rig.engine, "list_configs", slow)
    monkeypatch.setattr(rig.engine, "create_config", counted)
    async with rig.operator() as hive:
        await hive.ready.wait()
        await rig.until(lambda: hive.queue.idle)
    assert tried == []
