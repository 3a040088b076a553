"""Steady requests at the edge while something happens behind it, and every answer that was not a 200."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.e2e.browser import Browser


@dataclass
class Load:
    """*rate* requests a second to `/` and `/healthz`-free pages of *browser*'s host, each on a connection of its own."""

    browser: Browser
    rate: float = 20.0
    sent: int = 0
    bad: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        workers = 4
        for _ in range(workers):
            thread = threading.Thread(target=self._work, args=(workers / self.rate,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=15)

    def _work(self, pause_s: float) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self.sent += 1
            started = time.monotonic()
            try:
                answer = Browser(self.browser.edge, self.browser.host).get("/", timeout_s=10.0)
                if answer.status != 200:
                    self.bad.append(f"{answer.status} {answer.text[:80]!r}")
            except (OSError, ValueError) as error:
                self.bad.append(f"{type(error).__name__} {error} after {time.monotonic() - started:.1f} s")
            due += pause_s
            self._stop.wait(max(0.0, due - time.monotonic()))
