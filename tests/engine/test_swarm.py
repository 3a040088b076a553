"""The swarm adapter on a real daemon: what the conformance suite cannot ask of every engine.

The hands that edit are the docker SDK's, below its own ideas of a service: whole specs, posted raw.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import docker
import pytest
from hypothesis import HealthCheck as Hypothesis
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.operator.engine.spec import Mount, NetworkSpec, Resources, Route, ServiceSpec
from skep.operator.engine.swarm import SwarmEngine
from skep.operator.errors import EngineUnavailable, NotFound, UsageError
from tests.engine.adapters import Subject
from tests.engine.bench import Bench, bench_on
from tests.engine.specs import specs
from tests.rig.swarm import TestSwarm

pytestmark = pytest.mark.swarm

Json = dict[str, Any]


@pytest.fixture
async def engine(swarm: TestSwarm) -> AsyncIterator[SwarmEngine]:
    engine = SwarmEngine(swarm.url)
    yield engine
    await engine.close()


@pytest.fixture
async def bench(engine: SwarmEngine, probe_image: str) -> AsyncIterator[Bench]:
    async with bench_on(Subject(engine, probe_image)) as bench:
        yield bench


def by_hand(swarm: TestSwarm, name: str, edit: Callable[[Json], None]) -> None:
    """Post the service's spec back, edited."""
    (found,) = swarm.client.services.list(filters={"name": name})
    raw = found.attrs
    spec = copy.deepcopy(raw["Spec"])
    edit(spec)
    api = swarm.client.api
    url = f"{api.base_url}/v{api.api_version}/services/{raw['ID']}/update"
    answer = api.post(url, json=spec, params={"version": raw["Version"]["Index"]}, timeout=10)
    assert answer.status_code == 200, answer.text


# -- what is written is what is read ---------------------------------------------------------------------------------


async def test_any_spec_comes_back_from_the_daemon_as_it_was_sent(bench: Bench, engine: SwarmEngine) -> None:
    await engine.create_config(bench.name("conf"), b"{}", bench.labels)
    await engine.create_secret(bench.name("pass"), b"hush", bench.labels)
    network = await bench.network()
    sent: list[ServiceSpec] = []

    @given(
        specs(
            configs=st.just(bench.name("conf")),
            secrets=st.just(bench.name("pass")),
            networks=st.just(network),
        )
    )
    # The daemon keeps the specs: one list at the end reads them all.
    @settings(max_examples=40, deadline=None, suppress_health_check=list(Hypothesis), database=None)
    def collect(spec: ServiceSpec) -> None:
        sent.append(spec)

    collect()
    expected = {}
    for number, spec in enumerate(sent):
        name = bench.name(str(number))
        labels = tuple(sorted({**dict(spec.labels), **bench.labels}.items()))
        expected[name] = replace(
            spec,
            name=name,
            labels=labels,
            replicas=0,
            # Bounds of the daemon, not of the spec: a node has two cores, a timeout is at least a millisecond.
            resources=replace(spec.resources, cpus=spec.resources.cpus and min(spec.resources.cpus, 2.0)),
        )
        await engine.create_service(expected[name])
    found = {service.spec.name: service.spec for service in await engine.list_services(label=bench.label)}
    assert found == expected


async def test_a_list_parses_again_only_what_changed(bench: Bench, engine: SwarmEngine) -> None:
    for suffix in ("a", "b"):
        await engine.create_service(bench.spec(suffix, replicas=0))
        await engine.create_config(bench.name(suffix), b"1", bench.labels)
    services = await engine.list_services(label=bench.label)
    configs = await engine.list_configs(label=bench.label)
    await bench.change(bench.spec("b", replicas=0, env=(("A", "1"),)))
    again = await engine.list_services(label=bench.label)
    assert again[0] is services[0]
    assert again[1] != services[1]
    assert all(new is old for new, old in zip(await engine.list_configs(label=bench.label), configs, strict=True))


async def test_files_arrive_where_the_contract_says_readable_by_the_app_alone(
    bench: Bench, engine: SwarmEngine
) -> None:
    await engine.create_config(bench.name("conf"), b"{}", bench.labels)
    await engine.create_secret(bench.name("pass"), b"hush", bench.labels)
    here = next(node for node in await engine.nodes() if node.hostname == "node0")
    spec = bench.spec(
        configs=(Mount(bench.name("conf"), "settings.json"),),
        secrets=(Mount(bench.name("pass"), "database-password"),),
        constraints=(f"node.id=={here.id}",),
        route=Route(bench.run, (f"{bench.run}.test",), 8080),
    )
    await bench.create(spec)
    command = "stat -c '%n %u %a' /run/configs/* /run/secrets/*; cat /run/secrets/*; echo; echo $SKEP_PORT"
    code, output = await engine.exec_in_task(spec.name, ["sh", "-c", command])
    assert code == 0
    assert output.splitlines() == [
        "/run/configs/settings.json 10001 444",
        "/run/secrets/database-password 10001 400",
        "hush",
        "8080",
    ]


