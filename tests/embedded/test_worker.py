"""A plan whose tenants' workers are processes of their own, in a `skep up`."""

from __future__ import annotations

import json

import pytest

from tests.embedded.hive import PLAN, Hive, tenant, until

pytestmark = pytest.mark.embedded


def workers(hive: Hive) -> list[int]:
    return [pid for pid, words in hive.processes().items() if words[-2:] == ["worker", ""] or "worker" in words]


def test_a_plan_gives_a_worker_of_its_own_and_takes_it_back(standing: Hive) -> None:
    larger = PLAN.replace("{name: free}", "{name: pro}") + "  worker: {mode: service}\n"
    standing.declare(pro=larger, cedar=tenant("cedar", plan="pro"))
    until(lambda: standing.get("cedar")[0] == 200)
    until(lambda: len(workers(standing)) == 1)
    until(lambda: standing.items()["cedar"]["status"]["phase"] == "Ready")
    done = standing.skep("logs", "cedar", "--worker")
    assert "worker ready" in done.stdout + done.stderr, done

    standing.declare(pro=larger.replace("service", "child"))
    until(lambda: not workers(standing))
    until(lambda: standing.items()["cedar"]["status"]["phase"] == "Ready")
    assert standing.get("cedar")[0] == 200
    assert json.dumps(standing.items()["cedar"])
