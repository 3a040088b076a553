"""One operator over a real swarm of three managers and a real PostgreSQL, a proxy of the tests' own before its engine.

Its tenants are suspended: their services stand on the swarm, and no app needs to start. What running apps feel is
tested with the whole stack, in tests/e2e and in test_leader.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import docker.errors
import pytest
from docker.models.networks import Network

from skep.operator import metrics, names
from skep.operator.engine.swarm.engine import SwarmEngine
from skep.operator.hive import Hive
from skep.operator.keys import RootKey
from skep.operator.loop.clock import SystemClock
from skep.operator.settings import Settings
from skep.operator.sources.revision import encode, labels_of
from tests.e2e.hives import ROOT, free_port
from tests.fakes.proxy import Proxy
from tests.hive.conftest import ADMIN, empty, tenant
from tests.rig.postgres import Postgres
from tests.rig.swarm import TestSwarm, until

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(420)]

NETWORKS = ("skep-edge-1", "skep-data-1")
PLATFORM = """
apiVersion: skep/v1
kind: Platform
metadata: {name: test}
spec:
  baseDomain: test
  tls: off
  databases: [{name: main, host: postgres, user: ADMIN}]
  app: {image: "IMAGE", allowedImages: ["REPOSITORY"]}
---
apiVersion: skep/v1
kind: Plan
metadata: {name: free}
spec:
  database: {connectionLimit: 6}
