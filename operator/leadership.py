"""Who leads this hive: the lease as a config of the engine, and work that goes on only while the lease is held."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from skep.operator import formats, metrics, names
from skep.operator.engine.port import Engine
from skep.operator.engine.spec import Config
from skep.operator.errors import NotFound
from skep.operator.loop.lease import Grant, Lease

_HOLDER = "skep.lease.holder"
_TERM = "skep.lease.term"
_A_TERM = re.compile(r"[0-9]{1,15}")  # PostgreSQL's bigint takes it, and there is room for more
_BODY = b"which operator leads; see the labels\n"


def grant_of(config: Config) -> Grant:
    """Raises TerminalError for a newer format. A lease damaged by hand counts as released, its term as lost."""
    labels = dict(config.labels)
    formats.check(config.name, labels)
    term = labels.get(_TERM, "")
    known = int(term) if _A_TERM.fullmatch(term) else 0
    return Grant(labels.get(_HOLDER, ""), known, config.version)


def is_released(config: Config) -> bool:
    return not dict(config.labels).get(_HOLDER)


class ConfigStore:
    """The labels of config `skep.lease`: created once by name, then compared and set on the version. Not fenced."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._id = ""

    async def read(self) -> Grant | None:
        try:
            config = await self._engine.inspect_config(names.LEASE)
        except NotFound:
            return None
        self._id = config.id
        return grant_of(config)

    async def create(self, holder: str, term: int) -> None:
        await self._engine.create_config(names.LEASE, _BODY, _labels(holder, term))

    async def write(self, grant: Grant, holder: str, term: int) -> None:
        await self._engine.label_config(self._id, grant.version, _labels(holder, term))

    async def is_untouched(self) -> bool:
        """An operator of before there were leases announced itself, and may be running yet."""
        try:
            await self._engine.inspect_config(names.OPERATOR)
        except NotFound:
            return True
        return False


def _labels(holder: str, term: int) -> dict[str, str]:
    return {names.KIND: "lease", _HOLDER: holder, _TERM: str(term)}


async def while_leading(lease: Lease, duties: Callable[[], Awaitable[None]]) -> None:
    """Run *duties* each time the lease is gained, and cancel them when it is lost; returns when they end by themselves."""
    while True:
        await lease.leading.wait()
        metrics.leader.set(1)
        duty = asyncio.ensure_future(duties())
        lost = asyncio.ensure_future(lease.following.wait())
        try:
            await asyncio.wait({duty, lost}, return_when=asyncio.FIRST_COMPLETED)
            if duty.done():
                return duty.result()
        finally:
            metrics.leader.set(0)
            duty.cancel()
            lost.cancel()
            await asyncio.gather(duty, lost, return_exceptions=True)
