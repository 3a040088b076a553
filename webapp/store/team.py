"""Who organizes: members and who is invited, their roles, and what they were given for single events."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from skep.webapp.i18n import dates
from skep.webapp.store import rights, tombstones
from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

Role = Literal["owner", "organizer"]
ROLES: tuple[Role, ...] = ("owner", "organizer")


class LastOwner(Exception):
    """Without them nobody could do everything any more."""


@dataclass(frozen=True, slots=True)
class Colleague:
    """*member_id* None: invited and not here yet. *events*: how many they were given; owners have all."""

    person_id: UUID
    member_id: UUID | None
    name: str
    email: str
    role: str
    is_disabled: bool
    seen_at: datetime | None
    events: int


@dataclass(frozen=True, slots=True)
class Choice:
    """An event that somebody may be given, and what of it they have."""

    event_id: UUID
    title: Texts
    starts_at: datetime
    may: frozenset[str]


_SELECT = """
SELECT p.id AS person_id, m.id AS member_id, p.name, p.email, coalesce(m.role, i.role) AS role,
       m.disabled_at IS NOT NULL AS is_disabled,
       (SELECT max(s.seen_at) FROM web_session s WHERE s.member_id = m.id) AS seen_at,
       (SELECT count(DISTINCT r.event_id) FROM event_right r WHERE r.person_id = p.id) AS events
FROM person p LEFT JOIN member m ON m.person_id = p.id LEFT JOIN invited i ON i.person_id = p.id
WHERE (m.id IS NOT NULL OR (i.person_id IS NOT NULL AND p.kind = 'invited'))
"""


async def everybody(connection: Connection) -> list[Colleague]:
    """Members by name, then who is invited."""
    rows = await connection.fetch(f"{_SELECT} ORDER BY m.id IS NULL, m.disabled_at IS NOT NULL, p.name, p.email")
    return [Colleague(**dict(row)) for row in rows]


async def find(connection: Connection, person_id: UUID) -> Colleague | None:
    row = await connection.fetchrow(f"{_SELECT} AND p.id = $1", person_id)
    return None if row is None else Colleague(**dict(row))


async def choices(connection: Connection, person_id: UUID) -> list[Choice]:
    """Events to come, and those of which they have something, the next one first."""
    given = await rights.given(connection, person_id)
    rows = await connection.fetch(
        "SELECT e.id, e.title, e.language, e.timezone, min(s.starts_at) AS starts_at FROM event e "
        "JOIN event_session s ON s.event_id = e.id WHERE e.id = ANY($1) OR EXISTS (SELECT FROM event_session z "
        "WHERE z.event_id = e.id AND z.ends_at > clock_timestamp()) GROUP BY e.id ORDER BY 4, 1",
        list(given),
    )
    return [
        Choice(
            row["id"],
            Texts(json.loads(row["title"]), row["language"]),
            row["starts_at"].astimezone(dates.zone(row["timezone"])),
            given.get(row["id"], frozenset()),
        )
        for row in rows
    ]


async def invite(connection: Connection, person_id: UUID, role: Role) -> None:
    """What they will be when they come. Inviting again may change it."""
    await connection.execute(
        "INSERT INTO invited (person_id, role) VALUES ($1, $2) ON CONFLICT (person_id) DO UPDATE SET role = $2",
        person_id,
        role,
    )


async def take_back(connection: Connection, person_id: UUID) -> bool:
    """End an invitation: its links no longer work. False if there is none, or they came already."""
    found = await connection.fetchval(
        "DELETE FROM invited i USING person p WHERE i.person_id = $1 AND p.id = i.person_id AND p.kind = 'invited' "
        "RETURNING true",
        person_id,
    )
    if not found:
        return False
    await connection.execute("DELETE FROM invitation WHERE person_id = $1", person_id)
    await connection.execute("DELETE FROM person WHERE id = $1", person_id)
    return True


async def change(
    connection: Connection, who: Colleague, role: Role, wanted: Mapping[UUID, Collection[str]]
) -> tuple[str, ...]:
    """Give *who* this role and these rights; which of both changed. Raises LastOwner."""
    changed = []
    if role != who.role:
        if who.member_id is None:
            await invite(connection, who.person_id, role)
        else:
            await _keep_an_owner(connection, who)
            await connection.execute(
                "UPDATE member SET role = $2, version = version + 1 WHERE id = $1", who.member_id, role
            )
        changed.append("role")
    before = await rights.given(connection, who.person_id)
    after = {event_id: frozenset(may) for event_id, may in wanted.items() if may}
    if before != after:
        await rights.give(connection, who.person_id, after)
        changed.append("rights")
    return tuple(changed)


async def set_disabled(connection: Connection, who: Colleague, *, disabled: bool) -> bool:
    """Shut somebody out at once, or let them in again. False if it was so already. Raises LastOwner."""
    if who.member_id is None or disabled == who.is_disabled:
        return False
    if disabled:
        await _keep_an_owner(connection, who)
        await tombstones.bury(connection, "member", who.member_id)  # a restore of earlier rows shuts them out again
        await connection.execute("DELETE FROM web_session WHERE member_id = $1", who.member_id)
        await connection.execute("DELETE FROM calendar_feed WHERE member_id = $1", who.member_id)
    else:
        await connection.execute("DELETE FROM tombstone WHERE kind = 'member' AND id = $1", str(who.member_id))
    await connection.execute(
        "UPDATE member SET disabled_at = CASE WHEN $2 THEN clock_timestamp() END, version = version + 1 WHERE id = $1",
        who.member_id,
        disabled,
    )
    return True


async def _keep_an_owner(connection: Connection, but: Colleague) -> None:
    """Two owners who shut each other out at the same moment wait for each other here."""
    rows = await connection.fetch(
        "SELECT id FROM member WHERE role = 'owner' AND disabled_at IS NULL ORDER BY id FOR UPDATE"
    )
    if but.role == "owner" and not but.is_disabled and not [row for row in rows if row["id"] != but.member_id]:
        raise LastOwner
