"""What the tests of an engine make and wait for: every object carries this run's label and is removed at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar
from uuid import uuid4

from skep.operator.engine.port import Engine
from skep.operator.engine.spec import HealthCheck, JobSpec, NetworkSpec, Service, ServiceSpec, UpdatePolicy
from skep.operator.errors import InUse, NotFound, VersionConflict
from tests.engine.adapters import Subject

T = TypeVar("T")
QUICK = HealthCheck(port=8080, interval_s=1.0, timeout_s=1.0, start_period_s=1.0, retries=2)


@asynccontextmanager
async def bench_on(subject: Subject) -> AsyncIterator[Bench]:
    """A bench whose objects are gone after the block."""
    bench = Bench(subject, f"c{uuid4().hex[:8]}")
    yield bench
    await bench.clear()


class Bench:
    def __init__(self, subject: Subject, run: str) -> None:
        self.subject = subject
        self.engine: Engine = subject.engine
        self.run = run
        self.labels = {"skep.test": run}
        self.label = f"skep.test={run}"

    def name(self, suffix: str) -> str:
        return f"{self.run}-{suffix}"

    def spec(self, suffix: str = "web", **changes: object) -> ServiceSpec:
        """A service that is healthy in seconds, and is rolled back in seconds when it is not."""
        spec = ServiceSpec(
            name=self.name(suffix),
            image=self.subject.image,
            args=("web",),
            labels=tuple(self.labels.items()),
            health=QUICK,
            update=UpdatePolicy(monitor_s=5.0),
            stop_grace_s=1.0,
        )
        return replace(spec, **changes)  # type: ignore[arg-type]  # a test names real fields

    def job(self, suffix: str, **changes: object) -> JobSpec:
        spec = JobSpec(
            name=self.name(suffix),
            image=self.subject.image,
            args=("schema",),
            labels=tuple(self.labels.items()),
            timeout_s=self.subject.patience_s,
        )
        return replace(spec, **changes)  # type: ignore[arg-type]  # a test names real fields

    async def create(self, spec: ServiceSpec) -> Service:
        """The service once all its tasks run."""
        await self.engine.create_service(spec)
        return await self.service(spec.name, lambda service: service.running == spec.replicas)

    async def change(self, spec: ServiceSpec) -> None:
        """Update to *spec* from whatever version is current: a swarm moves versions by itself, as when it gives a port."""
        for attempt in range(5):
            current = await self.engine.inspect_service(spec.name)
            try:
                await self.engine.update_service(current.id, current.version, spec)
            except VersionConflict:
                if attempt == 4:
                    raise
            else:
                return

    async def service(self, name: str, is_so: Callable[[Service], bool]) -> Service:
        return await self.until(lambda: self.engine.inspect_service(name), is_so)

    async def until(self, look: Callable[[], Awaitable[T]], is_so: Callable[[T], bool]) -> T:
        """What *look* sees once *is_so*; a failure tells what it last saw."""
        seen = await look()
        try:
            async with asyncio.timeout(self.subject.patience_s):
                while not is_so(seen):
                    await asyncio.sleep(0.05)  # engines tell nothing of tasks: looking again is the only way
                    seen = await look()
        except TimeoutError:
            raise AssertionError(f"after {self.subject.patience_s:g} s still: {seen}") from None
        return seen

    async def clear(self) -> None:
        for service in await self.engine.list_services(label=self.label):
            await self.engine.remove_service(service.id)
        for config in await self.engine.list_configs(label=self.label):
            await self.engine.remove_config(config.id)
        for secret in await self.engine.list_secrets(label=self.label):
            await self.engine.remove_secret(secret.id)
        for network in await self.engine.list_networks(label=self.label):
            await self.until(partial(self._gone, network.id), bool)

    async def _gone(self, network_id: str) -> bool:
        """A network is in use until the last task of a removed service has left it."""
        try:
            await self.engine.remove_network(network_id)
        except InUse:
            return False
        except NotFound:
            return True
        return True

    async def network(self, suffix: str = "net") -> str:
        name = self.name(suffix)
        await self.engine.create_network(NetworkSpec(name, labels=tuple(self.labels.items())))
        return name
