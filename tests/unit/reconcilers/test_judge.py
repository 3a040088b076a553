"""What the edge's answers come to."""

from __future__ import annotations

from skep.operator.reconcilers.judge import Probe, first_wrong


def test_the_first_wrong_answer_counts() -> None:
    good, bad, worse = Probe("a", "1", True), Probe("b", "1", False, "x"), Probe("c", "1", False, "y")
    assert first_wrong([good, bad, worse]) == bad
    assert first_wrong([good]) is None
    assert first_wrong([]) is None
