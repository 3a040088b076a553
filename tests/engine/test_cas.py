"""relabel: of many writers none is lost, and a writer that never lets us in is reported."""

from __future__ import annotations

import asyncio

import pytest

from skep.operator.engine.cas import ATTEMPTS, relabel
from skep.operator.engine.memory import Call, MemoryEngine
from skep.operator.errors import NotFound, VersionConflict


async def make() -> MemoryEngine:
    engine = MemoryEngine()
    await engine.create_config("c", b"1", {"n": "0"})
    engine.writes.clear()
    return engine


def count_up(labels: dict[str, str]) -> dict[str, str]:
    return labels | {"n": str(int(labels["n"]) + 1)}


async def test_concurrent_changes_are_all_kept() -> None:
    engine = await make()
    await asyncio.gather(*(relabel(engine, "c", count_up) for _ in range(4)))
    assert dict((await engine.inspect_config("c")).labels) == {"n": "4"}


@pytest.mark.parametrize(
    "change", [pytest.param(lambda labels: labels, id="equal"), pytest.param(lambda _: None, id="None")]
)
async def test_nothing_to_change_writes_nothing(change: object) -> None:
    engine = await make()
    assert await relabel(engine, "c", change) == (("n", "0"),)  # type: ignore[arg-type]  # parametrised callables
    assert engine.writes == []


async def test_a_foreign_writer_in_a_loop_is_reported_after_bounded_attempts() -> None:
    engine = await make()
    attempts = 0

    async def intrude(call: Call) -> None:
        nonlocal attempts
        if call.method == "label_config" and call.phase == "before":
            attempts += 1
            config = engine.configs[call.args[0]] if isinstance(call.args[0], str) else None
            assert config is not None
            engine.on_call = None
            await engine.label_config(config.id, config.version, {"n": str(attempts), "by": "another"})
            engine.on_call = intrude

    engine.on_call = intrude
    with pytest.raises(VersionConflict):
        await relabel(engine, "c", count_up)
    assert attempts == ATTEMPTS


async def test_a_config_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        await relabel(MemoryEngine(), "c", count_up)
