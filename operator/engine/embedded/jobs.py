"""One-off jobs: run once, awaited by name, their result kept until somebody took it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

from skep.operator.engine.embedded.store import new_id
from skep.operator.engine.embedded.task import ended_sentence, exit_code_of
from skep.operator.engine.embedded.workshop import Workshop
from skep.operator.engine.spec import JobResult, JobSpec
from skep.operator.errors import EngineRefused

OUTPUT_MAX = 64 * 1024
ERROR_LINES = 20
KEPT_S = 600.0  # a result that nobody came back for


class Jobs:
    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._running: dict[str, asyncio.Task[JobResult]] = {}

    def is_running(self, name: str) -> bool:
        return name in self._running

    async def run(self, spec: JobSpec) -> JobResult:
        """A job outlives the caller that goes away: the next call of its name finds it, or its result."""
        task = self._running.get(spec.name)
        if task is None:
            task = self._running[spec.name] = asyncio.create_task(self._run(spec), name=f"job {spec.name}")
            task.add_done_callback(lambda done: self._forget_later(spec.name, done))
        result = await asyncio.shield(task)
        self._forget(spec.name, task)
        return result

    def _forget_later(self, name: str, task: asyncio.Task[JobResult]) -> None:
        asyncio.get_running_loop().call_later(KEPT_S, self._forget, name, task)

    def _forget(self, name: str, task: asyncio.Task[JobResult]) -> None:
        if self._running.get(name) is task:
            del self._running[name]

    async def _run(self, spec: JobSpec) -> JobResult:
        folder = self._workshop.home.tasks / new_id()
        output: deque[str] = deque()
        size = 0
        errors: deque[str] = deque(maxlen=ERROR_LINES)

        def keep(stream: Literal["stdout", "stderr"], text: str) -> None:
            nonlocal size
            if stream == "stderr":
                errors.append(text)
                return
            output.append(text + "\n")
            size += len(text) + 1
            while size - len(output[0]) >= OUTPUT_MAX:
                size -= len(output.popleft())

        try:
            program = self._workshop.program(spec.image)
            env = self._workshop.lay_out(folder, spec)
            child = await self._workshop.children.spawn((*program, *spec.args), keep, env=env, cwd=folder)
        except (EngineRefused, OSError) as error:
            self._workshop.clear(folder)
            return JobResult(None, "", str(error))
        try:
            done, _ = await asyncio.wait({child.exited}, timeout=spec.timeout_s)
            code = exit_code_of(await child.stop(1.0))
            text = "".join(output)[-OUTPUT_MAX:]
            if not done:
                return JobResult(None, text, "\n".join([f"killed after {spec.timeout_s:g} s", *errors]))
            return JobResult(code, text, "\n".join([*([ended_sentence(code)] if code else []), *errors]))
        finally:
            if child.is_alive:
                await child.stop(0.0)
            self._workshop.clear(folder)

    async def close(self) -> None:
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
