"""The engine for who must lead to write: every write of the operator passes here, every reading goes straight on.

A write starts only while the lease outlasts it. Where it lands it is fenced again: an update by the version that led
to it, a creation by its unique name, a removal by its ID after the lease was read once more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from skep.operator.engine.port import Confirm, Engine
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
from skep.operator.fence import Fence, around


class Fenced:
    """See the port. Every write raises NotLeader, with nothing sent, where *fence* says so."""

    def __init__(self, engine: Engine, fence: Fence) -> None:
        self._engine = engine
        self._fence = fence

    # -- configs -------------------------------------------------------------------------------------------------

    async def list_configs(self, *, label: str) -> tuple[Config, ...]:
        return await self._engine.list_configs(label=label)

    async def inspect_config(self, ref: str) -> Config:
        return await self._engine.inspect_config(ref)

    async def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        with around(self._fence):
            return await self._engine.create_config(name, data, labels)

    async def label_config(self, config_id: str, version: int, labels: Mapping[str, str]) -> None:
        with around(self._fence):
            await self._engine.label_config(config_id, version, labels)

    async def remove_config(self, config_id: str) -> None:
        await self._fence.confirm()
        with around(self._fence):
            await self._engine.remove_config(config_id)

    # -- secrets -------------------------------------------------------------------------------------------------

    async def list_secrets(self, *, label: str) -> tuple[Secret, ...]:
        return await self._engine.list_secrets(label=label)

    async def inspect_secret(self, ref: str) -> Secret:
        return await self._engine.inspect_secret(ref)

    async def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        with around(self._fence):
            return await self._engine.create_secret(name, data, labels)

    async def label_secret(self, secret_id: str, version: int, labels: Mapping[str, str]) -> None:
        with around(self._fence):
            await self._engine.label_secret(secret_id, version, labels)

    async def remove_secret(self, secret_id: str) -> None:
        await self._fence.confirm()
        with around(self._fence):
            await self._engine.remove_secret(secret_id)

    # -- networks ------------------------------------------------------------------------------------------------

    async def list_networks(self, *, label: str) -> tuple[Network, ...]:
        return await self._engine.list_networks(label=label)

    async def create_network(self, spec: NetworkSpec) -> str:
        with around(self._fence):
            return await self._engine.create_network(spec)

    async def remove_network(self, network_id: str) -> None:
        await self._fence.confirm()
        with around(self._fence):
            await self._engine.remove_network(network_id)

    # -- services ------------------------------------------------------------------------------------------------

    async def list_services(self, *, label: str) -> tuple[Service, ...]:
        return await self._engine.list_services(label=label)

    async def inspect_service(self, ref: str) -> Service:
        return await self._engine.inspect_service(ref)

    async def create_service(self, spec: ServiceSpec) -> str:
        with around(self._fence):
            return await self._engine.create_service(spec)

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> None:
        with around(self._fence):
            await self._engine.update_service(service_id, version, spec)

    async def remove_service(self, service_id: str) -> None:
        await self._fence.confirm()
        with around(self._fence):
            await self._engine.remove_service(service_id)

    async def list_tasks(self, *, service: str) -> tuple[Task, ...]:
        return await self._engine.list_tasks(service=service)

    async def resolve_image(self, ref: str) -> Image:
        return await self._engine.resolve_image(ref)

    # -- jobs, logs, changes -------------------------------------------------------------------------------------

    async def run_job(self, spec: JobSpec, *, confirm: Confirm | None = None) -> JobResult:
        """It may run longer than a lease: its name lets the next leader find it, and only a leader removes it."""
        with around(self._fence):
            return await self._engine.run_job(spec, confirm=confirm or self._fence.confirm)

    def logs(self, service: str, *, tail: int | None = 100, follow: bool = False) -> AsyncIterator[LogLine]:
        return self._engine.logs(service, tail=tail, follow=follow)

    def changes(self) -> AsyncIterator[Change]:
        return self._engine.changes()

    async def info(self) -> EngineInfo:
        return await self._engine.info()

    async def close(self) -> None:
        await self._engine.close()
