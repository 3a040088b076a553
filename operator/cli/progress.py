"""Progress while a command waits: a live table on a terminal, a line per change in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from skep.operator.cli import output
from skep.operator.cli.view import View

if TYPE_CHECKING:
    from rich.live import Live


class Progress:
    def __init__(self, tenants: list[str]) -> None:
        self._tenants = tenants
        self._said: dict[str, str] = {}
        self._live: Live | None = None
        if sys.stdout.isatty():
            from rich.live import Live  # what draws is imported when there is something to draw

            self._live = Live(console=output.live_console(), refresh_per_second=8)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, tb)

    def update(self, view: View, unready: Mapping[str, str]) -> None:
        """Show where each tenant stands; *unready* are sentences about those that are not there yet."""
        if self._live is not None:
            rows = []
            for name in self._tenants:
                status = view.statuses.get(name)
                word = status.phase if status is not None else "Pending"
                urls = " ".join(status.urls) if status is not None else ""
                rows.append((name, output.phase(word), unready.get(name, urls)))
            self._live.update(output.table(("TENANT", "PHASE", ""), rows))
            return
        for name in self._tenants:
            status = view.statuses.get(name)
            line = f"{name}: {unready.get(name) or (status.phase if status is not None else 'Pending')}"
            if self._said.get(name) != line:
                self._said[name] = line
                output.say(line)
