"""The orchestrator as the operator sees it: cached objects, indexed by tenant, and writes that come back.

Reading costs nothing: it is the informers' cache. A write goes to the engine and returns once the cache shows it, so
that the next plan of the same tenant never sees the world as it was before its own write.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

from skep.operator import names
from skep.operator.engine.port import Engine
from skep.operator.engine.spec import Change, Config, Network, Secret, Service, ServiceSpec
from skep.operator.errors import EngineUnavailable, NotFound
from skep.operator.loop.clock import Clock
from skep.operator.loop.informer import Informer, Versioned

log = logging.getLogger(__name__)

T = TypeVar("T", bound=Versioned)

LOOKS = 8  # hints followed at once: a storm of them must not keep a writer waiting for its own

# Reports and messages: they are written or consumed by the operator itself and must not wake a tenant.
_SILENT_KINDS = frozenset({"status", "request", "sources", "operator", "settings", "lease"})


class _Index(Generic[T]):
    """IDs of an informer's objects by the value of one label."""

    def __init__(self, informer: Informer[T], labels_of: Callable[[T], Mapping[str, str]], label: str) -> None:
        self._informer = informer
        self._labels_of = labels_of
        self._label = label
        self._ids: dict[str, set[str]] = {}
        informer.subscribe(self._follow)

    def _follow(self, old: T | None, new: T | None) -> None:
        for item, add in ((old, False), (new, True)):
            if item is not None and (value := self._labels_of(item).get(self._label)):
                ids = self._ids.setdefault(value, set())
                ids.add(item.id) if add else ids.discard(item.id)
                if not ids:
                    del self._ids[value]

    def of(self, value: str) -> tuple[T, ...]:
        found = (self._informer.get(object_id) for object_id in self._ids.get(value, ()))
        return tuple(sorted((item for item in found if item is not None), key=lambda item: item.name))


def _config_labels(config: Config) -> Mapping[str, str]:
    return dict(config.labels)


def _secret_labels(secret: Secret) -> Mapping[str, str]:
    return dict(secret.labels)


def _service_labels(service: Service) -> Mapping[str, str]:
    return dict(service.spec.labels)


