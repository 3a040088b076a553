"""Which files a stack is deployed from: each network that was added has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from skep.operator.cli.stack import FIRST_NETWORKS, stack_files
from skep.operator.errors import UsageError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_a_fresh_swarm_needs_the_stack_alone() -> None:
    assert stack_files(FIRST_NETWORKS) == (Path("swarm/skep.yml"),)


def test_who_joined_more_networks_stays_on_them() -> None:
    files = stack_files(FIRST_NETWORKS | {"skep-edge-2", "skep-data-2"})
    assert files == (Path("swarm/skep.yml"), Path("swarm/data-2.yml"), Path("swarm/edge-2.yml"))


def test_a_network_without_its_file_is_not_forgotten() -> None:
    with pytest.raises(UsageError, match=r"no swarm/edge-9.yml for network skep-edge-9 \(docs/grow.md"):
        stack_files(FIRST_NETWORKS | {"skep-edge-9"})
