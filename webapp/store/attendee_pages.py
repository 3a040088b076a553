"""Who comes, for programs: in the order in which their tickets were made, a page at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Attendee:
    """One ticket that takes a place. *email* is the buyer's. *checked_in_at*: first, by any list."""

    ticket_id: UUID
    name: str
    email: str
    order_id: UUID
    order_code: str
    type_id: UUID
    type_title: Texts
    session_id: UUID
    is_paid: bool
    checked_in_at: datetime | None


async def page(connection: Connection, event_id: UUID, *, limit: int | None, after: UUID | None) -> list[Attendee]:
    """Those after the ticket *after*; *limit* None: all."""
    rows = await connection.fetch(
        "SELECT x.id AS ticket_id, coalesce(h.name, b.name) AS name, b.email, o.id AS order_id, o.code AS order_code, "
        "x.type_id, t.title, e.language, x.session_id, o.state = 'paid' AS is_paid, "
        "(SELECT min(c.at) FROM checkin c WHERE c.position_id = x.id AND c.mark IS NULL AND c.undone_at IS NULL) "
        "AS checked_in_at FROM order_position x JOIN ticket_order o ON o.id = x.order_id "
        "JOIN event e ON e.id = o.event_id JOIN ticket_type t ON t.id = x.type_id JOIN person b ON b.id = o.person_id "
        "LEFT JOIN person h ON h.id = x.person_id "
        "WHERE o.event_id = $1 AND x.is_held AND ($3::uuid IS NULL OR x.id > $3) ORDER BY x.id LIMIT $2",
        event_id,
        limit,
        after,
    )
    return [
        Attendee(
            ticket_id=row["ticket_id"],
            name=row["name"],
            email=row["email"],
            order_id=row["order_id"],
            order_code=row["order_code"],
            type_id=row["type_id"],
            type_title=Texts(json.loads(row["title"]), row["language"]),
            session_id=row["session_id"],
            is_paid=row["is_paid"],
            checked_in_at=row["checked_in_at"],
        )
        for row in rows
    ]
