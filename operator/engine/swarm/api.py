"""The Engine API as calls: one deadline each, every failure as one of our errors, JSON in and out.

aiodocker is the transport only. Its high-level calls send less than a whole spec, change their arguments and know
little of versions, so requests go through its query level; nothing but this module touches it.
"""

from __future__ import annotations

import asyncio
import codecs
import io
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiodocker import Docker, DockerError
from aiodocker.exceptions import DockerContextInvalidError

from skep.operator.errors import (
    EngineRefused,
    EngineUnavailable,
    InUse,
    NameTaken,
    NotFound,
    SkepError,
    UsageError,
    VersionConflict,
)
from skep.operator.fence import last_look

Json = dict[str, Any]  # the API's words; no further than this package
NEWEST = (1, 47)  # of the API that this was tested with; older daemons are met at theirs
OLDEST = (1, 41)  # Docker 20.10: jobs, and running counts in the list of services
_CONNECT_FAILED = 900  # aiodocker's own number
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_DECODER = json.JSONDecoder()
_BETWEEN = re.compile(r"[ \t\r\n,]*")


class Api:
    """Calls to one engine. *url* goes before *context*, then DOCKER_HOST, then what the Docker command line uses.

    Raises UsageError when the address or context makes no sense.
    """

    def __init__(self, url: str | None = None, *, context: str | None = None, deadline_s: float = 5.0) -> None:
        if url is None and context is None:
            # As in the Docker command line; aiodocker would let a context of its file go first.
            url = os.environ.get("DOCKER_HOST") or None
        try:
            self._docker = Docker(url, context=context)
        except (ValueError, AssertionError, DockerContextInvalidError) as error:
            raise UsageError(
                f"no Docker engine to talk to: {error or 'no socket was found'}",
                remedy="set DOCKER_HOST, or choose a context with --context",
            ) from error
        self.where = url or context or self._docker.docker_host
        self.deadline_s = deadline_s
        self._version: tuple[int, int] | None = None

    def renegotiate(self) -> None:
        """Ask for the version again with the next call: the engine may have been replaced by another release."""
        self._version = None

    async def version(self) -> tuple[int, int]:
        """The API version both sides speak; asked for once."""
        if self._version is None:
            body = await self._exchange("GET", "version", versioned=False)
            theirs, least = _pair(body["ApiVersion"]), _pair(body.get("MinAPIVersion", "1.12"))
            if theirs < OLDEST:
                raise EngineRefused(
                    f"Docker {body['Version']} at {self.where} is too old", remedy="Docker 20.10 or newer is needed"
                )
            self._version = max(min(theirs, NEWEST), least)
            self._docker.api_version = "v{}.{}".format(*self._version)
        return self._version

    async def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        deadline_s: float | None = None,
    ) -> Any:
        await self.version()
        return await self._exchange("GET", path, params=params, headers=headers, deadline_s=deadline_s)

    async def get_each(self, path: str, params: Mapping[str, Any]) -> AsyncIterator[Json]:
        """The elements of a list as they arrive: thousands of services never stand in memory as JSON, nor as text.

        The deadline is for each piece of the answer. Raises EngineUnavailable for one that was cut off, at its end.
        """
        elements, decoder = Elements(), codecs.getincrementaldecoder("utf-8")()
        async with self.stream(path, params) as content, self._translated("GET", path):
            while True:
                async with asyncio.timeout(self.deadline_s):
                    piece = await content.readany()
                for element in elements.feed(decoder.decode(piece, final=not piece), final=not piece):
                    yield element
                if not piece:
                    break
        if not elements.whole:
            raise EngineUnavailable(f"the answer to GET /{path} was cut off", reason="CutOff")

    async def post(
        self,
        path: str,
        body: Json | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        await self.version()
        return await self._exchange("POST", path, body=body, params=params, headers=headers)

    async def delete(self, path: str) -> None:
        await self.version()
        await self._exchange("DELETE", path)

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, Any], *, body: Json | None = None
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of an answer that has no end of its own; the deadline is for its beginning."""
        await self.version()
        method = "GET" if body is None else "POST"
        async with self._translated(method, path):
            async with asyncio.timeout(self.deadline_s):
                response = await self._docker._do_query(
                    path, method, params=dict(_encoded(params)), data=_body(body), timeout=None
                )
            try:
                yield response.content
            finally:
                response.close()

    async def close(self) -> None:
        await self._docker.close()

    async def _exchange(self, method: str, path: str, **call: Any) -> Any:
        """As `_read`, which says what *call* may hold, but decoded; None for an empty answer."""
        text = await self._read(method, path, **call)
        try:
            return json.loads(text) if text.strip() else None
        except ValueError as error:
            raise nonsense(f"{method} /{path}", self.where) from error

    async def _read(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float | None = None,
        versioned: bool = True,
    ) -> str:
        async with self._translated(method, path), asyncio.timeout(deadline_s or self.deadline_s):
            if method != "GET":
                last_look()
            response = await self._docker._do_query(
                path,
                method,
                params=dict(_encoded(params or {})),
                data=_body(body),
                headers=headers,
                timeout=None,
                versioned_api=versioned,
            )
            try:
                return (await response.read()).decode()
            finally:
                response.release()

    @asynccontextmanager
    async def _translated(self, method: str, path: str) -> AsyncIterator[None]:
        try:
            yield
        except DockerError as error:
            raise translate(method, path, error.status, error.message) from error
        except TimeoutError as error:
            raise EngineUnavailable(
                f"{self.where} did not answer {method} /{path} in time", reason="Deadline"
            ) from error
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as error:
            raise EngineUnavailable(f"the connection to {self.where} broke: {error}") from error


def translate(method: str, path: str, status: int, message: str) -> SkepError:
    """The error that says what to do about an answer of *status*; complete over all of them.

    By status and method, never by text, with two exceptions that only their text tells: a stale version and an object
    too large for raft, both HTTP 500.
    """
    if method == "DELETE" and status in (400, 403, 409):
        return InUse(message)  # configs, secrets and networks of Swarm answer 400, networks of one node 403
    match status:
        case 404:
            return NotFound(message)
        case 409:
            return NameTaken(message)
        case 500 if "update out of sequence" in message:
            return VersionConflict(message)
        case 500 if "raft message is too large" in message:
            return EngineRefused(message)
        case 406 | 503:
            return EngineUnavailable(
                message, reason="NoManager", remedy="the address must be a manager's of a swarm that has a quorum"
            )
        case 501:
            return EngineRefused(message)
        case _ if status == _CONNECT_FAILED:
            return EngineUnavailable(
                message, reason="NoEngine", remedy="is Docker running, and may you use its socket?"
            )
        case _ if 400 <= status < 500 and status not in (408, 429):
            return EngineRefused(message)
        case _:
            return EngineUnavailable(f"{method} /{path} answered {status}: {message}")


def nonsense(what: str, where: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"{where} answered {what} with something else than the Engine API says",
        reason="Nonsense",
        remedy="is that address a Docker engine's, with nothing in between?",
    )


def segment(ref: str) -> str:
    """*ref* as one part of a path. Raises NotFound for what no object can be called: quoted, a slash would still lead on."""
    if not _REF.fullmatch(ref):
        raise NotFound(f"nothing is called {ref!r}")
    return ref


class Elements:
    """The objects of a JSON array whose text comes in pieces. *whole* once the array was closed, or there was none."""

    def __init__(self) -> None:
        self.whole = False
        self._rest = ""  # what is not decoded yet
        self._begun = False
        self._enough = 0  # characters of it before another try is worth it: a large object comes in many pieces

    def feed(self, text: str, *, final: bool = False) -> Iterator[Json]:
        """What is complete with *text*; to be read to its end before the next piece."""
        rest, at = self._rest + text, 0
        if len(rest) >= self._enough or final:
            while (at := _BETWEEN.match(rest, at).end()) < len(rest):  # type: ignore[union-attr]  # it matches nothing too
                if not self._begun and rest[at] == "[":
                    self._begun, at = True, at + 1
                elif self._begun and rest[at] == "]":
                    self.whole, at = True, at + 1
                elif self._begun and not self.whole:
                    try:
                        element, at = _DECODER.raw_decode(rest, at)
                    except ValueError:  # its end has not come yet
                        break
                    yield element
                else:
                    break
            self._enough = 0 if at else 2 * len(rest)
        self._rest = rest[at:]
        if final and not self._begun:
            self.whole = self._rest.strip() == "null"  # an empty answer is none: it must not read as an empty list


def _body(body: Json | None) -> io.BytesIO | None:
    """A file, since aiohttp writes a megabyte of it in pieces and lets others run."""
    return io.BytesIO(json.dumps(body).encode()) if body is not None else None


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


def _encoded(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Query parameters as the API wants them: filters in JSON, truth as words."""
    for key, value in params.items():
        match value:
            case None:
                continue
            case bool():
                yield key, "true" if value else "false"
            case dict():
                yield key, json.dumps(value)
            case _:
                yield key, str(value)
