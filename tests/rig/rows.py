"""Rows put straight into a tenant's database, where a test is about something else than making them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from skep.webapp.ids import uuid7
from skep.webapp.store import offers
from skep.webapp.store.offers import TypeDraft

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


@dataclass(frozen=True)
class Sample:
    """A live event with one session in the far future, one pool and one ticket type that draws on it."""

    event: UUID
    session: UUID
    pool: UUID
    type: UUID
    slug: str


async def make_event(connection: Connection, *, capacity: int | None = None, **type_changes: Any) -> Sample:
    """*type_changes* go over the ticket type's draft."""
    person, member, event = uuid7(), uuid7(), uuid7()
    await connection.execute("INSERT INTO person VALUES ($1, 'member', 'Léa', $2, 'en')", person, f"{person}@x.org")
    await connection.execute("INSERT INTO member VALUES ($1, $2, 'x')", member, person)
    await connection.execute(
        "INSERT INTO event (id, slug, status, language, timezone, title, description, place, created_by) "
        "VALUES ($1, $2, 'live', 'en', 'UTC', '{\"en\": \"Sample\"}', '{}', '{}', $3)",
        event,
        str(event),
        member,
    )
    session = uuid7()
    await connection.execute(
        "INSERT INTO event_session (id, event_id, starts_at, ends_at) VALUES ($1, $2, '2090-01-01Z', '2090-01-02Z')",
        session,
        event,
    )
    pool = await offers.create_pool(connection, session, size=capacity)
    kind = await make_type(connection, session, pool, **type_changes)
    return Sample(event, session, pool, kind, str(event))


async def make_type(connection: Connection, session: UUID, *pools: UUID, **changes: Any) -> UUID:
    draft: dict[str, Any] = {"title": {"en": "Ticket"}, "price": 0, "tax_bp": 0, **changes}
    return await offers.save_type(connection, TypeDraft(session_id=session, pool_ids=pools, **draft))
