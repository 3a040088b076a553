"""Which addresses the networks of `skep init` get."""

from __future__ import annotations

from itertools import islice

import pytest

from skep.operator.cli.init import free_subnets
from skep.operator.errors import UsageError


@pytest.mark.parametrize(
    ("taken", "next_three"),
    [
        pytest.param([], ["10.210.0.0/22", "10.210.4.0/22", "10.210.8.0/22"], id="a fresh swarm"),
        pytest.param(
            ["10.210.0.0/22", "10.210.4.0/22", "10.210.8.0/22"],
            ["10.210.12.0/22", "10.210.16.0/22", "10.210.20.0/22"],
            id="more of each, as swarm/prepare would choose",
        ),
        pytest.param(
            ["10.210.5.0/28", "198.19.0.0/16"], ["10.210.0.0/22", "10.210.8.0/22", "10.210.12.0/22"], id="other sizes"
        ),
    ],
)
def test_networks_get_addresses_that_nobody_has(taken: list[str], next_three: list[str]) -> None:
    assert list(islice(free_subnets("10.210.0.0/16", 22, taken), 3)) == next_three


def test_a_pool_ends() -> None:
    assert list(free_subnets("10.0.0.0/27", 28, ["10.0.0.0/28"])) == ["10.0.0.16/28"]


@pytest.mark.parametrize("pool", ["nonsense", "10.0.0.0/26"])
def test_what_is_no_pool_is_refused(pool: str) -> None:
    with pytest.raises(UsageError, match="--address-pool"):
        free_subnets(pool, 22, [])
