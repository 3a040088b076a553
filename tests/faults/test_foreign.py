"""Foreign hands on skep's own objects: repaired or reported, each as the table says, and never obeyed silently.

And objects that carry our labels though we did not make them: left alone, and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from skep.operator import history, metrics, names
from skep.operator.cli.doctor import strangers_of
from skep.operator.cli.view import look
from skep.operator.engine.spec import NetworkSpec, ServiceSpec, pairs
from tests.hive.conftest import PLAN, PLATFORM, SPEED, Rig, tenant

Hand = Callable[[Rig], Awaitable[None]]


@dataclass(frozen=True)
class Deed:
    """What somebody does, and what must come of it.

    *said*: what a person finds in status or log. *repaired*: the world is afterwards as it was, the uid too.
    """

    do: Hand
    repaired: bool = True
    said: str = ""


def config_named(rig: Rig, name: str) -> str:
    """The settings' name carries a hash: its beginning is enough."""
    return next(each.name for each in rig.engine.configs.values() if each.name.startswith(name))


def removed(name: str) -> Hand:
    async def do(rig: Rig) -> None:
        await rig.engine.remove_config(rig.config(config_named(rig, name)).id)

    return do


def labelled(name: str, **labels: str | None) -> Hand:
    """Labels of a config changed; None takes one away. Keyword names stand for `skep.<name with dots>`."""

    async def do(rig: Rig) -> None:
        config = rig.config(config_named(rig, name))
        changed = {f"skep.{key.replace('__', '.')}": value for key, value in labels.items()}
        merged = {key: value for key, value in (dict(config.labels) | changed).items() if value is not None}
        await rig.engine.label_config(config.id, config.version, merged)

    return do


async def settings_removed(rig: Rig) -> None:
    """In use by its service, so the engine refuses: then nothing has happened. By force, as of a broken raft store."""
    name = config_named(rig, "skep.acme.settings.")
    config = rig.config(name)
    del rig.engine.configs[config.id]
    del rig.engine._names["config", name]


async def secret_removed(rig: Rig) -> None:
    """As above."""
    name = "skep.acme.db-a.g1.k1"
    secret = next(each for each, _ in rig.engine.secrets.values() if each.name == name)
    del rig.engine.secrets[secret.id]
    del rig.engine._names["secret", name]


async def secret_relabelled(rig: Rig) -> None:
    secret = next(each for each, _ in rig.engine.secrets.values() if each.name == "skep.acme.db-a.g1.k1")
    labels = dict(secret.labels) | {names.FINGERPRINT: "0" * 16}
    await rig.engine.label_secret(secret.id, secret.version, labels)


async def service_removed(rig: Rig) -> None:
    await rig.engine.remove_service(rig.service("acme").id)


async def service_scaled(rig: Rig) -> None:
    rig.engine.edit_by_hand("skep-acme-web", replicas=9)


async def network_removed(rig: Rig) -> None:
    """Of a network in use the engine refuses it; so it goes while nobody stands on it, and a tenant comes."""
    network = next(each for each, _ in rig.engine.networks.values() if each.name == "skep-data-1")
    del rig.engine.networks[network.id]
    del rig.engine._names["network", "skep-data-1"]
    await rig.engine.remove_service(rig.service("acme").id)


def sql(text: str, *, database: str = "postgres") -> Hand:
    async def do(rig: Rig) -> None:
        for statement in text.replace("DATABASE", rig.database("acme")).split("; "):
            await rig.sql(statement, database=database)

    return do


REMOVED = {
    "record": Deed(removed("skep.record.acme")),
    "status": Deed(removed("skep.status.acme")),
    "settings": Deed(settings_removed),
    "secret": Deed(secret_removed),
    "service": Deed(service_removed),
    "ledger": Deed(removed("skep.sources")),
    "lease": Deed(removed("skep.lease")),
    "announcement": Deed(removed("skep.operator")),
    "network": Deed(network_removed, repaired=False, said="network skep-data-1 is not there"),
    "login role": Deed(sql('drop owned by "DATABASE_b"; drop role "DATABASE_b"')),
    "database": Deed(
        sql('drop database "DATABASE" with (force)'), repaired=False, said="nothing was made in its place"
    ),
    # Made again with the next event, and nothing waits for it: tests/hive/test_history.py.
    "control database": Deed(sql(f"drop database if exists {history.DATABASE} with (force)"), repaired=False),
    "term of the leader": Deed(sql("drop schema if exists skep cascade")),
}
DAMAGED = {
    "record's spec": Deed(
        labelled("skep.record.acme", record__spec="{"), repaired=False, said="was changed by hand and is not readable"
    ),
    "record's format": Deed(labelled("skep.record.acme", record__format=None), repaired=False, said="record format"),
    "status": Deed(labelled("skep.status.acme", status="nonsense")),
    "settings' labels": Deed(labelled("skep.acme.settings.", uid="f" * 32)),
    "secret's fingerprint": Deed(secret_relabelled, repaired=False, said="in use by skep-acme-web"),
    "service": Deed(service_scaled),
    "ledger": Deed(labelled("skep.sources", seen__prod="nonsense")),
    "announcement": Deed(labelled("skep.operator", operator__proxies="evil")),
    "announcement's key": Deed(
        labelled("skep.operator", operator__key_fingerprint="f" * 16), repaired=False, said="nothing is touched"
    ),
    "login role": Deed(sql('alter role "DATABASE_a" superuser createdb connection limit 1')),
    "grants": Deed(sql('grant connect on database "DATABASE" to public')),
    "database's limit": Deed(sql('alter database "DATABASE" connection limit 1000')),
    "database's comment": Deed(sql("comment on database \"DATABASE\" is 'mine'")),
    "database, closed": Deed(sql('alter database "DATABASE" allow_connections false')),
}


