"""Rows put straight into a tenant's database, where a test is about something else than making them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.ids import uuid7

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def make_session(connection: Connection, *, capacity: int | None) -> UUID:
    """A published event's session in the far future."""
    person, member, event, session = (uuid7() for _ in range(4))
    await connection.execute("INSERT INTO person VALUES ($1, 'member', 'Léa', $2, 'en')", person, f"{person}@x.org")
    await connection.execute("INSERT INTO member VALUES ($1, $2, 'x')", member, person)
    await connection.execute(
        "INSERT INTO event (id, slug, status, language, timezone, title, description, place, created_by) "
        "VALUES ($1, $2, 'published', 'en', 'UTC', '{}', '{}', '{}', $3)",
        event,
        str(event),
        member,
    )
    await connection.execute(
        "INSERT INTO event_session VALUES ($1, $2, '2090-01-01Z', '2090-01-02Z', $3)", session, event, capacity
    )
    return session
