"""What every engine does, whichever it is: the port's promises, one sentence each."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from skep.operator.engine.spec import CONNECTED, Change, LogLine, Mount, Route, UpdatePolicy
from skep.operator.errors import EngineRefused, EngineUnavailable, InUse, NameTaken, NotFound, VersionConflict
from tests.engine.adapters import Subject
from tests.engine.bench import Bench

# -- configs and secrets ---------------------------------------------------------------------------------------------


async def test_a_config_is_read_back_as_written(bench: Bench) -> None:
    config_id = await bench.engine.create_config(bench.name("a"), b"k: v\n", bench.labels)
    by_id = await bench.engine.inspect_config(config_id)
    assert (by_id.name, by_id.data, dict(by_id.labels)) == (bench.name("a"), b"k: v\n", bench.labels)
    assert await bench.engine.inspect_config(bench.name("a")) == by_id
    assert await bench.engine.list_configs(label=bench.label) == (by_id,)


async def test_configs_are_listed_by_label_and_name(bench: Bench) -> None:
    for suffix, labels in (("b", {"kind": "x"}), ("a", {"kind": "x"}), ("c", {"kind": "y"})):
        await bench.engine.create_config(bench.name(suffix), b".", bench.labels | labels)
    names = [config.name for config in await bench.engine.list_configs(label=bench.label)]
    assert names == [bench.name(suffix) for suffix in "abc"]
    of_x = await bench.engine.list_configs(label="kind=x")
    assert [config.name for config in of_x if dict(config.labels)["skep.test"] == bench.run] == names[:2]
    assert await bench.engine.list_configs(label="skep.test=nobody") == ()


async def test_a_config_with_a_taken_name_is_refused(bench: Bench) -> None:
    await bench.engine.create_config(bench.name("a"), b"1", bench.labels)
    with pytest.raises(NameTaken):
        await bench.engine.create_config(bench.name("a"), b"2", bench.labels)
    assert (await bench.engine.inspect_config(bench.name("a"))).data == b"1"


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        pytest.param("a", b"", id="empty"),
        pytest.param("a", b"x" * 1_024_000, id="too large"),
        pytest.param("a b", b"x", id="a space in the name"),
        pytest.param("a" * 64, b"x", id="a name of more than 64"),
    ],
)
async def test_a_config_outside_the_limits_is_refused(bench: Bench, suffix: str, data: bytes) -> None:
    with pytest.raises(EngineRefused):
        await bench.engine.create_config(bench.name(suffix), data, bench.labels)


async def test_the_largest_config_and_secret_are_taken(bench: Bench) -> None:
    await bench.engine.create_config(bench.name("a"), b"x" * 1_023_999, bench.labels)
    await bench.engine.create_secret(bench.name("a"), b"x" * 511_999, bench.labels)
    assert len((await bench.engine.inspect_config(bench.name("a"))).data) == 1_023_999


async def test_labels_are_replaced_and_data_stays(bench: Bench) -> None:
    config_id = await bench.engine.create_config(bench.name("a"), b"1", bench.labels | {"old": "1"})
    before = await bench.engine.inspect_config(config_id)
    await bench.engine.label_config(config_id, before.version, bench.labels | {"new": "`backticks`\nand lines"})
    after = await bench.engine.inspect_config(config_id)
    assert dict(after.labels) == bench.labels | {"new": "`backticks`\nand lines"}
    assert (after.id, after.name, after.data) == (before.id, before.name, before.data)
    assert after.version > before.version


async def test_a_stale_version_is_refused_and_changes_nothing(bench: Bench) -> None:
    config_id = await bench.engine.create_config(bench.name("a"), b"1", bench.labels)
    first = await bench.engine.inspect_config(config_id)
    await bench.engine.label_config(config_id, first.version, bench.labels | {"by": "one"})
    with pytest.raises(VersionConflict):
        await bench.engine.label_config(config_id, first.version, bench.labels | {"by": "two"})
    assert dict((await bench.engine.inspect_config(config_id)).labels)["by"] == "one"


async def test_of_many_racers_exactly_one_wins(bench: Bench) -> None:
    config_id = await bench.engine.create_config(bench.name("a"), b"1", bench.labels)
    version = (await bench.engine.inspect_config(config_id)).version
    results = await asyncio.gather(
        *(bench.engine.label_config(config_id, version, bench.labels | {"by": str(n)}) for n in range(8)),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(VersionConflict) == 7
    winner = str(results.index(None))
    assert dict((await bench.engine.inspect_config(config_id)).labels)["by"] == winner


async def test_versions_are_ordered_over_all_objects(bench: Bench) -> None:
    async def version_of(name: str) -> int:
        return (await bench.engine.inspect_config(name)).version

    a = await bench.engine.create_config(bench.name("a"), b"1", bench.labels)
    first = await version_of(a)
    b = await bench.engine.create_config(bench.name("b"), b"1", bench.labels)
    second = await version_of(b)
    await bench.engine.create_secret(bench.name("c"), b"1", bench.labels)
    (secret,) = await bench.engine.list_secrets(label=bench.label)
    await bench.engine.label_config(a, first, bench.labels | {"again": ""})
    assert first < second < secret.version < await version_of(a)


async def test_what_is_not_there_is_not_found(bench: Bench) -> None:
    engine = bench.engine
    nothing = bench.name("nothing")
    for call in (
        engine.inspect_config(nothing),
        engine.label_config(nothing, 1, {}),
        engine.remove_config(nothing),
        engine.label_secret(nothing, 1, {}),
        engine.remove_secret(nothing),
        engine.remove_network(nothing),
        engine.inspect_service(nothing),
        engine.update_service(nothing, 1, bench.spec()),
        engine.remove_service(nothing),
        engine.list_tasks(service=nothing),
        anext(aiter(engine.logs(nothing))),
    ):
        with pytest.raises(NotFound):
            await call


@pytest.mark.parametrize("ref", ["a/b", "../secrets", "a?b=c", "a b", "a#b", "%2e", "ä"])
async def test_a_strange_name_is_not_found_and_reaches_nothing_else(bench: Bench, ref: str) -> None:
    for call in (bench.engine.inspect_config(ref), bench.engine.inspect_service(ref), bench.engine.remove_config(ref)):
        with pytest.raises(NotFound):
            await call


async def test_a_list_without_a_label_is_refused(bench: Bench) -> None:
    for label in ("", "=x"):
        with pytest.raises(EngineRefused):
            await bench.engine.list_configs(label=label)
        with pytest.raises(EngineRefused):
            await bench.engine.list_services(label=label)


async def test_a_secret_has_labels_and_never_its_data(bench: Bench) -> None:
    secret_id = await bench.engine.create_secret(bench.name("s"), b"hush", bench.labels)
    with pytest.raises(NameTaken):
        await bench.engine.create_secret(bench.name("s"), b"other", bench.labels)
    (secret,) = await bench.engine.list_secrets(label=bench.label)
    assert (secret.id, secret.name) == (secret_id, bench.name("s"))
    assert "hush" not in repr(secret)
    await bench.engine.label_secret(secret_id, secret.version, bench.labels | {"generation": "2"})
    (labelled,) = await bench.engine.list_secrets(label="generation=2")
    assert labelled.version > secret.version
    with pytest.raises(VersionConflict):
        await bench.engine.label_secret(secret_id, secret.version, bench.labels)
    await bench.engine.remove_secret(secret_id)
    assert await bench.engine.list_secrets(label=bench.label) == ()


# -- networks --------------------------------------------------------------------------------------------------------


async def test_a_network_is_listed_refused_twice_and_kept_while_in_use(bench: Bench) -> None:
    name = await bench.network()
    (network,) = await bench.engine.list_networks(label=bench.label)
    assert (network.name, dict(network.labels)) == (name, bench.labels)
    with pytest.raises(NameTaken):
        await bench.network()
    service_id = await bench.engine.create_service(bench.spec(networks=(name,), replicas=0))
    with pytest.raises(InUse):
        await bench.engine.remove_network(network.id)
    await bench.engine.remove_service(service_id)
    await bench.engine.remove_network(network.id)
    assert await bench.engine.list_networks(label=bench.label) == ()


# -- services --------------------------------------------------------------------------------------------------------


async def test_a_service_runs_and_is_read_back_as_written(bench: Bench) -> None:
    await bench.engine.create_config(bench.name("conf"), b"{}", bench.labels)
    await bench.engine.create_secret(bench.name("pass"), b"hush", bench.labels)
    network = await bench.network()
    spec = bench.spec(
        env=(("A", "1"), ("B", "two = 2")),
        configs=(Mount(bench.name("conf"), "settings.json"),),
        secrets=(Mount(bench.name("pass"), "database-password"),),
        networks=(network,),
        route=Route(bench.run, (f"{bench.run}.test",), 8080, headers=(("X-Skep-Tenant", "0123"),)),
    )
    service = await bench.create(spec)
    assert service.spec == spec
    assert service.previous is None
    assert service.created_at is not None
    (task,) = [task for task in await bench.engine.list_tasks(service=spec.name) if task.wanted == "running"]
    assert (task.service, task.slot, task.state) == (service.id, 1, "running")
    (listed,) = await bench.engine.list_services(label=bench.label)
    assert replace(listed, running=1) == service


async def test_a_service_with_a_taken_or_impossible_name_is_refused(bench: Bench) -> None:
    await bench.engine.create_service(bench.spec(replicas=0))
    with pytest.raises(NameTaken):
        await bench.engine.create_service(bench.spec(replicas=0))
    with pytest.raises(EngineRefused):
        await bench.engine.create_service(bench.spec("a.b", replicas=0))


async def test_a_service_that_names_what_is_missing_is_refused(bench: Bench) -> None:
    for missing in (
        bench.spec(secrets=(Mount(bench.name("gone"), "x"),)),
        bench.spec(configs=(Mount(bench.name("gone"), "x"),)),
        bench.spec(networks=(bench.name("gone"),)),
    ):
        with pytest.raises(NotFound):
            await bench.engine.create_service(missing)
    assert await bench.engine.list_services(label=bench.label) == ()


async def test_what_a_service_uses_is_not_removed(bench: Bench) -> None:
    config = await bench.engine.create_config(bench.name("conf"), b"{}", bench.labels)
    secret = await bench.engine.create_secret(bench.name("pass"), b"hush", bench.labels)
    spec = bench.spec(configs=(Mount(bench.name("conf"), "c"),), secrets=(Mount(bench.name("pass"), "s"),), replicas=0)
    service = await bench.engine.create_service(spec)
    with pytest.raises(InUse):
        await bench.engine.remove_config(config)
    with pytest.raises(InUse):
        await bench.engine.remove_secret(secret)
    await bench.engine.remove_service(service)
    await bench.engine.remove_config(config)
    await bench.engine.remove_secret(secret)


async def test_a_stale_service_version_is_refused(bench: Bench) -> None:
    service_id = await bench.engine.create_service(bench.spec(replicas=0))
    first = await bench.engine.inspect_service(service_id)
    changed = bench.spec(replicas=0, env=(("BY", "one"),))
    await bench.engine.update_service(service_id, first.version, changed)
    with pytest.raises(VersionConflict):
        await bench.engine.update_service(service_id, first.version, bench.spec(replicas=0, env=(("BY", "two"),)))
    assert (await bench.engine.inspect_service(service_id)).spec == changed


async def test_a_service_is_not_renamed(bench: Bench) -> None:
    service_id = await bench.engine.create_service(bench.spec(replicas=0))
    version = (await bench.engine.inspect_service(service_id)).version
    with pytest.raises(EngineRefused):
        await bench.engine.update_service(service_id, version, bench.spec("other", replicas=0))


async def test_labels_and_routes_change_without_a_restart(bench: Bench) -> None:
    spec = bench.spec(route=Route(bench.run, (f"{bench.run}.test",), 8080))
    await bench.create(spec)
    before = await bench.engine.list_tasks(service=spec.name)
    hosts = (f"{bench.run}.test", f"www.{bench.run}.test")
    changed = replace(
        spec,
        labels=tuple(sorted((*spec.labels, ("new", "label")))),
        route=Route(bench.run, hosts, 8080, headers=(("X-Skep-Tenant", "0"),)),
    )
    await bench.change(changed)
    after = await bench.engine.inspect_service(spec.name)
    assert (after.spec, after.previous) == (changed, spec)
    assert [task.id for task in await bench.engine.list_tasks(service=spec.name)] == [task.id for task in before]


async def test_the_old_task_stays_until_the_new_one_is_healthy(bench: Bench) -> None:
    spec = bench.spec()
    await bench.create(spec)
    (old,) = await bench.engine.list_tasks(service=spec.name)
    changed = bench.spec(env=(("NEW", "1"),))
    await bench.change(changed)

    seen: set[int] = set()

    async def look() -> bool:
        tasks = {task.id: task for task in await bench.engine.list_tasks(service=spec.name)}
        running = [task for task in tasks.values() if task.state == "running"]
        seen.add(len(running))
        return old.id in tasks and tasks[old.id].state == "shutdown" and len(running) == 1

    await bench.until(look, bool)
    assert 0 not in seen
    done = await bench.service(spec.name, lambda service: service.update_state == "completed")
    assert (done.spec, done.previous, done.running) == (changed, spec, 1)


@pytest.mark.parametrize("how", ["fail", "unhealthy"])
async def test_a_failing_update_is_rolled_back_and_the_old_task_serves_on(bench: Bench, how: str) -> None:
    spec = bench.spec()
    await bench.create(spec)
    (old,) = await bench.engine.list_tasks(service=spec.name)
    await bench.change(bench.spec(args=(how,)))
    done = await bench.service(spec.name, lambda service: service.update_state == "rollback_completed")
    assert (done.spec, done.previous, done.running) == (spec, None, 1)
    tasks = await bench.engine.list_tasks(service=spec.name)
    assert [task.state for task in tasks if task.id == old.id] == ["running"]
    # An unhealthy task is asked to stop; if it does so in order, the engine calls it complete.
    assert {"failed", "complete"} & {task.state for task in tasks if task.id != old.id}


async def test_a_failing_update_that_should_pause_is_paused(bench: Bench) -> None:
    policy = UpdatePolicy(failure_action="pause", monitor_s=5.0)
    spec = bench.spec(update=policy)
    await bench.create(spec)
    await bench.change(bench.spec(args=("fail",), update=policy))
    paused = await bench.service(spec.name, lambda service: service.update_state == "paused")
    assert paused.update_message


async def test_replicas_follow(bench: Bench) -> None:
    spec = bench.spec()
    await bench.create(spec)
    (first,) = await bench.engine.list_tasks(service=spec.name)
    await bench.change(replace(spec, replicas=2))
    await bench.service(spec.name, lambda service: service.running == 2)
    tasks = [task for task in await bench.engine.list_tasks(service=spec.name) if task.state == "running"]
    assert first.id in {task.id for task in tasks}
    assert [task.slot for task in tasks] == [1, 2]
    await bench.change(replace(spec, replicas=0))
    await bench.service(spec.name, lambda service: service.running == 0)


async def test_lines_of_a_service_are_read(bench: Bench) -> None:
    spec = bench.spec()
    await bench.create(spec)

    async def look() -> list[tuple[str, str]]:
        return [(line.stream, line.text) async for line in bench.engine.logs(spec.name)]

    lines = await bench.until(look, bool)
    assert ("stdout", "probe: serving") in lines
    (task,) = await bench.engine.list_tasks(service=spec.name)
    assert {line.task async for line in bench.engine.logs(spec.name, tail=1)} == {task.id}


async def test_lines_are_followed_as_they_come(bench: Bench) -> None:
    spec = bench.spec()
    await bench.create(replace(spec, replicas=0))
    followed = bench.engine.logs(spec.name, follow=True)

    async def first() -> LogLine:
        return await anext(followed)

    arrival = asyncio.create_task(first())
    await bench.change(spec)
    line = await asyncio.wait_for(arrival, bench.subject.patience_s)
    assert (line.stream, line.text) == ("stdout", "probe: serving")


# -- jobs ------------------------------------------------------------------------------------------------------------


async def test_a_job_runs_once_and_keeps_its_output(bench: Bench) -> None:
    result = await bench.engine.run_job(bench.job("schema"))
    assert (result.exit_code, result.ok) == (0, True)
    (line,) = result.output.splitlines()
    assert json.loads(line) == {"migrations": "0000", "applied": []}
    assert await bench.engine.list_services(label=bench.label) == ()


async def test_a_failing_job_says_why_and_is_not_repeated(bench: Bench) -> None:
    result = await bench.engine.run_job(bench.job("fail", args=("fail",)))
    assert (result.exit_code, result.ok) == (3, False)
    assert "no luck" in result.error


async def test_a_job_of_an_image_that_is_not_there_never_ran(bench: Bench) -> None:
    result = await bench.engine.run_job(bench.job("gone", image="skep.invalid/gone:1", args=("gone",)))
    assert result.exit_code is None
    assert result.error


async def test_a_job_found_by_its_name_is_awaited_not_doubled(bench: Bench) -> None:
    job = bench.job("schema")
    first, second = await asyncio.gather(bench.engine.run_job(job), bench.engine.run_job(job))
    assert first == second
    assert first.ok


async def test_a_job_never_takes_a_service_for_itself(bench: Bench) -> None:
    await bench.engine.create_service(bench.spec("web", replicas=0))
    with pytest.raises(NameTaken):
        await bench.engine.run_job(bench.job("web"))
    assert (await bench.engine.inspect_service(bench.name("web"))).spec == bench.spec("web", replicas=0)


# -- changes, restarts -----------------------------------------------------------------------------------------------


async def test_changes_are_hinted(bench: Bench) -> None:
    changes = aiter(bench.engine.changes())
    connected = await anext(changes)
    assert connected == CONNECTED
    config_id = await bench.engine.create_config(bench.name("a"), b"1", bench.labels)
    await bench.engine.create_service(bench.spec(replicas=0))
    hints: list[Change] = []
    async with asyncio.timeout(bench.subject.patience_s):
        while not {("config", bench.name("a")), ("service", bench.name("web"))} <= {(h.kind, h.name) for h in hints}:
            hints.append(await anext(changes))
    assert Change("config", "create", config_id, bench.name("a")) in hints


async def test_a_restart_breaks_the_stream_and_keeps_the_state(bench: Bench, subject: Subject) -> None:
    await bench.engine.create_config(bench.name("a"), b"1", bench.labels)
    spec = bench.spec()
    await bench.create(spec)
    before = await bench.engine.inspect_config(bench.name("a"))
    changes = aiter(bench.engine.changes())
    await anext(changes)

    async def to_the_end() -> None:
        async for _ in changes:
            pass
        raise EngineUnavailable("ended")

    ending = asyncio.create_task(to_the_end())
    await subject.restart()
    with pytest.raises(EngineUnavailable):
        await asyncio.wait_for(ending, subject.patience_s)
    assert await bench.engine.inspect_config(bench.name("a")) == before
    service = await bench.service(spec.name, lambda service: service.running == 1)
    assert service.spec == spec


async def test_the_engine_says_what_it_is(bench: Bench) -> None:
    info = await bench.engine.info()
    assert info.id
    assert info.version
    assert 1 <= info.managers <= info.nodes
    assert await bench.engine.info() == info
