"""How often the judge looks at what is not right yet."""

from __future__ import annotations

from skep.operator.loop.clock import SystemClock
from skep.operator.reconcilers.judge import LOOK_AGAIN_S, LOOKERS, Edge
from skep.operator.settings import Settings


def make_edge() -> Edge:
    return Edge(Settings(), SystemClock())


def test_a_few_are_looked_at_often() -> None:
    edge = make_edge()
    assert {edge.look_again_s(f"t{number}") for number in range(LOOKERS)} == {LOOK_AGAIN_S}


def test_a_crowd_shares_the_pace() -> None:
    edge = make_edge()
    waits = [edge.look_again_s(f"t{number}") for number in range(5 * LOOKERS)]
    assert waits[-1] == 5 * LOOK_AGAIN_S


def test_who_is_right_or_gone_waits_no_more() -> None:
    edge = make_edge()
    for number in range(2 * LOOKERS):
        edge.look_again_s(f"t{number}")
    edge.remember("t0", "works")
    edge.forget("t1")
    assert edge.look_again_s("t2") == LOOK_AGAIN_S * (2 * LOOKERS - 2) / LOOKERS
