"""Check-in lists: which tickets a door lets in, and what a device needs to know of them where there is no network.

A device's list holds no code and no full name: SHA-256 of the codes, a first name and an initial, the ticket type.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.i18n import dates
from skep.webapp.ids import uuid7
from skep.webapp.shop.catalog import Question
from skep.webapp.store import audit
from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.audit import Actor
    from skep.webapp.store.pool import Connection

FORGET_AFTER = timedelta(hours=24)  # a device forgets its list so long after the event's end
QUESTION_KINDS = ("yes", "line", "number", "date")


@dataclass(frozen=True, slots=True)
class Door:
    """One check-in list. *type_ids* empty: every type; *session_id* None: every session.

    *expected*: tickets that may come in by this door; *inside*: those that did. *ends_at*: of the last session.
    """

    id: UUID
    event_id: UUID
    event_title: Texts
    name: str
    session_id: UUID | None
    type_ids: frozenset[UUID]
    opens_minutes: int | None
    version: int
    ends_at: datetime
    timezone: str
    expected: int
    inside: int

    @property
    def forget_at(self) -> datetime:
        return self.ends_at + FORGET_AFTER


_DOORS = """
SELECT l.id, l.event_id, e.title, e.language, e.timezone, l.label, l.session_id, l.opens_minutes, l.version,
       ARRAY(SELECT lt.type_id FROM checkin_list_type lt WHERE lt.list_id = l.id) AS type_ids,
       (SELECT max(s.ends_at) FROM event_session s
        WHERE s.event_id = l.event_id AND (l.session_id IS NULL OR s.id = l.session_id)) AS ends_at,
       (SELECT count(*) FROM event_session s JOIN order_position x ON x.session_id = s.id AND x.is_held
        JOIN ticket_order o ON o.id = x.order_id AND o.state = 'paid'
        WHERE s.event_id = l.event_id AND (l.session_id IS NULL OR s.id = l.session_id)
          AND (NOT EXISTS (SELECT FROM checkin_list_type lt WHERE lt.list_id = l.id)
               OR EXISTS (SELECT FROM checkin_list_type lt WHERE lt.list_id = l.id AND lt.type_id = x.type_id))
       ) AS expected,
       (SELECT count(*) FROM checkin c WHERE c.list_id = l.id AND c.mark IS NULL AND c.undone_at IS NULL) AS inside
FROM checkin_list l JOIN event e ON e.id = l.event_id
"""


def _door(row: asyncpg.Record) -> Door:
    return Door(
        id=row["id"],
        event_id=row["event_id"],
        event_title=Texts(json.loads(row["title"]), row["language"]),
        name=row["label"],
        session_id=row["session_id"],
        type_ids=frozenset(row["type_ids"]),
        opens_minutes=row["opens_minutes"],
        version=row["version"],
        ends_at=row["ends_at"].astimezone(dates.zone(row["timezone"])),
        timezone=row["timezone"],
        expected=row["expected"],
        inside=row["inside"],
    )


async def of_events(connection: Connection, event_ids: Sequence[UUID]) -> list[Door]:
    rows = await connection.fetch(f"{_DOORS} WHERE l.event_id = ANY($1) ORDER BY l.event_id, l.id", list(event_ids))
    return [_door(row) for row in rows]


async def by_id(connection: Connection, list_id: UUID) -> Door | None:
    row = await connection.fetchrow(f"{_DOORS} WHERE l.id = $1", list_id)
    return None if row is None else _door(row)


async def ensure_one(connection: Connection, event_id: UUID, name: str) -> None:
    """An event that is checked in has a list: for every ticket, called *name*."""
    await connection.execute(
        "INSERT INTO checkin_list (id, event_id, label) SELECT $1, id, $3 FROM event "
        "WHERE id = $2 AND NOT EXISTS (SELECT FROM checkin_list WHERE event_id = $2)",
        uuid7(),
        event_id,
        name,
    )


async def create(
    connection: Connection,
    event_id: UUID,
    actor: Actor,
    *,
    name: str,
    session_id: UUID | None = None,
    type_ids: Sequence[UUID] = (),
    opens_minutes: int | None = None,
) -> UUID:
    """*session_id* and *type_ids* are believed to be the event's. Must run in a transaction."""
    identity = uuid7()
    await connection.execute(
        "INSERT INTO checkin_list (id, event_id, session_id, label, opens_minutes) VALUES ($1, $2, $3, $4, $5)",
        identity,
        event_id,
        session_id,
        name,
        opens_minutes,
    )
    await connection.execute(
        "INSERT INTO checkin_list_type (list_id, type_id) SELECT $1, unnest($2::uuid[])", identity, list(type_ids)
    )
    await audit.record(connection, actor, "check-in list made", "checkin_list", identity)
    return identity


