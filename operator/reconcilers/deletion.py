"""Deletion: the reconcilers backwards, under the tenant's policy, and only what carries the tenant's uid.

Retain takes the site down and keeps database, secrets and a tombstone; Delete keeps nothing. Each step asks whether
it is already done, so a deletion that is killed goes on where it was.
"""

from __future__ import annotations

from dataclasses import replace

from skep.operator import names
from skep.operator.loop.registry import DONE, Result
from skep.operator.reconcilers import secret
from skep.operator.reconcilers.cache import reconciler as cache
from skep.operator.reconcilers.database import reconciler as database
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.subject import Subject
from skep.operator.reconcilers.world import World


async def delete(subject: Subject) -> Result:
    """Bring a leaving tenant nearer to its end; DONE when nothing more is owed."""
    record, ports = subject.known, subject.ports
    world = ports.world
    if record.leaving == "retained":
        return DONE
    # A list that was cut short may have hidden what would stay for ever: what has a name is asked for by it.
    for part in names.PARTS:
        await world.find_service(names.service(record.name, part))
    for service in world.services_of(record.name):
        if dict(service.spec.labels).get(names.UID) == record.uid:
            await world.remove_service(service.id)
    ports.edge.forget(record.name)
    if record.cache:
        await cache.drop(record, ports.caches.get(record.cache))
    server = ports.servers.get(record.server) if record.server else None
    if record.spec.deletion_policy == "Retain":
        if server is not None:
            await database.close(record, server)
        await subject.save(replace(record, leaving="retained", attempted="", latched=""))
        return DONE
    return await erase(subject)


async def erase(subject: Subject) -> Result:
    """Remove everything of the tenant: database, roles, secrets, files, status, and the record last."""
    record, world = subject.known, subject.ports.world
    if record.server:
        await database.drop(record, subject.ports.servers.get(record.server))
    for want in secret.desire(record, None):
        await world.find_secret(want.name)
    for each in world.secrets_of(record.name):
        if dict(each.labels).get(names.UID) == record.uid:
            await world.remove_secret(each.id)
    for kind in ("settings", "status", "record"):
        for config in _of(record, world, kind):
            await world.remove_config(config)
    subject.record = None
    return DONE


def _of(record: Record, world: World, kind: str) -> list[str]:
    return [
        config.id
        for config in world.configs_of(record.name, kind)  # type: ignore[arg-type]  # one of the three above
        if dict(config.labels).get(names.UID) == record.uid
    ]
