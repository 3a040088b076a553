"""What may go wrong around the operator, and what must not come of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from skep.operator import metrics, names
from skep.operator.engine.memory import Call
from skep.operator.engine.spec import Change, ServiceSpec, pairs
from skep.operator.errors import EngineUnavailable
from skep.operator.keys import RootKey
from skep.webapp.schema import Migration, known_migrations
from tests.hive.conftest import PLAN, PLATFORM, Rig, empty, tenant


def created_databases(rig: Rig) -> int:
    """How many databases PostgreSQL was ever asked to make for tenants."""
    return rig.postgres.log.read_text(errors="replace").count('statement: create database "t_')


async def ready(rig: Rig, *tenants: str) -> None:
    """The tenants declared and Ready, the operator stopped again."""
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, *(tenant(name) for name in tenants))
        for name in tenants:
            await rig.phase(name, "Ready")
        await rig.rest(hive)


async def message(rig: Rig, name: str) -> str:
    report = rig.status(name)
    assert report is not None
    condition = report.condition("Ready")
    assert condition is not None
    return condition.message


# The database server


@pytest.mark.fault(23)
async def test_a_missing_database_is_said_and_never_made_again_without_a_person(rig: Rig) -> None:
    await ready(rig, "acme", "birch")
    await rig.sql(f'drop database "{rig.database("acme")}" with (force)')
    before = created_databases(rig)
    async with rig.operator() as hive:
        await rig.phase("acme", "Degraded", reason="DatabaseMissing")
        for _ in range(3):
            await rig.resync(hive)
        assert "`skep approve database acme`" in await message(rig, "acme")
        assert created_databases(rig) == before
        assert (await rig.phase("birch", "Ready")).phase == "Ready"
        await rig.ask("approve-database", "acme")
        await rig.phase("acme", "Ready")
    assert created_databases(rig) == before + 1
    assert rig.records()["acme"].provisioned


@pytest.mark.fault(23)
async def test_a_server_on_an_empty_volume_is_not_filled_without_a_person(rig: Rig) -> None:
    await ready(rig, "acme")
    record = rig.config("skep.record.acme")
    # The same as another cluster under the same address: the identifier that the record remembers differs.
    labels = dict(record.labels) | {"skep.record.system_id": "1"}
    await rig.engine.label_config(record.id, record.version, labels)
    connection = await asyncpg.connect(rig.postgres.dsn())
    await empty(connection, templates=False)
    await connection.close()
    before = created_databases(rig)
    async with rig.operator() as hive:
        await rig.phase("acme", "Degraded", reason="ServerReplaced")
        await rig.resync(hive)
        assert created_databases(rig) == before
        await rig.ask("approve-database", "acme")
        await rig.phase("acme", "Ready")


@pytest.mark.fault(13)
async def test_postgresql_down_is_waited_for_and_nothing_is_made_twice(rig: Rig) -> None:
    await ready(rig, "acme")
    services = {each.id for each in rig.engine.services.values()}
    uid = rig.records()["acme"].uid
    rig.postgres.stop()
    try:
        async with rig.operator() as hive:
            await rig.phase("acme", "Degraded", reason="DatabaseUnavailable")
            assert "cannot be reached" in await message(rig, "acme")
            await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
            await rig.phase("birch", "Progressing", reason="DatabaseUnavailable")
            assert {each.id for each in rig.engine.services.values()} == services
            rig.postgres.start()
            await rig.phase("birch", "Ready")
            await rig.phase("acme", "Ready")
            await rig.rest(hive)
    finally:
        if rig.postgres._process is None:
            rig.postgres.start()
    assert rig.records()["acme"].uid == uid
    assert len(await rig.databases()) == 2
    assert max(rig.made().values()) == 1


async def test_a_missing_admin_password_is_said_with_its_remedy(rig: Rig) -> None:
    (rig.settings.secrets_dir / "skep.postgres-admin").unlink()
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Progressing", reason="DatabaseSecretMissing")
        (rig.settings.secrets_dir / "skep.postgres-admin").write_text("admin-password")
        await rig.phase("acme", "Ready")


@pytest.mark.fault(1)
async def test_an_interrupted_drop_is_finished(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme", deletionPolicy="Delete"), tenant("birch"))
        await rig.phase("acme", "Ready")
    # What a crash in the middle of DROP DATABASE leaves: an invalid database.
    await rig.sql("update pg_database set datconnlimit = -2 where datname = $1", rig.database("acme"))
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("birch"))
        await rig.until(lambda: "acme" not in rig.records())
        await rig.rest(hive)
    assert len(await rig.databases()) == 1


# What other people made


async def test_a_service_of_our_name_that_is_not_ours_is_left_alone(rig: Rig) -> None:
    foreign = ServiceSpec("skep-acme-web", "their/image", labels=pairs({"team": "them"}))
    await rig.engine.create_service(foreign)
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Degraded", reason="NotOurs")
        await rig.rest(hive)
        writes = len(rig.engine.writes)
        await rig.resync(hive)
        assert len(rig.engine.writes) == writes
        assert rig.service("acme").spec == foreign
        await rig.engine.remove_service(rig.service("acme").id)
        await rig.resync(hive)
        await rig.phase("acme", "Ready")


async def test_a_service_of_another_uid_is_left_alone(rig: Rig) -> None:
    await ready(rig, "acme")
    theirs = replace(rig.service("acme").spec, labels=pairs({names.UID: "f" * 32, names.TENANT: "acme"}))
    service = rig.service("acme")
    await rig.engine.update_service(service.id, service.version, theirs)
    async with rig.operator():
        await rig.phase("acme", "Degraded", reason="NotOurs")
    assert rig.service("acme").spec == theirs


async def test_a_secret_of_our_name_that_is_not_ours_is_never_mounted(rig: Rig) -> None:
    await rig.engine.create_secret("skep.acme.db-a.g1.k1", b"theirs", {})
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Degraded", reason="NotOurs")
    assert "skep-acme-web" not in {each.spec.name for each in rig.engine.services.values()}


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    "by_hand",
    [
        pytest.param({"replicas": 5}, id="replicas"),
        pytest.param({"image": "other:1"}, id="image"),
        pytest.param({"env": (("A", "b"),)}, id="environment"),
        pytest.param({"labels": (("skep.uid", "UID"), ("skep.tenant", "acme"))}, id="labels"),
        pytest.param({"secrets": ()}, id="secrets"),
        pytest.param({"networks": ("skep-edge-1",)}, id="networks"),
        pytest.param({"unmanaged": (("TaskTemplate.Hostname", "x"),)}, id="what we never set"),
    ],
)
async def test_a_service_changed_by_hand_is_repaired_at_once(rig: Rig, by_hand: dict[str, object]) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
        before = rig.service("acme").spec
        if "labels" in by_hand:
            by_hand = {"labels": pairs({names.UID: rig.records()["acme"].uid, names.TENANT: "acme"})}
        rig.engine.edit_by_hand("skep-acme-web", **by_hand)
        assert rig.service("acme").spec != before
        await rig.until(lambda: rig.service("acme").spec == before)
        await rig.phase("acme", "Ready")


@pytest.mark.fault(11)
async def test_a_foreign_writer_in_a_loop_is_outlived(rig: Rig) -> None:
    await ready(rig, "acme")
    before = rig.service("acme").spec
    left = 10

    def interfere(call: Call) -> None:
        nonlocal left
        if call.method == "update_service" and call.phase == "before" and left:
            left -= 1
            rig.engine.edit_by_hand("skep-acme-web", replicas=3 + left)

    async with rig.operator() as hive:
        rig.engine.on_call = interfere
        rig.engine.edit_by_hand("skep-acme-web", replicas=9)
        await rig.until(lambda: left == 0)
        await rig.until(lambda: rig.service("acme").spec == before)
        rig.engine.on_call = None
        await rig.phase("acme", "Ready")
        await rig.rest(hive)


async def test_an_operator_with_another_root_key_touches_nothing(rig: Rig) -> None:
    await ready(rig, "acme")
    secrets = {each.id for each, _ in rig.engine.secrets.values()}
    rig.engine.writes.clear()
    rig.keys = RootKey("k1", bytes(32))
    async with rig.operator() as hive:
        await asyncio.sleep(0.3)
        assert not hive.ready.is_set()
    assert rig.written() == []
    assert {each.id for each, _ in rig.engine.secrets.values()} == secrets


# Images


@pytest.mark.fault(14)
async def test_an_image_that_does_not_get_healthy_is_rolled_back_and_latched_until_the_declaration_changes(
    rig: Rig,
) -> None:
    await ready(rig, "acme")
    good = rig.service("acme").spec
    rig.engine.broken_images.add("skep:2")
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:2"}))
        await rig.phase("acme", "Degraded", reason="RolledBack")
        await rig.rest(hive)
        assert "non-zero exit (1)" in await message(rig, "acme")
        assert rig.service("acme").spec == good
        updates = rig.engine.writes.count(("update_service", "skep-acme-web"))
        for _ in range(3):
            await rig.resync(hive)
        assert rig.engine.writes.count(("update_service", "skep-acme-web")) == updates == 1
    async with rig.operator() as hive:  # and a new operator does not try it either
        await rig.resync(hive)
        assert rig.engine.writes.count(("update_service", "skep-acme-web")) == 1
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:3"}))
        await rig.phase("acme", "Ready")
    assert rig.service("acme").spec.image == "skep:3"


async def test_hosts_and_suspension_follow_though_the_image_was_rolled_back(rig: Rig) -> None:
    await ready(rig, "acme")
    rig.engine.broken_images.add("skep:2")
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:2"}))
        await rig.phase("acme", "Degraded", reason="RolledBack")
        await rig.rest(hive)
        tasks = await rig.engine.list_tasks(service="skep-acme-web")
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:2"}, hosts=["shop.example.org"]))
        await rig.until(lambda: "shop.example.org" in str(rig.service("acme").spec.route))
        await rig.rest(hive)
        assert await rig.engine.list_tasks(service="skep-acme-web") == tasks
        assert rig.service("acme").spec.image == "skep:1"
        assert (await rig.phase("acme", "Degraded", reason="RolledBack")).urls[-1] == "http://shop.example.org"
        updates = len(rig.engine.writes)
        await rig.resync(hive)
        assert len(rig.engine.writes) == updates
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:2"}, suspend=True))
        await rig.until(lambda: rig.service("acme").spec.replicas == 0)


@pytest.mark.fault(11, 14)
async def test_an_update_after_a_rollback_that_loses_a_race_is_not_taken_for_one_that_failed(rig: Rig) -> None:
    await ready(rig, "acme")
    rig.engine.broken_images.add("skep:2")
    fired = False

    def lose(call: Call) -> None:
        nonlocal fired
        if call.method == "update_service" and call.phase == "before" and not fired:
            fired = True
            raise EngineUnavailable("no answer in time")

    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:2"}))
        await rig.phase("acme", "Degraded", reason="RolledBack")
        rig.engine.on_call = lose
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:3"}))
        await rig.phase("acme", "Ready")
    assert fired
    assert rig.service("acme").spec.image == "skep:3"


@pytest.mark.fault(14)
async def test_going_back_to_the_earlier_image_gives_the_earlier_state(rig: Rig) -> None:
    await ready(rig, "acme")
    before = rig.service("acme").spec
    rig.engine.broken_images.add("skep:2")
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:2"}))
        await rig.phase("acme", "Degraded", reason="RolledBack")
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
    assert rig.service("acme").spec == before
    assert rig.records()["acme"].latched == ""


# Migrations


def added(sql: str) -> tuple[Migration, ...]:
    return (*known_migrations(), Migration("9999_added.sql", sql, str(hash(sql))))


async def test_a_failing_migration_keeps_the_old_app_and_its_reason_stays(rig: Rig) -> None:
    await ready(rig, "acme")
    before = rig.service("acme")
    rig.migrations["skep:2"] = added("select 1 / 0")
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:2"}))
        await rig.phase("acme", "Degraded", reason="SchemaFailed")
        jobs = len(rig.engine.jobs_run)
        for _ in range(3):
            await rig.resync(hive)
        assert "division by zero" in await message(rig, "acme")
        assert len(rig.engine.jobs_run) == jobs
        assert rig.service("acme").spec == before.spec
        rig.migrations["skep:3"] = added("create table fine (x int)")
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:3"}))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
    assert rig.service("acme").spec.image == "skep:3"


async def test_a_new_migration_over_old_state_keeps_the_rows(rig: Rig) -> None:
    await ready(rig, "acme")
    connection = await rig.login("acme")
    await connection.execute("create table keepsake as select 42 as answer")
    await connection.close()
    rig.migrations["skep:2"] = added("alter table keepsake add column more text")
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme", app={"image": "skep:2"}))
        await rig.until(lambda: rig.service("acme").spec.image == "skep:2")
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
    connection = await rig.login("acme")
    assert tuple(await connection.fetchrow("select * from keepsake") or ()) == (42, None)
    await connection.close()


async def test_tenants_of_one_image_share_a_template_that_is_built_once(rig: Rig) -> None:
    async with rig.operator():
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"), tenant("cedar"))
        for name in ("acme", "birch", "cedar"):
            await rig.phase(name, "Ready")
    assert [job.name for job in rig.engine.jobs_run if "template" in job.name] == [rig.engine.jobs_run[0].name]
    assert len(rig.engine.jobs_run) == 1  # a clone needs no migration of its own


async def test_images_with_the_same_migrations_may_be_built_at_once(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch", app={"image": "skep:2"}))
        for name in ("acme", "birch"):
            report = await rig.phase(name, "Ready")
            assert {event.reason for event in report.events} <= {"TemplateBuilding", "Starting", "NotRouted", "Ready"}
        await rig.rest(hive)


# What the operator is told


@pytest.mark.fault(2, 5)
@pytest.mark.parametrize(
    "deliver",
    [
        pytest.param(0, id="every hint is lost"),
        pytest.param(2, id="every hint comes twice"),
        pytest.param(3, id="every hint comes three times"),
    ],
)
async def test_hints_may_be_lost_and_doubled(rig: Rig, deliver: int) -> None:
    rig.engine.deliver = lambda change: deliver
    async with rig.operator() as hive:
        await hive.ready.wait()
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.resync(hive)  # without hints, this is what sees the revision
        await rig.phase("acme", "Ready")
    assert max(rig.made().values()) == 1


@pytest.mark.fault(2)
async def test_each_kind_of_hint_lost_once_costs_no_more_than_a_resync(rig: Rig) -> None:
    dropped: set[tuple[str, str]] = set()

    def drop_first(change: Change) -> int:
        key = (change.kind, change.action)
        if key in dropped:
            return 1
        dropped.add(key)
        return 0

    rig.engine.deliver = drop_first
    async with rig.operator() as hive:
        await hive.ready.wait()
        await rig.publish(PLATFORM, PLAN, tenant("acme", deletionPolicy="Delete"))
        await rig.resync(hive)
        await rig.phase("acme", "Ready")
        await rig.publish(PLATFORM, PLAN)
        await rig.resync(hive)
        await rig.until(lambda: not rig.records())
    assert {("config", "create"), ("service", "create"), ("service", "remove")} <= dropped
    assert max(rig.made().values()) == 1


@pytest.mark.fault(4)
async def test_a_broken_stream_is_opened_again_and_nothing_in_between_is_missed(rig: Rig) -> None:
    await ready(rig, "acme")
    async with rig.operator() as hive:
        await hive.ready.wait()
        await rig.until(lambda: rig.engine._streams)
        broken = metrics.streams._value.get()
        rig.engine.restart()
        rig.engine.edit_by_hand("skep-acme-web", replicas=7)  # its hint is lost with the stream
        await rig.until(lambda: rig.service("acme").spec.replicas == 1)
        assert metrics.streams._value.get() > broken


@pytest.mark.fault(3)
async def test_a_silent_stream_is_noticed_by_time(rig: Rig) -> None:
    await ready(rig, "acme")
    rig.engine.deliver = lambda change: 0
    async with rig.operator(resync_s=0.2) as hive:
        await hive.ready.wait()
        before = metrics.streams._value.get()
        await rig.until(lambda: metrics.streams._value.get() > before)


@pytest.mark.fault(6)
@pytest.mark.parametrize("method", ["list_configs", "list_secrets", "list_services"])
async def test_an_empty_list_deletes_and_makes_nothing(rig: Rig, method: str) -> None:
    await ready(rig, "acme", "birch")
    fired = 0
    before = rig.made()

    def lie(call: Call) -> None:
        nonlocal fired
        if call.method == method and call.phase == "after" and fired < 4:
            fired += 1
            call.result = ()

    async with rig.operator() as hive:
        await rig.resync(hive)
        await rig.rest(hive)
        rig.engine.on_call = lie
        await rig.resync(hive)
        rig.engine.on_call = None
        await rig.resync(hive)
        await rig.rest(hive)
    assert fired
    assert rig.made() == before
    for name in ("acme", "birch"):  # nobody was told to remove what is theirs
        report = rig.status(name)
        assert report is not None
        assert "NotOurs" not in {event.reason for event in report.events}
    assert all(one.leaving == "" for one in rig.records().values())
    assert len(await rig.databases()) == 2


@pytest.mark.fault(9)
async def test_an_engine_that_cannot_be_reached_is_waited_for(rig: Rig) -> None:
    await ready(rig, "acme")

    def refuse(call: Call) -> None:
        raise EngineUnavailable("no quorum")

    async with rig.operator() as hive:
        await rig.resync(hive)
        rig.engine.on_call = refuse
        with pytest.raises(EngineUnavailable):
            await hive.resync()
        rig.engine.on_call = None
        await rig.resync(hive)
        await rig.phase("acme", "Ready")


@pytest.mark.fault(25)
async def test_revisions_a_b_a_the_plain_way(rig: Rig) -> None:
    """The stack's way uses the first config again: its label moves, and with it its index."""
    a, b = ("\n---\n".join((PLATFORM, PLAN, tenant("acme", displayName=word))).encode() for word in ("First", "Second"))
    async with rig.operator():
        first = await rig.engine.create_config("fleet_a", a, {names.SOURCE: "stack"})
        await rig.phase("acme", "Ready")
        await rig.engine.create_config("fleet_b", b, {names.SOURCE: "stack"})
        await rig.until(lambda: rig.records()["acme"].spec.display_name == "Second")
        await rig.engine.label_config(first, rig.config("fleet_a").version, {names.SOURCE: "stack"})
        await rig.until(lambda: rig.records()["acme"].spec.display_name == "First")


# Many


@pytest.mark.fault(12, 19)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("many", [50, pytest.param(500, marks=pytest.mark.long)])
async def test_a_cold_start_of_many_tenants(rig: Rig, many: int) -> None:
    """Over the memory engine: three nodes on one machine have no room for 500 apps."""
    fleet = [f"tenant-{number:03d}" for number in range(many)]
    connections = "select count(*) from pg_stat_activity where application_name like 'skep-operator%'"
    most = 0
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, *(tenant(name) for name in fleet))
        async with asyncio.timeout(10 + many):
            while not rig.at_rest(hive):
                most = max(most, (await rig.sql(connections))[0][0])
                await asyncio.sleep(0.05)
        assert {report.phase for name in fleet if (report := rig.status(name)) is not None} == {"Ready"}
        assert 0 < most <= 8 + hive.settings.workers + 1  # the pool's, one inside a database each, and the history's
        rig.engine.writes.clear()
        await rig.resync(hive)
        assert rig.written() == []
    assert len(await rig.databases()) == many
    assert max(rig.made().values(), default=0) == 0
