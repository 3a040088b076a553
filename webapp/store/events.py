"""Events and their sessions.

An event has one session for now, made with it; the tables already allow more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from skep.webapp.i18n import dates, text_in
from skep.webapp.ids import uuid7

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


class StaleVersion(Exception):
    """Somebody else saved the row meanwhile."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A text in several languages, with fallback to the event's own."""

    by_language: dict[str, str]
    own: str

    def text(self, language: str) -> str:
        return text_in(self.by_language, language, self.own)[0]

    def lang(self, language: str) -> str:
        """The language that `text` answers in: the page marks it for screen readers."""
        return text_in(self.by_language, language, self.own)[1]


@dataclass(frozen=True, slots=True)
class Event:
    """An event with its session. Moments are in the event's own zone; *capacity* None is unlimited."""

    id: UUID
    slug: str
    status: str
    language: str
    timezone: str
    title: Texts
    description: Texts
    place: Texts
    version: int
    session_id: UUID
    starts_at: datetime
    ends_at: datetime
    capacity: int | None
    registered: int
    is_over: bool

    @property
    def left(self) -> int | None:
        return None if self.capacity is None else max(0, self.capacity - self.registered)

    @property
    def is_full(self) -> bool:
        return self.left == 0

    @property
    def is_published(self) -> bool:
        return self.status == "published"


@dataclass(frozen=True, slots=True)
class Draft:
    """What an organizer writes. Moments are aware; texts are in *language*."""

    title: str
    description: str
    place: str
    language: str
    timezone: str
    starts_at: datetime
    ends_at: datetime
    capacity: int | None


_SELECT = """
SELECT e.id, e.slug, e.status, e.language, e.timezone, e.title, e.description, e.place, e.version,
       s.id AS session_id, s.starts_at, s.ends_at, s.capacity, s.ends_at <= clock_timestamp() AS is_over,
       (SELECT count(*) FROM registration r WHERE r.session_id = s.id) AS registered
FROM event e JOIN event_session s ON s.event_id = e.id
"""


def _event(row: asyncpg.Record) -> Event:
    values = dict(row)
    own = values["language"]
    for field in ("title", "description", "place"):
        values[field] = Texts(json.loads(values[field]), own)
    zone = dates.zone(values["timezone"])
    for field in ("starts_at", "ends_at"):
        values[field] = values[field].astimezone(zone)
    return Event(**values)


async def upcoming(connection: Connection, *, limit: int, offset: int = 0) -> list[Event]:
    """Published events that are not over, the next one first."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE e.status = 'published' AND s.ends_at > clock_timestamp() "
        "ORDER BY s.starts_at, e.id LIMIT $1 OFFSET $2",
        limit,
        offset,
    )
    return [_event(row) for row in rows]


async def current(connection: Connection) -> list[Event]:
    """For organizers: all that are not over, drafts too, the next one first."""
    rows = await connection.fetch(f"{_SELECT} WHERE s.ends_at > clock_timestamp() ORDER BY s.starts_at, e.id")
    return [_event(row) for row in rows]


async def past(connection: Connection, *, limit: int, offset: int = 0) -> list[Event]:
    """For organizers: what is over, the latest first."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE s.ends_at <= clock_timestamp() ORDER BY s.starts_at DESC, e.id LIMIT $1 OFFSET $2",
        limit,
        offset,
    )
    return [_event(row) for row in rows]


async def by_slug(connection: Connection, slug: str) -> Event | None:
    row = await connection.fetchrow(f"{_SELECT} WHERE e.slug = $1", slug)
    return None if row is None else _event(row)


async def by_id(connection: Connection, event_id: UUID) -> Event | None:
    row = await connection.fetchrow(f"{_SELECT} WHERE e.id = $1", event_id)
    return None if row is None else _event(row)


async def latest_timezone(connection: Connection) -> str | None:
    """The zone of the event made last: most likely the next one's too."""
    name: str | None = await connection.fetchval("SELECT timezone FROM event ORDER BY id DESC LIMIT 1")
    return name


async def create(connection: Connection, draft: Draft, *, slug: str, member_id: UUID) -> UUID | None:
    """Make a draft with its session. None if *slug* is taken: try another."""
    event_id = uuid7()
    made = await connection.fetchval(
        "INSERT INTO event (id, slug, language, timezone, title, description, place, created_by) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (slug) DO NOTHING RETURNING id",
        event_id,
        slug,
        draft.language,
        draft.timezone,
        _texts(draft.language, draft.title),
        _texts(draft.language, draft.description),
        _texts(draft.language, draft.place),
        member_id,
    )
    if made is None:
        return None
    await connection.execute(
        "INSERT INTO event_session (id, event_id, starts_at, ends_at, capacity) VALUES ($1, $2, $3, $4, $5)",
        uuid7(),
        event_id,
        draft.starts_at,
        draft.ends_at,
        draft.capacity,
    )
    return event_id


async def save(connection: Connection, event: Event, draft: Draft, *, version: int) -> None:
    """Write *draft* over *event* if it still has *version*. Raises StaleVersion.

    Texts in other languages stay; if the event's own language changes, its texts move to the new one.
    """
    saved = await connection.fetchval(
        "UPDATE event SET language = $3, timezone = $4, title = (title - language) || $5::jsonb, "
        "description = (description - language) || $6::jsonb, place = (place - language) || $7::jsonb, "
        "updated_at = clock_timestamp(), version = version + 1 WHERE id = $1 AND version = $2 RETURNING true",
        event.id,
        version,
        draft.language,
        draft.timezone,
        _texts(draft.language, draft.title),
        _texts(draft.language, draft.description),
        _texts(draft.language, draft.place),
    )
    if not saved:
        raise StaleVersion
    await connection.execute(
        "UPDATE event_session SET starts_at = $2, ends_at = $3, capacity = $4, version = version + 1 WHERE id = $1",
        event.session_id,
        draft.starts_at,
        draft.ends_at,
        draft.capacity,
    )


async def set_published(connection: Connection, event_id: UUID, *, published: bool) -> bool:
    """False if there is no such event. Doing it twice changes nothing the second time."""
    found = await connection.fetchval("SELECT true FROM event WHERE id = $1", event_id)
    await connection.execute(
        "UPDATE event SET status = $2, published_at = coalesce(published_at, clock_timestamp()), "
        "updated_at = clock_timestamp(), version = version + 1 WHERE id = $1 AND status <> $2",
        event_id,
        "published" if published else "draft",
    )
    return bool(found)


def _texts(language: str, text: str) -> str:
    return json.dumps({language: text}, ensure_ascii=False)
