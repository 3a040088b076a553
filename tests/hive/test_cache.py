"""A tenant's user on a shared cache server, made by the whole operator on a real one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from skep.operator import metrics
from skep.operator.reconcilers import secret
from skep.operator.reconcilers.cache.plan import prefix, user_name
from tests.hive.conftest import PLAN, PLATFORM, Rig, tenant
from tests.rig.redis import PASSWORD, RedisServer

CACHED = PLATFORM.replace("  app:", "  caches: [{name: main, host: redis}]\n  app:", 1)


@pytest.fixture
async def server(rig: Rig, tmp_path: Path) -> AsyncIterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    (rig.settings.secrets_dir / "skep.redis-admin").write_text(PASSWORD)
    addresses = (*rig.settings.addresses, f"redis=127.0.0.1:{server.port}")
    rig.settings = replace(rig.settings, addresses=addresses)
    try:
        yield server
    finally:
        server.stop()


def login(rig: Rig, server: RedisServer, name: str) -> Redis:
    """As the tenant's app would come: with the password that its task finds as a file."""
    known = rig.records()[name]
    data = rig.engine.secret_data(
        next(each.name for each in rig.service(name).spec.secrets if each.file == secret.CACHE_FILE)
    )
    return server.client(user_name(name, known.uid), data.decode())


def knows(rig: Rig, server: RedisServer, name: str) -> bool:
    """May this tenant's app log in and ask for a key of its own?"""
    return login(rig, server, name).get(f"{prefix(rig.records()[name].uid)}nothing") is None


async def test_a_tenant_reaches_its_own_keys_and_nothing_else(rig: Rig, server: RedisServer) -> None:
    async with rig.operator():
        await rig.publish(CACHED, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
    acme, birch = (rig.records()[name] for name in ("acme", "birch"))
    client = login(rig, server, "acme")
    assert client.incrby(f"{prefix(acme.uid)}tries", 2) == 2
    assert client.get(f"{prefix(acme.uid)}tries") == "2"
    server.admin().set(f"{prefix(birch.uid)}secret", "birch's")
    for words in (
        ("GET", f"{prefix(birch.uid)}secret"),
        ("LPUSH", f"{prefix(birch.uid)}secret", "mine"),
        ("LPUSH", "bare", "x"),
        ("SET", f"{prefix(acme.uid)}x", "y"),
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("EVAL", "return 1", "0"),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("CLIENT", "LIST"),
        ("PUBLISH", "all", "x"),
        ("FLUSHALL",),
        ("SELECT", "1"),
    ):
        with pytest.raises(NoPermissionError):
            client.execute_command(*words)  # type: ignore[no-untyped-call]
    settings = json.loads(rig.config(rig.service("acme").spec.configs[0].name).data)
    assert settings["cache"] == {
        "host": "127.0.0.1", "port": server.port, "user": user_name("acme", acme.uid), "prefix": prefix(acme.uid),
    }  # fmt: skip


async def test_nothing_to_do_writes_nothing_and_asks_once(rig: Rig, server: RedisServer) -> None:
    async with rig.operator() as hive:
        await rig.publish(CACHED, PLAN, tenant("acme"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
        await rig.rest(hive)
        rig.engine.writes.clear()
        before = server.admin().info("commandstats")
        await rig.resync(hive)
        after = server.admin().info("commandstats")
    assert rig.written() == []
    assert after["cmdstat_acl|setuser"]["calls"] == before["cmdstat_acl|setuser"]["calls"]
    assert after["cmdstat_acl|list"]["calls"] == before["cmdstat_acl|list"]["calls"] + 1


async def test_a_change_by_hand_is_repaired_and_counted(rig: Rig, server: RedisServer) -> None:
    async with rig.operator() as hive:
        await rig.publish(CACHED, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
        user = user_name("acme", rig.records()["acme"].uid)
        before = metrics.drift.labels("cache", "user")._value.get()
        server.admin().execute_command("ACL", "SETUSER", user, "~*", "+@all")  # type: ignore[no-untyped-call]
        assert login(rig, server, "acme").incrby("bare", 1)
        await rig.resync(hive)
        await rig.rest(hive)
        with pytest.raises(NoPermissionError):
            login(rig, server, "acme").incrby("bare", 1)
        assert metrics.drift.labels("cache", "user")._value.get() == before + 1


async def test_users_survive_a_restart_of_the_server_while_no_operator_runs(rig: Rig, server: RedisServer) -> None:
    async with rig.operator():
        await rig.publish(CACHED, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
    server.stop()
    server.start()
    assert knows(rig, server, "acme")


async def test_a_server_that_lost_its_users_gets_them_again(rig: Rig, server: RedisServer) -> None:
    async with rig.operator() as hive:
        await rig.publish(CACHED, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        server.stop()
        (server.folder / "users.acl").unlink()
        server.start()
        with pytest.raises(AuthenticationError):
            knows(rig, server, "acme")
        await rig.resync(hive)
        await rig.rest(hive)
        assert knows(rig, server, "acme")


async def test_without_its_cache_a_tenant_is_updated_all_the_same(rig: Rig, server: RedisServer) -> None:
    async with rig.operator() as hive:
        await rig.publish(CACHED, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        server.stop()
        await rig.publish(CACHED, PLAN, tenant("acme", app={"replicas": 2}), tenant("birch"))
        await rig.until(lambda: rig.service("acme").spec.replicas == 2)
        await hive.resync()
        report = await rig.phase("birch", "Progressing", reason="CacheUnavailable")
        assert "cannot be reached" in report.conditions[0].message
        assert rig.service("birch").running
        server.start()
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
        assert knows(rig, server, "birch")


async def test_a_deleted_tenants_user_is_gone_and_its_neighbours_stays(rig: Rig, server: RedisServer) -> None:
    async with rig.operator():
        await rig.publish(CACHED, PLAN, tenant("acme", deletionPolicy="Delete"), tenant("birch"))
        await rig.phase("acme", "Ready")
        await rig.phase("birch", "Ready")
        gone = user_name("acme", rig.records()["acme"].uid)
        await rig.publish(CACHED, PLAN, tenant("birch"))
        await rig.until(lambda: "acme" not in rig.records())
    users = set(server.admin().acl_users())
    assert gone not in users
    assert user_name("birch", rig.records()["birch"].uid) in users
    assert gone not in (server.folder / "users.acl").read_text()


async def test_a_platforms_first_cache_reaches_the_tenants_that_are_there(rig: Rig, server: RedisServer) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
        assert rig.records()["acme"].cache == ""
        await rig.publish(CACHED, PLAN, tenant("acme"))
        await rig.until(lambda: len(rig.service("acme").spec.secrets) == 2)
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
    assert knows(rig, server, "acme")
