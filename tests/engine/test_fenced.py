"""Writes of who does not lead: refused before they are sent, also when what they name took long to look up."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from skep.operator.engine.fenced import Fenced
from skep.operator.engine.memory import Call, MemoryEngine
from skep.operator.engine.port import Engine
from skep.operator.engine.spec import JobResult, JobSpec, Mount, NetworkSpec, ServiceSpec
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.errors import NotLeader

READS = ("list_", "inspect_", "resolve_", "info", "logs", "changes", "close")
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "create_config": ("a", b"x", {}),
    "label_config": ("a", 1, {}),
    "remove_config": ("a",),
    "create_secret": ("a", b"x", {}),
    "label_secret": ("a", 1, {}),
    "remove_secret": ("a",),
    "create_network": (NetworkSpec("a"),),
    "remove_network": ("a",),
    "create_service": (ServiceSpec("a", "app:1"),),
    "update_service": ("a", 1, ServiceSpec("a", "app:1")),
    "remove_service": ("a",),
    "run_job": (JobSpec("a", "app:1", ()),),
}


class Lead:
    """A fence that a test opens and closes; *reads* is how often the lease was read again."""

    term = 1

    def __init__(self, *, held: bool = True) -> None:
        self.held = held
        self.reads = 0

    def check(self) -> None:
        if not self.held:
            raise NotLeader("another replica leads")

    async def confirm(self) -> None:
        self.reads += 1
        self.check()

    async def outgrow(self, term: int) -> None: ...


def test_every_method_of_the_port_is_known_to_read_or_to_write() -> None:
    methods = {name for name, _ in inspect.getmembers(Engine, inspect.isfunction) if not name.startswith("_")}
    assert {name for name in methods if not name.startswith(READS)} == ARGUMENTS.keys()


@pytest.mark.parametrize("method", ARGUMENTS)
async def test_who_does_not_lead_sends_nothing(method: str) -> None:
    engine = MemoryEngine()
    calls: list[Call] = []
    engine.on_call = calls.append
    with pytest.raises(NotLeader):
        await getattr(Fenced(engine, Lead(held=False)), method)(*ARGUMENTS[method])
    assert calls == []


async def test_what_carries_no_version_is_removed_after_another_look_at_the_lease() -> None:
    engine, lead = MemoryEngine(), Lead()
    fenced = Fenced(engine, lead)
    config = await fenced.create_config("a", b"x", {})
    assert lead.reads == 0
    await fenced.remove_config(config)
    assert lead.reads == 1


async def test_a_job_that_outlived_the_lead_is_left_for_the_next_leader() -> None:
    engine, lead = MemoryEngine(), Lead()
    job = JobSpec("a", "app:1", ("schema",))

    def lost(spec: JobSpec) -> JobResult:
        lead.held = False
        return JobResult(0, "done\n")

    engine.register_job(lost, args=("schema",))
    with pytest.raises(NotLeader):
        await Fenced(engine, lead).run_job(job)
    assert await Fenced(engine, Lead()).run_job(job) == JobResult(0, "done\n")
    assert engine.jobs_run == [job]
    await engine.close()


class Docker:
    """As much of the Engine API as a creation asks for; the lead is lost while a config's name is looked up."""

    def __init__(self, lead: Lead) -> None:
        self.lead = lead
        self.written: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        if request.method != "GET":
            self.written.append(request.path)
            return web.json_response({"ID": "x" * 25}, status=201)
        if request.path.endswith("/version"):
            return web.json_response({"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24"})
        self.lead.held = False
        return web.json_response([{"ID": "c" * 25, "Spec": {"Name": "settings"}}])


@pytest.fixture
async def docker() -> AsyncIterator[tuple[Docker, SwarmEngine]]:
    fake = Docker(Lead())
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", fake.answer)
    server = TestServer(app)
    await server.start_server()
    engine = SwarmEngine(f"tcp://127.0.0.1:{server.port}")
    try:
        yield fake, engine
    finally:
        await engine.close()
        await server.close()


async def test_a_lead_lost_while_names_are_looked_up_stops_the_write(docker: tuple[Docker, SwarmEngine]) -> None:
    fake, engine = docker
    fenced = Fenced(engine, fake.lead)
    with pytest.raises(NotLeader):
        await fenced.create_service(ServiceSpec("a", "app:1", configs=(Mount("settings", "settings.json"),)))
    fake.lead.held = True
    with pytest.raises(NotLeader):
        await fenced.run_job(JobSpec("a", "app:1", (), configs=(Mount("settings", "settings.json"),)))
    assert fake.written == []
    fake.lead.held = True
    await fenced.create_config("a", b"x", {})
    assert fake.written == ["/v1.41/configs/create"]
