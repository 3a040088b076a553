"""One tenant as one reconcile sees it, the ports it may use, and the registry its reconcilers sign up with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from skep.crds.platform import Platform
from skep.operator import names
from skep.operator.engine.spec import Image
from skep.operator.errors import NameTaken, SkepError, TerminalError
from skep.operator.keys import RootKey
from skep.operator.loop.clock import Clock
from skep.operator.loop.registry import Registry
from skep.operator.reconcilers import record as records
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.world import World
from skep.operator.settings import Settings
from skep.operator.sources.fleet import Absent, Broken, Declared

if TYPE_CHECKING:
    from skep.operator.reconcilers.cache.servers import Caches
    from skep.operator.reconcilers.database.servers import Servers
    from skep.operator.reconcilers.database.template import Templates
    from skep.operator.reconcilers.judge import Edge

IMAGE_MEMORY_S = 60.0  # a tag may be pushed again; a registry is not asked for each tenant


class Images:
    """Resolved images, remembered for a minute: a fleet shares a handful."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._known: dict[str, tuple[float, Image]] = {}

    async def resolve(self, ref: str) -> Image:
        now = self._clock.monotonic()
        if (known := self._known.get(ref)) is not None and now - known[0] < IMAGE_MEMORY_S:
            return known[1]
        image = await self._world.engine.resolve_image(ref)
        self._known[ref] = (now, image)
        return image


@dataclass(frozen=True, slots=True)
class Ports:
    world: World
    servers: Servers
    caches: Caches
    templates: Templates
    edge: Edge
    images: Images
    keys: RootKey
    clock: Clock
    settings: Settings
    placing: asyncio.Lock = field(default_factory=asyncio.Lock)  # two at once would both take the last place


@dataclass(slots=True)
class Subject:
    """*fate* is what the sources say of this tenant, *record* who it is. *load* counts tenants by server and network."""

    name: str
    fate: Declared | Broken | Absent | None
    platform: Platform
    ports: Ports
    load: Callable[[], Mapping[str, int]]
    record: Record | None
    trouble: SkepError | None = None  # what is wrong and keeps no later reconciler from its work; told at the end

    @property
    def known(self) -> Record:
        """The record; every reconciler after the first may rely on it."""
        if self.record is None:
            raise TerminalError(f"tenant {self.name} has no record", reason="NoRecord")
        return self.record

    async def save(self, record: Record) -> None:
        """Write *record* if it differs from the one known; raises VersionConflict if somebody else wrote."""
        world = self.ports.world
        if not (actions := records.plan(record, self.record)):
            return
        for action in actions:
            match action:
                case records.CreateRecord(record=new):
                    try:
                        await world.create_config(names.record(new.name), records.data_of(new), records.labels_of(new))
                    except NameTaken:  # another replica, or we before a crash: theirs counts
                        await world.find_config(names.record(new.name))
                case records.ChangeRecord(record=new):
                    config = world.config(names.record(new.name))
                    if config is not None:
                        # The version that led to this, not the cache's: an approval may have been written meanwhile.
                        await world.label_config(replace(config, version=new.version), records.labels_of(new))
        config = world.config(names.record(self.name))
        self.record = records.from_config(config) if config is not None else None


tenants: Registry[Subject] = Registry("tenant")
