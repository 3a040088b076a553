"""Where every tenant stands, for as long as `skep up` runs: a live table on a terminal, a line a change in a pipe."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rich.live import Live
from rich.table import Table

from skep.operator import names
from skep.operator.cli import output
from skep.operator.cli.view import View, look
from skep.operator.engine.port import Engine

PAUSE_S = 0.2  # between two looks, however many hints come
UNHINTED_S = 2.0  # parts have no hints


class Standing:
    def __init__(self, engine: Engine, status: Callable[[], Mapping[str, Any]]) -> None:
        self._engine = engine
        self._status = status
        self._said: dict[str, str] = {}
        self._hint = asyncio.Event()

    async def show(self) -> None:
        """Until cancelled."""
        listening = asyncio.create_task(self._listen())
        try:
            if sys.stdout.isatty():
                with Live(console=output.live_console(), auto_refresh=False) as live:
                    while True:
                        live.update(self._table(await look(self._engine)), refresh=True)
                        await self._pause()
            while True:
                self._tell(await look(self._engine))
                await self._pause()
        finally:
            listening.cancel()

    async def _listen(self) -> None:
        async for _ in self._engine.changes():
            self._hint.set()

    async def _pause(self) -> None:
        await asyncio.sleep(PAUSE_S)
        try:
            async with asyncio.timeout(UNHINTED_S):
                await self._hint.wait()
        except TimeoutError:
            pass
        self._hint.clear()

    def _parts(self) -> dict[str, str]:
        parts: dict[str, str] = self._status()["parts"]
        return {name: trouble or "up" for name, trouble in parts.items()}

    def _table(self, view: View) -> Table:
        rows = [
            (name, output.phase("Progressing"), trouble) for name, trouble in self._parts().items() if trouble != "up"
        ]
        for name in view.tenants:
            word, line = _word(view, name)
            rows.append((name, output.phase(word), line))
        return output.table(("TENANT", "PHASE", ""), rows)

    def _tell(self, view: View) -> None:
        lines = self._parts()
        for name in view.tenants:
            word, line = _word(view, name)
            lines[name] = f"{word} {line}".rstrip()
        for name, line in lines.items():
            if self._said.get(name) != line:
                self._said[name] = line
                output.say(f"{name}: {line}")


def _word(view: View, name: str) -> tuple[str, str]:
    """Its phase, and its URLs or what it waits for."""
    status = view.statuses.get(name)
    if status is None:
        return "Pending", ""
    ready = status.condition("Ready")
    if status.phase == "Ready":
        service = view.service(names.service(name))
        if service is not None and service.running < service.spec.replicas:  # the status may be of an earlier run
            return "Progressing", f"{service.name} is starting"
        return status.phase, " ".join(status.urls)
    return status.phase, ready.message if ready is not None else ""
