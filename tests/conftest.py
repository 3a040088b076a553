"""What all tests share: the rig's fixtures, and an environment without skep's own variables."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.rig.fixtures"]

# A busy machine is no reason to fail: how long an example takes is not what these tests are about.
settings.register_profile("skep", deadline=None)
settings.load_profile("skep")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also what is marked long")
    parser.addoption("--seeds", type=int, help="how many seeds tests/faults/test_seeds.py plays")
    parser.addoption("--seed", type=int, help="the one seed to play again")


# What shares one three-manager swarm; everything else waits for nothing of it, and runs beside it.
ON_THE_SWARM = ("e2e", "engine", "rig", "several", "faults/test_leader.py", "faults/test_swarm_engine.py")


class ByRoom(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Tests of one room run in one worker: a swarm, a hive or a site is started once for all of them."""

    def _split_scope(self, nodeid: str) -> str:
        place = nodeid.partition("::")[0].removeprefix("tests/")
        return "swarm" if place.startswith(ON_THE_SWARM) else place.partition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByRoom:
    return ByRoom(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked long runs when it is asked for: by --long, or by -m."""
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
