"""The only service that holds the store's credential: tenants' jobs reach their own repository through it, and add only.

rclone serves the store in restic's REST protocol, append-only, on a loopback port with a password of this process's own.
Before it stands a small front: it knows each tenant's password by deriving it, so a new tenant needs no restart, and lets
nobody out of `/<uid>/`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import logging
import os
import re
import secrets
import signal
import tempfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from skep.backups.errors import ToolMissing, Unreachable

log = logging.getLogger(__name__)

START_S = 20.0
STOP_S = 10.0
INNER_USER = "front"
_UID = re.compile(r"[0-9a-z]{6,64}")
# What restic asks of a REST backend: the repository itself, its config, and files of five kinds.
_PATH = re.compile(r"/(?P<uid>[0-9a-z]+)/(?:(?P<kind>data|keys|locks|snapshots|index)/(?P<name>[0-9a-f]{64})?|config)?")
_PASSED = ("Accept", "Content-Type", "Content-Length", "Range")
_TOLD = ("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag")


def tenant_password(key: bytes, uid: str) -> str:
    """What the jobs of the tenant with *uid* show at the gateway; *key* is 32 bytes that gateway and operator share."""
    return (
        base64.urlsafe_b64encode(hmac.digest(key, f"skep/gateway\0{uid}".encode(), hashlib.sha256))
        .rstrip(b"=")
        .decode()
    )


def address(host: str, port: int, key: bytes, uid: str) -> str:
    """What restic takes as `--repo`; to be put into a file, for it holds the password."""
    return f"rest:http://{uid}:{tenant_password(key, uid)}@{host}:{port}/{uid}/"


@dataclass(frozen=True, slots=True)
class Refused(Exception):
    status: int
    because: str


def admit(key: bytes, method: str, path: str, authorization: str | None) -> str:
    """The uid of who may do this. Raises Refused: 401 without the right password, 403 for anything but one's own."""
    uid = _user(key, authorization)
    found = _PATH.fullmatch(path)
    if found is None:
        raise Refused(403, "no part of a repository")
    if found["uid"] != uid:
        raise Refused(403, "another tenant's repository")
    if method == "DELETE" and found["kind"] != "locks":
        raise Refused(403, "nothing but locks is removed here")
    if method not in ("GET", "HEAD", "POST", "DELETE"):
        raise Refused(405, "restic never asks so")
    return uid


def _user(key: bytes, authorization: str | None) -> str:
    kind, _, encoded = (authorization or "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        kind = user = password = ""
    known = kind.lower() == "basic" and _UID.fullmatch(user) is not None
    # Compared for an unknown user too, so that both answers take the same time.
    if not hmac.compare_digest(password.encode(), tenant_password(key, user).encode()) or not known:
        raise Refused(401, "not a tenant's password")
    return user


class Gateway:
    """*remote* as rclone names it (`store:bucket/path`, `/srv/backups`); *config* is rclone's file with the credential."""

    def __init__(self, key: bytes, remote: str, *, config: Path | None = None, rclone: str = "rclone") -> None:
        self._key = key
        self._remote = remote
        self._config = config
        self._rclone = rclone
        self._inner = ""
        self._session: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def running(self, host: str = "0.0.0.0", port: int = 8000) -> AsyncIterator[int]:  # noqa: S104 - a service of its own network
        """Serve until the block ends; gives the port. Raises ToolMissing, or Unreachable if rclone does not come up."""
        with tempfile.TemporaryDirectory(prefix="skep-gateway-") as scratch:
            process = await self._start(Path(scratch))
            try:
                async with aiohttp.ClientSession(
                    self._inner, timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=120.0),
                    connector=aiohttp.TCPConnector(limit=0), auto_decompress=False,
                ) as self._session:  # fmt: skip
                    runner = web.AppRunner(self._app(), access_log=None, handler_cancellation=True)
                    await runner.setup()
                    site = web.TCPSite(runner, host, port)
                    await site.start()
                    try:
                        yield _port_of(runner)
                    finally:
                        await runner.cleanup()
            finally:
                await _end(process)

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=0)
        app.router.add_get("/healthz", _healthy)
        app.router.add_route("*", "/{path:.*}", self._pass)
        return app

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        try:
            uid = admit(self._key, request.method, request.path, request.headers.get("Authorization"))
        except Refused as refused:
            log.warning(
                "refused", extra={"status": refused.status, "because": refused.because, "method": request.method}
            )
            headers = {"WWW-Authenticate": 'Basic realm="skep"'} if refused.status == 401 else {}
            return web.Response(status=refused.status, text=refused.because, headers=headers)
        assert self._session is not None  # noqa: S101 (within `running`)
        headers = {name: value for name in _PASSED if (value := request.headers.get(name)) is not None}
        body = request.content.iter_chunked(256 * 1024) if request.body_exists else None
        try:
            async with self._session.request(
                request.method, request.path_qs, headers=headers, data=body, allow_redirects=False
            ) as answer:
                told = {name: value for name in _TOLD if (value := answer.headers.get(name)) is not None}
                response = web.StreamResponse(status=answer.status, headers=told)
                await response.prepare(request)
                async for chunk in answer.content.iter_chunked(256 * 1024):
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("the store does not answer", extra={"uid": uid, "error": str(error) or type(error).__name__})
            if request.transport is None or "response" in locals():
                raise  # the answer had begun: cutting it off is the only way to say that it is not whole
            return web.Response(status=503, text="the store does not answer", headers={"Retry-After": "10"})

    async def _start(self, scratch: Path) -> asyncio.subprocess.Process:
        """rclone on a free loopback port, behind a password that only this process knows."""
        password = secrets.token_urlsafe(32)
        known = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
        htpasswd = scratch / "htpasswd"
        htpasswd.touch(mode=0o600)
        htpasswd.write_text(f"{INNER_USER}:{{SHA}}{known}\n")
        port = _free_port()
        self._inner = f"http://{INNER_USER}:{password}@127.0.0.1:{port}"
        try:
            process = await asyncio.create_subprocess_exec(
                self._rclone, "serve", "restic", "--append-only", f"--addr=127.0.0.1:{port}", f"--htpasswd={htpasswd}",
                f"--config={self._config or os.devnull}", "--cache-objects=false", self._remote,
                stdin=asyncio.subprocess.DEVNULL, env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(scratch)},
            )  # fmt: skip
        except FileNotFoundError as error:
            raise ToolMissing(
                f"{self._rclone} is not installed here", remedy="on Debian: apt-get install rclone"
            ) from error
        try:
            async with asyncio.timeout(START_S):
                while not await _listens(port):
                    if process.returncode is not None:
                        raise Unreachable(f"rclone ended with {process.returncode} for {self._remote}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await _end(process)
            raise Unreachable(f"rclone does not come up for {self._remote}") from None
        return process


async def _healthy(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port_of(runner: web.AppRunner) -> int:
    addresses: Iterable[tuple[str, int]] = runner.addresses
    return next(iter(addresses))[1]
