"""What tests rely on in the memory engine beyond the port: faults, hints, a clock, and Swarm's own traps."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from skep.operator.engine.memory import Call, MemoryEngine, VirtualClock
from skep.operator.engine.spec import Change, JobResult, JobSpec, Mount, ServiceSpec
from skep.operator.errors import EngineUnavailable, InUse

SPEC = ServiceSpec("web", "app:1", labels=(("t", "1"),))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def engine(clock: VirtualClock) -> MemoryEngine:
    return MemoryEngine(now=clock, start_s=10)


async def update(engine: MemoryEngine, spec: ServiceSpec) -> None:
    current = engine.service(spec.name)
    await engine.update_service(current.id, current.version, spec)


async def test_a_rollout_goes_slot_by_slot_as_the_clock_is_turned(engine: MemoryEngine, clock: VirtualClock) -> None:
    await engine.create_service(replace(SPEC, replicas=2))
    assert engine.service("web").running == 0
    clock.advance(10)
    assert engine.service("web").running == 2
    await update(engine, replace(SPEC, replicas=2, image="app:2"))
    seen = []
    for _ in range(3):
        tasks = await engine.list_tasks(service="web")
        seen.append([(task.image, task.state) for task in tasks if task.wanted == "running"])
        clock.advance(10)
    assert seen == [
        [("app:2", "starting"), ("app:1", "running"), ("app:1", "running")],
        [("app:2", "running"), ("app:2", "starting"), ("app:1", "running")],
        [("app:2", "running"), ("app:2", "running")],
    ]
    assert engine.service("web").update_state == "completed"


async def test_a_broken_image_is_rolled_back(engine: MemoryEngine, clock: VirtualClock) -> None:
    engine.broken_images.add("app:2")
    await engine.create_service(SPEC)
    clock.advance(10)
    await update(engine, replace(SPEC, image="app:2"))
    clock.advance(10)
    service = engine.service("web")
    assert (service.spec, service.previous, service.update_state, service.running) == (
        SPEC, None, "rollback_completed", 1,
    )  # fmt: skip


async def test_an_equal_update_disables_a_running_rollback(engine: MemoryEngine, clock: VirtualClock) -> None:
    engine.broken_images.add("app:2")
    await engine.create_service(SPEC)
    clock.advance(10)
    broken = replace(SPEC, image="app:2")
    await update(engine, broken)
    await update(engine, broken)
    clock.advance(10)
    service = engine.service("web")
    assert (service.spec, service.previous, service.running) == (broken, broken, 0)


async def test_versions_move_by_themselves_at_the_end_of_a_rollout(engine: MemoryEngine, clock: VirtualClock) -> None:
    await engine.create_service(SPEC)
    await update(engine, replace(SPEC, image="app:2"))
    before = engine.service("web").version
    clock.advance(10)
    assert engine.service("web").version > before


async def test_what_only_the_previous_spec_uses_can_be_removed(engine: MemoryEngine) -> None:
    secret = await engine.create_secret("s", b"hush", {})
    await engine.create_service(replace(SPEC, secrets=(Mount("s", "s"),)))
    with pytest.raises(InUse):
        await engine.remove_secret(secret)
    await update(engine, SPEC)
    await engine.remove_secret(secret)


async def test_a_hook_before_a_call_prevents_it_and_one_after_loses_only_the_answer(engine: MemoryEngine) -> None:
    fail_in = "before"

    def hook(call: Call) -> None:
        if call.writes and call.phase == fail_in:
            raise EngineUnavailable("the line is cut")

    engine.on_call = hook
    with pytest.raises(EngineUnavailable):
        await engine.create_config("a", b"1", {})
    assert engine.configs == {}
    fail_in = "after"
    with pytest.raises(EngineUnavailable):
        await engine.create_config("a", b"1", {})
    assert [config.name for config in engine.configs.values()] == ["a"]
    assert engine.writes == [("create_config", "a")]


async def test_a_hook_may_answer_wrongly(engine: MemoryEngine) -> None:
    await engine.create_config("a", b"1", {"t": "1"})

    def empty(call: Call) -> None:
        if call.phase == "after":
            call.result = ()

    engine.on_call = empty
    assert await engine.list_configs(label="t") == ()


async def test_hints_are_lost_and_doubled_as_told(engine: MemoryEngine) -> None:
    times = {"lost": 0, "doubled": 2, "end": 1}
    engine.deliver = lambda change: times[change.name]
    changes = aiter(engine.changes())
    await anext(changes)
    for name in times:
        await engine.create_config(name, b"1", {})
    seen: list[Change] = []
    while not seen or seen[-1].name != "end":
        seen.append(await anext(changes))
    assert [change.name for change in seen] == ["doubled", "doubled", "end"]


async def test_a_job_outlives_its_caller_and_is_found_again(engine: MemoryEngine) -> None:
    started, done = asyncio.Event(), asyncio.Event()

    async def slow(job: JobSpec) -> JobResult:
        started.set()
        await done.wait()
        return JobResult(0, "done\n")

    engine.register_job(slow, args=("schema",))
    job = JobSpec("j", "app:1", ("schema",))
    first = asyncio.create_task(engine.run_job(job))
    await started.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    done.set()
    assert await engine.run_job(job) == JobResult(0, "done\n")
    assert engine.jobs_run == [job]


async def test_a_hand_is_seen(engine: MemoryEngine) -> None:
    await engine.create_service(SPEC)
    engine.edit_by_hand("web", unmanaged=(("TaskTemplate.ContainerSpec.Hostname", "x"),))
    assert engine.service("web").spec != SPEC
