"""What a member may do with an event: owners everything, organizers what they were given (docs/adr/0019)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias
from uuid import UUID

if TYPE_CHECKING:
    from skep.webapp.store.members import SignedIn
    from skep.webapp.store.pool import Connection

Right: TypeAlias = Literal["manage", "orders", "checkin"]
RIGHTS: tuple[Right, ...] = ("manage", "orders", "checkin")


async def of(connection: Connection, member: SignedIn, event_id: UUID) -> frozenset[str]:
    """The member's rights to one event; empty: it is not theirs."""
    if member.is_owner:
        return frozenset(RIGHTS)
    rows = await connection.fetch(
        "SELECT may FROM event_right WHERE person_id = $1 AND event_id = $2", member.person_id, event_id
    )
    return frozenset(row["may"] for row in rows)


async def given(connection: Connection, person_id: UUID) -> dict[UUID, frozenset[str]]:
    """What somebody was given, by event."""
    rows = await connection.fetch("SELECT event_id, may FROM event_right WHERE person_id = $1", person_id)
    found: dict[UUID, set[str]] = {}
    for row in rows:
        found.setdefault(row["event_id"], set()).add(row["may"])
    return {event_id: frozenset(may) for event_id, may in found.items()}


async def give(connection: Connection, person_id: UUID, wanted: Mapping[UUID, Collection[str]]) -> None:
    """Exactly *wanted*, by event: what is not in it is taken away. Events that do not exist are left out."""
    pairs = [(event_id, may) for event_id, rights in wanted.items() for may in RIGHTS if may in rights]
    await connection.execute("DELETE FROM event_right WHERE person_id = $1", person_id)
    await connection.execute(
        "INSERT INTO event_right (person_id, event_id, may) SELECT $1, e.id, w.may "
        "FROM unnest($2::uuid[], $3::text[]) AS w(event_id, may) JOIN event e ON e.id = w.event_id",
        person_id,
        [event_id for event_id, _ in pairs],
        [may for _, may in pairs],
    )
