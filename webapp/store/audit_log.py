"""The log, read: who did what to which event, order or person, the newest first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.pool import Connection

KINDS = ("event", "order", "person", "payment", "position", "type", "session", "pool", "voucher", "question",
         "waiting_entry", "checkin", "checkin_list", "webhook", "token", "enrolment", "legal_text", "job", "site")  # fmt: skip
ACTORS = ("member", "buyer", "token", "provider", "clock")


@dataclass(frozen=True, slots=True)
class Line:
    """*who*: the member's name. What it was about, as far as it is still there: an event, an order of it, a person."""

    at: datetime
    actor: str
    who: str
    action: str
    fields: tuple[str, ...]
    object_kind: str
    event_id: UUID | None
    event: Texts | None
    order_id: UUID | None
    code: str
    person: str


@dataclass(frozen=True, slots=True)
class Asked:
    """*actor*: a kind of ACTORS; *member_id*: one member; *kind*: of KINDS; *event_id*: all that belongs to an event."""

    actor: str = ""
    member_id: UUID | None = None
    kind: str = ""
    event_id: UUID | None = None


_LINES = """
SELECT a.*, e.title, e.language, o.code FROM (
    SELECT a.id, a.at, a.actor, a.actor_id, a.action, a.fields, a.object_kind, w.name AS who,
        CASE a.object_kind
            WHEN 'order' THEN a.object_id
            WHEN 'payment' THEN (SELECT order_id FROM payment WHERE id = a.object_id)
            WHEN 'position' THEN (SELECT order_id FROM order_position WHERE id = a.object_id) END AS order_id,
        CASE a.object_kind
            WHEN 'event' THEN a.object_id
            WHEN 'order' THEN (SELECT event_id FROM ticket_order WHERE id = a.object_id)
            WHEN 'payment' THEN (SELECT event_id FROM ticket_order x JOIN payment y ON y.order_id = x.id
                                 WHERE y.id = a.object_id)
            WHEN 'position' THEN (SELECT event_id FROM ticket_order x JOIN order_position y ON y.order_id = x.id
                                  WHERE y.id = a.object_id)
            WHEN 'session' THEN (SELECT event_id FROM event_session WHERE id = a.object_id)
            WHEN 'type' THEN (SELECT s.event_id FROM ticket_type t JOIN event_session s ON s.id = t.session_id
                              WHERE t.id = a.object_id)
            WHEN 'pool' THEN (SELECT s.event_id FROM stock_pool p JOIN event_session s ON s.id = p.session_id
                              WHERE p.id = a.object_id)
            WHEN 'voucher' THEN (SELECT event_id FROM voucher WHERE id = a.object_id)
            WHEN 'question' THEN (SELECT event_id FROM question WHERE id = a.object_id)
            WHEN 'waiting_entry' THEN (
                SELECT s.event_id FROM waiting_entry x JOIN ticket_type t ON t.id = x.type_id
                JOIN event_session s ON s.id = t.session_id WHERE x.id = a.object_id) END AS event_id,
        CASE a.object_kind WHEN 'person' THEN
            (SELECT coalesce(nullif(name, ''), email) FROM person WHERE id = a.object_id) END AS person
    FROM audit a LEFT JOIN member m ON m.id = a.actor_id LEFT JOIN person w ON w.id = m.person_id
    WHERE ($1 = '' OR a.actor = $1) AND ($2::uuid IS NULL OR a.actor_id = $2) AND ($3 = '' OR a.object_kind = $3)
) a LEFT JOIN event e ON e.id = a.event_id LEFT JOIN ticket_order o ON o.id = a.order_id
WHERE $4::uuid IS NULL OR a.event_id = $4 ORDER BY a.at DESC, a.id DESC LIMIT $5 OFFSET $6
"""


async def lines(connection: Connection, asked: Asked, *, limit: int, offset: int = 0) -> list[Line]:
    rows = await connection.fetch(_LINES, asked.actor, asked.member_id, asked.kind, asked.event_id, limit, offset)
    return [_line(row) for row in rows]


def _line(row: asyncpg.Record) -> Line:
    return Line(
        at=row["at"],
        actor=row["actor"],
        who=row["who"] or "",
        action=row["action"],
        fields=tuple(row["fields"]),
        object_kind=row["object_kind"],
        event_id=row["event_id"] if row["title"] is not None else None,
        event=None if row["title"] is None else Texts(json.loads(row["title"]), row["language"]),
        order_id=row["order_id"] if row["code"] is not None else None,
        code=row["code"] or "",
        person=row["person"] or "",
    )
