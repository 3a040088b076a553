"""Who changed what: written in the transaction of the change, never with personal values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from skep.webapp.ids import uuid7

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Actor:
    kind: Literal["member", "buyer", "provider", "clock", "token"]
    id: UUID | None = None


BUYER = Actor("buyer")
PROVIDER = Actor("provider")
CLOCK = Actor("clock")
SITE = UUID(int=0)  # the object of what concerns no single row: settings, exports of everything


async def record(
    connection: Connection, actor: Actor, action: str, object_kind: str, object_id: UUID, fields: tuple[str, ...] = ()
) -> None:
    await connection.execute(
        "INSERT INTO audit (id, actor, actor_id, action, object_kind, object_id, fields) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        uuid7(),
        actor.kind,
        actor.id,
        action,
        object_kind,
        object_id,
        list(fields),
    )


async def record_many(
    connection: Connection,
    actor: Actor,
    action: str,
    object_kind: str,
    object_ids: Sequence[UUID],
    fields: tuple[str, ...] = (),
) -> None:
    """The same for many objects, in one statement."""
    await connection.execute(
        "INSERT INTO audit (id, actor, actor_id, action, object_kind, object_id, fields) "
        "SELECT w.id, $3, $4, $5, $6, w.object_id, $7 FROM unnest($1::uuid[], $2::uuid[]) AS w(id, object_id)",
        [uuid7() for _ in object_ids],
        list(object_ids),
        actor.kind,
        actor.id,
        action,
        object_kind,
        list(fields),
    )
