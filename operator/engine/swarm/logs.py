"""The service-logs stream as lines: frames taken apart, tasks told from each other, broken lines joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import aiohttp

from skep.operator.engine.spec import LogLine

PARAMS = {"stdout": True, "stderr": True, "details": True}  # details carry the task's ID
_TASK = "com.docker.swarm.task.id="
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {1: "stdout", 2: "stderr"}


async def frames(stream: aiohttp.StreamReader) -> AsyncIterator[tuple[Literal["stdout", "stderr"], str]]:
    """Pieces of output until the stream ends. A frame is 8 bytes of head (which stream, how long) and a message."""
    while True:
        try:
            head = await stream.readexactly(8)
        except asyncio.IncompleteReadError:
            return
        body = (await stream.readexactly(int.from_bytes(head[4:]))).decode(errors="replace")
        if name := _STREAMS.get(head[0]):  # 0 is standard input, 3 the daemon's own error: the next call will meet it
            yield name, body


async def lines(stream: aiohttp.StreamReader) -> AsyncIterator[LogLine]:
    """Lines of the service-logs stream until it ends; a long line comes in many frames."""
    unfinished: dict[tuple[str, Literal["stdout", "stderr"]], str] = {}
    async for name, body in frames(stream):
        details, _, text = body.partition(" ")
        task = next((part.removeprefix(_TASK) for part in details.split(",") if part.startswith(_TASK)), "")
        text = unfinished.pop((task, name), "") + text
        if text.endswith("\n"):
            yield LogLine(task, name, text.rstrip("\r\n"))
        else:
            unfinished[task, name] = text
    for (task, name), text in unfinished.items():
        yield LogLine(task, name, text)
