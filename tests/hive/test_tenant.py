"""A tenant's life, through the whole operator."""

from __future__ import annotations

import asyncio
import json
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


@pytest.mark.fault(12)
async def test_nothing_to_do_writes_nothing(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
    rig.engine.writes.clear()
    async with rig.operator() as hive:
        for _ in range(3):
            await rig.resync(hive)
    assert rig.written() == []


@pytest.mark.fault(21)
async def test_a_newer_operator_over_the_same_objects_restarts_no_task(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
    before = rig.service("acme")
    async with rig.operator(workers=2) as hive:
        await rig.resync(hive)
    assert rig.service("acme").version == before.version


async def test_editing_a_plan_changes_the_limits_and_services_of_its_tenants(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        wider = PLAN.replace("connectionLimit: 6", "connectionLimit: 10") + "  app: {replicas: 2}\n"
        await rig.publish(PLATFORM, wider, tenant("acme"))
        await rig.until(lambda: rig.service("acme").spec.replicas == 2)
        await rig.until(
            lambda: (said := rig.status("acme")) and said.observed_generation == 2 and said.phase == "Ready"
        )
    (limit,) = await rig.sql("select datconnlimit from pg_database where datname = $1", rig.database("acme"))
    assert limit[0] == 10
    (mounted,) = rig.service("acme").spec.configs
    assert json.loads(rig.config(mounted.name).data)["database"]["poolMax"] == 2


async def test_adding_a_host_moves_the_route_and_restarts_no_task(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        before = await rig.engine.list_tasks(service="skep-acme-web")
        await rig.publish(PLATFORM, PLAN, tenant("acme", hosts=["shop.acme.example.org"]))
        await rig.until(lambda: "shop.acme.example.org" in rig.service("acme").spec.route.hosts)  # type: ignore[union-attr]
        report = await rig.phase("acme", "Ready")
        await rig.until(lambda: len((rig.status("acme") or report).urls) == 2)
    assert await rig.engine.list_tasks(service="skep-acme-web") == before


async def test_a_suspended_tenant_runs_nothing_and_comes_back_as_it_was(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        uid, database = rig.records()["acme"].uid, rig.database("acme")
        await rig.publish(PLATFORM, PLAN, tenant("acme", suspend=True))
        await rig.phase("acme", "Suspended")
        assert rig.service("acme").spec.replicas == 0
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
    assert (rig.records()["acme"].uid, await rig.databases()) == (uid, {database})


async def test_retain_removes_the_site_and_keeps_the_data_closed(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.publish(PLATFORM, PLAN, tenant("birch"))
        await rig.phase("acme", "Retained")
    (row,) = await rig.sql("select datallowconn from pg_database where datname = $1", rig.database("acme"))
    assert row[0] is False
    assert {service.spec.name for service in rig.engine.services.values()} <= {"skep-birch-web"}


async def test_delete_leaves_nothing_of_the_tenant_and_everything_of_its_neighbour(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme", deletionPolicy="Delete"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
        neighbour = rig.database("birch")
        await rig.publish(PLATFORM, PLAN, tenant("birch"))
        await rig.until(lambda: "acme" not in rig.records())
        await rig.until(lambda: rig.status("acme") is None)
    assert await rig.databases() == {neighbour}
    roles = {row[0] for row in await rig.sql(r"select rolname from pg_roles where rolname like 't\_%'")}
    assert roles == {neighbour, f"{neighbour}_a", f"{neighbour}_b"}
    left = [each.name for each in rig.engine.configs.values()] + [each.name for each, _ in rig.engine.secrets.values()]
    assert not [name for name in left if "acme" in name]


async def test_a_revision_that_declares_nothing_is_not_one_that_vanished(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN)
        await rig.publish(tenant("acme", deletionPolicy="Delete"), source="local")
        await rig.phase("acme", "Ready")
        await rig.publish("# this source declares nothing any more\n", source="local")
        await rig.until(lambda: not rig.records())
        await rig.rest(hive)


@pytest.mark.fault(22)
async def test_a_name_taken_again_is_never_handed_the_old_database(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.publish(PLATFORM, PLAN, tenant("birch"))
        await rig.phase("acme", "Retained")
        await rig.publish(PLATFORM, PLAN, tenant("birch"), tenant("acme"))
        await rig.phase("acme", "Degraded", reason="NameRetained")
    assert "skep-acme-web" not in {service.spec.name for service in rig.engine.services.values()}


@pytest.mark.fault(22, 24)
async def test_a_name_taken_again_is_not_handed_the_old_database_even_if_the_tombstone_is_lost(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.publish(PLATFORM, PLAN, tenant("birch"))
        await rig.phase("acme", "Retained")
    uid = rig.records()["acme"].uid
    await rig.engine.remove_config(rig.config("skep.record.acme").id)
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("birch"), tenant("acme"))
        await rig.until(lambda: "acme" in rig.records())
        await rig.resync(hive)
        await rig.phase("acme", "Degraded", reason="NameRetained")
    assert rig.records()["acme"].uid == uid


async def test_adopt_takes_the_retained_rows_up_again(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        connection = await rig.login("acme")
        await connection.execute("create table keepsake as select 42 as answer")
        await connection.close()
        await rig.publish(PLATFORM, PLAN, tenant("birch"))
        await rig.phase("acme", "Retained")
        await rig.publish(PLATFORM, PLAN, tenant("birch"), tenant("acme"))
        await rig.phase("acme", "Degraded", reason="NameRetained")
        await rig.ask("approve-adopt", "acme")
        await rig.phase("acme", "Ready")
    connection = await rig.login("acme")
    assert await connection.fetchval("select answer from keepsake") == 42
    await connection.close()


async def test_purge_erases_the_retained_data_and_the_name_begins_anew(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        old = rig.database("acme")
        await rig.publish(PLATFORM, PLAN, tenant("birch"))
        await rig.phase("acme", "Retained")
        await rig.publish(PLATFORM, PLAN, tenant("birch"), tenant("acme"))
        await rig.phase("acme", "Degraded", reason="NameRetained")
        await rig.ask("approve-purge", "acme")
        await rig.phase("acme", "Ready")
    assert old not in await rig.databases()
    assert rig.database("acme") in await rig.databases()


@pytest.mark.fault(7)
async def test_the_brake_holds_many_deletions_and_an_approval_releases_them(rig: Rig) -> None:
    everybody = [tenant(name, deletionPolicy="Delete") for name in ("acme", "birch", "cedar")]
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, *everybody)
        for name in ("acme", "birch", "cedar"):
            await rig.phase(name, "Ready")
        await rig.publish(PLATFORM, PLAN, tenant("cedar", displayName="Edited", deletionPolicy="Delete"))
        await rig.until(lambda: rig.records()["cedar"].spec.display_name == "Edited")  # edits are not held
        await rig.resync(hive)
        assert set(rig.records()) == {"acme", "birch", "cedar"}
        declared = (await rig.phase("acme", "Ready")).condition("Declared")
        assert declared is not None
        assert "`skep approve deletions prod`" in declared.message
        await rig.ask("approve-deletions", "prod")
        await rig.until(lambda: set(rig.records()) == {"cedar"})
    assert len(await rig.databases()) == 1


async def test_an_approval_made_while_no_operator_runs_is_not_lost(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, *(tenant(name, deletionPolicy="Delete") for name in ("acme", "birch")))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
    await rig.publish(PLATFORM, PLAN)
    await rig.ask("approve-deletions", "prod")
    async with rig.operator():
        await rig.until(lambda: not rig.records())


async def test_an_approval_counts_for_the_revision_that_was_just_published(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, *(tenant(name, deletionPolicy="Delete") for name in ("acme", "birch")))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
        await rig.publish(PLATFORM, PLAN)
        await rig.ask("approve-deletions", "prod")  # sooner than the survey
        await rig.until(lambda: not rig.records())


async def test_a_yes_to_one_revision_is_none_to_the_next(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(
            PLATFORM, PLAN, *(tenant(name, deletionPolicy="Delete") for name in ("acme", "birch", "cedar"))
        )
        for name in ("acme", "birch", "cedar"):
            await rig.phase(name, "Ready")
        await rig.publish(PLATFORM, PLAN, tenant("cedar", deletionPolicy="Delete"))
        seen = rig.config("prod.r2").version
        await rig.publish(PLATFORM, PLAN)
        await rig.ask("approve-deletions", "prod", index=seen)
        await rig.until(lambda: not any("skep.request" in each.name for each in rig.engine.configs.values()))
        await rig.resync(hive)
        assert set(rig.records()) == {"acme", "birch", "cedar"}
        await rig.ask("approve-deletions", "prod", index=rig.config("prod.r3").version)
        await rig.until(lambda: not rig.records())


async def test_a_servers_last_place_is_given_once(rig: Rig) -> None:
    full = PLATFORM.replace("host: postgres", "host: postgres, capacity: 2")
    async with rig.operator():
        await rig.publish(full, PLAN, *(tenant(f"many-{number}") for number in range(6)))
        await rig.until(lambda: sum(1 for name in range(6) if _reason(rig, f"many-{name}") == "ServersFull") == 4)
        assert len(rig.records()) == 2


def _reason(rig: Rig, name: str) -> str:
    report = rig.status(name)
    ready = report.condition("Ready") if report is not None else None
    return ready.reason if ready is not None else ""


@pytest.mark.fault(18)
async def test_a_broken_document_keeps_its_tenant_as_it_was_and_stops_no_neighbour(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        broken = tenant("acme").replace('"plan"', '"plann"')
        await rig.publish(PLATFORM, PLAN, broken, tenant("birch", displayName="Edited"), tenant("cedar"))
        await rig.phase("cedar", "Ready")
        await rig.until(lambda: rig.records()["birch"].spec.display_name == "Edited")
        report = await rig.phase("acme", "Ready")
        declared = report.condition("Declared")
        assert declared is not None
        assert declared.status == "False"
        assert "plann" in declared.message


@pytest.mark.fault(25)
async def test_a_source_that_vanishes_deletes_nobody(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
        await rig.retract()
        await rig.until(lambda: any(state.problem for state in hive.fleet.sources))
        await rig.resync(hive)
    assert set(rig.records()) == {"acme", "birch"}
    assert all(record.leaving == "" for record in rig.records().values())
    assert len(await rig.databases()) == 2


async def test_a_forced_deletion_holds_until_the_document_changes(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.ask("forced-delete", "acme")
        await rig.phase("acme", "Retained")
        await rig.publish(PLATFORM, PLAN.replace("6", "7"), tenant("acme"))  # the plan's word is not the document's
        await rig.until(lambda: len(hive.world.revisions) == 2)
        await rig.resync(hive)
        assert (await rig.phase("acme", "Retained")).phase == "Retained"
        await rig.publish(PLATFORM, PLAN, tenant("acme", displayName="Again"))
        await rig.phase("acme", "Degraded", reason="NameRetained")


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(("skep.status.",), id="every status"),
        pytest.param(("skep.record.",), id="every record"),
        pytest.param(("skep.status.", "skep.record.", "skep.sources", "skep.operator"), id="all that it remembers"),
    ],
)
async def test_what_is_lost_is_made_again_with_the_same_identity(rig: Rig, lost: tuple[str, ...]) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
    before = {name: one.uid for name, one in rig.records().items()}
    services = {each.spec.name: each.version for each in rig.engine.services.values()}
    databases = await rig.databases()
    for config in list(rig.engine.configs.values()):
        if config.name.startswith(lost):
            await rig.engine.remove_config(config.id)
    async with rig.operator() as hive:
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
        await rig.resync(hive)
        rig.engine.writes.clear()
        await rig.resync(hive)
        assert rig.written() == []
    assert {name: one.uid for name, one in rig.records().items()} == before
    assert {each.spec.name: each.version for each in rig.engine.services.values()} == services
    assert await rig.databases() == databases
    assert all(one.provisioned for one in rig.records().values())


async def test_a_lost_secret_is_made_again_with_the_same_value(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme", suspend=True))
        await rig.phase("acme", "Suspended")
        name = "skep.acme.db-a.g1.k1"
        before = rig.engine.secret_data(name)
        service = rig.service("acme")
        await rig.engine.remove_service(service.id)  # in use, a secret cannot be removed
        secret = next(each for each, _ in rig.engine.secrets.values() if each.name == name)
        await rig.engine.remove_secret(secret.id)
        await rig.until(lambda: [each for each, _ in rig.engine.secrets.values() if each.name == name])
        await rig.until(lambda: [each for each in rig.engine.services.values() if each.spec.name == "skep-acme-web"])
    assert rig.engine.secret_data(name) == before


async def test_a_secret_that_the_tenant_brings_must_carry_its_label(rig: Rig) -> None:
    brought = {"secrets": [{"name": "smtp-password", "secret": "acme-smtp"}]}
    async with rig.operator():
        await rig.engine.create_secret("acme-smtp", b"x", {})
        await rig.publish(PLATFORM, PLAN, tenant("acme", app=brought))
        report = await rig.phase("acme", "Degraded", reason="SecretMissing")
        ready = report.condition("Ready")
        assert ready is not None
        assert "--label skep.tenant=acme acme-smtp" in ready.message
        secret = next(each for each, _ in rig.engine.secrets.values() if each.name == "acme-smtp")
        await rig.engine.label_secret(secret.id, secret.version, {names.TENANT: "acme"})
        await rig.phase("acme", "Ready")
    assert "acme-smtp" in {mount.name for mount in rig.service("acme").spec.secrets}


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
