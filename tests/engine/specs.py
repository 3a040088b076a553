"""Any spec that the operator may ever want, for properties of engines."""

from __future__ import annotations

from hypothesis import strategies as st

from skep.operator.engine.spec import (
    HealthCheck,
    Mount,
    Pairs,
    Resources,
    Route,
    ServiceSpec,
    UpdatePolicy,
    pairs,
)
from skep.operator.engine.swarm.render import OWN_VARIABLES

LETTERS = "abcdefghijklmnopqrstuvwxyz"
words = st.text(LETTERS + "0123456789", min_size=1, max_size=12).map(lambda text: "a" + text)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30)
seconds = st.integers(1, 600_000).map(lambda milliseconds: milliseconds / 1000)
hosts = st.lists(words, min_size=1, max_size=3).map(".".join)


def mapping(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[Pairs]:
    return st.dictionaries(keys, values, max_size=4).map(pairs)


def mounts(names: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Mount, ...]]:
    return st.lists(st.builds(Mount, names, words), max_size=3, unique_by=lambda mount: mount.file).map(tuple)


routes = st.builds(
    Route,
    name=words,
    hosts=st.lists(hosts, min_size=1, max_size=3, unique=True).map(tuple),
    port=st.integers(1, 65535),
    headers=mapping(words.map(lambda word: f"X-{word}"), words),
    tls=st.booleans(),
    network=st.none() | words,
)
healths = st.builds(
    HealthCheck,
    port=st.integers(1, 65535),
    path=words.map(lambda word: f"/{word}.z/-_"),
    interval_s=seconds,
    timeout_s=seconds,
    start_period_s=seconds,
    retries=st.integers(1, 10),
)
updates = st.builds(
    UpdatePolicy,
    order=st.sampled_from(("start-first", "stop-first")),
    failure_action=st.sampled_from(("rollback", "pause", "continue")),
    parallelism=st.integers(0, 10),
    delay_s=seconds,
    monitor_s=seconds,
)
resources = st.builds(
    Resources,
    cpus=st.none() | st.integers(1, 64_000).map(lambda thousandths: thousandths / 1000),
    memory_bytes=st.none() | st.integers(4 * 2**20, 2**40),
)


def specs(
    *,
    configs: st.SearchStrategy[str] = words,
    secrets: st.SearchStrategy[str] = words,
    networks: st.SearchStrategy[str] = words,
) -> st.SearchStrategy[ServiceSpec]:
    """Services that name only the given configs, secrets and networks."""
    return st.builds(
        ServiceSpec,
        name=words,
        image=words.map(lambda word: f"skep.invalid/{word}:1"),
        args=st.lists(texts, max_size=3).map(tuple),
        env=mapping(words.map(str.upper).filter(lambda word: word not in OWN_VARIABLES), texts),
        labels=mapping(words.map(lambda word: f"skep.{word}"), texts),
        configs=mounts(configs),
        secrets=mounts(secrets),
        networks=st.lists(networks, max_size=3, unique=True).map(tuple),
        constraints=st.lists(words.map(lambda word: f"node.labels.{word}==1"), max_size=2).map(tuple),
        replicas=st.integers(0, 100),
        resources=resources,
        health=st.none() | healths,
        update=updates,
        stop_grace_s=seconds,
        route=st.none() | routes,
    )
