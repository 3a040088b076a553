"""The shared cache as the app uses it, on a real server: with its own commands only, and never needed."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import asyncpg
import pytest

from skep.operator.reconcilers.cache.plan import COMMANDS, arguments, desire, prefix, user_name
from skep.webapp.cache.client import Cache
from skep.webapp.errors import CacheAway
from skep.webapp.settings import Settings
from tests.rig.redis import RedisServer
from tests.rig.rows import make_event
from tests.rig.tenant import Tenant, free_port
from tests.rig.visitor import Visitor, event_fields, visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

SECRET = "cache-canary"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def tenant(tenant: Tenant, server: RedisServer, tmp_path: Path) -> Tenant:
    """One with a user on the server, as the operator makes it, and a worker that is a service of its own."""
    user = desire(user_name(tenant.name, tenant.uid), tenant.uid, SECRET)
    admin = server.admin()
    admin.execute_command("ACL", "SETUSER", *arguments(user))  # type: ignore[no-untyped-call]
    admin.execute_command("ACL", "SAVE")  # type: ignore[no-untyped-call]
    tenant.settings |= {
        "worker": "service",
        "cache": {"host": "127.0.0.1", "port": server.port, "user": user.name, "prefix": prefix(tenant.uid)},
    }
    tenant.given["SKEP_MAIL_DIR"] = str(tmp_path / "mail")
    tenant.write()
    (tenant.home / "secrets" / "cache-password").write_text(SECRET)
    return tenant


@asynccontextmanager
async def replica(tenant: Tenant) -> AsyncIterator[Tenant]:
    """Another web process of the same tenant."""
    second = dataclasses.replace(tenant, port=free_port())
    async with second.running():
        yield second


@asynccontextmanager
async def worker(tenant: Tenant) -> AsyncIterator[Path]:
    """A worker as a service runs it; the path of its log."""
    log = tenant.home / "worker.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "skep.webapp", "worker", env=tenant.env, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        await until(lambda: "worker waits" in log.read_text())
        yield log
    finally:
        process.terminate()
        assert await process.wait() == 0


async def until(predicate: Callable[[], bool], *, timeout_s: float = 15.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not predicate():  # noqa: ASYNC110 (nobody sets an event: these are other processes)
            await asyncio.sleep(0.02)


async def wrong_sign_in(somebody: Visitor) -> int:
    return (await somebody.sign_in(password="wrong")).status


class Ears:
    """What tenants ask the server, from now on: commands, and the first keys that are not this tenant's."""

    def __init__(self, server: RedisServer, tenant: Tenant) -> None:
        self._prefix = prefix(tenant.uid)
        self._monitor = server.admin().monitor()  # type: ignore[no-untyped-call]
        self.commands: set[str] = set()
        self.strangers: set[str] = set()

    def __enter__(self) -> Self:
        self._monitor.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._monitor.__exit__(*error)

    def listen(self) -> set[str]:
        while self._monitor.connection.can_read(0):
            words = self._monitor.next_command()["command"].split()
            if words[0].upper() not in TESTS_OWN:
                self.commands.add(words[0].lower())
                if words[0].upper() != "AUTH" and not words[1].startswith(self._prefix):
                    self.strangers.add(words[1])
        return self.commands


TESTS_OWN = {"SCAN", "PTTL", "PING", "CLIENT", "ACL"}  # and tenants may none of them


async def test_the_app_uses_exactly_the_commands_that_its_user_may(
    tenant: Tenant, server: RedisServer, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=5)
    assert not TESTS_OWN & {command.upper() for command in COMMANDS}
    with Ears(server, tenant) as ears:
        async with tenant.running(), worker(tenant) as log:
            async with visiting(tenant) as guest, visiting(tenant) as organizer:
                await guest.get("/")
                assert (await organizer.become_organizer()).status == 200
                assert await wrong_sign_in(guest) == 422
                assert (await guest.sign_in()).status == 200
                await guest.create_event()
                assert (await guest.register(sample.slug)).status == 200
            await until(lambda: "job done" in log.read_text())
            await until(lambda: ears.listen() >= set(COMMANDS))
            admin = server.admin()
            left = {str(key): admin.pttl(key) for key in admin.scan_iter(match=f"{prefix(tenant.uid)}*")}
    assert ears.commands == set(COMMANDS)
    assert ears.strangers == set()
    assert left
    assert all(ms != -1 for ms in left.values()), left