"""


@dataclass
class Field:
    """The swarm as the tests see it (*client*), and as the operator does, through *proxy*."""

    swarm: TestSwarm
    proxy: Proxy
    postgres: Postgres
    settings: Settings
    keys: RootKey
    image: str
    published: int = 0

    @property
    def client(self) -> Any:  # the SDK's objects are untyped
        return self.swarm.client

    @asynccontextmanager
    async def operator(self, **settings: Any) -> AsyncIterator[Hive]:
        chosen = replace(self.settings, **settings)
        engine = SwarmEngine(f"tcp://127.0.0.1:{self.proxy.port}", deadline_s=chosen.call_deadline_s)
        hive = Hive(engine, chosen, self.keys, SystemClock())
        running = asyncio.create_task(hive.run())
        try:
            yield hive
        finally:
            hive.stop()
            await running
            await engine.close()

    async def publish(self, *tenants: str) -> None:
        self.published += 1
        platform = PLATFORM.replace("ADMIN", ADMIN).replace("IMAGE", self.image)
        platform = platform.replace("REPOSITORY", self.image.rpartition(":")[0])
        text = "\n---\n".join((platform, *(tenant(name, suspend=True) for name in tenants))).encode()
        labels = labels_of("prod", self.published, text, "test")
        await asyncio.to_thread(
            self.client.configs.create, name=f"prod.r{self.published}", data=encode(text), labels=labels
        )

    def labels(self, name: str) -> dict[str, str]:
        try:
            return dict(self.client.configs.get(name).attrs["Spec"]["Labels"])
        except docker.errors.NotFound:
            return {}

    async def phase(self, name: str, phase: str = "Suspended", *, within_s: float = 60.0) -> None:
        await self.until(lambda: self.labels(names.status(name)).get("skep.phase") == phase, within_s=within_s)

    async def until(self, holds: Callable[[], object], *, within_s: float = 60.0) -> None:
        async with asyncio.timeout(within_s):
            while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - the swarm is looked at from outside
                await asyncio.sleep(0.05)

    async def databases(self) -> set[str]:
        connection = await asyncpg.connect(self.postgres.dsn())
        try:
            return {
                row[0] for row in await connection.fetch("select datname from pg_database where datname like 't\\_%'")
            }
        finally:
            await connection.close()

    def objects(self) -> dict[str, tuple[str, int]]:
        """ID and version of everything of tenants but their reports, by name."""
        found = [*self.client.services.list(filters={"label": "skep.uid"})]
        found += self.client.secrets.list(filters={"label": "skep.uid"})
        found += [
            each for each in self.client.configs.list(filters={"label": "skep.uid"}) if ".status." not in each.name
        ]
        return {each.name: (each.id, each.attrs["Version"]["Index"]) for each in found}


@pytest.fixture(scope="module")
def networks(swarm: TestSwarm) -> Iterator[None]:
    made = [
        swarm.client.networks.create(name, driver="overlay", attachable=True, labels={"skep.network": name[5:]})
        for name in NETWORKS
    ]
    yield
    for network in made:  # a job's task may be ending on it yet
        until(lambda network=network: _is_removed(network), 60, f"{network.name} goes")  # type: ignore[misc]


def _is_removed(network: Network) -> bool:
    try:
        network.remove()
    except docker.errors.NotFound:
        return True
    return False


@pytest.fixture
async def field(
    swarm: TestSwarm, app_image: str, networks: None, postgres: Postgres, tmp_path: Path
) -> AsyncIterator[Field]:
    (tmp_path / "skep.postgres-admin").write_text("admin-password")
    connection = await asyncpg.connect(postgres.dsn())
    try:
        if not await connection.fetchval("select 1 from pg_roles where rolname = $1", ADMIN):
            await connection.execute(f"create role {ADMIN} superuser login password 'admin-password'")
        await empty(connection, templates=False)
    finally:
        await connection.close()
    node = swarm.nodes[0].address
    gateway = node.rpartition(".")[0] + ".1"
    async with (
        Proxy(node, 2375).running() as proxy,
        Proxy("127.0.0.1", postgres.port, listen="0.0.0.0").running() as server,  # noqa: S104 - jobs come from the nodes
    ):
        settings = Settings(
            secrets_dir=tmp_path,
            edge_url="http://127.0.0.1:9",
            addresses=(f"postgres={gateway}:{server.port}",),
            resync_s=3.0,
            call_deadline_s=2.0,
            lease_s=9.0,
            proxies=("127.0.0.1",),
        )
        try:
            yield Field(swarm, proxy, postgres, settings, RootKey("k1", bytes(range(32))), app_image)
        finally:
            await asyncio.to_thread(_clear, swarm)


def _clear(swarm: TestSwarm) -> None:
    client: Any = swarm.client
    for thing in (*client.services.list(), *client.configs.list(), *client.secrets.list()):
        thing.remove()


@pytest.mark.fault(3)
async def test_a_silent_stream_is_noticed_and_nothing_is_missed(field: Field) -> None:
    field.proxy.mute = lambda path: "/events" in path
    async with field.operator() as hive:
        await hive.ready.wait()
        before = metrics.streams._value.get()
        await field.publish("acme")
        await field.phase("acme")
        await field.until(lambda: metrics.streams._value.get() > before, within_s=20)
        assert field.proxy.hurt["silent"], "the stream had something to tell"
    assert len(await field.databases()) == 1


@pytest.mark.fault(4)
async def test_what_happens_while_disconnected_is_not_missed(field: Field) -> None:
    """A daemon keeps 256 events for who comes back; more have happened here."""
    async with field.operator(resync_s=12.0) as hive:  # nothing wakes a tenant whose report is gone, but this
        await field.publish("acme", "birch")
        for name in ("acme", "birch"):
            await field.phase(name)
        before = field.objects()
        await field.proxy.become("refuse")

        def meanwhile() -> None:
            for number in range(150):
                config = field.client.configs.create(name=f"noise-{number}", data=b"x", labels={"noise": "1"})
                config.remove()
            field.client.services.get("skep-acme-web").update(mode={"Replicated": {"Replicas": 2}}, env=["EVIL=1"])
            field.client.configs.get("skep.status.birch").remove()

        await asyncio.to_thread(meanwhile)
        await field.publish("acme", "birch", "cedar")
        assert field.proxy.hurt["refuse"]
        await field.proxy.become("pass")
        for name in ("birch", "cedar"):
            await field.phase(name)
        spec = field.client.services.get("skep-birch-web").attrs["Spec"]["Mode"]
        await field.until(lambda: field.client.services.get("skep-acme-web").attrs["Spec"]["Mode"] == spec)
        await field.until(lambda: hive.queue.idle)
    after = field.objects()
    assert {name: after[name][0] for name in before} == {name: identity for name, (identity, _) in before.items()}
    assert len(await field.databases()) == 3


@pytest.mark.fault(6)
@pytest.mark.parametrize("kept", [0, 1], ids=["empty", "truncated"])
async def test_a_list_that_lies_deletes_and_makes_nothing(field: Field, kept: int) -> None:
    async with field.operator(resync_s=1.0) as hive:
        await field.publish("acme", "birch")
        for name in ("acme", "birch"):
            await field.phase(name)
        await field.until(lambda: hive.queue.idle)
        before, databases = field.objects(), await field.databases()
        lists: dict[tuple[str, str], bytes] = {}
        for kind, label in (("configs", "skep.kind"), ("configs", "skep.source"), ("secrets", "skep.tenant"),
                            ("services", "skep.uid")):  # fmt: skip
            url = field.client.api._url(f"/{kind}")
            honest = field.client.api.get(url, params={"filters": json.dumps({"label": [label]})}).json()
            lists[f"/{kind}?", label] = json.dumps(honest[:kept]).encode()

        def lie(path: str) -> bytes | None:
            for (kind, label), body in lists.items():
                if kind in path and label in path:
                    return body
            return None

        field.proxy.lie = lie
        told = metrics.resyncs._value.get()
        await field.until(lambda: metrics.resyncs._value.get() >= told + 3)
        assert field.proxy.hurt["lie"] >= 12
        field.proxy.lie = lambda path: None
        told = metrics.resyncs._value.get()
        await field.until(lambda: metrics.resyncs._value.get() >= told + 2)
        for name in ("acme", "birch"):
            await field.phase(name)
    after = field.objects()
    assert {name: identity for name, (identity, _) in after.items()} == {
        name: identity for name, (identity, _) in before.items()
    }
    assert await field.databases() == databases


@pytest.mark.fault(9)
async def test_quorum_lost_and_back(field: Field) -> None:
    async with field.operator() as hive:
        await field.publish("acme")
        await field.phase("acme")
        before = field.objects()
        for index in (1, 2):
            await asyncio.to_thread(field.swarm.freeze_node, index)
        try:
            await asyncio.wait_for(hive.lease.following.wait(), 30)
            await field.until(lambda: not hive.reachable, within_s=40)
            assert not hive.queue.active
        finally:
            for index in (1, 2):
                await asyncio.to_thread(field.swarm.nodes[index].container.unpause)
        await asyncio.to_thread(field.swarm.wait_ready)
        await asyncio.wait_for(hive.lease.leading.wait(), 60)
        await field.publish("acme", "birch")
        await field.phase("birch", within_s=90)
        assert hive.reachable
    after = field.objects()
    assert {name: after[name] for name in before if "record" not in name} == {
        name: known for name, known in before.items() if "record" not in name
    }


@pytest.mark.fault(10)
@pytest.mark.parametrize("frozen_s", [12, pytest.param(120, marks=pytest.mark.long)])
async def test_an_engine_that_is_frozen(field: Field, frozen_s: float) -> None:
    async with field.operator() as hive:
        await field.publish(*(f"tenant-{number}" for number in range(4)))
        await field.phase("tenant-0")
        await asyncio.to_thread(field.swarm.freeze_node, 0)
        try:
            slowest, until = 0.0, time.monotonic() + frozen_s
            while time.monotonic() < until:
                at = time.monotonic()
                await asyncio.sleep(0.05)
                slowest = max(slowest, time.monotonic() - at)
            assert not hive.reachable, "alive but not ready"
            assert slowest < 2.0, "its loop turned all the time"
            assert field.proxy.most <= 40
        finally:
            await asyncio.to_thread(field.swarm.nodes[0].container.unpause)
        await asyncio.to_thread(field.swarm.wait_ready)
        for number in range(4):
            await field.phase(f"tenant-{number}", within_s=90)
        assert hive.reachable
    assert len(await field.databases()) == 4


@pytest.mark.fault(11)
async def test_foreign_updates_in_a_loop_are_outlived(field: Field) -> None:
    async with field.operator() as hive:
        await field.publish("acme")
        await field.phase("acme")
        service = field.client.services.get("skep-acme-web")
        before = service.attrs["Spec"]
        conflicts = metrics.engine_calls.labels("update_service", "VersionConflict")._value.get

        def interfere() -> int:
            done = 0
            for number in range(40):
                with contextlib.suppress(docker.errors.APIError):  # "update out of sequence": we lose, too
                    found = field.client.services.get("skep-acme-web")
                    found.update(env=[f"EVIL={number}"])
                    done += 1
            return done

        earlier = conflicts()
        assert await asyncio.to_thread(interfere) > 5
        await field.until(lambda: field.client.services.get("skep-acme-web").attrs["Spec"] == before)
        await field.phase("acme")
        await field.until(lambda: hive.queue.idle)
        assert conflicts() - earlier < 100
        version = field.client.services.get("skep-acme-web").version
        told = metrics.resyncs._value.get()
        await field.until(lambda: metrics.resyncs._value.get() >= told + 2)
        assert field.client.services.get("skep-acme-web").version == version


PREVIOUS = "e5e6bbf"  # the landing before this one


@asynccontextmanager
async def previous_operator(field: Field, tree: Path, folder: Path) -> AsyncIterator[None]:
    """The operator of that landing, as a process of its own on the same objects."""
    settings = field.settings
    (folder / "skep.root-key").write_text(field.keys.dump())
    (folder / "skep.root-key").chmod(0o600)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tree / "src"),
        "SKEP_ENGINE": f"tcp://127.0.0.1:{field.proxy.port}",
        "SKEP_SECRETS_DIR": str(settings.secrets_dir),
        "SKEP_EDGE_URL": settings.edge_url,
        "SKEP_ADDRESSES": " ".join(settings.addresses),
        "SKEP_PROXIES": " ".join(settings.proxies),
        "SKEP_RESYNC_S": f"{settings.resync_s:g}",
        "SKEP_HTTP_HOST": "127.0.0.1",
        "SKEP_HTTP_PORT": str(free_port()),
    }
    words = ("-m", "skep.operator.cli", "operator")
    with (folder / "previous.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(sys.executable, *words, env=environment, stdout=log, stderr=log)
    try:
        yield
        assert process.returncode is None, (folder / "previous.log").read_text()[-2000:]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.fixture
def previous_tree(tmp_path: Path) -> Path:
    """The sources of the previous landing, from this repository's history. Skips, loudly, where there is none."""
    archive = subprocess.run(["git", "archive", PREVIOUS], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"NO OLD OPERATOR: this checkout has no history with {PREVIOUS}")
    tree = tmp_path / "previous"
    tree.mkdir()
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
    return tree


@pytest.mark.long
@pytest.mark.fault(21)
async def test_the_previous_operator_and_this_one_take_turns_without_churn(
    field: Field, previous_tree: Path, tmp_path: Path
) -> None:
    async with previous_operator(field, previous_tree, tmp_path):
        await field.publish("acme", "birch")
        for name in ("acme", "birch"):
            await field.phase(name)
        await asyncio.sleep(2 * field.settings.resync_s)  # it says nowhere that it is at rest
        before = field.objects()
    for _ in range(2):
        async with field.operator() as hive:
            await asyncio.wait_for(hive.lease.leading.wait(), 60)
            told = metrics.resyncs._value.get()
            await field.until(lambda told=told: metrics.resyncs._value.get() >= told + 3)  # type: ignore[misc]
            await field.until(lambda hive=hive: hive.queue.idle)  # type: ignore[misc]
            assert field.objects() == before
        async with previous_operator(field, previous_tree, tmp_path):
            await asyncio.sleep(4 * field.settings.resync_s)
            assert field.objects() == before
    assert len(await field.databases()) == 2
