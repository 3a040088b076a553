"""A TCP proxy that does to a connection what networks, firewalls and broken daemons do.

It stands between the operator and an engine or a PostgreSQL. `passed` counts what went through, `hurt` what it did
harm to, so that a test can prove its fault.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

Mode = Literal["pass", "hang", "cut", "refuse"]
PIECE = 65536


class Proxy:
    """*host* and *port* are where it leads. Set *mode* and *delay_s* at any time; open connections feel it too.

    hang: nothing moves any more, in open connections and new ones. cut: connections are closed in their middle.
    refuse: nobody listens. *mute* says of an HTTP path whether its answer begins and then falls silent, the connection
    open. *lie* is asked with each path, too: a body to answer with, in the engine's place and with 200, or None.
    """

    def __init__(self, host: str, port: int, *, listen: str = "127.0.0.1") -> None:
        self.port = 0
        self.delay_s = 0.0
        self.lie: Callable[[str], bytes | None] = lambda path: None
        self.mute: Callable[[str], bool] = lambda path: False
        self.passed = 0
        self.hurt: Counter[str] = Counter()
        self.most = 0  # connections open at once
        self._listen = listen
        self._target = (host, port)
        self._mode: Mode = "pass"
        self._goes = asyncio.Event()
        self._goes.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def mode(self) -> Mode:
        return self._mode

    async def become(self, mode: Mode) -> None:
        self._mode = mode
        if mode == "hang":
            self._goes.clear()
        else:
            self._goes.set()
        if mode in ("cut", "refuse"):
            self.hurt[mode] += len(self._open)
            for writer in list(self._open):
                writer.transport.abort()
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        elif mode != "refuse" and self._server is None:
            await self._serve()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        await self._serve()
        try:
            yield self
        finally:
            await self.become("refuse")
            for task in list(self._clients):
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self) -> None:
        self._server = await asyncio.start_server(self._accept, self._listen, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        self._open.add(writer)
        self.most = max(self.most, len(self._open))
        try:
            await self._through()
            if self._mode == "cut":
                self.hurt["cut"] += 1
                return
            there, onward = await asyncio.open_connection(*self._target)
            try:
                silent = asyncio.Event()
                ways = (self._requests(reader, onward, writer, silent), self._answers(there, writer, silent))
                done = [asyncio.ensure_future(way) for way in ways]
                try:
                    await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for each in done:
                        each.cancel()
                    await asyncio.gather(*done, return_exceptions=True)
            finally:
                onward.close()
        except OSError:
            self.hurt["target away"] += 1
        finally:
            self._open.discard(writer)
            self._clients.discard(task)
            writer.close()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        onward: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        silent: asyncio.Event,
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                await self._through()
                if piece.startswith(b"GET "):
                    path = piece.split(b" ", 2)[1].decode()
                    if (body := self._lied(path)) is not None:
                        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                        back.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                        await back.drain()
                        return
                    if self.mute(path):
                        silent.set()
                self.passed += 1
                onward.write(piece)
                await onward.drain()

    async def _answers(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, silent: asyncio.Event) -> None:
        begun = False
        with contextlib.suppress(OSError):
            while piece := await there.read(PIECE):
                await self._through()
                if silent.is_set() and begun:
                    self.hurt["silent"] += 1
                    continue
                begun = silent.is_set()
                writer.write(piece)
                await writer.drain()

    def _lied(self, path: str) -> bytes | None:
        body = self.lie(path)
        if body is not None:
            self.hurt["lie"] += 1
        return body

    async def _through(self) -> None:
        if self.delay_s:
            self.hurt["delay"] += 1
            await asyncio.sleep(self.delay_s)
        if not self._goes.is_set():
            self.hurt["hang"] += 1
            await self._goes.wait()
