"""Who may do what at the gateway: with real restic, through the front and rclone, into a folder and into S3."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from skep.backups.dump import back_up, find
from skep.backups.errors import Forbidden, Unreachable
from skep.backups.gateway import Gateway, Refused, address, admit, tenant_password
from skep.backups.repository import Repository
from tests.backups.conftest import PASSPHRASE, Store, Tenant, about, bare_restic, repository_in

KEY = secrets.token_bytes(32)
ACME, BIRCH = "ab12cd34", "ef56ab78"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


OWN = basic(ACME, tenant_password(KEY, ACME))
FILE = "a" * 64


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"/{ACME}/"), ("GET", f"/{ACME}/config"), ("POST", f"/{ACME}/data/{FILE}"), ("HEAD", f"/{ACME}/keys/{FILE}"),
     ("GET", f"/{ACME}/snapshots/"), ("DELETE", f"/{ACME}/locks/{FILE}")],
)  # fmt: skip
def test_a_job_may_use_its_own_repository(method: str, path: str) -> None:
    assert admit(KEY, method, path, OWN) == ACME


@pytest.mark.parametrize(
    ("method", "path", "shown", "status"),
    [
        pytest.param("GET", f"/{BIRCH}/config", OWN, 403, id="another tenant's"),
        pytest.param("GET", "/config", OWN, 403, id="the root"),
        pytest.param("GET", f"/{ACME}/../{BIRCH}/config", OWN, 403, id="a way around"),
        pytest.param("GET", f"/{ACME}/data/../../{BIRCH}/config", OWN, 403, id="a longer way around"),
        pytest.param("GET", f"/{ACME}//{BIRCH}/config", OWN, 403, id="two slashes"),
        pytest.param("GET", f"/{ACME}/notes/{FILE}", OWN, 403, id="no part of a repository"),
        pytest.param("DELETE", f"/{ACME}/snapshots/{FILE}", OWN, 403, id="forgetting"),
        pytest.param("DELETE", f"/{ACME}/data/{FILE}", OWN, 403, id="pruning"),
        pytest.param("DELETE", f"/{ACME}/keys/{FILE}", OWN, 403, id="removing a key"),
        pytest.param("DELETE", f"/{ACME}/", OWN, 403, id="removing all"),
        pytest.param("PUT", f"/{ACME}/config", OWN, 405, id="another verb"),
        pytest.param("GET", f"/{ACME}/config", None, 401, id="nobody"),
        pytest.param("GET", f"/{ACME}/config", basic(ACME, "guess"), 401, id="a guess"),
        pytest.param(
            "GET", f"/{ACME}/config", basic(ACME, tenant_password(KEY, BIRCH)), 401, id="a neighbour's password"
        ),
        pytest.param(
            "GET", f"/{ACME}/config", basic("../x", tenant_password(KEY, "../x")), 401, id="a name that is none"
        ),
        pytest.param("GET", f"/{ACME}/config", "Basic %%%", 401, id="nonsense"),
        pytest.param("GET", f"/{ACME}/config", "Bearer abc", 401, id="another scheme"),
    ],
)
def test_and_nothing_else(method: str, path: str, shown: str | None, status: int) -> None:
    with pytest.raises(Refused) as refused:
        admit(KEY, method, path, shown)
    assert refused.value.status == status


@dataclass(frozen=True)
class Served:
    port: int
    folder: Path
    place: Path

    def store(self, uid: str, *, shown: str | None = None, passphrase: str = PASSPHRASE) -> Store:
        """As a job of *uid* is given it; *shown*: the uid whose password it shows."""
        made = repository_in(self.place / f"job-{uid}-{shown}", self.folder / uid, passphrase)
        url = address("127.0.0.1", self.port, KEY, uid)
        if shown is not None:
            url = url.replace(f"//{uid}:{tenant_password(KEY, uid)}@", f"//{shown}:{tenant_password(KEY, shown)}@")
        made.address_file.write_text(url)
        return made


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    folder = tmp_path / "store"
    folder.mkdir()
    async with Gateway(KEY, str(folder)).running("127.0.0.1", 0) as port:
        yield Served(port, folder, tmp_path)


async def test_a_backup_goes_through_it_and_only_the_tenant_reads_it(served: Served, tenant: Tenant) -> None:
    mine = served.store(ACME)
    assert await mine.repository.make()
    assert not await mine.repository.make()
    manifest = await back_up(tenant.source, about(), mine.repository)
    assert await find(mine.repository, "b1") == manifest
    assert (served.folder / ACME / "config").exists()
    with pytest.raises(Forbidden):
        await served.store(ACME, shown=BIRCH).repository.snapshots()


async def test_a_job_cannot_forget_prune_or_change_the_key(served: Served, tenant: Tenant) -> None:
    mine = served.store(ACME)
    await mine.repository.make()
    manifest = await back_up(tenant.source, about(), mine.repository)
    before = sorted(path.name for path in served.folder.rglob("*") if path.is_file() and path.parent.name != "locks")
    (key,) = (served.folder / ACME / "keys").iterdir()
    async with aiohttp.ClientSession(headers={"Authorization": OWN}) as session:
        for path in (f"/{ACME}/keys/{key.name}", f"/{ACME}/config", f"/{ACME}/snapshots/{manifest.dump}"):
            async with session.delete(f"http://127.0.0.1:{served.port}{path}") as answer:
                assert answer.status == 403
        async with session.post(f"http://127.0.0.1:{served.port}/{ACME}/config", data=b"another") as answer:
            assert answer.status == 403, "rclone adds and never writes over"
    after = sorted(path.name for path in served.folder.rglob("*") if path.is_file() and path.parent.name != "locks")
    assert after == before
    assert await find(mine.repository, "b1") == manifest


@pytest.mark.long  # restic asks again for a minute and a half before it believes it
@pytest.mark.timeout(400)
async def test_restic_itself_cannot_forget(served: Served, tenant: Tenant) -> None:
    mine = served.store(ACME)
    await mine.repository.make()
    manifest = await back_up(tenant.source, about(), mine.repository)
    with pytest.raises(Forbidden):
        await mine.repository.forget_these((manifest.dump,))
    code, _ = await bare_restic(mine, "forget", "--prune", manifest.dump)
    assert code != 0
    assert await find(mine.repository, "b1") == manifest


async def test_a_new_tenant_needs_no_restart(served: Served) -> None:
    await asyncio.gather(*(served.store(f"tenant{n:04}").repository.make() for n in range(3)))
    assert len(list(served.folder.iterdir())) == 3


async def test_rclone_itself_lets_nobody_in_without_the_fronts_password(served: Served, tmp_path: Path) -> None:
    """On a machine that is shared, loopback is too."""
    await served.store(ACME).repository.make()
    ports = await asyncio.to_thread(listening)
    answers = set()
    async with aiohttp.ClientSession() as session:
        for port in ports - {served.port}:
            try:
                async with session.get(
                    f"http://127.0.0.1:{port}/{ACME}/config", timeout=aiohttp.ClientTimeout(2)
                ) as answer:
                    answers.add(answer.status)
            except (aiohttp.ClientError, TimeoutError):
                continue
    assert 401 in answers, "rclone was not found"
    assert 200 not in answers


async def test_a_gateway_that_is_away_is_told_as_that(tmp_path: Path) -> None:
    made = repository_in(tmp_path / "job", tmp_path / "nowhere")
    made.address_file.write_text(address("127.0.0.1", 9, KEY, ACME))
    with pytest.raises(Unreachable):
        async with asyncio.timeout(60):
            await Repository(made.address_file, made.password_file).is_there()


def listening() -> set[int]:
    """TCP ports of this machine that somebody listens on."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return {int(fields[1].rpartition(":")[2], 16) for fields in map(str.split, lines) if fields[3] == "0A"}
