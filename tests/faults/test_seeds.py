"""Hours of a hive's life with faults drawn from a seed: whatever happens, it ends where an undisturbed one ends.

`--seeds=1000` plays more of them; `--seed=17` plays one again, as a failure says.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from skep.operator import names
from tests.faults.fleet import POLICIES, VARIANTS, Fleet, adopt, check, check_lives, check_writes, fresh
from tests.faults.simulation import Faults, Simulation, simulated
from tests.hive.conftest import Rig

IN_CI = 100
BATCH = 20  # seeds in one test: a fixture costs as much as a seed
fired: Counter[str] = Counter()  # over all seeds
_reference: dict[str, dict[str, object]] = {}  # what a fresh start gives, by variant and policy


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" in metafunc.fixturenames:
        one = metafunc.config.getoption("--seed")
        count = metafunc.config.getoption("--seeds") or IN_CI
        batches = [(one,)] if one is not None else [tuple(range(at, at + BATCH)) for at in range(0, count, BATCH)]
        metafunc.parametrize("seeds", batches, ids=[f"{batch[0]}-{batch[-1]}" for batch in batches])


@pytest.fixture
async def reference(rig: Rig) -> dict[str, dict[str, object]]:
    if not _reference:
        _reference.update(await fresh(rig))
    return _reference


@pytest.mark.fault(1, 2, 5, 6, 11, 12, 13, 20)
@pytest.mark.timeout(240)
async def test_whatever_happens_it_ends_as_if_it_had_not(
    rig: Rig, reference: dict[str, dict[str, object]], seeds: tuple[int, ...]
) -> None:
    for seed in seeds:
        try:
            await play(rig, seed, reference)
        except BaseException:
            print(f"\nplay it again: pytest tests/faults/test_seeds.py --seed={seed}")
            raise


async def play(rig: Rig, seed: int, reference: dict[str, dict[str, object]]) -> None:
    for again in range(10):  # a seed whose faults never came is drawn anew
        async with simulated(rig, seed + again * 1_000_000, start_s=Random(seed).choice((0.0, 2.0))) as simulation:
            await live(rig, simulation, Random(f"life {seed} {again}"), reference)
            fired.update(simulation.faults.fired)
            if simulation.faults.fired:
                return
    raise AssertionError(f"seed {seed}: no fault happened")


async def live(rig: Rig, simulation: Simulation, draw: Random, reference: dict[str, dict[str, object]]) -> None:
    fleet = Fleet({name: draw.choice(POLICIES) for name in ("acme", "birch", "cedar")[: draw.randint(1, 3)]})
    simulation.faults.by_hand = lambda: meddle(rig, draw)
    simulation.begin()
    for step in range(draw.randint(2, 6)):
        name = draw.choice(sorted(fleet.policy))
        fleet.declare(name, draw.choice((*VARIANTS, *([None, None] if step else []))))
        await fleet.publish(rig)
        match draw.randint(0, 9):
            case 0:
                await simulation.kill()
            case 1:
                await simulation.revive()
                await simulation.take_over()
            case 2:
                rig.engine.restart()
            case 3 | 4:
                await simulation.time.sleep(draw.uniform(0.0, 40.0))
            case _:
                await simulation.rest()
        await simulation.revive()
    simulation.faults.on = False
    await simulation.rest()
    await simulation.resynced()
    await adopt(rig, simulation, fleet)
    await check(rig, fleet, reference)
    check_lives(fleet, simulation.statements)
    check_writes(fleet, Counter(rig.engine.writes))
    writes, statements = len(rig.written()), Counter(simulation.written)
    await simulation.resynced()
    assert rig.written()[writes:] == []
    assert Counter(simulation.written) == statements


def meddle(rig: Rig, draw: Random) -> None:
    """A foreign hand, in the moment before a write."""
    services = [each.spec.name for each in rig.engine.services.values() if names.UID in dict(each.spec.labels)]
    if services:
        rig.engine.edit_by_hand(draw.choice(services), replicas=draw.randint(0, 5))


@pytest.mark.fault(1, 2, 5, 6, 11)
def test_every_kind_of_fault_was_among_them(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--seed") is not None or not fired:
        pytest.skip("only after all seeds")
    assert set(Faults.KINDS) <= fired.keys()
