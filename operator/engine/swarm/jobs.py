"""A one-off task as a replicated job: created or found by its name, awaited, read, removed.

A job is never updated (that runs it again) and never retried here. The engine has no task events, so the end is found
by looking, quickly at first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from skep.operator.engine.port import Confirm
from skep.operator.engine.spec import JobResult, JobSpec, Task
from skep.operator.engine.swarm import logs
from skep.operator.engine.swarm.api import Api, segment
from skep.operator.engine.swarm.parse import created_at, parse_task
from skep.operator.engine.swarm.render import Names, render_job
from skep.operator.errors import EngineUnavailable, NameTaken, NotFound, TransientError

OUTPUT_BYTES = 64 * 1024
ERROR_LINES = 20
ENDED = frozenset({"complete", "failed", "rejected", "orphaned", "shutdown", "remove"})
_FIRST_LOOK_S, _LAST_LOOK_S = 0.05, 1.0


async def run(
    api: Api, spec: JobSpec, names: Names, headers: Mapping[str, str], confirm: Confirm | None = None
) -> JobResult:
    """See the port. Raises NameTaken if a service that is no job has the name; TransientError if somebody else
    collected this job's result and removed it.
    """
    job_id = await _created_or_found(api, spec, names, headers)
    killed = ""
    try:
        try:
            async with asyncio.timeout(spec.timeout_s):
                task: Task | None = await _ended(api, job_id)
        except TimeoutError:
            task = await _newest(api, job_id)
            killed = f"killed after {spec.timeout_s:g} s"
    except NotFound as error:
        raise TransientError(f"job {spec.name} was collected by somebody else", reason="JobCollected") from error
    output, complaints = await _output(api, job_id) if task and task.node else ("", "")
    if confirm is not None:
        await confirm()
    with contextlib.suppress(NotFound):
        await api.delete(f"services/{job_id}")
    sentences = (killed, task.error if task else "", complaints)
    return JobResult(task.exit_code if task else None, output, "\n".join(filter(None, sentences)))


async def _created_or_found(api: Api, spec: JobSpec, names: Names, headers: Mapping[str, str]) -> str:
    try:
        return str((await api.post("services/create", render_job(spec, names), headers=headers))["ID"])
    except NameTaken:
        found = await api.get(f"services/{segment(spec.name)}")
        if "ReplicatedJob" not in found["Spec"]["Mode"]:
            raise  # to await it would end in its removal
        return str(found["ID"])


async def _ended(api: Api, job_id: str) -> Task:
    pause_s = _FIRST_LOOK_S
    while True:
        task = await _newest(api, job_id)
        if task and task.state in ENDED:
            return task
        if task is None:
            await api.get(f"services/{job_id}")  # raises NotFound: without it there never will be a task
        await asyncio.sleep(pause_s)
        pause_s = min(_LAST_LOOK_S, pause_s * 1.3)


async def _newest(api: Api, job_id: str) -> Task | None:
    tasks = await api.get("tasks", {"filters": {"service": [job_id]}})
    raw = max(tasks or (), key=created_at, default=None)
    return parse_task(raw, {}) if raw else None


async def _output(api: Api, job_id: str) -> tuple[str, str]:
    """The end of standard output, and of standard error. A node that died keeps its lines: the deadline passes."""
    output: list[str] = []
    complaints: list[str] = []
    try:
        async with (
            asyncio.timeout(api.deadline_s),
            api.stream(f"services/{job_id}/logs", {**logs.PARAMS, "tail": "all"}) as stream,
        ):
            async for line in logs.lines(stream):
                (output if line.stream == "stdout" else complaints).append(line.text)
    except (EngineUnavailable, TimeoutError):
        complaints.append("(its output could not be read to the end)")
    text = "".join(f"{line}\n" for line in output).encode()[-OUTPUT_BYTES:].decode(errors="ignore")
    return text, "\n".join(complaints[-ERROR_LINES:])
