from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator.loop.backoff import Backoff


@pytest.mark.parametrize(
    ("failures", "whole"),
    [
        pytest.param(1, 0.5, id="first"),
        pytest.param(2, 1.0, id="second doubles"),
        pytest.param(3, 2.0, id="third doubles again"),
        pytest.param(8, 64.0, id="eighth"),
        pytest.param(9, 120.0, id="ceiling"),
        pytest.param(10_000, 120.0, id="no overflow"),
    ],
)
def test_a_delay_is_drawn_from_the_upper_half(failures: int, whole: float) -> None:
    draws = [Backoff().delay(failures, random.Random(seed)) for seed in range(50)]
    assert all(whole / 2 <= delay <= whole for delay in draws)
    assert len(set(draws)) > 40, "failures spread out"


@given(st.integers(1, 10_000), st.floats(0.01, 10), st.floats(10, 1000), st.integers())
def test_a_delay_is_positive_and_below_the_ceiling(failures: int, first: float, ceiling: float, seed: int) -> None:
    assert 0 < Backoff(first, ceiling).delay(failures, random.Random(seed)) <= ceiling