async def test_a_worker_is_woken_by_what_a_web_process_commits(tenant: Tenant, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=5)
    async with tenant.running(), worker(tenant) as log, visiting(tenant) as buyer:
        assert (await buyer.register(sample.slug)).status == 200
        began = asyncio.get_running_loop().time()
        await until(lambda: "job done" in log.read_text())
        assert asyncio.get_running_loop().time() - began < 3.0  # it looks every 30 s by itself


async def test_tries_are_counted_over_all_replicas(tenant: Tenant, server: RedisServer) -> None:
    async with tenant.running(), replica(tenant) as second, visiting(tenant) as first, visiting(second) as other:
        for _ in range(10):
            assert await wrong_sign_in(first) == 422
        assert await wrong_sign_in(first) == 429
        assert await wrong_sign_in(other) == 422  # it did not know of this account yet
        async with asyncio.timeout(5):  # and learns of it in a moment
            while await wrong_sign_in(other) != 429:
                pass


async def test_an_edit_at_one_replica_is_seen_at_the_other(tenant: Tenant) -> None:
    async with tenant.running(), replica(tenant) as second, visiting(tenant) as organizer, visiting(second) as guest:
        await organizer.become_organizer()
        path = await organizer.create_event()
        await organizer.publish(path)
        address = "/events/open-studio-night"
        assert "Open studio night" in (await guest.get(address)).words
        version = re.search(r'name="version" value="(\d+)"', (await organizer.get(f"{path}/edit")).text)
        assert version is not None
        await organizer.post(f"{path}/edit", event_fields(title="Closed studio night") | {"version": version[1]})
        async with asyncio.timeout(1.5):  # a page lives for 2 s where nothing is told
            while "Closed studio night" not in (await guest.get(address)).words:
                pass


async def test_everything_goes_on_while_the_cache_is_away_and_it_is_used_again_without_a_restart(
    tenant: Tenant, server: RedisServer, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=5)
    server.stop()
    async with tenant.running(), visiting(tenant) as buyer, visiting(tenant) as second:
        assert (await buyer.register(sample.slug)).status == 200
        assert await wrong_sign_in(buyer) == 422
        async with worker(tenant) as log:
            await until(lambda: log.read_text().count("job done") == 1)
            server.start()
            await until(lambda: "cache is back" in log.read_text())
            assert (await second.register(sample.slug)).status == 200
            await until(lambda: log.read_text().count("job done") == 2)


async def test_a_password_that_changed_is_read_anew(tenant: Tenant, server: RedisServer) -> None:
    settings = Settings.read(tenant.env).cache
    assert settings is not None
    (tenant.home / "secrets" / "cache-password").write_text("old")
    clock = [0.0]
    cache = Cache(settings, clock=lambda: clock[0])
    with pytest.raises(CacheAway, match="WRONGPASS"):
        await cache.ask(("GET", cache.key("x")))
    (tenant.home / "secrets" / "cache-password").write_text(SECRET)
    with pytest.raises(CacheAway, match="a moment ago"):  # nobody waits for what just failed
        await cache.ask(("GET", cache.key("x")))
    clock[0] += 1.0
    assert await cache.ask(("GET", cache.key("x"))) == [None]
    await cache.close()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("GET", "stranger:x"), id="a neighbour's key"),
        pytest.param(("SET", "x", 1), id="a command that the app has no use for"),
        pytest.param(("KEYS", "*"), id="everybody's keys"),
    ],
)
async def test_a_refusal_is_the_same_as_no_cache(tenant: Tenant, command: tuple[str | int, ...]) -> None:
    settings = Settings.read(tenant.env).cache
    assert settings is not None
    cache = Cache(settings)
    with pytest.raises(CacheAway, match="refused"):
        await cache.ask(command)
    await cache.close()
