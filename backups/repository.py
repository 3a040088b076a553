"""One tenant's repository, through restic: the only module that knows restic's words.

Works with every restic from 0.14 on, so nothing here relies on its newer options or exit codes alone. Credentials are
files: the repository's address (a URL may hold a password) and its encryption password.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from skep.backups.errors import (
    BackupError,
    Damaged,
    Forbidden,
    Full,
    Locked,
    NoRepository,
    NoSnapshot,
    ToolMissing,
    Unreachable,
    WrongKey,
)

CHUNK = 256 * 1024
INTERRUPT_S = 20.0  # restic removes its lock when it is interrupted; one that hangs is killed
SAID = 2000  # the last characters of what restic said are kept
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """One snapshot that was just made. *added*: bytes that were new to the repository."""

    snapshot: str
    added: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """*id* is the whole one, *path* the one file in it."""

    id: str
    at: datetime
    path: str
    host: str
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Keep:
    """How many snapshots stay, by age; at least one of them is not 0."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def words(self) -> tuple[str, ...]:
        numbers = {name: getattr(self, name) for name in ("last", "hourly", "daily", "weekly", "monthly")}
        if not any(numbers.values()):
            raise ValueError("a retention that keeps nothing would forget everything")
        return tuple(word for name, number in numbers.items() if number for word in (f"--keep-{name}", str(number)))


class Repository:
    """*address_file* holds what `restic --repo` takes, *password_file* the encryption password."""

    def __init__(
        self, address_file: Path, password_file: Path, *, restic: str = "restic", cache: Path | None = None
    ) -> None:
        self._restic = restic
        self._options = (
            f"--repository-file={address_file}",
            f"--password-file={password_file}",
            *((f"--cache-dir={cache}",) if cache is not None else ("--no-cache",)),
        )
        home = cache or Path("/nonexistent")  # restic wants one and writes nothing there with --no-cache
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(home)}

    async def version(self) -> str:
        said = await self._run("version")
        found = re.search(r"restic (\S+)", said)
        return found[1] if found else said.strip()

    async def make(self) -> bool:
        """Make the repository unless it is there; whether it was made.

        Never two at once: restic would leave two keys, one of which opens nothing, and might try that one first. Who
        runs jobs sees to it that a tenant has one at a time.
        """
        if await self.is_there():
            return False
        await self._run("init")
        return True

    async def is_there(self) -> bool:
        """Raises WrongKey for one that our password does not open."""
        try:
            await self._run("cat", "config", "--no-lock")
        except NoRepository:
            return False
        return True

    async def store(self, content: AsyncIterator[bytes], *, path: str, host: str, tags: Iterable[str]) -> Stored:
        """Keep all that *content* yields as the file *path* of a new snapshot.

        What ends with an error leaves no snapshot: restic is interrupted while its input is still open, because the end
        of its input would be a good end to it. It dies with us for the same reason.
        """
        words = ("backup", "--stdin", f"--stdin-filename={path}", f"--host={host}", "--json")
        process = await self._start(*words, *(f"--tag={tag}" for tag in tags), stdin=True)
        assert process.stdin is not None  # noqa: S101 (it was asked for)
        saying = asyncio.create_task(_said(process))
        try:
            async for chunk in content:
                process.stdin.write(chunk)
                await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):  # restic gave up before the end: it says why
            pass
        except BaseException:
            await _interrupt(process)
            await saying  # to its end, which has come: a pipe that nobody reads is never closed
            raise
        else:
            process.stdin.close()
        out, err = await saying
        code = await process.wait()
        if code:
            raise _error("backup", code, err or out)
        summary = next((line for line in _lines(out) if line.get("message_type") == "summary"), None)
        if summary is None:
            raise Damaged("restic says nothing of the snapshot that it made")
        return Stored(str(summary["snapshot_id"]), int(summary.get("data_added", 0)))

    async def snapshots(self, *tags: str) -> tuple[Snapshot, ...]:
        """Those that have all of *tags*, oldest first."""
        chosen = (f"--tag={','.join(tags)}",) if tags else ()
        found = json.loads(await self._run("snapshots", "--json", "--no-lock", *chosen) or "[]") or []
        return tuple(sorted((_snapshot(each) for each in found), key=lambda each: each.at))

    async def read(self, snapshot: str, path: str) -> AsyncIterator[bytes]:
        """The bytes of *path*. Raises what was wrong after the last one: a reader must not act on half a file."""
        process = await self._start("dump", "--no-lock", snapshot, path)
        assert process.stdout is not None  # noqa: S101 (it was asked for)
        assert process.stderr is not None  # noqa: S101
        complaining = asyncio.create_task(process.stderr.read())
        try:
            while chunk := await process.stdout.read(CHUNK):
                yield chunk
            complaint = await complaining
            if code := await process.wait():
                raise _error("dump", code, complaint.decode(errors="replace"))
        finally:
            if process.returncode is None:  # somebody stopped reading; it holds no lock, so there is nothing to tidy
                process.kill()
                await process.stdout.read()
                await process.wait()
            await complaining

    async def forget(self, keep: Keep, *tags: str) -> None:
        """Forget what *keep* does not keep, of the snapshots with *tags*; their data goes with `prune`."""
        await self._run("forget", "--group-by=host", f"--tag={','.join(tags)}", *keep.words())

    async def forget_these(self, snapshots: Iterable[str]) -> None:
        if ids := tuple(snapshots):
            await self._run("forget", *ids)

    async def prune(self, *, at_most: str = "unlimited") -> None:
        """Remove data that no snapshot needs. *at_most*: how much may stay unused, as `5%` or `unlimited` (quickest)."""
        await self._run("prune", f"--max-unused={at_most}")

    async def check(self, *, share: str | None = None) -> None:
        """Raises Damaged. *share*: how much of the data is read, as `1/7` or `100%`; None reads structure only."""
        await self._run("check", *((f"--read-data-subset={share}",) if share else ()))

    async def unlock(self, *, everyone: bool = False) -> None:
        """Remove locks of who is known to be dead, or did not renew it for half an hour.

        *everyone*: of all, for a caller who knows that nobody else works here. A job of another node that was killed
        looks alive from here until then.
        """
        await self._run("unlock", *(("--remove-all",) if everyone else ()))

    async def size(self) -> int:
        """Bytes of all that is stored, after compression."""
        said = json.loads(await self._run("stats", "--json", "--no-lock", "--mode=raw-data"))
        return int(said["total_size"])

    async def _run(self, *words: str) -> str:
        process = await self._start(*words)
        try:
            out, err = await process.communicate()
        except BaseException:
            await _interrupt(process)
            raise
        if process.returncode:
            raise _error(words[0], process.returncode, (err or out).decode(errors="replace"))
        return out.decode()

    async def _start(self, *words: str, stdin: bool = False) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                self._restic, *words, *self._options,
                stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                env=self._environment, preexec_fn=_dies_with(os.getpid()),
            )  # fmt: skip
        except FileNotFoundError as error:
            raise ToolMissing(
                f"{self._restic} is not installed here", remedy="on Debian: apt-get install restic"
            ) from error