async def test_a_command_in_a_task_elsewhere_names_the_node(bench: Bench, engine: SwarmEngine) -> None:
    elsewhere = next(node for node in await engine.nodes() if node.hostname == "node1")
    spec = bench.spec(constraints=(f"node.id=={elsewhere.id}",))
    await bench.create(spec)
    with pytest.raises(NotFound, match="node1"):
        await engine.exec_in_task(spec.name, ["true"])


# -- what a hand sets is seen ----------------------------------------------------------------------------------------

CONTAINER = "TaskTemplate.ContainerSpec"


def at(path: str, value: object) -> Callable[[Json], None]:
    """An edit that sets *value* at a dotted path."""

    def edit(spec: Json) -> None:
        *inner, last = path.split(".")
        for key in inner:
            spec = spec.setdefault(key, {})
        spec[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        pytest.param(at(f"{CONTAINER}.Hostname", "x"), f"{CONTAINER}.Hostname", id="host name"),
        pytest.param(at(f"{CONTAINER}.User", "0"), f"{CONTAINER}.User", id="user"),
        pytest.param(at(f"{CONTAINER}.Dir", "/tmp"), f"{CONTAINER}.Dir", id="working directory"),  # noqa: S108
        pytest.param(at(f"{CONTAINER}.Command", ["sh"]), f"{CONTAINER}.Command[0]", id="entry point"),
        pytest.param(at(f"{CONTAINER}.Labels", {"a": "b"}), f"{CONTAINER}.Labels.a", id="container label"),
        pytest.param(at(f"{CONTAINER}.Init", True), f"{CONTAINER}.Init", id="init"),
        pytest.param(at(f"{CONTAINER}.TTY", True), f"{CONTAINER}.TTY", id="terminal"),
        pytest.param(at(f"{CONTAINER}.ReadOnly", True), f"{CONTAINER}.ReadOnly", id="read only"),
        pytest.param(at(f"{CONTAINER}.Hosts", ["1.2.3.4 a"]), f"{CONTAINER}.Hosts[0]", id="hosts"),
        pytest.param(at(f"{CONTAINER}.Sysctls", {"a.b": "1"}), f"{CONTAINER}.Sysctls.a.b", id="sysctl"),
        pytest.param(
            at(f"{CONTAINER}.CapabilityAdd", ["CAP_SYS_ADMIN"]), f"{CONTAINER}.CapabilityAdd[0]", id="capability"
        ),
        pytest.param(
            at(f"{CONTAINER}.DNSConfig", {"Nameservers": ["1.1.1.1"]}), f"{CONTAINER}.DNSConfig.Nameservers[0]", id="dns"
        ),
        pytest.param(
            at(f"{CONTAINER}.Mounts", [{"Type": "tmpfs", "Target": "/x"}]), f"{CONTAINER}.Mounts[0].Target", id="mount"
        ),
        pytest.param(at(f"{CONTAINER}.Healthcheck.Test", ["NONE"]), f"{CONTAINER}.Healthcheck.Test[0]", id="health"),
        pytest.param(at(f"{CONTAINER}.Env", ["A"]), f"{CONTAINER}.Env.A", id="a variable without a value"),
        pytest.param(at(f"{CONTAINER}.Env", ["A=1", "A=2"]), f"{CONTAINER}.Env.A[again]", id="a variable twice"),
        pytest.param(at(f"{CONTAINER}.Env", ["SKEP_PORT=1"]), f"{CONTAINER}.Env.SKEP_PORT", id="another port"),
        pytest.param(
            at("TaskTemplate.LogDriver", {"Name": "none"}), "TaskTemplate.LogDriver.Name", id="log driver"
        ),
        pytest.param(
            at("TaskTemplate.RestartPolicy.Condition", "none"), "TaskTemplate.RestartPolicy.Condition", id="restarts"
        ),
        pytest.param(
            at("TaskTemplate.Resources.Reservations", {"NanoCPUs": 10**6}),
            "TaskTemplate.Resources.Reservations.NanoCPUs",
            id="reservation",
        ),
        pytest.param(
            at("TaskTemplate.Placement.MaxReplicas", 1), "TaskTemplate.Placement.MaxReplicas", id="replicas a node"
        ),
        pytest.param(at("UpdateConfig.MaxFailureRatio", 0.5), "UpdateConfig.MaxFailureRatio", id="failure ratio"),
        pytest.param(at("RollbackConfig.Order", "stop-first"), "RollbackConfig.Order", id="rollback order"),
        pytest.param(at("EndpointSpec.Mode", "vip"), "EndpointSpec.Mode", id="virtual address"),
        pytest.param(
            at("EndpointSpec.Ports", [{"TargetPort": 80, "PublishedPort": 8099, "PublishMode": "host"}]),
            "EndpointSpec.Ports[0].PublishedPort",
            id="published port",
        ),
        pytest.param(
            lambda spec: spec["Labels"].update({"traefik.http.routers.evil.rule": "Host(`a`)"}),
            "Labels.traefik.http.routers.evil.rule",
            id="a second router",
        ),
        pytest.param(
            lambda spec: spec["Labels"].update({"traefik.tcp": ""}), "Labels.traefik.tcp", id="an empty label of Traefik"
        ),
        pytest.param(
            lambda spec: [spec["Labels"].pop(key) for key in list(spec["Labels"]) if key.endswith("priority")],
            "priority",
            id="a label of Traefik taken away",
        ),
    ],
)  # fmt: skip
async def test_a_field_that_is_not_ours_is_named(
    bench: Bench, engine: SwarmEngine, swarm: TestSwarm, edit: Callable[[Json], None], path: str
) -> None:
    spec = bench.spec(replicas=0, route=Route(bench.run, (f"{bench.run}.test",), 8080))
    await engine.create_service(spec)
    by_hand(swarm, spec.name, edit)
    seen = (await engine.inspect_service(spec.name)).spec
    assert any(changed.endswith(path) for changed, _ in seen.unmanaged), seen.unmanaged
    await bench.change(spec)
    assert (await engine.inspect_service(spec.name)).spec == spec


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        pytest.param(at("Mode.Replicated.Replicas", 3), {"replicas": 3}, id="replicas"),
        pytest.param(at(f"{CONTAINER}.Args", ["fail"]), {"args": ("fail",)}, id="arguments"),
        pytest.param(at(f"{CONTAINER}.StopGracePeriod", 2 * 10**9), {"stop_grace_s": 2.0}, id="grace"),
        pytest.param(at("Labels", {}), {"labels": ()}, id="labels"),
        pytest.param(at("Labels.extra", ""), {}, id="an empty label"),
        pytest.param(
            at("TaskTemplate.Placement", {"Constraints": ["node.role==worker"]}),
            {"constraints": ("node.role==worker",)},
            id="constraint",
        ),
        pytest.param(
            at("TaskTemplate.Resources.Limits", {"MemoryBytes": 2**26}),
            {"resources": Resources(memory_bytes=2**26)},
            id="memory",
        ),
    ],
)
async def test_a_field_of_ours_shows_in_its_place(
    bench: Bench, engine: SwarmEngine, swarm: TestSwarm, edit: Callable[[Json], None], change: dict[str, Any]
) -> None:
    spec = bench.spec(replicas=0)
    await engine.create_service(spec)
    by_hand(swarm, spec.name, edit)
    seen = (await engine.inspect_service(spec.name)).spec
    if not change:
        change = {"labels": tuple(sorted((*spec.labels, ("extra", ""))))}
    assert seen == replace(spec, **change)
    by_hand(swarm, spec.name, at("Labels", bench.labels))  # so that it is cleared away


