"""What only the embedded engine promises: its files, its processes, its crashes."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from skep.operator.engine.embedded.book import Book
from skep.operator.engine.embedded.brought import Brought
from skep.operator.engine.embedded.engine import EmbeddedEngine
from skep.operator.engine.embedded.files import LogFile
from skep.operator.engine.embedded.home import Home
from skep.operator.engine.embedded.programs import digest_of_app
from skep.operator.engine.embedded.routes import render
from skep.operator.engine.spec import (
    HealthCheck,
    JobSpec,
    Mount,
    Route,
    Service,
    ServiceSpec,
    Task,
    UpdatePolicy,
)
from skep.operator.errors import EngineRefused, NotFound, SkepError

pytestmark = pytest.mark.embedded

PROBE = Path(__file__).parents[1] / "rig" / "probe" / "probe.py"
PROGRAMS = {"probe": (sys.executable, "-I", str(PROBE))}
QUICK = HealthCheck(port=8080, interval_s=0.2, timeout_s=1.0, start_period_s=3.0, retries=2)
WEB = ServiceSpec("web", "probe:1", ("web",), labels=(("t", "1"),), health=QUICK, stop_grace_s=1.0)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(Path(tempfile.mkdtemp(dir=tmp_path)))
    home.prepare()
    return home


@asynccontextmanager
async def running(home: Home) -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(home, programs=PROGRAMS)
    engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.02)


async def service(engine: EmbeddedEngine, *, state: str | None = None, count: int | None = None) -> Service:
    """The service once it is so."""
    async with asyncio.timeout(20):
        while True:
            found = await engine.inspect_service("web")
            if state in (None, found.update_state) and count in (None, found.running):
                return found
            await asyncio.sleep(0.02)


async def task(engine: EmbeddedEngine, state: str) -> Task:
    """The first task in that state."""
    async with asyncio.timeout(20):
        while True:
            for found in await engine.list_tasks(service="web"):
                if found.state == state:
                    return found
            await asyncio.sleep(0.02)


def route_file(home: Home) -> str:
    (path,) = home.edge.glob("*.yml")
    return path.read_text()


async def test_versions_never_go_back(home: Home) -> None:
    async with running(home) as engine:
        last = await engine.inspect_config(await engine.create_config("a", b"1", {}))
        await engine.remove_config(last.id)
    async with running(home) as engine:
        next_one = await engine.inspect_config(await engine.create_config("b", b"1", {}))
    assert next_one.version > last.version


async def test_a_file_that_cannot_be_read_is_named_and_nothing_is_guessed(home: Home) -> None:
    async with running(home) as engine:
        config = await engine.create_config("a", b"1", {})
    path = home.state / "config" / f"{config}.json"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(SkepError, match=str(path)):
        async with running(home):
            pass


async def test_an_update_that_a_crash_interrupted_is_finished(home: Home) -> None:
    async with running(home) as engine:
        await engine.create_service(WEB)
        before = await service(engine, count=1)
        await engine.update_service(before.id, before.version, replace(WEB, env=(("A", "1"),)))
    async with running(home) as engine:
        done = await service(engine, state="completed", count=1)
        assert dict(done.spec.env) == {"A": "1"}


async def test_an_update_that_a_crash_interrupted_is_still_rolled_back(home: Home) -> None:
    async with running(home) as engine:
        await engine.create_service(WEB)
        before = await service(engine, count=1)
        await engine.update_service(before.id, before.version, replace(WEB, args=("unhealthy",)))
    async with running(home) as engine:
        done = await service(engine, state="rollback_completed", count=1)
        assert done.spec == WEB


async def test_a_failed_stop_first_update_brings_the_old_task_back(home: Home) -> None:
    policy = UpdatePolicy(order="stop-first")
    async with running(home) as engine:
        await engine.create_service(replace(WEB, update=policy))
        before = await service(engine, count=1)
        await engine.update_service(before.id, before.version, replace(WEB, args=("fail",), update=policy))
        done = await service(engine, state="rollback_completed", count=1)
        assert done.spec == replace(WEB, update=policy)
        assert "non-zero exit (3)" in done.update_message


async def test_of_two_slots_one_at_a_time_is_replaced(home: Home) -> None:
    spec = replace(WEB, replicas=2)
    seen: set[int] = set()
    async with running(home) as engine:
        await engine.create_service(spec)
        before = await service(engine, count=2)
        await engine.update_service(before.id, before.version, replace(spec, env=(("A", "1"),)))
        while (found := await engine.inspect_service("web")).update_state == "updating":
            seen.add(sum(each.state == "running" for each in await engine.list_tasks(service="web")))
            await asyncio.sleep(0.01)
        assert found.update_state == "completed"
    assert min(seen) >= 2


async def test_a_task_that_stops_answering_is_replaced(home: Home) -> None:
    async with running(home) as engine:
        await engine.create_service(WEB)
        first = await task(engine, "running")
        (pid,) = [int(path.stem) for path in home.children.glob("*.json")]
        os.kill(pid, 19)  # SIGSTOP: alive, and deaf
        failed = await task(engine, "failed")
        assert failed.id == first.id
        assert "unhealthy" in failed.error
        assert (await task(engine, "running")).id != first.id


async def routed(home: Home, word: str) -> None:
    """Wait until the edge's only route says *word*."""
    async with asyncio.timeout(20):
        while True:
            if list(home.edge.glob("*.yml")) and word in route_file(home):
                return
            await asyncio.sleep(0.02)