DATABASES = (
    "select datname, datconnlimit, datallowconn, datacl::text, shobj_description(oid, 'pg_database') from pg_database"
)


async def everything(rig: Rig) -> dict[str, object]:
    """All there is of ours, in words that stay the same when it is made again; who leads, and since when, is left out."""
    configs: dict[str, object] = {}
    for each in rig.engine.configs.values():
        labels = dict(each.labels)
        if each.name.startswith("skep.status."):
            labels = {"phase": labels.get("skep.phase", "")} if "{" in labels["skep.status"] else labels
        configs[each.name] = (
            each.data if "record" not in each.name else b"",
            labels if each.name != names.LEASE else "",
        )
    roles = (
        "select rolname, rolsuper, rolcreatedb, rolcanlogin, rolconnlimit, rolpassword, "
        "(select array_agg(setconfig::text) from pg_db_role_setting where setrole = r.oid) from pg_authid r"
    )
    return {
        "configs": configs,
        "secrets": {each.name: (each.labels, data) for each, data in rig.engine.secrets.values()},
        "services": {each.spec.name: each.spec for each in rig.engine.services.values()},
        "networks": {each.name for each, _ in rig.engine.networks.values()},
        "databases": sorted(map(str, await rig.sql(DATABASES))),
        "roles": sorted(map(str, await rig.sql(roles))),
        "term": [bool(row[0]) for row in await rig.sql("select to_regclass('skep.leader') is not null")],
    }


def told(rig: Rig, caplog: pytest.LogCaptureFixture) -> str:
    report = rig.status("acme")
    conditions = " ".join(each.message for each in report.conditions) if report is not None else ""
    return conditions + " ".join(
        f"{each.getMessage()} {getattr(each, 'error', '')} {getattr(each, 'object', '')}" for each in caplog.records
    )