async def test_a_forced_restart_is_no_drift_and_the_next_update_repeats_it_not(
    bench: Bench, engine: SwarmEngine, swarm: TestSwarm
) -> None:
    spec = bench.spec()
    await bench.create(spec)
    by_hand(swarm, spec.name, at("TaskTemplate.ForceUpdate", 7))
    await bench.service(spec.name, lambda service: service.update_state == "completed")
    assert (await engine.inspect_service(spec.name)).spec == spec
    before = {task.id for task in await engine.list_tasks(service=spec.name)}
    await bench.change(replace(spec, labels=tuple(sorted((*spec.labels, ("a", "b"))))))
    assert {task.id for task in await engine.list_tasks(service=spec.name)} == before


# -- jobs, images, nodes, bad weather --------------------------------------------------------------------------------


async def test_a_job_that_takes_too_long_is_killed_and_removed(bench: Bench, engine: SwarmEngine) -> None:
    result = await engine.run_job(bench.job("slow", args=("sleep",), timeout_s=2.0))
    assert result.exit_code is None
    assert "killed after 2 s" in result.error
    with pytest.raises(NotFound):
        await engine.inspect_service(bench.name("slow"))


async def test_a_jobs_output_is_its_end_with_long_lines_whole(bench: Bench, engine: SwarmEngine) -> None:
    result = await engine.run_job(bench.job("chatter", args=("chatter",)))
    *lines, long, last = result.output.splitlines()
    assert (len(long), last) == (40_000, "the end")
    assert lines[-1] == "line 9999"
    assert len(result.output) == 64 * 1024