async def remove(connection: Connection, list_id: UUID, actor: Actor) -> bool:
    """False if somebody was let in by it: then it stays. Must run in a transaction."""
    gone = await connection.fetchval(
        "DELETE FROM checkin_list l WHERE id = $1 AND NOT EXISTS (SELECT FROM checkin c WHERE c.list_id = l.id) "
        "RETURNING true",
        list_id,
    )
    if gone:
        await audit.record(connection, actor, "check-in list removed", "checkin_list", list_id)
    return bool(gone)


async def questions(connection: Connection, event_id: UUID, language: str) -> tuple[Question, ...]:
    """What is asked at the door; *language* is the event's own."""
    rows = await connection.fetch(
        "SELECT q.*, ARRAY(SELECT qt.type_id FROM question_type qt WHERE qt.question_id = q.id) AS type_ids "
        "FROM question q WHERE q.event_id = $1 AND q.at_door ORDER BY q.rank, q.id",
        event_id,
    )
    return tuple(
        Question(
            id=row["id"],
            kind=row["kind"],
            label=Texts(json.loads(row["label"]), language),
            hint=Texts(json.loads(row["hint"]), language),
            choices=(),
            is_required=row["is_required"],
            type_ids=frozenset(row["type_ids"]),
        )
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class Known:
    """One ticket as a device knows it. *came_at* and *gate*: it is inside already. *answered*: nothing is to be asked."""

    code_sha256: str
    name: str
    type_id: UUID
    is_paid: bool
    opens_at: datetime | None
    answered: bool
    came_at: datetime | None
    gate: str | None


_KNOWN = """
SELECT encode(sha256(x.secret), 'hex') AS code_sha256, coalesce(h.name, b.name) AS name, x.type_id,
       o.state = 'paid' AS is_paid, s.starts_at - make_interval(mins => l.opens_minutes) AS opens_at,
       NOT EXISTS (SELECT FROM question q WHERE q.event_id = l.event_id AND q.at_door AND q.is_required
         AND NOT EXISTS (SELECT FROM answer a WHERE a.position_id = x.id AND a.question_id = q.id)) AS answered,
       c.at AS came_at, c.gate
FROM checkin_list l JOIN event_session s ON s.event_id = l.event_id AND (l.session_id IS NULL OR s.id = l.session_id)
JOIN order_position x ON x.session_id = s.id AND x.is_held
JOIN ticket_order o ON o.id = x.order_id JOIN person b ON b.id = o.person_id
LEFT JOIN person h ON h.id = x.person_id
LEFT JOIN checkin c ON c.list_id = l.id AND c.position_id = x.id AND c.mark IS NULL AND c.undone_at IS NULL
WHERE l.id = $1 AND (NOT EXISTS (SELECT FROM checkin_list_type lt WHERE lt.list_id = l.id)
     OR EXISTS (SELECT FROM checkin_list_type lt WHERE lt.list_id = l.id AND lt.type_id = x.type_id))
ORDER BY 1
"""


async def known(connection: Connection, list_id: UUID) -> list[Known]:
    """Every ticket of the list that takes a place."""
    rows = await connection.fetch(_KNOWN, list_id)
    return [
        Known(
            code_sha256=row["code_sha256"],
            name=short_name(row["name"]),
            type_id=row["type_id"],
            is_paid=row["is_paid"],
            opens_at=row["opens_at"],
            answered=row["answered"],
            came_at=row["came_at"],
            gate=row["gate"],
        )
        for row in rows
    ]


def list_version(tickets: Sequence[Known]) -> str:
    """Changes with whatever a device would show or do differently."""
    return hashlib.sha256(repr(tickets).encode()).hexdigest()[:16]


def short_name(name: str) -> str:
    """A first name and an initial: enough to greet somebody, too little to look them up."""
    first, _, rest = " ".join(name.split()).partition(" ")
    initial = next((letter for letter in rest.rpartition(" ")[2] if letter.isalpha()), "")
    return f"{first[:30]} {initial.upper()}." if initial else first[:30]
