"""A process of the app that has imported everything and waits for its orders: half of a start is importing.

One is kept. A task that finds it hands it its environment, folder and arguments, and is up in a fraction of the time;
a task that finds none, as all but one of a crowd, starts cold and is no worse off.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from skep.operator.engine.embedded.children import Child, Children, Sink
from skep.operator.engine.embedded.programs import Program, base_environment, digest_of_app

log = logging.getLogger(__name__)

NEXT_S = 1.0  # the next one is made when the task that took this one had its time to start
COMMAND = "standby"  # of the app: see its main module


class Spare:
    """*program* is the app's. `claim` gives the process away; the next is made a little later."""

    def __init__(self, children: Children, program: Program, folder: Path) -> None:
        self._children = children
        self.program = program
        self._folder = folder
        self._child: Child | None = None
        self._digest = ""
        self._output = _Output()
        self._making: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def prepare(self, after_s: float = 0.0) -> None:
        """Make one, unless one is being made."""
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._make(after_s), name="spare")

    async def made(self) -> None:
        """Wait for the one that is being made."""
        if self._making is not None:
            await self._making

    async def _make(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if self._child is not None and self._child.is_alive:
            return
        # Read before the process reads the same files: if they change in between it counts as old, never as new.
        self._digest = await asyncio.to_thread(digest_of_app)
        self._output = _Output()
        try:
            self._child = await self._children.spawn(
                (*self.program, COMMAND),
                self._output,
                env=base_environment() | {"HOME": str(self._folder)},  # says to `ps` whose it is
                cwd=self._folder,
                listens=True,
            )
        except OSError as error:
            log.warning("no spare process", extra={"error": str(error)})

    async def claim(
        self, image: str, arguments: Sequence[str], sink: Sink, *, env: Mapping[str, str], cwd: Path
    ) -> Child | None:
        """The spare, now running *arguments* as a fresh process of *image* would; None if there is none of its code."""
        child, self._child = self._child, None
        self.prepare(NEXT_S)
        if child is None or not child.is_alive:
            return None
        if not image.endswith(f"@{self._digest}"):
            await child.stop(0.0)
            return None
        self._output.sink = sink
        orders = {"environment": dict(env), "folder": str(cwd), "arguments": list(arguments)}
        if not await child.tell(json.dumps(orders).encode() + b"\n"):
            return None
        return child

    async def close(self) -> None:
        if self._making is not None:
            self._making.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._making
        if self._child is not None:
            await self._child.stop(0.0)


class _Output:
    """Goes to whoever took the process; before that there is none to speak of."""

    def __init__(self) -> None:
        self.sink: Sink | None = None

    def __call__(self, stream: Literal["stdout", "stderr"], text: str) -> None:
        if self.sink is not None:
            self.sink(stream, text)
        else:
            log.warning("the spare process says", extra={"line": text})