def _dies_with(parent: int) -> Callable[[], None]:
    """To be run in a child: it is killed when its parent dies, however that comes about (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask


async def _said(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """Both outputs, each bounded: a long backup says something every second."""
    assert process.stdout is not None  # noqa: S101 (asked for)
    assert process.stderr is not None  # noqa: S101
    out, err = await asyncio.gather(_tail(process.stdout), _tail(process.stderr))
    return out, err


async def _tail(stream: asyncio.StreamReader) -> str:
    kept = b""
    while chunk := await stream.read(CHUNK):
        kept = (kept + chunk)[-64 * 1024 :]
    return kept.decode(errors="replace")


async def _interrupt(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(INTERRUPT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


def _lines(text: str) -> Iterable[Mapping[str, Any]]:
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                yield found


def _snapshot(raw: Mapping[str, Any]) -> Snapshot:
    # Go prints nanoseconds, Python reads microseconds.
    at = re.sub(r"(\.\d{6})\d*", r"\1", str(raw["time"]))
    return Snapshot(
        str(raw["id"]),
        datetime.fromisoformat(at),
        str(raw["paths"][0]),
        str(raw["hostname"]),
        frozenset(raw.get("tags") or ()),
    )


@dataclass(frozen=True, slots=True)
class _Meaning:
    """*words* is a pattern of what restic says; *message* and *remedy* are ours."""

    words: str
    kind: type[BackupError]
    message: str
    remedy: str | None = None


# Most telling first. What cannot be reached comes before what is not there: restic then asks "Is there a repository at
# ...?" too, and a repository must never be made anew because its place was away for a moment.
_MEANINGS = (
    _Meaning("wrong password or no key", WrongKey, "the password does not open this repository", "was the root key replaced?"),
    _Meaning(r"no space left|insufficient storage|\(507\)|quota", Full, "no space is left where the repository lies", "make room, then run it again"),
    _Meaning(r"\(403\)|forbidden|not allowed", Forbidden, "the gateway refuses it"),
    _Meaning(r"\(401\)|unauthorized", Forbidden, "the gateway does not know this password"),
    _Meaning(r"connection refused|no such host|timeout|unexpected EOF|connection reset|\(50[0234]\)", Unreachable, "the repository does not answer"),
    _Meaning("is there a repository at|repository does not exist|config file does not exist", NoRepository, "there is no repository"),
    _Meaning("already locked|unable to create lock", Locked, "somebody else works in the repository", "a stale lock goes after half an hour"),
    _Meaning("no matching ID|no snapshot|not found in snapshot|cannot find file|invalid id", NoSnapshot, "there is no such snapshot or file", "`skep get backups` lists them"),
    _Meaning(
        "ciphertext verification failed|does not match|invalid data|pack .* (not found|missing)|blob .* not found|contains errors|"
        "cannot be loaded|file does not exist|hash mismatch|no such file|not a valid",
        Damaged, "the repository is damaged", "`restic check` names what is",
    ),
)  # fmt: skip
_KINDS: Mapping[int, type[BackupError]] = {10: NoRepository, 11: Locked, 12: WrongKey}  # restic 0.17 and later


def _error(verb: str, code: int, said: str) -> BackupError:
    said = said.strip()[-SAID:]
    for meaning in _MEANINGS:
        if _KINDS.get(code) is meaning.kind or re.search(meaning.words, said, re.IGNORECASE):
            return meaning.kind(f"restic {verb}: {meaning.message}: {_last(said)}", remedy=meaning.remedy)
    return BackupError(f"restic {verb} ended with {code}: {_last(said)}")


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "it said nothing"
