"""Events for programs: a page at a time in the order of their beginning, and changes of their texts by version."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.store import events
from skep.webapp.store.events import Event

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

# A row a page's event, with the moment by which it is in its place.
_PAGE = """
SELECT e.id, min(s.starts_at) AS first FROM event e JOIN event_session s ON s.event_id = e.id
WHERE (e.status <> 'draft' OR $1 OR e.id = ANY($2))
  AND NOT EXISTS (SELECT FROM unnest($3::text[]) AS word
                  WHERE strpos(lower(e.title::text || e.place::text), lower(word)) = 0)
GROUP BY e.id
HAVING max(s.ends_at) > coalesce($4, clock_timestamp())
   AND ($5::timestamptz IS NULL OR (min(s.starts_at), e.id) > ($5, $6))
ORDER BY 2, 1 LIMIT $7
"""


async def page(
    connection: Connection,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    ending_after: datetime | None = None,
    words: str = "",
    drafts: bool = False,
    drafts_of: Collection[UUID] = (),
) -> list[tuple[datetime, Event]]:
    """Events that end after *ending_after* (None: now), drafts too where said; each with the moment for the cursor."""
    rows = await connection.fetch(
        _PAGE,
        drafts,
        list(drafts_of),
        [json.dumps(word, ensure_ascii=False)[1:-1] for word in words.split()],
        ending_after,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    found = {event.id: event for event in await events.by_ids(connection, [row["id"] for row in rows])}
    return [(row["first"], found[row["id"]]) for row in rows if row["id"] in found]


async def change(
    connection: Connection,
    event_id: UUID,
    *,
    version: int,
    texts: Mapping[str, Mapping[str, str]],
    max_per_order: int | None,
) -> bool:
    """Write *texts* (field: text by language; empty removes it) over an event. False if its version is another."""
    changed = {
        field: json.dumps({language: text for language, text in texts.get(field, {}).items() if text})
        for field in ("title", "description", "place")
    }
    removed = {
        field: [language for language, text in texts.get(field, {}).items() if not text]
        for field in ("title", "description", "place")
    }
    done = await connection.fetchval(
        "UPDATE event SET title = (title - $3::text[]) || $4::jsonb, description = (description - $5::text[]) || $6::jsonb, "
        "place = (place - $7::text[]) || $8::jsonb, max_per_order = coalesce($9, max_per_order), "
        "updated_at = clock_timestamp(), version = version + 1 WHERE id = $1 AND version = $2 RETURNING true",
        event_id,
        version,
        removed["title"],
        changed["title"],
        removed["description"],
        changed["description"],
        removed["place"],
        changed["place"],
        max_per_order,
    )
    return bool(done)
