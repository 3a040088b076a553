"""The engine's port over a socket: calls as JSON, streams as a line of JSON an item."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from skep.operator.engine.embedded.codec import METHODS, codec_of, dump_error, signature
from skep.operator.engine.port import Engine
from skep.operator.engine.spec import Change, LogLine
from skep.operator.errors import EngineRefused, NotFound, SkepError

log = logging.getLogger(__name__)

BODY_MAX = 8 * 1024 * 1024  # a config of 1 MB is 1.4 MB here
Status = Callable[[], Mapping[str, Any]]


def _failed(error: SkepError) -> web.Response:
    return web.json_response(dump_error(error), status=409)


class _Calls:
    def __init__(self, engine: Engine, status: Status) -> None:
        self._engine = engine
        self._status = status

    async def call(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        if method not in METHODS:
            return _failed(NotFound(f"there is no method {method}"))
        types, result = signature(method)
        try:
            said = json.loads(await request.read())
            if not isinstance(said, dict) or said.keys() - types.keys():
                raise ValueError("not its arguments")
            arguments = {name: codec_of(types[name]).load(json.dumps([value]).encode()) for name, value in said.items()}
        except ValueError as error:
            return _failed(EngineRefused(f"{method}: {error}"))
        try:
            answer = await getattr(self._engine, method)(**arguments)
        except SkepError as error:
            return _failed(error)
        except Exception as error:
            log.exception("call failed", extra={"method": method})
            return _failed(SkepError(f"the engine failed in {method}: {error!r}"))
        return web.Response(body=codec_of(result).dump(answer), content_type="application/json")

    async def logs(self, request: web.Request) -> web.StreamResponse:
        said = await request.json()
        lines = self._engine.logs(str(said["service"]), tail=said["tail"], follow=bool(said["follow"]))
        return await _stream(request, lines, LogLine)

    async def changes(self, request: web.Request) -> web.StreamResponse:
        return await _stream(request, self._engine.changes(), Change)

    async def status(self, _: web.Request) -> web.Response:
        return web.json_response(dict(self._status()))


async def _stream(request: web.Request, items: AsyncIterator[Any], kind: type) -> web.StreamResponse:
    """An error before the first item is an answer, after it the end of the stream."""
    codec = codec_of(kind)
    stream = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    try:
        async for item in items:
            if not stream.prepared:
                await stream.prepare(request)
            await stream.write(codec.dump(item) + b"\n")
    except SkepError as error:
        if not stream.prepared:
            return _failed(error)
    finally:
        if (close := getattr(items, "aclose", None)) is not None:
            with contextlib.suppress(RuntimeError):
                await close()
    if not stream.prepared:
        await stream.prepare(request)
    await stream.write_eof()
    return stream


async def serve(engine: Engine, path: Path, status: Status) -> web.AppRunner:
    """Answer on the socket *path*, for this user only, until the runner's `cleanup`."""
    calls = _Calls(engine, status)
    app = web.Application(client_max_size=BODY_MAX)
    app.add_routes(
        [
            web.post("/call/{method}", calls.call),
            web.post("/logs", calls.logs),
            web.post("/changes", calls.changes),
            web.get("/status", calls.status),
        ]
    )
    # A caller that goes away gives up its place: a job's result is then kept for the one who asks again.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    path.unlink(missing_ok=True)  # noqa: ASYNC240 - what an earlier run left; nothing else runs yet
    before = os.umask(0o177)
    try:
        await web.UnixSite(runner, str(path)).start()
    finally:
        os.umask(before)
    return runner
