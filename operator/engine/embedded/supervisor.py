"""One process that owns a home: the engine, PostgreSQL, Redis, Traefik and the operator, until it is told to stop.

The operator is a child of its own, the same code as on a swarm, and reaches the engine over the socket as any command.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

from aiohttp import web

from skep.operator.engine.embedded.brought import Brought
from skep.operator.engine.embedded.children import Child, Children, born
from skep.operator.engine.embedded.daemon import Daemon
from skep.operator.engine.embedded.engine import EmbeddedEngine
from skep.operator.engine.embedded.home import Home, admin_password, cache_password, write_json
from skep.operator.engine.embedded.postgres import Postgres, installed
from skep.operator.engine.embedded.programs import APP, Program, base_environment
from skep.operator.engine.embedded.redis import Redis
from skep.operator.engine.embedded.redis import binary as redis_binary
from skep.operator.engine.embedded.server import serve
from skep.operator.engine.embedded.traefik import Traefik, answers, binary, refuse_taken
from skep.operator.engine.embedded.workshop import free_port
from skep.operator.engine.spec import NetworkSpec
from skep.operator.errors import NameTaken, UsageError

log = logging.getLogger(__name__)

NETWORKS = ("skep-edge-1", "skep-data-1")  # the Platform's default ones, which `skep init` makes on a swarm

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only if somebody asks for it


class Operator(Daemon):
    name = "operator"

    def __init__(self, home: Home, children: Children, environment: Callable[[], Mapping[str, str]]) -> None:
        super().__init__(home, children)
        self._environment = environment
        self._given: Mapping[str, str] = {}
        self._port = 0

    async def spawn(self) -> Child:
        self._port = free_port()
        self._given = self._environment()
        return await self.children.spawn(
            [sys.executable, "-P", "-m", "skep.operator.cli", "operator"],
            self.note,
            env={**base_environment(), **self._given, "SKEP_HTTP_PORT": str(self._port)},
            cwd=self.home.path,
        )

    async def ask(self) -> str | None:
        if self._given != self._environment():
            return "a server has another port now"
        return await answers(f"http://127.0.0.1:{self._port}/readyz")


class Supervisor:
    """Use `running`. *path* is only remembered, for people who ask what is followed."""

    def __init__(
        self,
        home: Home,
        *,
        port: int,
        listen: str = LOOPBACK,
        path: Path | None = None,
        programs: Mapping[str, Program] = APP,
    ) -> None:
        self.home = home
        self.listen = listen
        self.port = port
        self.path = path
        self._programs = programs
        self._daemons: tuple[Daemon, ...] = ()
        self._watching: list[asyncio.Task[None]] = []
        self._site: web.AppRunner | None = None
        self._engine: EmbeddedEngine | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[EmbeddedEngine]:
        """Everything started; stopped in order at the end. Raises UsageError if another one runs, or the port is taken."""
        installed()
        binary()
        redis_binary()
        self.home.prepare()
        lock = await self._lock()
        if lock is None:
            raise UsageError(f"`skep up` already runs in {self.home.path}", remedy="`skep down` stops it")
        try:
            refuse_taken(self.listen, self.port)
            yield await self._start()
        finally:
            await self._stop()
            self._leave(lock)

    @property
    def edge(self) -> str:
        """Where Traefik answers, seen from here."""
        return f"http://{LOOPBACK if self.listen == EVERYWHERE else self.listen}:{self.port}"

    async def healthy(self) -> None:
        """Returns once every part answers."""
        await asyncio.gather(*(daemon.healthy.wait() for daemon in self._daemons))

    def status(self) -> dict[str, Any]:
        parts = {
            daemon.name: "" if daemon.healthy.is_set() else daemon.trouble or "starting" for daemon in self._daemons
        }
        path = str(self.path) if self.path is not None else None
        return {"pid": os.getpid(), "port": self.port, "edge": self.edge, "path": path, "parts": parts}

    async def _lock(self) -> IO[bytes] | None:
        """Somebody who only looks whether we run holds it for a moment."""
        for _ in range(5):
            if (lock := self.home.take_lock()) is not None:
                return lock
            await asyncio.sleep(0.05)
        return None

    async def _start(self) -> EmbeddedEngine:
        home = self.home
        note = {"pid": os.getpid(), "born": born(os.getpid()), "port": self.port, "path": str(self.path or "")}
        write_json(home.supervisor, note)
        Children(home.children).end_stale()
        keys = home.keys()
        engine = self._engine = EmbeddedEngine(home, programs=self._programs)
        for name in NETWORKS:
            with contextlib.suppress(NameTaken):
                await engine.create_network(NetworkSpec(name))
        engine.start()
        postgres = Postgres(home, engine.children, admin_password(keys))
        postgres.place()
        traefik = Traefik(home, engine.children, self.listen, self.port)
        redis = Redis(home, engine.children, cache_password(keys))
        operator = Operator(home, engine.children, lambda: self._environment(postgres.port, redis.port))
        self._daemons = (postgres, redis, traefik, operator)
        self._site = await serve(engine, home.socket, self.status)
        self._watching.append(asyncio.create_task(Brought(engine, home.brought).run(), name="brought"))
        is_new = postgres.is_new
        self._watch(traefik)
        self._watch(redis)
        if is_new:  # nobody is declared yet, so it may come up while the cluster is made
            self._watch(operator)
        await postgres.prepare()
        self._watch(postgres)
        if not is_new:
            self._watch(operator, after=postgres)
        return engine

    def _watch(self, daemon: Daemon, *, after: Daemon | None = None) -> None:
        async def run() -> None:
            if after is not None:
                await after.healthy.wait()
            await daemon.run()

        self._watching.append(asyncio.create_task(run(), name=daemon.name))

    def _environment(self, postgres_port: int, redis_port: int) -> dict[str, str]:
        return {
            "SKEP_ENGINE": f"embedded:{self.home.socket}",
            "SKEP_SECRETS_DIR": str(self.home.secrets),
            "SKEP_EDGE_URL": self.edge,
            "SKEP_EDGE_SUFFIX": "" if self.port == 80 else f":{self.port}",
            "SKEP_ADDRESSES": f"postgres=127.0.0.1:{postgres_port} redis=127.0.0.1:{redis_port}",
            "SKEP_PROXIES": "127.0.0.1",
            "SKEP_HTTP_HOST": "127.0.0.1",
        }

    async def _stop(self) -> None:
        """The edge first, so that what runs is answered and nothing new comes; PostgreSQL last."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        by_name = {daemon.name: daemon for daemon in self._daemons}
        await asyncio.gather(*(daemon.stop() for name, daemon in by_name.items() if name != "postgres"))
        if self._engine is not None:
            await self._engine.close()
        if "postgres" in by_name:
            await by_name["postgres"].stop()
        if self._site is not None:
            await self._site.cleanup()

    def _leave(self, lock: IO[bytes]) -> None:
        self.home.socket.unlink(missing_ok=True)
        self.home.supervisor.unlink(missing_ok=True)
        lock.close()
