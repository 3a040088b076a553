"""From YAML to sites on a real swarm of three managers, behind a real Traefik."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Hive

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(300)]


def test_tenants_from_yaml_answer_on_their_hosts(on_swarm: Hive) -> None:
    on_swarm.apply()
    for name in ("acme", "birch", "cedar"):
        answer = on_swarm.get(f"{name}.localhost")
        assert answer.status == 200
    assert on_swarm.get("unknown.localhost").status == 404