class World:
    """Configs, revisions, secrets and services of this hive. *engine* is used for what is not cached."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self._clock = clock
        self.configs: Informer[Config] = Informer(
            "config",
            lambda: engine.list_configs(label=names.KIND),
            clock=clock,
            read=self._reader(engine.inspect_config, lambda config: names.KIND in dict(config.labels)),
        )
        self.revisions: Informer[Config] = Informer(
            "revision",
            lambda: engine.list_configs(label=names.SOURCE),
            clock=clock,
            read=self._reader(engine.inspect_config, lambda config: names.SOURCE in dict(config.labels)),
        )
        self.secrets: Informer[Secret] = Informer(
            "secret",
            lambda: engine.list_secrets(label=names.TENANT),
            clock=clock,
            read=self._reader(engine.inspect_secret, lambda secret: names.TENANT in dict(secret.labels)),
        )
        self.services: Informer[Service] = Informer(
            "service",
            lambda: engine.list_services(label=names.UID),
            clock=clock,
            read=self._reader(engine.inspect_service, lambda service: names.UID in dict(service.spec.labels)),
        )
        self._informers: tuple[Informer[Any], ...] = (self.configs, self.revisions, self.secrets, self.services)
        self._configs_of = _Index(self.configs, _config_labels, names.TENANT)
        self._kinds = _Index(self.configs, _config_labels, names.KIND)
        self._secrets_of = _Index(self.secrets, _secret_labels, names.TENANT)
        self._services_of = _Index(self.services, _service_labels, names.TENANT)
        self.networks: tuple[Network, ...] = ()  # as last listed: they change once a year
        self.heard_at: float | None = None

    @staticmethod
    def _reader(
        inspect: Callable[[str], Awaitable[T]], ours: Callable[[T], bool]
    ) -> Callable[[str], Awaitable[T | None]]:
        async def read(object_id: str) -> T | None:
            try:
                item = await inspect(object_id)
            except NotFound:
                return None
            return item if ours(item) else None

        return read

    def wake(self, tenant: Callable[[str], None], sources: Callable[[], None], request: Callable[[], None]) -> None:
        """Call *tenant* with the name whose objects changed, *sources* for revisions, *request* for requests."""

        def labelled(labels_of: Callable[[Any], Mapping[str, str]]) -> Callable[[Any, Any], None]:
            def changed(old: Versioned | None, new: Versioned | None) -> None:
                if old is not None and new is not None and old.version == new.version:
                    return  # only a counter moved
                labels = labels_of(new if new is not None else old)
                kind = labels.get(names.KIND)
                if kind == "request":
                    request()
                elif kind not in _SILENT_KINDS and (name := labels.get(names.TENANT)):
                    tenant(name)

            return changed

        self.configs.subscribe(labelled(_config_labels))
        self.secrets.subscribe(labelled(_secret_labels))
        self.services.subscribe(labelled(_service_labels))
        self.revisions.subscribe(lambda old, new: sources())

    async def sync(self) -> None:
        """One full list of each kind: a fixed number of calls, however many tenants there are."""
        await asyncio.gather(self._list_networks(), *(informer.sync() for informer in self._informers))

    async def _list_networks(self) -> None:
        self.networks = await self.engine.list_networks(label=names.NETWORK)

    async def follow(self, *, idle_s: float) -> None:
        """List everything, then take hints until the stream breaks or is silent for *idle_s*: it may be a dead one."""
        changes = self.engine.changes()
        looks: set[asyncio.Task[None]] = set()
        try:
            while True:
                try:
                    async with asyncio.timeout(idle_s):
                        change = await anext(changes)
                except (StopAsyncIteration, TimeoutError):
                    return
                self.heard_at = self._clock.monotonic()
                if change.action == "connected":
                    await self.sync()  # from here on no hint is lost; what was before is seen by a list
                looks.add(asyncio.create_task(self._take(change)))
                done = {look for look in looks if look.done()}
                if len(looks) - len(done) >= LOOKS:
                    done, _ = await asyncio.wait(looks, return_when=asyncio.FIRST_COMPLETED)
                looks -= done
                for look in done:
                    look.result()
        finally:
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)
            if (close := getattr(changes, "aclose", None)) is not None:
                with contextlib.suppress(RuntimeError):
                    await close()

    async def _take(self, change: Change) -> None:
        by_kind: Mapping[str, tuple[Informer[Any], ...]] = {
            "config": (self.configs, self.revisions),
            "secret": (self.secrets,),
            "service": (self.services,),
        }
        gone = change.action in ("remove", "delete")
        for informer in sorted(by_kind.get(change.kind, ()), key=lambda each: each.get(change.id) is None):
            try:
                await informer.hint(change.id, gone=gone)
            except EngineUnavailable as error:
                log.warning("hint not followed", extra={"object": change.name, "error": str(error)})
            if informer.get(change.id) is not None:
                return  # a config is of one kind: the other informer would look at it for nothing

    # Reading

    def config(self, name: str) -> Config | None:
        return self.configs.named(name)

    def configs_of(self, tenant: str, kind: names.Kind) -> tuple[Config, ...]:
        return tuple(config for config in self._configs_of.of(tenant) if dict(config.labels).get(names.KIND) == kind)

    def of_kind(self, kind: names.Kind) -> tuple[Config, ...]:
        return self._kinds.of(kind)

    def secrets_of(self, tenant: str) -> tuple[Secret, ...]:
        return self._secrets_of.of(tenant)

    def services_of(self, tenant: str) -> tuple[Service, ...]:
        return self._services_of.of(tenant)

    def service(self, name: str) -> Service | None:
        return self.services.named(name)

    # Asking

    async def find_config(self, name: str) -> Config | None:
        """Asked for by name, past the cache, and kept there: a list that was cut short shows nothing of it."""
        return await self._find(self.configs, self.engine.inspect_config, name)

    async def find_secret(self, name: str) -> Secret | None:
        return await self._find(self.secrets, self.engine.inspect_secret, name)

    async def find_service(self, name: str) -> Service | None:
        return await self._find(self.services, self.engine.inspect_service, name)

    @staticmethod
    async def _find(informer: Informer[T], inspect: Callable[[str], Awaitable[T]], name: str) -> T | None:
        """Also one that is not ours, which the cache does not take."""
        try:
            item = await inspect(name)
        except NotFound:
            return None
        await informer.hint(item.id)
        return item

    # Writing

    async def create_config(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        object_id = await self.engine.create_config(name, data, labels)
        await self.configs.until(lambda: self.configs.get(object_id) is not None, object_id=object_id)
        return object_id

    async def label_config(self, config: Config, labels: Mapping[str, str]) -> None:
        await self.engine.label_config(config.id, config.version, labels)
        await self._newer(self.configs, config.id, config.version)

    async def remove_config(self, config_id: str) -> None:
        with contextlib.suppress(NotFound):
            await self.engine.remove_config(config_id)
        self.configs.drop(config_id)

    async def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        object_id = await self.engine.create_secret(name, data, labels)
        await self.secrets.until(lambda: self.secrets.get(object_id) is not None, object_id=object_id)
        return object_id

    async def label_secret(self, secret: Secret, labels: Mapping[str, str]) -> None:
        await self.engine.label_secret(secret.id, secret.version, labels)
        await self._newer(self.secrets, secret.id, secret.version)

    async def remove_secret(self, secret_id: str) -> None:
        with contextlib.suppress(NotFound):
            await self.engine.remove_secret(secret_id)
        self.secrets.drop(secret_id)

    async def create_service(self, spec: ServiceSpec) -> str:
        object_id = await self.engine.create_service(spec)
        await self.services.until(lambda: self.services.get(object_id) is not None, object_id=object_id)
        return object_id

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> None:
        await self.engine.update_service(service_id, version, spec)
        await self._newer(self.services, service_id, version)

    async def remove_service(self, service_id: str) -> None:
        with contextlib.suppress(NotFound):
            await self.engine.remove_service(service_id)
        self.services.drop(service_id)

    @staticmethod
    async def _newer(informer: Informer[T], object_id: str, version: int) -> None:
        """An update's answer carries no new version: wait for an index above the one that was sent."""

        def seen() -> bool:
            item = informer.get(object_id)
            return item is None or item.version > version

        await informer.until(seen, object_id=object_id)
