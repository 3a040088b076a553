"""Who comes, as organizers read it: tickets with their holders, newest first or by name."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.store.searching import has_all, patterns
from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Attendee:
    """One ticket that takes a place. *email* is the buyer's: only buyers are asked for one."""

    position_id: UUID
    order_id: UUID
    name: str
    email: str
    code: str
    is_paid: bool
    created_at: datetime
    type_title: Texts
    session_title: Texts
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to show: whose ticket or order has all *words*, with a ticket of this type, of this session."""

    words: str = ""
    type_id: UUID | None = None
    session_id: UUID | None = None


_SELECT = """
SELECT x.id AS position_id, o.id AS order_id, coalesce(h.name, b.name) AS name, b.email, o.code,
       o.state = 'paid' AS is_paid, o.created_at, t.title AS type_title, s.title AS session_title, s.starts_at,
       e.language
FROM order_position x JOIN ticket_order o ON o.id = x.order_id JOIN person b ON b.id = o.person_id
JOIN event e ON e.id = o.event_id JOIN ticket_type t ON t.id = x.type_id JOIN event_session s ON s.id = x.session_id
LEFT JOIN person h ON h.id = x.person_id
WHERE o.event_id = $1 AND x.is_held
"""
_ASKED = f"""
{_SELECT} AND ($2::uuid IS NULL OR x.type_id = $2) AND ($3::uuid IS NULL OR x.session_id = $3)
AND {has_all("concat_ws(' ', h.name, b.name, b.email, o.code)", "$4")}
"""


async def of_event(connection: Connection, event_id: UUID, asked: Asked = Asked()) -> list[Attendee]:
    """By name, as people look names up: accents and case do not count."""
    rows = await connection.fetch(_ASKED, event_id, asked.type_id, asked.session_id, patterns(asked.words))
    return sorted((_attendee(row) for row in rows), key=lambda who: (_sort_key(who.name), who.email))


async def after(
    connection: Connection, event_id: UUID, last: UUID | None, asked: Asked, *, limit: int
) -> list[Attendee]:
    """The same in the order of selling, so many after *last*: a long list, a piece at a time."""
    rows = await connection.fetch(
        f"{_ASKED} AND ($5::uuid IS NULL OR x.id > $5) ORDER BY x.id LIMIT $6",
        event_id,
        asked.type_id,
        asked.session_id,
        patterns(asked.words),
        last,
        limit,
    )
    return [_attendee(row) for row in rows]


async def latest(connection: Connection, event_id: UUID, *, limit: int) -> list[Attendee]:
    """Whose ticket was ordered last, the newest first."""
    rows = await connection.fetch(f"{_SELECT} ORDER BY o.created_at DESC, o.id, x.rank LIMIT $2", event_id, limit)
    return [_attendee(row) for row in rows]


def _attendee(row: asyncpg.Record) -> Attendee:
    values = dict(row)
    own = values.pop("language")
    for field in ("type_title", "session_title"):
        values[field] = Texts(json.loads(values[field]), own)
    return Attendee(**values)


def _sort_key(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
