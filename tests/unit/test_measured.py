"""The engine's wrapper: every call is told with its outcome, whatever the port's method; streams are left alone."""

from __future__ import annotations

import asyncio

import pytest

from skep.operator.engine.measured import measured
from skep.operator.engine.memory import Call, MemoryEngine
from skep.operator.engine.port import Engine
from skep.operator.engine.spec import CONNECTED
from skep.operator.errors import NameTaken, NotFound


class Told:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __call__(self, method: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append((method, outcome))


@pytest.fixture
def inner() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def engine(inner: MemoryEngine, told: Told) -> Engine:
    return measured(inner, told)


async def test_a_call_is_told_with_what_came_of_it(engine: Engine, told: Told) -> None:
    made = await engine.create_config("a", b"x", {"skep.kind": "status"})
    assert (await engine.inspect_config(made)).name == "a"
    with pytest.raises(NameTaken):
        await engine.create_config("a", b"x", {})
    with pytest.raises(NotFound):
        await engine.inspect_secret("nowhere")
    assert told.calls == [
        ("create_config", "ok"),
        ("inspect_config", "ok"),
        ("create_config", "NameTaken"),
        ("inspect_secret", "NotFound"),
    ]


async def test_a_call_that_is_given_up_is_told_as_such(engine: Engine, inner: MemoryEngine, told: Told) -> None:
    reached = asyncio.Event()

    async def hang(call: Call) -> None:
        reached.set()
        await asyncio.Event().wait()

    inner.on_call = hang
    call = asyncio.create_task(_info(engine))
    await reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert told.calls == [("info", "cancelled")]


async def _info(engine: Engine) -> None:
    await engine.info()


async def test_a_stream_passes_through(engine: Engine, told: Told) -> None:
    changes = engine.changes()
    assert await anext(changes) == CONNECTED
    assert told.calls == []
    await engine.close()
