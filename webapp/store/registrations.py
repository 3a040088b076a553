"""Who comes to which session. A place is never given twice.

How: under READ COMMITTED the lock is taken in a statement of its own and the places are counted in a later one, of the
same transaction. In one statement the count would see the world from before the lock, and sell the last place twice.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from skep.webapp.errors import Busy
from skep.webapp.ids import new_token, token_hash, uuid7

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

LOCK_TIMEOUT_MS = 3000


@dataclass(frozen=True, slots=True)
class Guest:
    name: str
    email: str
    language: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What the guest's secret link shows."""

    id: UUID
    name: str
    email: str
    event_id: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Attendee:
    name: str
    email: str
    created_at: datetime


async def lock_places(connection: Connection, session_id: UUID) -> None:
    """Hold the session's places until the transaction ends. Raises Busy after 3 s of waiting."""
    await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    key = int.from_bytes(hashlib.sha256(b"places" + session_id.bytes).digest()[:8], "big", signed=True)
    try:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", key)
    except asyncpg.LockNotAvailableError as error:
        raise Busy("the places of this session are in demand") from error


async def register(connection: Connection, session_id: UUID, guest: Guest, *, limited: bool) -> str | None:
    """Give *guest* a place; the token of their link. None if there is none left, or registration is closed.

    Must run in a transaction. *limited* says what the caller knows of the session; unlimited ones need no lock.
    """
    if limited:
        await lock_places(connection, session_id)
    row = await connection.fetchrow(
        "SELECT s.capacity, e.status = 'published' AND s.ends_at > clock_timestamp() AS is_open, "
        "(SELECT count(*) FROM registration r WHERE r.session_id = s.id) AS registered "
        "FROM event_session s JOIN event e ON e.id = s.event_id WHERE s.id = $1",
        session_id,
    )
    if row is None or not row["is_open"]:
        return None
    if row["capacity"] is not None:
        if not limited:
            raise Busy("the session got a limit a moment ago")
        if row["registered"] >= row["capacity"]:
            return None
    person_id, token = uuid7(), new_token()
    await connection.execute(
        "INSERT INTO person (id, kind, name, email, language) VALUES ($1, 'guest', $2, $3, $4)",
        person_id,
        guest.name,
        guest.email,
        guest.language,
    )
    await connection.execute(
        "INSERT INTO registration (id, session_id, person_id, token_sha256) VALUES ($1, $2, $3, $4)",
        uuid7(),
        session_id,
        person_id,
        token_hash(token),
    )
    return token


async def count(connection: Connection, session_id: UUID) -> int:
    number: int = await connection.fetchval("SELECT count(*) FROM registration WHERE session_id = $1", session_id)
    return number


async def by_token(connection: Connection, token: str) -> Registration | None:
    row = await connection.fetchrow(
        "SELECT r.id, p.name, p.email, s.event_id, r.created_at "
        "FROM registration r JOIN person p ON p.id = r.person_id JOIN event_session s ON s.id = r.session_id "
        "WHERE r.token_sha256 = $1",
        token_hash(token),
    )
    return None if row is None else Registration(**dict(row))


async def attendees(connection: Connection, session_id: UUID) -> list[Attendee]:
    """By name, as people look names up: accents and case do not count."""
    rows = await connection.fetch(
        "SELECT p.name, p.email, r.created_at FROM registration r JOIN person p ON p.id = r.person_id "
        "WHERE r.session_id = $1",
        session_id,
    )
    return sorted((Attendee(**dict(row)) for row in rows), key=lambda who: (_sort_key(who.name), who.email))


async def latest(connection: Connection, session_id: UUID, *, limit: int) -> list[Attendee]:
    """Who registered last, the newest first."""
    rows = await connection.fetch(
        "SELECT p.name, p.email, r.created_at FROM registration r JOIN person p ON p.id = r.person_id "
        "WHERE r.session_id = $1 ORDER BY r.created_at DESC, r.id LIMIT $2",
        session_id,
        limit,
    )
    return [Attendee(**dict(row)) for row in rows]


def _sort_key(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
