"""The waiting list: who wants a ticket of a type that is sold out. Offers are a worker's."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.ids import uuid7
from skep.webapp.store import jobs

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


async def join(connection: Connection, type_id: UUID, *, name: str, email: str, language: str) -> bool:
    """False if this address waits for the type already. Must run in a transaction."""
    known = await connection.fetchval(
        "SELECT true FROM waiting_entry w JOIN person p ON p.id = w.person_id "
        "WHERE w.type_id = $1 AND w.state = 'waiting' AND p.email = $2 LIMIT 1",
        type_id,
        email,
    )
    if known:
        return False
    person_id, entry_id = uuid7(), uuid7()
    await connection.execute(
        "INSERT INTO person (id, kind, name, email, language) VALUES ($1, 'guest', $2, $3, $4)",
        person_id,
        name,
        email,
        language,
    )
    await connection.execute(
        "INSERT INTO waiting_entry (id, type_id, person_id) VALUES ($1, $2, $3)", entry_id, type_id, person_id
    )
    await jobs.enqueue(connection, "mail.waiting_joined", {"entry": str(entry_id)})
    return True
