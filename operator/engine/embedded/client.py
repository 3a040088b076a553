"""The engine's port from another process, over the socket that `skep up` serves."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from skep.operator.engine.embedded.codec import codec_of, load_error, signature
from skep.operator.engine.port import Confirm
from skep.operator.engine.spec import (
    Change,
    Config,
    EngineInfo,
    Image,
    JobResult,
    JobSpec,
    LogLine,
    Network,
    NetworkSpec,
    Secret,
    Service,
    ServiceSpec,
    Task,
)
from skep.operator.errors import EngineUnavailable

JOB_EXTRA_S = 30.0  # over the job's own limit: its process has to be ended, its answer written
LINE_MAX = 1024 * 1024


class EmbeddedClient:
    """See the port; *socket* is `<home>/engine.sock`."""

    def __init__(self, socket: Path, *, deadline_s: float = 10.0) -> None:
        self._socket = socket
        self._deadline_s = deadline_s
        self._session: aiohttp.ClientSession | None = None

    # -- configs, secrets, networks ------------------------------------------------------------------------------

    async def list_configs(self, *, label: str) -> tuple[Config, ...]:
        return await self._call("list_configs", label=label)  # type: ignore[no-any-return]

    async def inspect_config(self, ref: str) -> Config:
        return await self._call("inspect_config", ref=ref)  # type: ignore[no-any-return]

    async def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        return await self._call("create_config", name=name, data=data, labels=labels)  # type: ignore[no-any-return]

    async def label_config(self, config_id: str, version: int, labels: Mapping[str, str]) -> None:
        await self._call("label_config", config_id=config_id, version=version, labels=labels)

    async def remove_config(self, config_id: str) -> None:
        await self._call("remove_config", config_id=config_id)

    async def list_secrets(self, *, label: str) -> tuple[Secret, ...]:
        return await self._call("list_secrets", label=label)  # type: ignore[no-any-return]

    async def inspect_secret(self, ref: str) -> Secret:
        return await self._call("inspect_secret", ref=ref)  # type: ignore[no-any-return]

    async def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        return await self._call("create_secret", name=name, data=data, labels=labels)  # type: ignore[no-any-return]

    async def label_secret(self, secret_id: str, version: int, labels: Mapping[str, str]) -> None:
        await self._call("label_secret", secret_id=secret_id, version=version, labels=labels)

    async def remove_secret(self, secret_id: str) -> None:
        await self._call("remove_secret", secret_id=secret_id)

    async def list_networks(self, *, label: str) -> tuple[Network, ...]:
        return await self._call("list_networks", label=label)  # type: ignore[no-any-return]

    async def create_network(self, spec: NetworkSpec) -> str:
        return await self._call("create_network", spec=spec)  # type: ignore[no-any-return]

    async def remove_network(self, network_id: str) -> None:
        await self._call("remove_network", network_id=network_id)

    # -- services ------------------------------------------------------------------------------------------------

    async def list_services(self, *, label: str) -> tuple[Service, ...]:
        return await self._call("list_services", label=label)  # type: ignore[no-any-return]

    async def inspect_service(self, ref: str) -> Service:
        return await self._call("inspect_service", ref=ref)  # type: ignore[no-any-return]

    async def create_service(self, spec: ServiceSpec) -> str:
        return await self._call("create_service", spec=spec)  # type: ignore[no-any-return]

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> None:
        await self._call("update_service", service_id=service_id, version=version, spec=spec)

    async def remove_service(self, service_id: str) -> None:
        await self._call("remove_service", service_id=service_id)

    async def list_tasks(self, *, service: str) -> tuple[Task, ...]:
        return await self._call("list_tasks", service=service)  # type: ignore[no-any-return]

    async def resolve_image(self, ref: str) -> Image:
        return await self._call("resolve_image", ref=ref)  # type: ignore[no-any-return]

    # -- jobs, logs, changes -------------------------------------------------------------------------------------

    async def run_job(self, spec: JobSpec, *, confirm: Confirm | None = None) -> JobResult:
        del confirm  # the engine removes it, and nobody else leads here meanwhile
        return await self._call("run_job", deadline_s=spec.timeout_s + JOB_EXTRA_S, spec=spec)  # type: ignore[no-any-return]

    async def logs(self, service: str, *, tail: int | None = 100, follow: bool = False) -> AsyncIterator[LogLine]:
        async for line in self._stream("logs", LogLine, {"service": service, "tail": tail, "follow": follow}):
            yield line

    async def changes(self) -> AsyncIterator[Change]:
        async for change in self._stream("changes", Change, {}):
            yield change
        raise EngineUnavailable("the stream of changes ended", reason="StreamEnded")

    async def info(self) -> EngineInfo:
        return await self._call("info")  # type: ignore[no-any-return]

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    # -- beyond the port -----------------------------------------------------------------------------------------

    async def status(self) -> dict[str, Any]:
        """What the supervisor says of itself: `pid`, `port`, `path`, and `parts` with what keeps each from working."""
        try:
            async with self._opened().get("http://engine/status", timeout=self._timeout(self._deadline_s)) as answer:
                found: dict[str, Any] = await answer.json()
                return found
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def psql(self, database: str, arguments: Sequence[str]) -> int:
        """PostgreSQL's own client in the foreground, as the admin role; its exit code."""
        # Here alone: no other command waits for what the server's side needs.
        from skep.operator.engine.embedded.home import ADMIN_SECRET, Home
        from skep.operator.engine.embedded.postgres import ADMIN, psql

        home = Home(self._socket.parent)
        port = home.postgres_port()
        password = (home.secrets / ADMIN_SECRET).read_text()
        with tempfile.NamedTemporaryFile("w", prefix="skep-psql-", suffix=".pgpass") as file:  # 0600, gone afterwards
            file.write(f"127.0.0.1:{port}:*:{ADMIN}:{password}\n")
            file.flush()
            # Ctrl-C is psql's: it cancels a query there and must not end us meanwhile.
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGINT, lambda: None)
            try:
                process = await asyncio.create_subprocess_exec(
                    psql(), "-h", "127.0.0.1", "-p", str(port), "-U", ADMIN, "-d", database, *arguments,
                    env={**os.environ, "PGPASSFILE": file.name},
                )  # fmt: skip
                return await process.wait()
            finally:
                loop.remove_signal_handler(signal.SIGINT)

    # -- the small parts -----------------------------------------------------------------------------------------

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._socket), limit=0), read_bufsize=LINE_MAX
            )
        return self._session

    @staticmethod
    def _timeout(total_s: float | None) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=total_s, sock_connect=5.0)

    def _unreachable(self, error: Exception) -> EngineUnavailable:
        return EngineUnavailable(
            f"the embedded engine at {self._socket} does not answer: {error or type(error).__name__}",
            remedy="`skep up` starts it",
        )

    async def _call(self, method: str, *, deadline_s: float | None = None, **arguments: Any) -> Any:
        types, result = signature(method)
        parts = [
            json.dumps(name).encode() + b":" + codec_of(types[name]).dump(value)[1:-1]
            for name, value in arguments.items()
        ]
        body = b"{" + b",".join(parts) + b"}"
        try:
            async with self._opened().post(
                f"http://engine/call/{method}",
                data=io.BytesIO(body),
                timeout=self._timeout(deadline_s or self._deadline_s),
            ) as answer:
                data = await answer.read()
                if answer.status == 200:
                    return codec_of(result).load(data)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        raise load_error(json.loads(data))

    async def _stream(self, name: str, kind: type, arguments: dict[str, Any]) -> AsyncIterator[Any]:
        codec = codec_of(kind)
        begun = False
        try:
            async with self._opened().post(
                f"http://engine/{name}", json=arguments, timeout=self._timeout(None)
            ) as answer:
                if answer.status != 200:
                    raise load_error(await answer.json())
                while line := await answer.content.readline():
                    begun = True
                    yield codec.load(line)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if begun:
                raise EngineUnavailable("the embedded engine broke the stream off", reason="StreamEnded") from error
            raise self._unreachable(error) from error
