"""PostgreSQL that is away, slow, silent, out of connections or of disk: only steps of databases wait."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from skep.operator.reconcilers.database import servers
from tests.fakes.proxy import Mode, Proxy
from tests.hive.conftest import PLAN, PLATFORM, Rig, rig_on, tenant
from tests.rig.postgres import Postgres, running_postgres

DISK_BYTES = 160 * 2**20


@asynccontextmanager
async def between(rig: Rig) -> AsyncIterator[Proxy]:
    """A proxy between the operator and PostgreSQL; jobs and the test go straight."""
    async with Proxy("127.0.0.1", rig.postgres.port).running() as proxy:
        rig.settings = replace(rig.settings, addresses=(f"postgres=127.0.0.1:{proxy.port}",))
        yield proxy


async def one_more(rig: Rig, name: str) -> None:
    await rig.publish(PLATFORM, PLAN, tenant("acme"), tenant(name))


@pytest.mark.fault(13)
@pytest.mark.parametrize("mode", ["refuse", "cut", "hang"])
async def test_a_server_that_is_cut_off_keeps_only_databases_waiting(
    rig: Rig, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "CALL_S", 2.0)  # what hangs is given up after half a minute; a test has less
    async with between(rig) as proxy, rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
        service = rig.service("acme")
        await proxy.become(mode)
        await one_more(rig, "birch")
        await rig.phase("birch", "Progressing", reason="DatabaseUnavailable", within_s=40)
        assert rig.service("acme") == service
        assert not [each for each in rig.engine.services.values() if "birch" in each.spec.name]
        assert mode == "refuse" or proxy.hurt[mode]
        await proxy.become("pass")
        await rig.phase("birch", "Ready", within_s=40)
        await rig.rest(hive)
    assert len(await rig.databases()) == 2
    assert max(rig.made().values()) == 1


@pytest.mark.fault(13)
async def test_a_slow_server_is_waited_for(rig: Rig) -> None:
    async with between(rig) as proxy, rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        proxy.delay_s = 0.05
        await one_more(rig, "birch")
        await rig.phase("birch", "Ready", within_s=60)
        proxy.delay_s = 0.0
        await rig.rest(hive)
        assert proxy.hurt["delay"] > 20
    assert max(rig.made().values()) == 1


@pytest.mark.fault(13)
async def test_a_server_without_a_connection_left_is_waited_for(rig: Rig) -> None:
    async with rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
        await hive._ports.servers.close()  # its own sessions would go after half a minute without work
        taken: list[asyncpg.Connection[asyncpg.Record]] = []
        try:
            with contextlib.suppress(asyncpg.TooManyConnectionsError):
                while len(taken) < 1000:
                    taken.append(await asyncpg.connect(rig.postgres.dsn()))
            assert len(taken) < 1000
            await one_more(rig, "birch")
            report = await rig.phase("birch", "Progressing", reason="DatabaseUnavailable")
            assert "53300" in str(report.condition("Ready"))
        finally:
            await asyncio.gather(*(each.close() for each in taken))
        await rig.phase("birch", "Ready")
        await rig.rest(hive)
    assert len(await rig.databases()) == 2
    assert max(rig.made().values()) == 1


@contextmanager
def small_disk(at: Path) -> Iterator[Path]:
    """A file system that fills up. Skips, loudly, where nobody may mount one."""
    at.mkdir(mode=0o711)
    at.parent.chmod(0o711)
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0711", "tmpfs", str(at)]
    if os.geteuid() != 0 or subprocess.run(words, check=False, capture_output=True).returncode != 0:
        pytest.skip("NO FULL DISK: only root may mount a small one")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


@pytest.fixture
def cramped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A PostgreSQL on a disk of its own, which is small."""
    with (
        tempfile.TemporaryDirectory(prefix="skep-test-disk-") as folder,
        small_disk(Path(folder) / "disk") as disk,
    ):
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(disk))
            server = running_postgres()
            postgres = server.__enter__()
        try:
            yield postgres
        finally:
            server.__exit__(None, None, None)


@pytest.mark.fault(13)
async def test_a_full_disk_is_waited_for(cramped: Postgres, tmp_path: Path) -> None:
    async with rig_on(cramped, tmp_path) as rig, rig.operator() as hive:
        await rig.publish(PLATFORM, PLAN, tenant("acme"))
        await rig.phase("acme", "Ready")
        await rig.rest(hive)
        service = rig.service("acme")
        ballast = cramped._data / "ballast"
        room = os.statvfs(cramped._data)
        ballast.write_bytes(b"x" * (room.f_bavail * room.f_frsize - 2**20))
        try:
            await one_more(rig, "birch")
            await rig.phase("birch", "Progressing", reason="DatabaseUnavailable")
            await rig.until(lambda: "No space left on device" in str(rig.status("birch")))
            assert rig.service("acme") == service
        finally:
            ballast.unlink()
        if not cramped.runs:  # without room for its log, a server ends
            cramped.start()
        await rig.phase("birch", "Ready")
        await rig.rest(hive)
        assert len(await rig.databases()) == 2
        assert max(rig.made().values()) == 1
