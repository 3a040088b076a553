"""The lease: never two leaders, each judged by clocks of its own; the object is a config of the memory engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from skep.operator import formats, names
from skep.operator.engine.memory import Call, MemoryEngine
from skep.operator.engine.spec import Config
from skep.operator.errors import EngineUnavailable, NotLeader, TerminalError
from skep.operator.leadership import ConfigStore
from skep.operator.loop.lease import Grant, Lease
from tests.fakes.clock import VirtualClock, settle


class Replica(Lease):
    """A lease with a link of its own to the engine, which a test may cut."""

    def __init__(self, engine: MemoryEngine, clock: VirtualClock, name: str, *, sole: bool = False) -> None:
        self.store = Link(engine)
        super().__init__(self.store, clock, holder=name, sole=sole)

    @property
    def leads(self) -> bool:
        return self.leading.is_set()

    @property
    def may_write(self) -> bool:
        try:
            self.check()
        except NotLeader:
            return False
        return True


class Link(ConfigStore):
    def __init__(self, engine: MemoryEngine) -> None:
        super().__init__(engine)
        self.cut = False
        self.mute = False  # what is asked happens, and the answer is lost
        self.before_write: Callable[[], Awaitable[None]] | None = None

    async def read(self) -> Grant | None:
        self._refuse(self.cut)
        return await super().read()

    async def write(self, grant: Grant, holder: str, term: int) -> None:
        self._refuse(self.cut)
        if self.before_write is not None:
            await self.before_write()
        await super().write(grant, holder, term)
        self._refuse(self.mute)

    @staticmethod
    def _refuse(when: bool) -> None:
        if when:
            raise EngineUnavailable("the link is cut")


@dataclass
class Swarm:
    engine: MemoryEngine = field(default_factory=MemoryEngine)
    clock: VirtualClock = field(default_factory=VirtualClock)
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def start(self, name: str, *, sole: bool = False, clock: VirtualClock | None = None) -> Replica:
        replica = Replica(self.engine, clock or self.clock, name, sole=sole)
        self.running[name] = asyncio.create_task(replica.run())
        await settle()
        return replica

    async def kill(self, replica: Replica) -> None:
        task = self.running.pop(replica.holder)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def stop(self, replica: Replica) -> None:
        await self.kill(replica)
        await replica.release()

    def held(self) -> tuple[str, int]:
        labels = dict(self.config().labels)
        return labels.get("skep.lease.holder", ""), int(labels["skep.lease.term"])

    def config(self) -> Config:
        return next(config for config in self.engine.configs.values() if config.name == names.LEASE)


@pytest.fixture
async def swarm() -> AsyncIterator[Swarm]:
    async with a_swarm() as found:
        yield found


@asynccontextmanager
async def a_swarm() -> AsyncIterator[Swarm]:
    found = Swarm()
    try:
        yield found
    finally:
        for task in found.running.values():
            task.cancel()
        await asyncio.gather(*found.running.values(), return_exceptions=True)


async def test_the_first_one_leads_at_once_and_the_second_follows(swarm: Swarm) -> None:
    first = await swarm.start("first")
    second = await swarm.start("second")
    assert (first.leads, second.leads) == (True, False)
    assert swarm.held() == ("first", 1)
    await swarm.clock.advance(600.0)
    assert (first.leads, second.leads) == (True, False)
    assert swarm.held() == ("first", 1)


async def test_a_leader_that_is_killed_is_followed_within_its_lease_plus_five_seconds(swarm: Swarm) -> None:
    first, second = await swarm.start("first"), await swarm.start("second")
    await swarm.clock.advance(5.1)  # just renewed: the longest way
    await swarm.kill(first)
    await swarm.clock.advance(14.0)
    assert not second.leads
    await swarm.clock.advance(6.0)
    assert second.leads
    assert swarm.held() == ("second", 2)


async def test_a_lease_let_go_is_taken_at_the_hint(swarm: Swarm) -> None:
    first, second = await swarm.start("first"), await swarm.start("second")
    await swarm.stop(first)
    assert swarm.held() == ("", 1)
    second.nudge()
    await settle()
    assert swarm.held() == ("second", 2)


async def test_a_lease_let_go_is_taken_within_two_seconds_without_a_hint(swarm: Swarm) -> None:
    first, second = await swarm.start("first"), await swarm.start("second")
    await swarm.stop(first)
    await swarm.clock.advance(2.0)
    assert second.leads


async def test_a_write_must_end_before_the_lease_does(swarm: Swarm) -> None:
    first = await swarm.start("first")
    first.store.cut = True
    await swarm.clock.advance(8.9)
    assert first.may_write
    await swarm.clock.advance(0.2)  # less than 5 s for the write and 1 s to spare
    assert not first.may_write
    assert first.leads
    await swarm.clock.advance(6.0)
    assert not first.leads


async def test_who_cannot_renew_stops_before_anybody_else_begins(swarm: Swarm) -> None:
    first, second = await swarm.start("first"), await swarm.start("second")
    await swarm.clock.advance(12.0)
    first.store.cut = True
    for _ in range(200):
        await swarm.clock.advance(0.1)
        assert not (first.leads and second.leads)
    assert second.leads
    first.store.cut = False
    await swarm.clock.advance(60.0)
    assert (first.leads, second.leads) == (False, True)


async def test_an_engine_away_for_longer_than_the_lease_leaves_nobody_leading_and_then_one(swarm: Swarm) -> None:
    first, second = await swarm.start("first"), await swarm.start("second")
    first.store.cut = second.store.cut = True
    await swarm.clock.advance(60.0)
    assert not first.leads
    assert not second.leads
    first.store.cut = second.store.cut = False
    await swarm.clock.advance(5.0)
    assert first.leads != second.leads
    assert swarm.held()[1] == 2


async def test_a_machine_that_slept_may_not_write_when_it_wakes(swarm: Swarm) -> None:
    first = await swarm.start("first")
    await swarm.clock.advance(1.0)
    swarm.clock.suspend(20.0)
    assert not first.may_write
    with pytest.raises(NotLeader):
        await first.confirm()
    await swarm.clock.advance(1.0)
    assert (first.leads, first.term) == (True, 2)  # nobody else was there: it begins anew


async def test_an_observer_that_slept_does_not_take_what_was_renewed_meanwhile(swarm: Swarm) -> None:
    elsewhere = VirtualClock()
    first, second = await swarm.start("first"), await swarm.start("second", clock=elsewhere)
    elsewhere.suspend(3600.0)
    await swarm.clock.advance(5.5)
    await elsewhere.advance(10.0)
    assert (first.leads, second.leads) == (True, False)


async def test_two_that_see_it_run_out_together_do_not_both_lead(swarm: Swarm) -> None:
    first = await swarm.start("first")
    others = [await swarm.start(f"other{number}") for number in range(5)]
    await swarm.kill(first)
    await swarm.clock.advance(20.0)
    assert sum(other.leads for other in others) == 1
    assert swarm.held()[1] == 2


async def test_a_lost_answer_to_the_taking_is_no_harm(swarm: Swarm) -> None:
    first, second = await swarm.start("first"), await swarm.start("second")
    await swarm.kill(first)
    second.store.mute = True
    await swarm.clock.advance(16.0)
    assert swarm.held()[0] == "second"
    assert not second.leads
    second.store.mute = False
    await swarm.clock.advance(2.0)
    assert second.leads
    assert swarm.held() == ("second", second.term)


async def test_who_was_stopped_inside_its_renewal_is_refused_when_it_wakes(swarm: Swarm) -> None:
    first, second = await swarm.start("first"), await swarm.start("second")
    awake = asyncio.Event()
    stopped = asyncio.Event()

    async def stop() -> None:
        stopped.set()
        await awake.wait()

    first.store.before_write = stop
    await swarm.clock.advance(5.0)
    assert stopped.is_set()
    await swarm.clock.advance(25.0)
    assert (first.leads, second.leads) == (False, True)
    awake.set()
    await settle()
    assert swarm.held() == ("second", 2)
    assert not first.leads


async def test_a_stolen_lease_ends_the_lead_at_the_next_look(swarm: Swarm) -> None:
    first = await swarm.start("first")
    config = next(iter(swarm.engine.configs.values()))
    thief = {**dict(config.labels), "skep.lease.holder": "thief", "skep.lease.term": "9"}
    await swarm.engine.label_config(config.id, config.version, thief)
    with pytest.raises(NotLeader):
        await first.confirm()  # what removes something asks first
    assert not first.leads
    await swarm.clock.advance(25.0)
    assert (first.leads, first.term) == (True, 10)


async def test_a_lease_removed_by_hand_is_made_again_by_who_holds_it(swarm: Swarm) -> None:
    first, second = await swarm.start("first"), await swarm.start("second")
    await swarm.engine.create_config(names.OPERATOR, b"x", {})  # who leads announced itself
    await swarm.clock.advance(1.0)
    await swarm.engine.remove_config(
        next(each.id for each in swarm.engine.configs.values() if each.name == names.LEASE)
    )
    second.nudge()
    with pytest.raises(NotLeader):
        await first.confirm()
    await swarm.clock.advance(5.0)
    assert swarm.held() == ("first", 1)
    assert (first.leads, second.leads) == (True, False)


async def test_where_an_operator_without_leases_ran_it_is_waited_for(swarm: Swarm) -> None:
    await swarm.engine.create_config(names.OPERATOR, b"x", {})
    first = await swarm.start("first")
    await swarm.clock.advance(14.0)
    assert not first.leads
    await swarm.clock.advance(2.0)
    assert first.leads


async def test_who_is_alone_by_its_nature_waits_for_no_dead_one(swarm: Swarm) -> None:
    first = await swarm.start("first")
    await swarm.kill(first)
    second = await swarm.start("second", sole=True)
    assert second.leads
    assert swarm.held() == ("second", 2)


async def test_a_term_that_a_server_knows_better_is_outgrown(swarm: Swarm) -> None:
    first = await swarm.start("first")
    await first.outgrow(7)
    assert (first.term, first.leads, swarm.held()) == (8, True, ("first", 8))
    await first.outgrow(3)
    assert first.term == 8
    await swarm.clock.advance(20.0)
    assert (first.leads, swarm.held()) == (True, ("first", 8))


async def test_only_who_leads_outgrows(swarm: Swarm) -> None:
    await swarm.start("first")
    second = await swarm.start("second")
    with pytest.raises(NotLeader):
        await second.outgrow(7)


async def test_a_lease_of_a_newer_format_is_left_alone(swarm: Swarm) -> None:
    labels = {names.KIND: "lease", formats.LABEL: "2", "skep.lease.holder": "", "skep.lease.term": "3"}
    await swarm.engine.create_config(names.LEASE, b"x", labels)
    swarm.engine.writes.clear()
    first = await swarm.start("first")
    await swarm.clock.advance(120.0)
    assert not first.leads
    assert swarm.engine.writes == []
    with pytest.raises(TerminalError, match=r"skep\.lease has format '2'.*this skep knows 1"):
        await first.store.read()


async def test_an_answer_that_does_not_come_does_not_prolong_the_lead(swarm: Swarm) -> None:
    """The watch does not wait for a renewal that hangs."""
    first = await swarm.start("first")

    async def hang(call: Call) -> None:
        await asyncio.Event().wait()

    swarm.engine.on_call = hang
    await swarm.clock.advance(16.0)
    assert not first.leads


async def test_an_engine_that_answers_nonsense_ends_no_follower(swarm: Swarm) -> None:
    first, second = await swarm.start("first"), await swarm.start("second")

    def nonsense(call: Call) -> None:
        raise KeyError("Spec")

    swarm.engine.on_call = nonsense
    await swarm.clock.advance(30.0)
    assert not first.leads
    swarm.engine.on_call = None
    await swarm.clock.advance(5.0)
    assert first.leads != second.leads


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_breaks_there_are_never_two(seed: int) -> None:
    """Links are cut and mended, machines sleep, replicas are killed and started, and answers get lost."""
    draw = random.Random(seed)
    async with a_swarm() as swarm:
        replicas = {name: await swarm.start(name) for name in ("a", "b", "c")}
        terms: list[int] = []
        for step in range(120):
            match draw.randrange(6):
                case 0:
                    link = draw.choice(list(replicas.values())).store
                    link.cut = not link.cut
                case 1:
                    link = draw.choice(list(replicas.values())).store
                    link.mute = not link.mute
                case 2:
                    name = draw.choice(list(replicas))
                    await swarm.kill(replicas.pop(name))
                    replicas[f"{name[0]}{step}"] = await swarm.start(f"{name[0]}{step}")
                case 3:
                    name = draw.choice(list(replicas))
                    await swarm.stop(replicas.pop(name))
                    replicas[f"{name[0]}{step}"] = await swarm.start(f"{name[0]}{step}")
                case 4:
                    swarm.clock.suspend(draw.uniform(0.0, 20.0))
                case _:
                    pass
            for _ in range(draw.randrange(1, 12)):
                await swarm.clock.advance(0.5)
                assert sum(each.remaining_s > 0 for each in replicas.values()) <= 1, f"seed {seed}, step {step}"
            terms.append(swarm.held()[1])
        assert terms == sorted(terms)
        for each in replicas.values():
            each.store.cut = each.store.mute = False
        await swarm.clock.advance(40.0)
        assert sum(each.leads for each in replicas.values()) == 1, f"seed {seed}"
