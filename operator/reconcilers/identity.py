"""The first reconciler: who the tenant is and where it lives. Nothing is made before its record stands."""

from __future__ import annotations

from dataclasses import replace

from skep.operator import names
from skep.operator.errors import TerminalError
from skep.operator.loop.registry import DONE, Result
from skep.operator.reconcilers import record as records
from skep.operator.reconcilers.database import reconciler as database
from skep.operator.reconcilers.placement import is_placed, place, place_cache, room_of
from skep.operator.reconcilers.record import Trace
from skep.operator.reconcilers.subject import Subject, tenants
from skep.operator.sources.fleet import Declared


async def trace(subject: Subject) -> Trace | None:
    """What a tenant whose record was lost left behind; None for one that is new."""
    world, platform = subject.ports.world, subject.platform
    edge, data = platform.spec.networks.edge, platform.spec.networks.data
    uid = server_name = system_id = ""
    provisioned = retained = False
    networks: tuple[str, ...] = ()
    for service in world.services_of(subject.name):
        uid = dict(service.spec.labels).get(names.UID, "")
        networks = service.spec.networks
    for secret in world.secrets_of(subject.name):
        uid = uid or dict(secret.labels).get(names.UID, "")
    for server in subject.ports.servers.all():
        found = await database.trace(server, subject.name)
        if found is not None and uid in ("", found.comment["uid"]):
            uid, server_name = str(found.comment["uid"]), server.spec.name
            provisioned, retained = found.limit != 0, not found.open
            system_id = (await server.catalog()).system_id if provisioned else ""
    if not uid:
        return None
    return Trace(
        uid,
        server_name,
        system_id,
        provisioned,
        retained and not networks,  # with its service there, somebody else closed it: the database reconciler opens it
        edge_network=next((name for name in networks if name in edge), ""),
        data_network=next((name for name in networks if name in data), ""),
    )


@tenants.reconciler("record")
async def reconcile(subject: Subject) -> Result:
    if subject.record is not None and subject.record.leaving == "retained" and isinstance(subject.fate, Declared):
        raise TerminalError(
            f"an earlier tenant {subject.name} was deleted and its data kept",
            reason="NameRetained",
            remedy=f"`skep approve adopt {subject.name}` takes its data up again, "
            f"`skep approve purge {subject.name}` removes it for good",
        )
    left = await trace(subject) if subject.record is None else None
    desired = records.desire(
        subject.fate,
        subject.record,
        left,
        name=subject.name,
        fresh_uid=records.new_uid(),
        now=subject.ports.clock.now().replace(microsecond=0),
    )
    if desired is not None and not desired.leaving:
        key_id = desired.key_id or subject.ports.keys.id
        desired = replace(desired, key_id=key_id)
        lacks_cache = not desired.cache and bool(subject.platform.spec.caches)
        if lacks_cache or not is_placed(desired):  # counting a fleet for each of its tenants would be quadratic
            away = {server.spec.name for server in subject.ports.servers.all() if server.silent}
            async with subject.ports.placing:
                load, room = subject.load(), room_of(subject.ports.world.networks)
                placed = place(desired, subject.platform, load, room, away=away)
                await subject.save(place_cache(placed, subject.platform, load))
            return DONE
    if desired is not None:
        await subject.save(desired)
    return DONE
