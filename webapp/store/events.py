"""Events: their texts, their state, and where each stands in time."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from skep.webapp.i18n import dates
from skep.webapp.ids import uuid7
from skep.webapp.store import offers
from skep.webapp.store.media import Picture, picture
from skep.webapp.store.offers import TypeDraft
from skep.webapp.store.searching import has_all, patterns
from skep.webapp.store.texts import Texts, texts

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


FIRST_TYPE = {"en": "Ticket", "fr": "Billet"}


@dataclass(frozen=True, slots=True)
class Event:
    """An event with its next session, or its last one. Moments are in the event's own zone.

    *capacity* over all sessions, None is unlimited; *registered*: places sold or waiting for their money. Both are
    counted for organizers only; what the public may buy is in `shop.catalog`.
    """

    id: UUID
    slug: str
    status: str
    language: str
    timezone: str
    title: Texts
    description: Texts
    place: Texts
    version: int
    currency: str
    pays_on_site: bool
    transfer_details: str
    transfer_days: int
    self_cancel_hours: int | None
    max_per_order: int
    session_id: UUID
    starts_at: datetime
    ends_at: datetime
    sessions: int
    capacity: int | None
    registered: int
    is_over: bool
    picture: Picture | None
    notice: Texts

    @property
    def left(self) -> int | None:
        return None if self.capacity is None else max(0, self.capacity - self.registered)

    @property
    def is_full(self) -> bool:
        return self.left == 0

    @property
    def is_published(self) -> bool:
        """Does the public see its page? Also when it is cancelled or postponed: the page says so."""
        return self.status != "draft"


@dataclass(frozen=True, slots=True)
class Draft:
    """What an organizer writes. Moments are aware; texts are in *language*; *price* is of a new event's first type."""

    title: str
    description: str
    place: str
    language: str
    timezone: str
    starts_at: datetime
    ends_at: datetime
    capacity: int | None
    currency: str
    price: int
    tax_bp: int
    pays_on_site: bool
    transfer_details: str
    self_cancel_hours: int | None


_EVENTS = """
SELECT e.id, e.slug, e.status, e.language, e.timezone, e.title, e.description, e.place, e.version, e.notice, e.currency,
       e.pays_on_site, e.transfer_details, e.transfer_days, e.self_cancel_hours, e.max_per_order,
       s.id AS session_id, s.starts_at, s.ends_at, s.ends_at <= clock_timestamp() AS is_over,
       (SELECT json_build_object('alt', p.alt, 'variants', p.variants) FROM picture p WHERE p.event_id = e.id) AS picture,
       (SELECT count(*) FROM event_session z WHERE z.event_id = e.id) AS sessions, :counts
FROM event e JOIN LATERAL (
    SELECT * FROM event_session z WHERE z.event_id = e.id
    ORDER BY z.ends_at <= clock_timestamp(), abs(extract(epoch FROM z.starts_at - clock_timestamp())) LIMIT 1) s ON true
"""
_PUBLIC = _EVENTS.replace(":counts", "NULL AS capacity, 0 AS registered")
_SELECT = _EVENTS.replace(
    ":counts",
    """
       (SELECT CASE WHEN count(*) = count(p.size) THEN sum(p.size) END
        FROM stock_pool p JOIN event_session z ON z.id = p.session_id WHERE z.event_id = e.id) AS capacity,
       (SELECT count(*) FROM order_position x JOIN event_session z ON z.id = x.session_id
        WHERE z.event_id = e.id AND x.is_held) AS registered
    """,
)

_UPCOMING = """
SELECT s.event_id FROM event_session s JOIN event e ON e.id = s.event_id
WHERE s.ends_at > (SELECT clock_timestamp()) AND e.status <> 'draft'
  AND :has_all
GROUP BY s.event_id ORDER BY min(s.starts_at), s.event_id LIMIT $1 OFFSET $2
""".replace(":has_all", has_all("e.title::text || e.place::text", "$3"))


def _event(row: asyncpg.Record) -> Event:
    values = dict(row)
    own = values["language"]
    for field in ("title", "description", "place", "notice"):
        values[field] = Texts(json.loads(values[field]), own)
    values["picture"] = picture(values["picture"], own)
    zone = dates.zone(values["timezone"])
    for field in ("starts_at", "ends_at"):
        values[field] = values[field].astimezone(zone)
    return Event(**values)


async def upcoming(connection: Connection, *, limit: int, offset: int = 0, words: str = "") -> list[Event]:
    """Public events that are not over, the next one first; with *words*, those whose title or place has them all."""
    ids = await connection.fetch(
        _UPCOMING,
        limit,
        offset,
        patterns(words, most=50),
    )
    order = {row["event_id"]: place for place, row in enumerate(ids)}
    rows = await connection.fetch(f"{_PUBLIC} WHERE e.id = ANY($1)", list(order))
    return [_event(row) for row in sorted(rows, key=lambda row: order[row["id"]])]


# An organizer's events: those that they have any right to. Without a person: all.
_THEIRS = "($1::uuid IS NULL OR EXISTS (SELECT FROM event_right r WHERE r.event_id = e.id AND r.person_id = $1))"


