"""What all tests share: the rig's fixtures, and an environment without skep's own variables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.rig.fixtures"]

# A busy machine is no reason to fail: how long an example takes is not what these tests are about.
settings.register_profile("skep", deadline=None)
settings.load_profile("skep")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also what is marked long")
    parser.addoption("--seeds", type=int, help="how many seeds tests/faults/test_seeds.py plays")
    parser.addoption("--seed", type=int, help="the one seed to play again")


HERE = Path(__file__).parent
# What shares one three-manager swarm; everything else waits for nothing of it, and runs beside it.
ON_THE_SWARM = ("e2e", "engine", "rig", "several", "faults/test_leader.py", "faults/test_swarm_engine.py")


def worker_group(path: Path) -> str:
    """Tests of one group run in one worker: a swarm, a hive or a site is started once for all of them."""
    place = path.relative_to(HERE).as_posix()
    return "swarm" if place.startswith(ON_THE_SWARM) else place.partition("/")[0]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked long runs when it is asked for: by --long, or by -m."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(worker_group(item.path)))
    if config.getoption("--long") or "long" in config.getoption("-m"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in os.environ:
        if variable.startswith("SKEP_"):
            monkeypatch.delenv(variable)