async def two_tenants(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
        await rig.rest(hive)
        await rig.until(lambda: len(hive._history) == 0)


@pytest.mark.fault(20, 24)
@pytest.mark.parametrize(
    "deed",
    [pytest.param(deed, id=f"{what} removed") for what, deed in REMOVED.items()]
    + [pytest.param(deed, id=f"{what} damaged") for what, deed in DAMAGED.items()],
)
async def test_a_foreign_hand_is_undone_or_told(rig: Rig, deed: Deed, caplog: pytest.LogCaptureFixture) -> None:
    await two_tenants(rig)
    before, neighbour, databases = await everything(rig), rig.service("birch"), await rig.databases()
    await deed.do(rig)
    assert await everything(rig) != before, "nothing was done"
    rig.run_out_lease()
    async with rig.operator(lease_s=3.0 * SPEED, call_deadline_s=SPEED, resync_s=3.0):
        if deed.repaired:
            try:
                await until_as(rig, before)
            except TimeoutError:
                assert await everything(rig) == before
            await rig.phase("acme", "Ready")
        else:
            await rig.until(lambda: deed.said in told(rig, caplog))
        assert rig.service("birch") == neighbour
        assert await rig.databases() <= databases


async def until_as(rig: Rig, wanted: object) -> None:
    async with asyncio.timeout(15):
        while await everything(rig) != wanted:  # noqa: ASYNC110 - PostgreSQL has no event for it
            await asyncio.sleep(0.05)


# What carries our labels and is not ours


OWNED = {names.UID: "f" * 32, names.TENANT: "nobody"}


async def config_of_garbage(rig: Rig) -> None:
    await rig.engine.create_config("notes", b"\x00\xff garbage", {names.KIND: "record"})


async def record_of_nobody(rig: Rig) -> None:
    labels = OWNED | {names.KIND: "record"}
    await rig.engine.create_config("skep.record.nobody", b"garbage", labels)


async def status_of_nobody(rig: Rig) -> None:
    await rig.engine.create_config("skep.other", b"garbage", OWNED | {names.KIND: "status"})


async def request_of_garbage(rig: Rig) -> None:
    await rig.engine.create_config(
        "wish", b"garbage", {names.KIND: "request", "skep.verb": "obey", "skep.target": "acme"}
    )


async def service_of_nobody(rig: Rig) -> None:
    await rig.engine.create_service(ServiceSpec("theirs", "their/image", labels=pairs(OWNED)))


async def secret_of_nobody(rig: Rig) -> None:
    await rig.engine.create_secret("theirs", b"secret", OWNED)


async def secret_of_a_tenant(rig: Rig) -> None:
    await rig.engine.create_secret("theirs", b"secret", {names.TENANT: "acme"})


async def network_with_our_label(rig: Rig) -> None:
    await rig.engine.create_network(NetworkSpec("theirs", labels=pairs({names.NETWORK: "edge-9"})))


async def source_of_garbage(rig: Rig) -> None:
    await rig.engine.create_config("theirs", b"\x00\xff garbage", {names.SOURCE: "theirs"})


async def database_of_nobody(rig: Rig) -> None:
    await rig.sql("create role t_nobody_ffffffff")
    await rig.sql("create database t_nobody_ffffffff template template0")


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(config_of_garbage, "notes", id="a record that is none"),
        pytest.param(record_of_nobody, "skep.record.nobody", id="a record of nobody"),
        pytest.param(status_of_nobody, "", id="a status of nobody"),
        pytest.param(service_of_nobody, "theirs", id="a service with the uid of nobody"),
        pytest.param(secret_of_nobody, "theirs", id="a secret with the uid of nobody"),
        pytest.param(secret_of_a_tenant, "", id="a secret that a tenant may bring"),
        pytest.param(network_with_our_label, "", id="a network with our label"),
        pytest.param(source_of_garbage, "theirs", id="a source of garbage"),
        pytest.param(database_of_nobody, "", id="a database of nobody"),
    ],
)
async def test_what_only_looks_like_ours_is_left_alone_and_told(
    rig: Rig, make: Hand, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    await two_tenants(rig)
    await make(rig)
    before = await everything(rig)
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"), tenant("cedar"))
        await rig.phase("cedar", "Ready")
        await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("cedar", "Retained")
        await rig.resync(hive)
        problems = " ".join(str(each) for each in hive.fleet.problems)
        assert said in told(rig, caplog) + problems
        if said and not problems:
            assert [
                said in check.what and "left alone" in check.said for check in strangers_of(await look(rig.engine))
            ] == [True]
            assert metrics.strangers._value.get() == 1
    after = await everything(rig)
    for kind in ("configs", "secrets", "services"):
        have, had = after[kind], before[kind]
        assert isinstance(have, dict)
        assert isinstance(had, dict)
        kept = {name: value for name, value in had.items() if name not in (names.SOURCES, names.LEASE)}
        assert {name: have.get(name) for name in kept} == kept
    assert after["networks"] == before["networks"]
    databases = before["databases"]
    assert isinstance(databases, list)
    assert set(databases) <= {*map(str, await rig.sql(DATABASES))}


@pytest.mark.fault(20)
async def test_a_request_that_nobody_understands_is_refused_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await two_tenants(rig)
    async with rig.operator() as hive:
        await request_of_garbage(rig)
        await rig.until(lambda: "wish" not in {each.name for each in rig.engine.configs.values()})
        assert any("request refused" in each.getMessage() for each in caplog.records)
        await rig.resync(hive)
    assert all(each.leaving == "" for each in rig.records().values())


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(labelled("skep.lease", lease__term="nonsense"), id="its term is nonsense"),
        pytest.param(labelled("skep.lease", lease__term="9" * 30), id="its term is beyond any number"),
        pytest.param(labelled("skep.lease", lease__holder=None), id="it is held by nobody"),
        pytest.param(
            labelled("skep.lease", lease__holder="somebody/else"), id="it is held by somebody who is not there"
        ),
        pytest.param(labelled("skep.lease", kind="notes", tenant="acme"), id="it is of another kind"),
    ],
)
async def test_a_lease_damaged_under_its_leader_is_taken_again_and_work_goes_on(rig: Rig, damage: Hand) -> None:
    async with rig.operator(lease_s=3.0 * SPEED, call_deadline_s=SPEED):
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        uid, labels = rig.records()["acme"].uid, dict(rig.config(names.LEASE).labels)
        await damage(rig)
        damaged = rig.config(names.LEASE)
        assert dict(damaged.labels) != labels, "nothing was done"

        def is_whole() -> bool:
            lease = rig.config(names.LEASE)
            term = dict(lease.labels).get("skep.lease.term", "")
            return lease.version > damaged.version and dict(lease.labels) == labels | {"skep.lease.term": term}

        await rig.until(is_whole)
        assert int(dict(rig.config(names.LEASE).labels)["skep.lease.term"]) < 10
        await rig.publish(PLATFORM, PLAN, tenant("acme", displayName="Acme again"), tenant("birch"))
        await rig.phase("birch", "Ready")
        await rig.phase("acme", "Ready")
    assert rig.records()["acme"].uid == uid
    assert len(rig.engine.services) == 2
