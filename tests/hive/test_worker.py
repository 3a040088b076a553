"""A worker as a service of its own, through the whole operator."""

from __future__ import annotations

import json

from skep.operator import names
from skep.operator.engine.spec import Service
from tests.hive.conftest import PLAN, PLATFORM, Rig, tenant

WORKING = PLAN.replace("connectionLimit: 6}", "connectionLimit: 12}\n  worker: {mode: service}")


def worker_of(rig: Rig, name: str) -> Service | None:
    named = names.service(name, "worker")
    there = any(each.spec.name == named for each in rig.engine.services.values())
    return rig.engine.service(named) if there else None


async def test_a_plan_gives_its_tenants_a_worker_and_takes_it_back(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, WORKING, tenant("acme"))
        await rig.phase("acme", "Ready")
        site, worker = rig.service("acme"), worker_of(rig, "acme")
        assert worker is not None
        assert worker.running == 1
        assert (worker.spec.image, worker.spec.configs, worker.spec.secrets) == (
            site.spec.image,
            site.spec.configs,
            site.spec.secrets,
        )
        assert json.loads(rig.config(worker.spec.configs[0].name).data)["worker"] == "service"
        await rig.rest(hive)
        rig.engine.writes.clear()
        await rig.resync(hive)
        assert rig.written() == []

        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.until(lambda: worker_of(rig, "acme") is None)
        await rig.phase("acme", "Ready")
    (mounted,) = rig.service("acme").spec.configs
    assert "worker" not in json.loads(rig.config(mounted.name).data)


async def test_it_follows_the_sites_image_and_leaves_no_file_behind(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, WORKING, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.publish(PLATFORM, WORKING, tenant("acme", app={"settings": {"language": "fr"}}))
        await rig.until(
            lambda: (worker := worker_of(rig, "acme")) and worker.spec.configs == rig.service("acme").spec.configs
        )
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
        await rig.resync(hive)
    mounted = {rig.service("acme").spec.configs[0].name}
    if (previous := rig.service("acme").previous) is not None:
        mounted.add(previous.configs[0].name)
    worker = worker_of(rig, "acme")
    assert worker is not None
    if worker.previous is not None:
        mounted.add(worker.previous.configs[0].name)
    kept = {each.name for each in rig.engine.configs.values() if dict(each.labels).get(names.KIND) == "settings"}
    assert kept <= mounted


async def test_suspended_it_does_nothing_and_deleted_it_is_gone(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, WORKING, tenant("acme", suspend=True, deletionPolicy="Delete"))
        await rig.phase("acme", "Suspended")
        worker = worker_of(rig, "acme")
        assert worker is not None
        assert worker.spec.replicas == 0
        await rig.publish(PLATFORM, WORKING)
        await rig.until(lambda: not rig.engine.services)


async def test_what_somebody_changed_by_hand_is_put_back(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, WORKING, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
        worker = worker_of(rig, "acme")
        assert worker is not None
        await rig.engine.remove_service(worker.id)
        await rig.resync(hive)
        await rig.until(lambda: (again := worker_of(rig, "acme")) and again.running == 1)


async def test_a_worker_that_does_not_run_is_told_though_the_site_answers(rig: Rig) -> None:
    rig.engine.broken = lambda spec: "task: non-zero exit (1)" if spec.args == ("worker",) else None
    async with rig.operator():
        await rig.publish(PLATFORM, WORKING, tenant("acme"))
        report = await rig.phase("acme", "Degraded", reason="TaskFailing")
        assert "its worker does not run" in report.conditions[0].message
        rig.engine.broken = lambda spec: None
        rig.engine.edit_by_hand(names.service("acme", "worker"), replicas=0)  # and the operator starts it again
        await rig.phase("acme", "Ready")
