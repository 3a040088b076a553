"""Who comes, as organizers read it: tickets with their holders, newest first or by name."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Attendee:
    """One ticket that takes a place. *email* is the buyer's: only buyers are asked for one."""

    name: str
    email: str
    code: str
    is_paid: bool
    created_at: datetime


_SELECT = """
SELECT coalesce(h.name, b.name) AS name, b.email, o.code, o.state = 'paid' AS is_paid, o.created_at
FROM order_position x JOIN ticket_order o ON o.id = x.order_id JOIN person b ON b.id = o.person_id
LEFT JOIN person h ON h.id = x.person_id
WHERE o.event_id = $1 AND x.is_held
"""


async def of_event(connection: Connection, event_id: UUID) -> list[Attendee]:
    """By name, as people look names up: accents and case do not count."""
    rows = await connection.fetch(_SELECT, event_id)
    return sorted((Attendee(**dict(row)) for row in rows), key=lambda who: (_sort_key(who.name), who.email))


async def latest(connection: Connection, event_id: UUID, *, limit: int) -> list[Attendee]:
    """Whose ticket was ordered last, the newest first."""
    rows = await connection.fetch(f"{_SELECT} ORDER BY o.created_at DESC, o.id, x.rank LIMIT $2", event_id, limit)
    return [Attendee(**dict(row)) for row in rows]


def _sort_key(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
