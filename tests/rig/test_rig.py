"""The rig itself: three managers that hold together, and images that arrive."""

from __future__ import annotations

import pytest

from tests.rig.swarm import TestSwarm, until

pytestmark = pytest.mark.swarm


def test_three_managers_form_one_swarm(swarm: TestSwarm) -> None:
    ids = {node.client.info()["Swarm"]["Cluster"]["ID"] for node in swarm.nodes}
    assert len(ids) == 1
    assert len(swarm.client.nodes.list()) == 3


def test_a_loaded_image_runs_on_every_node(swarm: TestSwarm, probe_image: str) -> None:
    for node in swarm.nodes:
        output = node.client.containers.run(probe_image, ["schema"], remove=True)
        assert output == b'{"migrations": "0000", "applied": []}\n'


def test_another_manager_leads_after_the_leader_is_killed_and_it_comes_back(swarm: TestSwarm) -> None:
    leader = swarm.leader()
    swarm.kill_node(leader)
    survivor = swarm.nodes[(leader + 1) % 3]

    def another_leads() -> bool:
        nodes = survivor.client.nodes.list()
        leads = [n.attrs["Description"]["Hostname"] for n in nodes if n.attrs.get("ManagerStatus", {}).get("Leader")]
        return bool(leads) and leads != [f"node{leader}"]

    until(another_leads, 40, "another manager leads")
    swarm.start_node(leader)
