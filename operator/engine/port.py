"""The port to an orchestrator: what the operator needs of one, and nothing more.

Three adapters: `swarm` (the product), `embedded` (the way to try it), `memory` (for tests). One conformance suite,
`tests/engine/`, says what all of them do. Every method raises EngineUnavailable when its deadline passes; none
retries by itself. Objects are addressed by ID or name wherever *ref* stands.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol

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

Confirm = Callable[[], Awaitable[None]]


class Configs(Protocol):
    async def list_configs(self, *, label: str) -> tuple[Config, ...]:
        """Configs that carry *label* (`key` or `key=value`), by name. A label is required: bodies travel with the list."""
        ...

    async def inspect_config(self, ref: str) -> Config:
        """Raises NotFound."""
        ...

    async def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        """The new ID. Raises NameTaken; EngineRefused for data outside 1 to 1,023,999 bytes or a bad name."""
        ...

    async def label_config(self, config_id: str, version: int, labels: Mapping[str, str]) -> None:
        """Replace all labels if *version* is still the object's. Raises VersionConflict or NotFound."""
        ...

    async def remove_config(self, config_id: str) -> None:
        """Raises InUse while a service's current spec mounts it; NotFound."""
        ...


class Secrets(Protocol):
    async def list_secrets(self, *, label: str) -> tuple[Secret, ...]: ...

    async def inspect_secret(self, ref: str) -> Secret: ...

    async def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        """The new ID. Raises NameTaken; EngineRefused for data outside 1 to 511,999 bytes or a bad name."""
        ...

    async def label_secret(self, secret_id: str, version: int, labels: Mapping[str, str]) -> None: ...

    async def remove_secret(self, secret_id: str) -> None: ...


class Networks(Protocol):
    async def list_networks(self, *, label: str) -> tuple[Network, ...]: ...

    async def create_network(self, spec: NetworkSpec) -> str: ...

    async def remove_network(self, network_id: str) -> None: ...


class Services(Protocol):
    async def list_services(self, *, label: str) -> tuple[Service, ...]:
        """Services, never jobs. `running` is filled in here and 0 in `inspect_service`."""
        ...

    async def inspect_service(self, ref: str) -> Service: ...

    async def create_service(self, spec: ServiceSpec) -> str:
        """The new ID. Raises NameTaken; EngineRefused; NotFound if a config, secret or network it names is missing."""
        ...

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> None:
        """Replace the whole spec if *version* is current. Raises VersionConflict, NotFound, EngineRefused.

        A change of labels or route restarts no task. Never call it without a difference: an equal spec forgets the
        previous one and disables a running rollback.
        """
        ...

    async def remove_service(self, service_id: str) -> None: ...

    async def list_tasks(self, *, service: str) -> tuple[Task, ...]:
        """Tasks of one service, by slot and newest first in each; finished ones as far as the engine remembers."""
        ...

    async def resolve_image(self, ref: str) -> Image: ...


class Engine(Configs, Secrets, Networks, Services, Protocol):
    async def run_job(self, spec: JobSpec, *, confirm: Confirm | None = None) -> JobResult:
        """Run to the end, read the result, remove the job. Idempotent by name: a job found is awaited, not doubled.

        A job may run for minutes, in which the caller may lose the right to write: *confirm* is awaited before a job
        that ended is removed, and what it raises leaves the job for the next caller of its name.
        """
        ...

    def logs(self, service: str, *, tail: int | None = 100, follow: bool = False) -> AsyncIterator[LogLine]:
        """Lines of all tasks in order of arrival; *tail* lines a task from the past, None for all."""
        ...

    def changes(self) -> AsyncIterator[Change]:
        """Hints, from now on. Ends or raises EngineUnavailable when the stream breaks; it does not reconnect.

        The first is always CONNECTED: list then, and what changes afterwards is hinted.
        """
        ...

    async def info(self) -> EngineInfo: ...

    async def close(self) -> None: ...
