"""Two operators of the shipped stack on three managers, and what is done to the one that leads."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from tests.e2e.hives import Hive, on_swarm, tenant
from tests.faults.leaders import Witness, container_of, leader, operators, other
from tests.rig.swarm import TestSwarm

pytestmark = pytest.mark.swarm

LEASE_S = 15.0


@pytest.fixture(scope="module")
def hive(
    swarm: TestSwarm,
    app_image: str,
    traefik_image: str,
    postgres_image: str,
    redis_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Hive]:
    images = {"app": app_image, "traefik": traefik_image, "postgres": postgres_image, "redis": redis_image}
    with on_swarm(swarm, images, tmp_path_factory.mktemp("faults")) as hive:
        yield hive


@pytest.fixture(autouse=True)
def two_operators(hive: Hive) -> None:
    hive.until(lambda: operators(hive) == 2, within_s=90, what="two healthy operators")


def state(container: Container) -> str:
    container.reload()
    return str(container.status)


@pytest.mark.fault(1)
def test_a_leader_told_to_stop_is_followed_within_two_seconds(hive: Hive) -> None:
    before = leader(hive.client)
    _, container = container_of(hive, before)
    told = time.monotonic()
    container.kill("SIGTERM")
    after = other(hive.client, before, within_s=30)
    took = time.monotonic() - told
    assert after.term == before.term + 1
    assert took <= 2.0, f"{took:.1f} s"
    hive.until(lambda: _gone(container), what="it ended")


@pytest.mark.fault(1)
def test_a_leader_killed_at_work_is_followed_and_nothing_is_made_twice(hive: Hive) -> None:
    names = [f"killed-{number}" for number in range(5)]
    before = leader(hive.client)
    _, container = container_of(hive, before)
    with Witness(hive.client) as witness:
        hive.declare(*(tenant(name) for name in names), source="killed", wait=False)
        hive.until(lambda: any(name.startswith("t_killed") for name in hive.databases()), what="work has begun")
        killed = time.monotonic()
        container.kill("SIGKILL")
        hive.until(lambda: _gone(container), what="it is dead")
        assert not all(hive.phase(name) == "Ready" for name in names), "the kill came too late"
        after = other(hive.client, before, within_s=LEASE_S + 5)
        wrote = witness.first_write(time.monotonic() - 0.5)
        assert wrote - killed <= LEASE_S + 5
        hive.until(lambda: all(hive.phase(name) == "Ready" for name in names), within_s=90, what="all Ready")
    assert after.term == before.term + 1
    assert witness.twice() == {}
    assert sorted(name.split("_")[1] for name in hive.databases() if name.startswith("t_killed")) == names


@pytest.mark.fault(1)
def test_a_leader_stopped_for_longer_than_its_lease_is_refused_when_it_wakes(hive: Hive) -> None:
    names = [f"stopped-{number}" for number in range(5)]
    before = leader(hive.client)
    _, container = container_of(hive, before)
    with Witness(hive.client) as witness:
        hive.declare(*(tenant(name) for name in names), source="stopped", wait=False)
        hive.until(lambda: any(name.startswith("t_stopped") for name in hive.databases()), what="work has begun")
        container.kill("SIGSTOP")
        assert not all(hive.phase(name) == "Ready" for name in names), "the stop came too late"
        after = other(hive.client, before, within_s=LEASE_S + 5)
        # Its health probes fail meanwhile, and in half a minute the swarm would end it.
        container.kill("SIGCONT")
        hive.until(lambda: all(hive.phase(name) == "Ready" for name in names), within_s=90, what="all Ready")
        hive.until(lambda: "leads no longer" in container.logs().decode(), what="it noticed")
    assert state(container) == "running"
    assert leader(hive.client) == after
    assert after.term == before.term + 1
    assert witness.twice() == {}
    assert sorted(name.split("_")[1] for name in hive.databases() if name.startswith("t_stopped")) == names
    assert hive.sql("select term from skep.leader") == [[str(after.term)]]
    sessions = hive.sql("select application_name from pg_stat_activity where application_name like 'skep-operator/%'")
    assert {row[0].rpartition("/")[2] for row in sessions} <= {str(after.term)}


@pytest.mark.fault(8)
def test_a_leaders_manager_that_dies_is_survived(hive: Hive) -> None:
    """The manager that keeps PostgreSQL must live, so the lead first goes to another."""
    assert hive.swarm is not None
    before = leader(hive.client)
    index, container = container_of(hive, before)
    if index == 0:
        container.kill("SIGTERM")
        before = other(hive.client, before, within_s=10)
        index, _ = container_of(hive, before)
    assert index != 0
    names = [f"node-{number}" for number in range(3)]
    # A node's own stream of events ends with its connection to the swarm's leader; node 0 stays.
    with Witness(hive.client) as witness:
        hive.declare(*(tenant(name) for name in names), source="node", wait=False)
        hive.until(lambda: any(name.startswith("t_node") for name in hive.databases()), what="work has begun")
        hive.swarm.kill_node(index)
        try:
            after = other(hive.client, before, within_s=LEASE_S + 15)  # the swarm may elect a leader of its own first
            hive.until(lambda: _all_ready(hive, names), within_s=120, what="all Ready on two managers")
        finally:
            hive.swarm.start_node(index)
    assert after.term == before.term + 1
    assert witness.twice() == {}
    assert sorted(name.split("_")[1] for name in hive.databases() if name.startswith("t_node")) == names


def _all_ready(hive: Hive, names: list[str]) -> bool:
    try:
        return all(hive.phase(name) == "Ready" for name in names)
    except AssertionError:  # the command line met a swarm without a leader
        return False


def _gone(container: Container) -> bool:
    with contextlib.suppress(Exception):
        return state(container) not in ("running", "restarting")
    return True
