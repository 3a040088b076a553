"""A connection to the shared cache server: a few commands at a time, and no waiting for one that is away.

It speaks RESP2 itself: a client library costs each of hundreds of idle processes 7 MB for eight commands. A server that
does not answer is not asked again for a while, longer after each failure; callers then go on without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TypeAlias

from skep.webapp.errors import CacheAway, SettingsInvalid
from skep.webapp.settings import CacheSettings

log = logging.getLogger(__name__)

CONNECT_S = 1.0
ANSWER_S = 1.0
IDLE_S = 30.0  # an idle tenant holds no connection, here as little as to the database
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 15.0
LONGEST_REPLY_BYTES = 1024 * 1024

Command: TypeAlias = tuple[str | int | float, ...]
Reply: TypeAlias = "int | bytes | list[Reply] | None"


class Cache:
    """Replies come in the order of commands; who asks while another waits for its answer waits for it too."""

    def __init__(self, settings: CacheSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._failures = 0
        self._closed_until = float("-inf")

    def key(self, name: str) -> str:
        """*name* as a key of this tenant."""
        return self._settings.prefix + name

    async def ask(self, *commands: Command, wait_s: float = 0.0) -> list[Reply]:
        """The replies. *wait_s*: how much longer than usual they may take. Raises CacheAway, also for a refusal."""
        async with self._turn:
            if self._clock() < self._closed_until:
                raise CacheAway("the cache was away a moment ago")
            try:
                async with asyncio.timeout(ANSWER_S + wait_s):
                    replies = await self._exchange(commands)
            except (OSError, TimeoutError, EOFError, ValueError, SettingsInvalid) as error:
                self._fail(error)
                raise CacheAway(f"the cache does not answer ({type(error).__name__}: {error})") from error
            except CacheAway as error:
                self._fail(error)
                raise
            except BaseException:  # given up in the middle: what comes next on this connection is another's answer
                self._hang_up()
                raise
            self._failures = 0
            self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._hang_up)
            return replies

    async def close(self) -> None:
        async with self._turn:
            self._hang_up()

    async def _exchange(self, commands: tuple[Command, ...]) -> list[Reply]:
        if self._idle is not None:
            self._idle.cancel()
        if self._stream is None:
            self._stream = await self._connect()
            if self._failures:
                log.info("cache is back")
        return await _send(self._stream, commands)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        settings = self._settings
        async with asyncio.timeout(CONNECT_S):
            stream = await asyncio.open_connection(settings.host, settings.port, limit=LONGEST_REPLY_BYTES)
        try:
            await _send(stream, (("AUTH", settings.user, settings.password()),))  # read each time: it may be rotated
        except BaseException:
            stream[1].close()
            raise
        return stream

    def _fail(self, error: Exception) -> None:
        self._hang_up()
        if not self._failures:  # once: everything works on without it
            log.warning("cache away", extra={"reason": f"{type(error).__name__}: {error}"})
        self._failures += 1
        self._closed_until = self._clock() + min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(self._failures - 1, 10))

    def _hang_up(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._stream is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._stream[1].close()
            self._stream = None


async def _send(
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], commands: tuple[Command, ...]
) -> list[Reply]:
    """All commands in one go, then all replies. Raises CacheAway for the first that was refused."""
    reader, writer = stream
    writer.write(b"".join(map(encoded, commands)))
    await writer.drain()
    replies: list[Reply] = []
    refused: CacheAway | None = None
    for _ in commands:
        try:
            replies.append(await read_reply(reader))
        except CacheAway as error:
            refused = refused or error
    if refused is not None:
        raise refused
    return replies


def encoded(command: Command) -> bytes:
    words = [str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """Raises CacheAway for an error reply, EOFError and ValueError for what is no reply."""
    line = (await reader.readuntil(b"\r\n"))[:-2]
    kind, rest = line[:1], line[1:]
    match kind:
        case b"+":
            return rest
        case b":":
            return int(rest)
        case b"-":
            raise CacheAway(f"the cache refused: {rest.decode(errors='replace')[:200]}")
        case b"$" if (length := int(rest)) <= LONGEST_REPLY_BYTES:
            return None if length < 0 else (await reader.readexactly(length + 2))[:-2]
        case b"*" if (length := int(rest)) <= LONGEST_REPLY_BYTES:
            return None if length < 0 else [await read_reply(reader) for _ in range(length)]
    raise ValueError(f"{line[:40]!r} is no reply")
