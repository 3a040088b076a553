"""The parent's side: ask a short-lived child for something, and believe nothing but its answer.

One at a time in a process, so that a rush of downloads needs the memory of one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

from skep.webapp.errors import Busy

DEADLINE_S = 20.0
WAIT_S = 15.0
REFUSED = 3


class ChildFailed(Exception):
    """It died, or took too long: whatever it was given was too much for it, or it met a mistake of ours."""


class ChildRefused(Exception):
    """It would not do it; `reason` is one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Children:
    """Asks for one task at a time; whoever comes while one is at work waits a while."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def ask(self, task: str, order: bytes) -> bytes:
        """Raises Busy, ChildRefused, ChildFailed."""
        try:
            await asyncio.wait_for(self._turn.acquire(), WAIT_S)
        except TimeoutError as error:
            raise Busy("many files at once") from error
        try:
            return await _ask(task, order)
        finally:
            self._turn.release()


async def _ask(task: str, order: bytes) -> bytes:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "skep.webapp.bounded.child", task,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
    )  # fmt: skip
    try:
        answer, _ = await asyncio.wait_for(child.communicate(order), DEADLINE_S)
    except TimeoutError as error:
        raise ChildFailed(f"{task}: took longer than {DEADLINE_S:g} s") from error
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode == REFUSED:
        raise ChildRefused(answer.decode(errors="replace").strip())
    if child.returncode:
        raise ChildFailed(f"{task}: ended with {child.returncode}")
    return answer
