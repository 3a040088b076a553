"""Imprint, privacy and terms: what stands now, and every version that somebody agreed to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.ids import uuid7
from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

KINDS = ("imprint", "privacy", "terms")


@dataclass(frozen=True, slots=True)
class LegalText:
    id: UUID
    kind: str
    body: Texts
    created_at: datetime


async def current(connection: Connection, language: str) -> dict[str, LegalText]:
    """The newest of each kind that was written and not emptied; *language* is the site's own."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (kind) id, kind, body, created_at FROM legal_text ORDER BY kind, created_at DESC, id DESC"
    )
    found = (LegalText(r["id"], r["kind"], Texts(json.loads(r["body"]), language), r["created_at"]) for r in rows)
    return {text.kind: text for text in found if text.body}


async def save(
    connection: Connection, kind: str, language: str, text: str, known: Mapping[str, LegalText], member_id: UUID
) -> UUID | None:
    """A new version with *text* in *language*; None if nothing changed. Other languages stay."""
    before = known[kind].body.by_language if kind in known else {}
    if before.get(language, "") == text:
        return None
    identity = uuid7()
    await connection.execute(
        "INSERT INTO legal_text (id, kind, body, created_by) VALUES ($1, $2, $3, $4)",
        identity,
        kind,
        json.dumps({**before, language: text}, ensure_ascii=False),
        member_id,
    )
    return identity
