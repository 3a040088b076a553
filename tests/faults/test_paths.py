"""Any path to a declaration gives what a fresh start with it gives, and going back gives back.

Hypothesis draws the paths: a few tenants that come, change, rest, go and come back, while nothing else goes wrong.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.faults.fleet import POLICIES, VARIANTS, Fleet, adopt, check, check_lives, check_writes, fresh, views
from tests.faults.simulation import Simulation, simulated
from tests.hive.conftest import Rig, rig_on
from tests.rig.postgres import Postgres

T = TypeVar("T")
NAMES = ("acme", "birch", "cedar")
PATHS, STEPS = 30, 8
LONG = 20  # times as many paths


class Paths(RuleBasedStateMachine):
    """One hive in simulated time; after each step it comes to rest and is compared."""

    runner: asyncio.Runner
    rig: Rig
    reference: dict[str, dict[str, object]]

    @initialize(policies=st.tuples(*(st.sampled_from(POLICIES) for _ in NAMES)))
    def begin(self, policies: tuple[str, ...]) -> None:
        self.fleet = Fleet(dict(zip(NAMES, policies, strict=True)))
        self.stack = AsyncExitStack()
        self.simulation: Simulation = self.do(self.stack.enter_async_context(simulated(self.rig, 0, disturbed=False)))
        self.do(self.follow())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def follow(self) -> None:
        """Publish what is declared, and wait until it is so; a person says yes where one is asked."""
        await self.fleet.publish(self.rig)
        await self.simulation.rest()
        await adopt(self.rig, self.simulation, self.fleet)

    @rule(name=st.sampled_from(NAMES), variant=st.sampled_from(sorted(VARIANTS)))
    def declare(self, name: str, variant: str) -> None:
        self.fleet.declare(name, variant)
        self.do(self.follow())

    @precondition(lambda self: self.fleet.declared)
    @rule(data=st.data())
    def leave_out(self, data: st.DataObject) -> None:
        self.fleet.declare(data.draw(st.sampled_from(sorted(self.fleet.declared))), None)
        self.do(self.follow())

    @precondition(lambda self: self.fleet.declared)
    @rule(data=st.data())
    def there_and_back(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.fleet.declared)))
        before = self.fleet.declared[name]
        other = data.draw(st.sampled_from(sorted(VARIANTS.keys() - {before})))
        uids = {each.name: each.uid for each in self.rig.records().values()}
        was = self.do(views(self.rig))
        for variant in (other, before):
            self.fleet.declare(name, variant)
            self.do(self.follow())
        assert self.do(views(self.rig)) == was
        assert {each.name: each.uid for each in self.rig.records().values()} == uids

    @rule()
    def another_operator(self) -> None:
        self.do(self.simulation.kill())
        self.do(self.simulation.rest())

    @invariant()
    def is_as_a_fresh_start(self) -> None:
        if hasattr(self, "simulation"):
            self.do(check(self.rig, self.fleet, self.reference))
            check_lives(self.fleet, self.simulation.statements)
            check_writes(self.fleet, Counter(self.rig.engine.writes))

    def teardown(self) -> None:
        if hasattr(self, "simulation"):
            try:
                before = len(self.rig.written())
                self.do(self.simulation.resynced())
                assert self.rig.written()[before:] == []
            finally:
                self.do(self.stack.aclose())


@pytest.mark.fault(12, 22)
@pytest.mark.parametrize(
    "times",
    [
        pytest.param(1, marks=pytest.mark.timeout(300), id="a few"),
        pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(3600)], id="many"),
    ],
)
def test_every_path_leads_to_what_a_fresh_start_gives(postgres: Postgres, tmp_path: Path, times: int) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        Paths.runner = runner
        Paths.rig = runner.run(stack.enter_async_context(rig_on(postgres, tmp_path)))
        try:
            Paths.reference = runner.run(fresh(Paths.rig))
            run_state_machine_as_test(
                Paths,
                settings=settings(
                    max_examples=PATHS * times,
                    stateful_step_count=STEPS,
                    deadline=None,
                    derandomize=times == 1,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(stack.aclose())