async def test_a_job_is_not_listed_as_a_service(bench: Bench, engine: SwarmEngine, swarm: TestSwarm) -> None:
    job = bench.job("schema", constraints=("node.labels.nowhere==1",), timeout_s=1.0)
    result = await engine.run_job(job)
    assert result.exit_code is None
    assert "no suitable node" in result.error


async def test_a_network_is_made_as_asked(bench: Bench, engine: SwarmEngine, swarm: TestSwarm) -> None:
    labels = tuple(bench.labels.items())
    spec = NetworkSpec(bench.name("data"), subnet="198.19.250.0/24", internal=True, encrypted=True, labels=labels)
    await engine.create_network(spec)

    async def look() -> Json:
        (found,) = swarm.client.networks.list(names=[spec.name])
        return dict(found.attrs)

    attrs = await bench.until(look, lambda seen: seen["Driver"] != "")  # the swarm allocates it a moment later
    assert (attrs["Driver"], attrs["Scope"], attrs["Attachable"], attrs["Internal"]) == ("overlay", "swarm", True, True)
    assert "encrypted" in attrs["Options"]
    (network,) = await engine.list_networks(label=bench.label)
    assert network.subnets == ("198.19.250.0/24",)


async def test_an_image_without_a_registry_is_known_by_its_id(
    engine: SwarmEngine, swarm: TestSwarm, probe_image: str
) -> None:
    image = await engine.resolve_image(probe_image)
    assert (image.pinned, image.digest) == (probe_image, swarm.client.images.get(probe_image).id)
    gone = await engine.resolve_image("skep.invalid/gone:1")
    assert (gone.pinned, gone.digest) == ("skep.invalid/gone:1", None)


async def test_nodes_are_labelled(engine: SwarmEngine, swarm: TestSwarm) -> None:
    before = await engine.nodes()
    assert [node.hostname for node in before] == ["node0", "node1", "node2"]
    assert sum(node.leader for node in before) == 1
    await engine.label_node(before[0].id, {"skep.database": "1"})
    assert dict((await engine.nodes())[0].labels) == {"skep.database": "1"}
    await engine.label_node(before[0].id, {"skep.database": None})
    assert (await engine.nodes())[0].labels == ()


async def test_a_frozen_engine_is_unavailable_at_the_deadline(swarm: TestSwarm) -> None:
    engine = SwarmEngine(swarm.nodes[2].url, deadline_s=0.5)
    await engine.info()
    swarm.freeze_node(2)
    try:
        with pytest.raises(EngineUnavailable, match="did not answer"):
            await engine.list_configs(label="x")
    finally:
        swarm.thaw_node(2)
    assert await engine.list_configs(label="x") == ()
    await engine.close()


async def test_without_a_quorum_writes_are_unavailable_and_it_heals(bench: Bench, swarm: TestSwarm) -> None:
    impatient = SwarmEngine(swarm.url, deadline_s=1.0)
    await impatient.info()
    for index in (1, 2):
        swarm.freeze_node(index)
    try:
        with pytest.raises(EngineUnavailable):
            await impatient.create_config(bench.name("lost"), b"1", bench.labels)
    finally:
        for index in (1, 2):
            swarm.nodes[index].container.unpause()
        swarm.wait_ready()
    await bench.engine.create_config(bench.name("healed"), b"1", bench.labels)
    await impatient.close()


async def test_an_engine_without_a_swarm_is_told_so(docker_engine: docker.DockerClient) -> None:
    """This machine's own engine, which the tests leave as it is; where it has a swarm, that one is told."""
    here: Json = docker_engine.info()["Swarm"]
    engine = SwarmEngine()
    try:
        if here.get("ControlAvailable"):
            assert (await engine.info()).id == here["Cluster"]["ID"]
        else:
            with pytest.raises(EngineUnavailable, match="not a manager"):
                await engine.info()
    finally:
        await engine.close()


def test_an_unknown_context_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="context"):
        SwarmEngine(context="no-such-context")
