"""Child processes: each ends with us, leaves a record while it lives, and hands us its output line by line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skep.operator.engine.embedded import launch
from skep.operator.engine.embedded.files import write_atomically
from skep.operator.engine.embedded.home import read_json

log = logging.getLogger(__name__)

Sink = Callable[[Literal["stdout", "stderr"], str], None]
LINE_MAX = 64 * 1024
STALE_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a child runs as, when we are root."""

    uid: int
    gid: int


def born(pid: int) -> str | None:
    """When a process started, in a form that no other process shares, also after a reboot; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        if sys.platform == "linux":
            return None
        # macOS and the BSDs have no /proc; their ps tells the start to the second.
        answer = subprocess.run(  # noqa: S603 - a fixed command
            ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return answer.stdout.strip() or None
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"


def command_of(pid: int) -> list[str] | None:
    """None where it cannot be told."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return None


class Child:
    """A running process. *exited* is done, with the exit code, once it ended and its output was read."""

    def __init__(self, process: asyncio.subprocess.Process, record: Path, sink: Sink) -> None:
        self._process = process
        self._record = record
        self.pid = process.pid
        self.exited: asyncio.Task[int] = asyncio.create_task(self._see_off(sink))

    async def _see_off(self, sink: Sink) -> int:
        streams = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        pumps = [
            asyncio.create_task(_pump(stream, "stderr" if name == "stderr" else "stdout", sink))
            for name, stream in streams.items()
            if stream is not None
        ]
        try:
            code = await self._process.wait()
            await asyncio.wait(pumps, timeout=1.0)  # a grandchild may hold the pipe
        finally:
            for pump in pumps:
                pump.cancel()
            self._record.unlink(missing_ok=True)
        return code

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def tell(self, text: bytes) -> bool:
        """Write *text* to its input and close that; False if it is gone. For one that was spawned to listen."""
        pipe = self._process.stdin
        if pipe is None or not self.is_alive:
            return False
        try:
            pipe.write(text)
            await pipe.drain()
        except ConnectionError:
            return False
        pipe.close()
        return True

    def send(self, number: signal.Signals) -> None:
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self, grace_s: float, first: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; after *grace_s* end it with everything it started."""
        self.send(first)
        done, _ = await asyncio.wait({self.exited}, timeout=grace_s)
        if not done and self.is_alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        return await asyncio.shield(self.exited)


async def _pump(stream: asyncio.StreamReader, name: Literal["stdout", "stderr"], sink: Sink) -> None:
    rest = b""
    while chunk := await stream.read(LINE_MAX):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            sink(name, line.decode(errors="replace").rstrip("\r"))
        while len(rest) > LINE_MAX:
            sink(name, rest[:LINE_MAX].decode(errors="replace"))
            rest = rest[LINE_MAX:]
    if rest:
        sink(name, rest.decode(errors="replace"))


class Children:
    """Starts processes and keeps their records in *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def spawn(
        self,
        command: Sequence[str | Path],
        sink: Sink,
        *,
        env: Mapping[str, str],
        cwd: Path,
        account: Account | None = None,
        last_words: signal.Signals = signal.SIGKILL,
        listens: bool = False,
    ) -> Child:
        """*last_words* is the signal that it gets when we die. One that *listens* has an input: see `Child.tell`.

        A command that cannot be run exits with 1 and says so.
        """
        words = [str(word) for word in command]
        uid, gid = (account.uid, account.gid) if account else (-1, -1)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(last_words)), str(uid), str(gid),
            *words, env=dict(env), cwd=cwd, stdin=asyncio.subprocess.PIPE if listens else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        record = self._directory / f"{process.pid}.json"
        note = {"pid": process.pid, "born": born(process.pid), "command": words, "signal": int(last_words)}
        write_atomically(record, json.dumps(note).encode(), durable=False)
        return Child(process, record, sink)

    def end_stale(self) -> None:
        """End what an earlier run left behind: only processes that are surely ours, by start and by command."""
        waiting: list[int] = []
        for record in sorted(self._directory.glob("*.json")):
            note = read_json(record)
            pid, command = int(note.get("pid", 0)), note.get("command") or [""]
            found = command_of(pid)
            if pid and born(pid) == note.get("born") and (found is None or found[-len(command) :] == command):
                log.warning("ending a process of an earlier run", extra={"pid": pid, "command": command[0]})
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, int(note.get("signal", signal.SIGKILL)))
                waiting.append(pid)
            else:
                record.unlink(missing_ok=True)
        deadline = time.monotonic() + STALE_WAIT_S
        for pid in waiting:
            note = read_json(self._directory / f"{pid}.json")
            while born(pid) == note.get("born"):
                if time.monotonic() > deadline:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    break
                time.sleep(0.02)
            (self._directory / f"{pid}.json").unlink(missing_ok=True)
