"""Who tells a worker that there may be work: its parent by a pipe, or nobody, and then it looks by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal


def stop_by_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT: finish what is at hand, then end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


class QuietBell:
    """Never rings; ends at *stop*."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    @property
    def is_over(self) -> bool:
        return self._stop.is_set()

    async def wait(self, timeout_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), timeout_s)
        return not self._stop.is_set()


class PipeBell:
    """Rings for each byte on a pipe; its end is the parent's end, and ours."""

    def __init__(self, descriptor: int, stop: asyncio.Event) -> None:
        self._descriptor = descriptor
        self._stop = stop
        self._changed = asyncio.Event()
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)
        self._watch = asyncio.create_task(self._forward())

    def _read(self) -> None:
        try:
            heard = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return
        if not heard:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._stop.set()
        self._changed.set()

    async def _forward(self) -> None:
        await self._stop.wait()
        self._changed.set()

    @property
    def is_over(self) -> bool:
        return self._stop.is_set()

    async def wait(self, timeout_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        self._changed.clear()
        return not self._stop.is_set()