async def test_the_edge_knows_healthy_tasks_only(home: Home) -> None:
    route = Route("web", ("web.test",), 8080, headers=(("X-Skep-Tenant", "0123"),))
    async with running(home) as engine:
        await engine.create_service(replace(WEB, route=route, replicas=0))
        await routed(home, '"servers": []')
        found = await engine.inspect_service("web")
        await engine.update_service(found.id, found.version, replace(WEB, route=route))
        await routed(home, '"url": "http://127.0.0.1:')
        await service(engine, count=1)
        found = await engine.inspect_service("web")
        await engine.remove_service(found.id)
        assert not list(home.edge.glob("*.yml"))


def test_a_value_opens_no_template() -> None:
    text = render(Route("web", ("web.test",), 80, headers=(("X", '{{ env "HOME" }}'),)), [1]).decode()
    assert "{{" not in text


async def test_a_route_with_tls_is_refused_with_the_remedy(home: Home) -> None:
    async with running(home) as engine:
        with pytest.raises(EngineRefused, match="tls: off"):
            await engine.create_service(replace(WEB, route=Route("web", ("web.test",), 80, tls=True)))


async def test_another_image_is_a_task_that_says_so(home: Home) -> None:
    async with running(home) as engine:
        await engine.create_service(replace(WEB, image="nginx:1"))
        assert "built-in app only" in (await task(engine, "rejected")).error
        assert (await engine.resolve_image("nginx:1")).digest is None


async def test_an_image_is_the_installed_code(home: Home) -> None:
    async with running(home) as engine:
        image = await engine.resolve_image("probe:1")
        again = await engine.resolve_image(image.pinned)
    assert image.pinned == again.pinned == f"probe:1@{digest_of_app()}"


async def test_a_mount_is_a_file_name_and_no_path(home: Home) -> None:
    async with running(home) as engine:
        await engine.create_config("a", b"1", {})
        await engine.create_service(replace(WEB, configs=(Mount("a", "../../root.key"),)))
        assert "not a file name" in (await task(engine, "rejected")).error
    assert not home.root_key.exists()


async def test_files_and_processes_of_a_task_are_gone_with_it(home: Home) -> None:
    async with running(home) as engine:
        await engine.create_secret("s", b"hush", {})
        await engine.create_service(replace(WEB, secrets=(Mount("s", "s"),)))
        found = await service(engine, count=1)
        (file,) = home.tasks.glob("*/secrets/s")
        assert (file.read_text(), file.stat().st_mode & 0o777) == ("hush", 0o400)
        await engine.remove_service(found.id)
        await eventually(lambda: not [*home.tasks.iterdir(), *home.children.iterdir()])
        with pytest.raises(NotFound):
            await engine.inspect_service("web")


async def test_a_jobs_result_waits_for_the_one_who_asks_again(home: Home) -> None:
    job = JobSpec("job", "probe:1", ("schema",))
    async with running(home) as engine:
        asked = asyncio.create_task(engine.run_job(job))
        await eventually(lambda: any(home.children.iterdir()))
        asked.cancel()
        await eventually(lambda: not any(home.children.iterdir()))
        result = await engine.run_job(replace(job, args=("fail",)))
    assert result.ok, "the first run's result, not another run"


async def test_a_job_that_takes_too_long_is_killed(home: Home) -> None:
    async with running(home) as engine:
        result = await engine.run_job(JobSpec("job", "probe:1", ("sleep",), timeout_s=0.5))
    assert (result.exit_code, result.error) == (None, "killed after 0.5 s")


async def test_a_jobs_output_is_its_end(home: Home) -> None:
    async with running(home) as engine:
        result = await engine.run_job(JobSpec("job", "probe:1", ("chatter",)))
    assert (len(result.output), result.output.splitlines()[-1]) == (64 * 1024, "the end")


def test_a_log_is_bounded(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log", limit=1000)
    for number in range(1000):
        log.write(f"line {number}")
    log.close()
    assert log.path.stat().st_size + log.older.stat().st_size <= 2000
    assert log.tail(1) == "line 999"


async def test_logs_of_earlier_runs_are_kept_and_bounded_too(tmp_path: Path) -> None:
    book = Book(tmp_path)
    for number in range(20):
        book.open(f"task{number}")("stdout", f"said by {number}")
        book.close(f"task{number}")
    lines = [line.text async for line in Book(tmp_path).read(tail=None, follow=False)]
    assert lines[-1] == "said by 19"
    assert len(lines) <= 6


async def test_a_secret_that_a_tenant_brings_is_a_file(home: Home) -> None:
    file = home.brought / "acme" / "smtp-1"
    file.parent.mkdir()
    file.write_text("first")
    async with running(home) as engine:
        brought = Brought(engine, home.brought)
        await brought.look()
        assert [each.name for each in await engine.list_secrets(label="skep.tenant=acme")] == ["smtp-1"]
        file.write_text("second")
        await brought.look()
        assert engine.is_secret("smtp-1", b"second")
        await engine.create_service(replace(WEB, replicas=0, secrets=(Mount("smtp-1", "smtp"),)))
        file.write_text("third, under a running app")
        await brought.look()
        assert engine.is_secret("smtp-1", b"second")
        await engine.remove_service("web")
        await brought.look()
        assert engine.is_secret("smtp-1", b"third, under a running app")
        file.unlink()
        await brought.look()
        assert await engine.list_secrets(label="skep.tenant=acme") == ()


async def test_a_file_takes_no_secret_of_somebody_else(home: Home) -> None:
    (home.brought / "evil").mkdir()
    (home.brought / "evil" / "theirs").write_text("mine")
    async with running(home) as engine:
        await engine.create_secret("theirs", b"theirs", {"skep.tenant": "acme"})
        await Brought(engine, home.brought).look()
        assert engine.is_secret("theirs", b"theirs")
        assert await engine.list_secrets(label="skep.tenant=evil") == ()
