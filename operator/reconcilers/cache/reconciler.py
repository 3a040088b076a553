"""Keep each tenant's cache user as it should be. Without a cache the app goes on: this never takes a site down."""

from __future__ import annotations

from skep.operator.errors import CacheUnavailable
from skep.operator.keys import RootKey
from skep.operator.loop.registry import DONE, Result
from skep.operator.reconcilers import drift, secret
from skep.operator.reconcilers.cache.plan import User, desire, plan, user_name
from skep.operator.reconcilers.cache.servers import Cache
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.subject import Subject, tenants


def user_of(record: Record, keys: RootKey) -> User:
    password = keys.password(record.uid, secret.CACHE, record.secret_generation)
    return desire(user_name(record.name, record.uid), record.uid, password)


@tenants.reconciler("cache", after=("schema",))
async def reconcile(subject: Subject) -> Result:
    record, ports = subject.known, subject.ports
    if not record.cache:
        return DONE
    server = ports.caches.get(record.cache)
    wanted = user_of(record, ports.keys)
    try:
        for action in plan(wanted, (await server.users()).get(wanted.name)):
            drifted = drift.is_settled(subject, secret.mounts(record))
            await server.set(action.user)
            if drifted:
                drift.repaired("cache", ("user",))
    except CacheUnavailable as error:
        subject.trouble = error
    return DONE


async def drop(record: Record, server: Cache) -> None:
    """What the tenant kept there expires by itself: it may do without it at any time."""
    await server.drop(user_name(record.name, record.uid))