async def current(connection: Connection, *, person_id: UUID | None = None) -> list[Event]:
    """For organizers: all that are not over, drafts too, the next one first; with *person_id* those that are theirs."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE {_THEIRS} AND s.ends_at > clock_timestamp() ORDER BY s.starts_at, e.id", person_id
    )
    return [_event(row) for row in rows]


async def past(connection: Connection, *, limit: int, offset: int = 0, person_id: UUID | None = None) -> list[Event]:
    """For organizers: what is over, the latest first."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE {_THEIRS} AND s.ends_at <= clock_timestamp() "
        "ORDER BY s.starts_at DESC, e.id LIMIT $2 OFFSET $3",
        person_id,
        limit,
        offset,
    )
    return [_event(row) for row in rows]


async def by_slug(connection: Connection, slug: str) -> Event | None:
    row = await connection.fetchrow(f"{_PUBLIC} WHERE e.slug = $1", slug)
    return None if row is None else _event(row)


async def by_id(connection: Connection, event_id: UUID) -> Event | None:
    row = await connection.fetchrow(f"{_SELECT} WHERE e.id = $1", event_id)
    return None if row is None else _event(row)


async def by_ids(connection: Connection, event_ids: Collection[UUID]) -> list[Event]:
    """In no order; what does not exist is left out."""
    rows = await connection.fetch(f"{_PUBLIC} WHERE e.id = ANY($1)", list(event_ids))
    return [_event(row) for row in rows]


async def latest_timezone(connection: Connection) -> str | None:
    """The zone of the event made last: most likely the next one's too."""
    name: str | None = await connection.fetchval("SELECT timezone FROM event ORDER BY id DESC LIMIT 1")
    return name


async def create(connection: Connection, draft: Draft, *, slug: str, member_id: UUID | None) -> UUID | None:
    """Make a draft with a session, a pool and a ticket type. None if *slug* is taken: try another."""
    event_id, session_id = uuid7(), uuid7()
    made = await connection.fetchval(
        "INSERT INTO event (id, slug, language, timezone, title, description, place, created_by, currency, "
        "pays_on_site, transfer_details, self_cancel_hours) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (slug) DO NOTHING RETURNING id",
        event_id,
        slug,
        draft.language,
        draft.timezone,
        texts(draft.language, draft.title),
        texts(draft.language, draft.description),
        texts(draft.language, draft.place),
        member_id,
        draft.currency,
        draft.pays_on_site,
        draft.transfer_details,
        draft.self_cancel_hours,
    )
    if made is None:
        return None
    await connection.execute(
        "INSERT INTO event_session (id, event_id, starts_at, ends_at) VALUES ($1, $2, $3, $4)",
        session_id,
        event_id,
        draft.starts_at,
        draft.ends_at,
    )
    pool_id = await offers.create_pool(connection, session_id, size=draft.capacity)
    first = TypeDraft(
        session_id=session_id, title=FIRST_TYPE, price=draft.price, tax_bp=draft.tax_bp, pool_ids=(pool_id,)
    )
    await offers.save_type(connection, first)
    return event_id


async def save(connection: Connection, event: Event, draft: Draft, *, version: int) -> None:
    """Write *draft* over *event* if it still has *version*. Raises offers.StaleVersion.

    Texts in other languages stay; if the event's own language changes, its texts move to the new one. Times and places
    are those of an event with one session; where there are more, each is edited by itself.
    """
    saved = await connection.fetchval(
        "UPDATE event SET language = $3, timezone = $4, title = (title - language) || $5::jsonb, "
        "description = (description - language) || $6::jsonb, place = (place - language) || $7::jsonb, "
        "currency = $8, pays_on_site = $9, transfer_details = $10, self_cancel_hours = $11, "
        "updated_at = clock_timestamp(), version = version + 1 WHERE id = $1 AND version = $2 RETURNING true",
        event.id,
        version,
        draft.language,
        draft.timezone,
        texts(draft.language, draft.title),
        texts(draft.language, draft.description),
        texts(draft.language, draft.place),
        draft.currency,
        draft.pays_on_site,
        draft.transfer_details,
        draft.self_cancel_hours,
    )
    if not saved:
        raise offers.StaleVersion
    if event.sessions > 1:
        return
    await connection.execute(
        "UPDATE event_session SET starts_at = $2, ends_at = $3, version = version + 1 WHERE id = $1",
        event.session_id,
        draft.starts_at,
        draft.ends_at,
    )
    await connection.execute(
        "UPDATE stock_pool SET size = $2, version = version + 1 WHERE session_id = $1 AND "
        "(SELECT count(*) FROM stock_pool WHERE session_id = $1) = 1",
        event.session_id,
        draft.capacity,
    )


async def has_sold(connection: Connection, event_id: UUID) -> bool:
    """Was anything ever ordered? Then the currency stays as it is."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM ticket_order WHERE event_id = $1)", event_id))


async def set_published(connection: Connection, event_id: UUID, *, published: bool) -> bool:
    """False if it was so already. What was cancelled or postponed stays it, and stays public."""
    changed = await connection.fetchval(
        "UPDATE event SET status = $2, published_at = coalesce(published_at, clock_timestamp()), "
        "updated_at = clock_timestamp(), version = version + 1 WHERE id = $1 AND status = $3 RETURNING true",
        event_id,
        "live" if published else "draft",
        "draft" if published else "live",
    )
    return bool(changed)
