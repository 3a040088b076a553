"""Joins desire, observe, plan and apply for a tenant's database, and its removal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from skep.operator import names
from skep.operator.errors import DatabaseUnavailable, TerminalError, TransientError
from skep.operator.keys import RootKey
from skep.operator.loop.registry import DONE, Result
from skep.operator.reconcilers import drift, secret
from skep.operator.reconcilers.database.catalog import Catalog, Database
from skep.operator.reconcilers.database.plan import (
    INVALID,
    Action,
    CreateRole,
    DatabaseSpec,
    Furnish,
    SetLogin,
    SetRole,
    check_identity,
    ident,
    plan,
    sql,
)
from skep.operator.reconcilers.database.servers import Server
from skep.operator.reconcilers.database.template import key_of
from skep.operator.reconcilers.record import Record
from skep.operator.reconcilers.subject import Subject, tenants


def desire(record: Record, keys: RootKey, admin: str) -> DatabaseSpec:
    generation = record.secret_generation
    active = secret.database_purpose(generation)
    database = record.spec.database
    return DatabaseSpec(
        name=names.database(record.name, record.uid),
        tenant=record.name,
        uid=record.uid,
        admin=admin,
        verifiers=tuple(
            (
                names.login(record.name, record.uid, slot),
                keys.verifier(record.uid, active, generation) if active == f"db-{slot}" else None,
            )
            for slot in ("a", "b")
        ),
        connection_limit=database.connection_limit,
        statement_timeout_s=database.statement_timeout_s,
        extensions=tuple(sorted(database.extensions)),
    )


async def apply(actions: Iterable[Action], server: Server) -> None:
    """In order; neighbours on the maintenance connection travel together."""
    batch: list[str] = []
    for action in actions:
        if isinstance(action, Furnish):
            await server.execute(batch)
            batch = []
            async with server.inside(action.name) as connection:
                for statement in sql(action):
                    await connection.execute(statement)
        else:
            batch.extend(sql(action))
    await server.execute(batch)


@tenants.reconciler("database", after=("settings",))
async def reconcile(subject: Subject) -> Result:
    record, ports = subject.known, subject.ports
    server = ports.servers.get(record.server)
    spec = desire(record, ports.keys, server.admin)
    observed = await server.catalog()
    is_there = spec.name in observed.databases
    converged = is_there and not plan(spec, observed, template=None, schema=record.schema)
    if not converged:
        observed = await server.reread(spec.names)  # act on what is there now, not on what was kept
    check_identity(spec, observed, provisioned=record.provisioned, system_id=record.system_id)
    if not converged:
        observed = await _converge(subject, server, spec, observed)
    known = replace(subject.known, system_id=record.system_id or observed.system_id)
    if not known.provisioned:  # one write, before any task starts: nothing can have been lost until here
        made_with = str(observed.databases[spec.name].comment.get("schema", ""))
        known = replace(known, provisioned=True, schema=made_with)
    await subject.save(known)
    return DONE


async def _converge(subject: Subject, server: Server, spec: DatabaseSpec, observed: Catalog) -> Catalog:
    """The catalog once the database is as *spec* says. Raises TransientError if somebody undoes it."""
    ports = subject.ports
    template, schema = None, subject.known.schema
    if spec.name not in observed.databases:
        image = await ports.images.resolve(subject.known.spec.image)
        template, schema = await ports.templates.need(server, image, subject.platform), key_of(image)
    actions = plan(spec, observed, template=template, schema=schema)
    if actions:
        drifted = drift.is_settled(subject, secret.mounts(subject.known))
        await apply(actions, server)
        observed = await server.reread(spec.names)
        if left := plan(spec, observed, template=None, schema=schema):
            raise TransientError(
                f"database {spec.name} is not as it was just made: {', '.join(type(each).__name__ for each in left)}",
                reason="DatabaseContested",
                retry_after_s=5.0,
            )
        if drifted:
            kinds = ("role" if isinstance(each, CreateRole | SetRole | SetLogin) else "database" for each in actions)
            drift.repaired("database", kinds)
    return observed


async def trace(server: Server, tenant: str) -> Database | None:
    """The database that *tenant* left on this server without a record; None if there is none.

    Raises TerminalError for two databases of one name (a retained one and its successor): a person must decide. A
    server that does not answer raises too: a new identity must not be minted because an old one could not be seen.
    It does not if this operator saw before what is on the server, and nothing of *tenant* among it.
    """
    prefix = f"t_{tenant}_"
    try:
        catalog = await server.seek(prefix)
    except DatabaseUnavailable:
        if server.never_had(prefix):
            return None
        raise
    found = [
        each
        for each in catalog.databases.values()
        if each.name.startswith(prefix) and each.comment.get("tenant") == tenant and each.comment.get("uid")
    ]
    if len(found) > 1:
        raise TerminalError(
            f"tenant {tenant} has no record, and {server.where} holds {len(found)} databases of it: "
            f"{', '.join(sorted(each.name for each in found))}",
            reason="IdentityUnclear",
            remedy="remove or rename all but the one that it shall have",
        )
    return found[0] if found else None


async def close(record: Record, server: Server) -> None:
    """After a Retain deletion: kept, and closed to everybody but the admin."""
    name = names.database(record.name, record.uid)
    catalog = await server.reread(frozenset({name}))
    database = catalog.databases.get(name)
    if database is not None and database.open:
        await server.execute([f"alter database {ident(name)} with allow_connections false"])
        await server.reread(frozenset({name}))


async def drop(record: Record, server: Server) -> None:
    """Remove database and roles, whose names carry the uid that proves they are this tenant's."""
    name = names.database(record.name, record.uid)
    roles = [names.login(record.name, record.uid, "a"), names.login(record.name, record.uid, "b"), name]
    catalog = await server.reread(frozenset({name, *roles}))
    database = catalog.databases.get(name)
    if database is not None and database.comment.get("uid", record.uid) != record.uid:
        raise TransientError(f"database {name} is not this tenant's", reason="NotOurs", retry_after_s=60.0)
    await server.execute(
        [
            # What an interrupted DROP DATABASE left can only be dropped again.
            *(
                [f"alter database {ident(name)} with allow_connections false"]
                if database is not None and database.limit != INVALID
                else []
            ),
            f"drop database if exists {ident(name)} with (force)",
            *(f"drop role if exists {ident(role)}" for role in roles),
        ]
    )
    await server.reread(frozenset({name, *roles}))
