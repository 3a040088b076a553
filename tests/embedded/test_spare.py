"""The process that waits with its imports done: whose orders it takes, and what becomes of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skep.operator.engine.embedded import spare as spares
from skep.operator.engine.embedded.children import Children, born
from skep.operator.engine.embedded.programs import APP, digest_of_app
from skep.operator.engine.embedded.spare import Spare

IMAGE = f"skep:1@{digest_of_app()}"


class Said:
    """What a process wrote, and a wait for a line of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, stream: str, text: str) -> None:
        self.lines.append(f"{stream}: {text}")
        self._more.set()

    async def until(self, word: str) -> str:
        while not (found := [line for line in self.lines if word in line]):
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 20)
        return found[0]


@pytest.fixture
async def spare(tmp_path: Path) -> AsyncIterator[Spare]:
    (tmp_path / "children").mkdir()
    spare = Spare(Children(tmp_path / "children"), APP["skep"], tmp_path)
    spare.prepare()
    await asyncio.wait_for(spare.made(), 20)
    try:
        yield spare
    finally:
        await spare.close()


def environment(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "SKEP_CONFIGS_DIR": str(folder / "nowhere")}


async def test_it_becomes_the_process_that_was_ordered(spare: Spare, tmp_path: Path) -> None:
    said = Said()
    waiting = spare.pid
    child = await spare.claim(IMAGE, ["web"], said, env=environment(tmp_path), cwd=tmp_path)
    assert child is not None
    assert child.pid == waiting
    # Its own environment says where its settings are; there are none, and it says so as any other would.
    assert str(tmp_path / "nowhere") in await said.until("skep web")
    assert await child.exited == 1


async def test_a_second_task_finds_none_and_the_next_comes_later(
    spare: Spare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spares, "NEXT_S", 0.0)
    first = await spare.claim(IMAGE, ["web"], Said(), env=environment(tmp_path), cwd=tmp_path)
    assert first is not None
    assert await spare.claim(IMAGE, ["web"], Said(), env=environment(tmp_path), cwd=tmp_path) is None
    await asyncio.wait_for(spare.made(), 20)
    assert spare.pid not in (None, first.pid)
    await first.exited


async def test_one_of_older_code_is_never_handed_out(spare: Spare, tmp_path: Path) -> None:
    old = spare.pid
    assert old is not None
    claimed = await spare.claim(f"skep:1@sha256:{'0' * 64}", ["web"], Said(), env={}, cwd=tmp_path)
    assert claimed is None
    assert born(old) is None


async def test_one_that_died_is_not_handed_out(spare: Spare, tmp_path: Path) -> None:
    await spare.close()
    assert await spare.claim(IMAGE, ["web"], Said(), env={}, cwd=tmp_path) is None


async def test_without_orders_it_ends(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "skep.webapp", "standby", stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 20) == 0
