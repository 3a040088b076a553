"""The life of a worker process."""

from __future__ import annotations

import asyncio
import logging
import os
import stat

from skep.webapp.bounded import limits
from skep.webapp.cache.client import Cache
from skep.webapp.cache.wakeup import CacheBell
from skep.webapp.settings import Settings
from skep.webapp.store.pool import Database
from skep.webapp.work.bells import PipeBell, QuietBell, stop_by_signal
from skep.webapp.work.due import duties_of
from skep.webapp.work.handlers import handlers_of
from skep.webapp.work.worker import IDLE_S, POLL_S, Bell, Worker

log = logging.getLogger(__name__)


async def work(settings: Settings, *, until_idle: bool) -> None:
    """Until SIGTERM; *until_idle*: or until there was nothing to do for a while, or standard input ends."""
    if until_idle:  # beside a web process
        limits.go_first()
    limits.bound_memory(limits.memory_bytes(alone=not until_idle))
    alarm = asyncio.create_task(limits.wind_alarm(), name="alarm")
    stop = stop_by_signal()
    database = Database(settings.worker_database, name="skep worker")
    await database.open()
    cache = None if until_idle or settings.cache is None else Cache(settings.cache)
    bell: Bell = PipeBell(0, stop) if until_idle and _is_pipe(0) else QuietBell(stop)
    if cache is not None:
        bell = CacheBell(cache, stop)
    worker = Worker(
        database,
        handlers_of(settings, database),
        duties_of(settings),
        bell,
        poll_s=None if until_idle or cache is not None else POLL_S,
    )
    log.info("worker ready", extra={"tenant": settings.tenant, "mail": settings.mail is not None})
    try:
        await worker.run(idle_s=IDLE_S if until_idle else None)
    finally:
        alarm.cancel()
        if cache is not None:
            await cache.close()
        await database.close()
    log.info("worker done", extra={"tenant": settings.tenant})


def _is_pipe(descriptor: int) -> bool:
    """Somebody at a terminal rings no bell."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
