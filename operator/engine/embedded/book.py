"""The log of one service: a bounded file a task, one line an entry with its time and stream, and those who listen."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from skep.operator.engine.embedded.files import LogFile
from skep.operator.engine.spec import LogLine

KEEP = 5  # logs of ended tasks, over restarts of the engine too
TASK_LIMIT = 512 * 1024
LISTENER_MAX = 10_000  # lines that a slow reader may be behind before it loses the oldest
_LETTER: dict[Literal["stdout", "stderr"], str] = {"stdout": "O", "stderr": "E"}


@dataclass(eq=False, slots=True)
class _Listener:
    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=LISTENER_MAX))
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class Book:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open: dict[str, LogFile] = {}
        self._listeners: set[_Listener] = set()
        self._closed = False

    def open(self, task: str) -> Callable[[Literal["stdout", "stderr"], str], None]:
        """Where a task's lines go."""
        self._forget_oldest()
        file = self._open[task] = LogFile(self._directory / f"{task}.log", limit=TASK_LIMIT)

        def write(stream: Literal["stdout", "stderr"], text: str) -> None:
            if task not in self._open:
                return
            file.write(f"{time.time():.6f} {_LETTER[stream]} {text}")
            for listener in self._listeners:
                listener.lines.append(LogLine(task, stream, text))
                listener.arrived.set()

        return write

    def close(self, task: str) -> None:
        if (file := self._open.pop(task, None)) is not None:
            file.close()

    def _forget_oldest(self) -> None:
        ended = [path for path in self._directory.glob("*.log") if path.stem not in self._open]
        for path in sorted(ended, key=lambda path: path.stat().st_mtime)[: max(0, len(ended) - KEEP)]:
            path.unlink(missing_ok=True)
            path.with_name(f"{path.name}.1").unlink(missing_ok=True)

    async def read(self, *, tail: int | None, follow: bool) -> AsyncIterator[LogLine]:
        listener = _Listener()
        if follow:
            self._listeners.add(listener)  # before the past is read, with no pause in between: no line is lost
        try:
            for line in self._past(tail):
                yield line
            while follow and not self._closed:
                while listener.lines:
                    yield listener.lines.popleft()
                listener.arrived.clear()
                await listener.arrived.wait()
        finally:
            self._listeners.discard(listener)

    def _past(self, tail: int | None) -> list[LogLine]:
        found: list[tuple[float, LogLine]] = []
        for path in self._directory.glob("*.log"):
            texts: list[str] = []
            for part in (path.with_name(f"{path.name}.1"), path):
                if part.exists():
                    texts += part.read_text(errors="replace").split("\n")[:-1]
            for text in texts if tail is None else texts[len(texts) - min(tail, len(texts)) :]:
                at, _, rest = text.partition(" ")
                letter, _, words = rest.partition(" ")
                found.append((float(at), LogLine(path.stem, "stderr" if letter == "E" else "stdout", words)))
        return [line for _, line in sorted(found, key=lambda entry: entry[0])]

    def end(self) -> None:
        """Let those who follow go."""
        self._closed = True
        for listener in self._listeners:
            listener.arrived.set()

    def remove(self) -> None:
        self.end()
        shutil.rmtree(self._directory, ignore_errors=True)
