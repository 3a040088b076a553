"""A tenant as the operator would make one: a database in its verified shape, settings and secrets as files, and the
app's processes. Used where the app is tested without the operator.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from tests.rig.postgres import Postgres

START_TIMEOUT_S = 20.0


@dataclass
class Tenant:
    """Files and environment of one tenant. `settings` is what stands in `settings.json`; `write` after changing it."""

    name: str
    uid: str
    password: str
    postgres: Postgres
    home: Path
    settings: dict[str, Any]
    port: int
    revision: str = "r1"
    logs: list[Path] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)  # more of the environment

    @property
    def database(self) -> str:
        return f"t_{self.name}_{self.uid[:8]}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("SKEP_")},
            "SKEP_CONFIGS_DIR": str(self.home / "configs"),
            "SKEP_SECRETS_DIR": str(self.home / "secrets"),
            "SKEP_PORT": str(self.port),
            "SKEP_REVISION": self.revision,
            **self.given,
        }

    def write(self) -> None:
        for folder in ("configs", "secrets"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        (self.home / "configs" / "settings.json").write_text(json.dumps(self.settings))
        (self.home / "secrets" / "database-password").write_text(self.password)

    async def admin(self) -> asyncpg.Connection[asyncpg.Record]:
        """The tests' own eyes: a superuser's connection to the tenant's database."""
        return await asyncpg.connect(self.postgres.dsn(self.database))

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command of the app to its end."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "skep.webapp", *arguments,
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode or 0, out.decode(), err.decode())

    async def start(self) -> Web:
        """A web process that answers."""
        log = self.home / f"web-{len(self.logs)}.log"
        self.logs.append(log)
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "skep.webapp", "web", env=self.env, stdout=output, stderr=output
            )
        web = Web(self, process, log)
        await web.wait_healthy()
        return web

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Work]:
        """A worker process, as the web process starts one."""
        log = self.home / f"worker-{len(self.logs)}.log"
        self.logs.append(log)
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "skep.webapp", "worker", "--until-idle",
                env=self.env, stdin=subprocess.PIPE, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            yield Work(process, log)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def work(self) -> str:
        """A worker that does everything which is due now, and ends; its log."""
        async with self.working() as work:
            return await work.finish()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Web]:
        web = await self.start()
        try:
            yield web
        finally:
            await web.kill()


@dataclass
class Work:
    process: asyncio.subprocess.Process
    log: Path

    async def wait_for(self, words: str) -> None:
        """Until its log says *words*."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while words not in self.log.read_text():
                    if self.process.returncode is not None:
                        raise RuntimeError(f"the worker ended with {self.process.returncode}")
                    await asyncio.sleep(0.02)
        except (TimeoutError, RuntimeError) as error:
            raise AssertionError(f"the worker never said {words!r}:\n{self.log.read_text()}") from error

    async def finish(self) -> str:
        """Close its pipe once nothing is due any more: it ends. Its log."""
        await self.wait_for("worker waits")
        assert self.process.stdin is not None
        self.process.stdin.close()
        async with asyncio.timeout(START_TIMEOUT_S):
            code = await self.process.wait()
        text = self.log.read_text()
        assert code == 0, text
        return text


@dataclass
class Web:
    tenant: Tenant
    process: asyncio.subprocess.Process
    log: Path

    async def wait_healthy(self) -> None:
        async with aiohttp.ClientSession() as session, asyncio.timeout(START_TIMEOUT_S):
            while True:
                if self.process.returncode is not None:
                    raise RuntimeError(f"the app ended with {self.process.returncode}:\n{self.log.read_text()}")
                try:
                    async with session.get(f"{self.tenant.url}/healthz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.02)

    def proc(self, name: str) -> str:
        """What the kernel says of the process: `/proc/<pid>/<name>`."""
        return Path(f"/proc/{self.process.pid}/{name}").read_text()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


async def make_tenant(postgres: Postgres, home: Path, name: str = "acme", **changes: Any) -> Tenant:
    """A tenant with an empty database. *changes* go over `settings.json`."""
    uid = secrets.token_hex(16)
    database = f"t_{name}_{uid[:8]}"
    tenant = Tenant(
        name=name,
        uid=uid,
        password=f"canary-{secrets.token_hex(12)}",
        postgres=postgres,
        home=home,
        settings={
            "tenant": name,
            "uid": uid,
            "displayName": "Acme Events",
            "secure": False,
            "proxies": [],
            "drainSeconds": 1,
            "database": {
                "host": postgres.host,
                "port": postgres.port,
                "name": database,
                "user": f"{database}_a",
                "poolMax": 8,
            },
            "settings": {"accent": "#0a7d5a", "timezone": "Europe/Paris"},
            **changes,
        },
        port=free_port(),
    )
    tenant.settings.setdefault("url", tenant.url)
    tenant.write()
    await _make_database(tenant)
    return tenant


async def _make_database(tenant: Tenant) -> None:
    """The database belongs to the admin, its contents to a role that cannot log in; a login acts as that role."""
    name = tenant.database
    connection = await asyncpg.connect(tenant.postgres.dsn())
    try:
        await connection.execute(f"CREATE ROLE {name} NOLOGIN")
        await connection.execute(f"CREATE ROLE {name}_a LOGIN PASSWORD '{tenant.password}' IN ROLE {name}")
        await connection.execute(f"ALTER ROLE {name}_a SET role = '{name}'")
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        await connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        await connection.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {name}, {name}_a")
    finally:
        await connection.close()
    connection = await tenant.admin()
    try:
        await connection.execute(f"ALTER SCHEMA public OWNER TO {name}")
    finally:
        await connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
