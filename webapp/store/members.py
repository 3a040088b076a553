"""Organizers and the browsers in which they are signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from skep.webapp.ids import new_token, token_hash, uuid7

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

IDLE_LIMIT = timedelta(hours=12)
ABSOLUTE_LIMIT = timedelta(days=14)
TOUCH_AFTER = timedelta(minutes=5)  # a busy session is written down at most so often


class EmailTaken(Exception):
    """Another account signs in with this address."""


@dataclass(frozen=True, slots=True)
class Account:
    id: UUID
    password_hash: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in, and with which token (the secret of the cookie)."""

    member_id: UUID
    person_id: UUID
    session_id: UUID
    name: str
    role: str
    token: str

    @property
    def is_owner(self) -> bool:
        return self.role == "owner"


@dataclass(frozen=True, slots=True)
class Mailable:
    name: str
    email: str
    language: str


async def mailable(connection: Connection, person_id: UUID) -> Mailable | None:
    """Whom to write to about an account: a member, or somebody who is invited."""
    row = await connection.fetchrow(
        "SELECT p.name, p.email, p.language FROM person p LEFT JOIN member m ON m.person_id = p.id "
        "WHERE p.id = $1 AND p.kind IN ('member', 'invited') AND p.email <> '' AND m.disabled_at IS NULL",
        person_id,
    )
    return None if row is None else Mailable(**dict(row))


async def person_with(connection: Connection, email: str) -> UUID | None:
    """The person of the account that signs in with *email*."""
    found: UUID | None = await connection.fetchval(
        "SELECT p.id FROM person p JOIN member m ON m.person_id = p.id WHERE p.email = $1 AND p.kind = 'member'", email
    )
    return found


async def find_account(connection: Connection, email: str) -> Account | None:
    row = await connection.fetchrow(
        "SELECT m.id, m.password_hash FROM member m JOIN person p ON p.id = m.person_id "
        "WHERE p.email = $1 AND p.kind = 'member' AND m.disabled_at IS NULL",
        email,
    )
    return None if row is None else Account(**dict(row))


async def create(
    connection: Connection, *, person_id: UUID | None, name: str, email: str, language: str, password_hash: str
) -> UUID:
    """Make an account; the invited person *person_id* becomes a member. Raises EmailTaken.

    In the role that the invitation had in mind; who was invited from outside is an owner: the first organizer is.
    """
    try:
        if person_id is None:
            person_id = uuid7()
            await connection.execute(
                "INSERT INTO person (id, kind, name, email, language) VALUES ($1, 'member', $2, $3, $4)",
                person_id,
                name,
                email,
                language,
            )
        else:
            await connection.execute(
                "UPDATE person SET kind = 'member', name = $2, email = $3, language = $4, version = version + 1 "
                "WHERE id = $1",
                person_id,
                name,
                email,
                language,
            )
    except asyncpg.UniqueViolationError as error:
        raise EmailTaken from error
    identity = uuid7()
    await connection.execute(
        "INSERT INTO member (id, person_id, password_hash, role) "
        "SELECT $1, $2, $3, coalesce((SELECT role FROM invited WHERE person_id = $2), 'owner')",
        identity,
        person_id,
        password_hash,
    )
    await connection.execute("DELETE FROM invited WHERE person_id = $1", person_id)
    return identity


async def set_password(connection: Connection, member_id: UUID, password_hash: str) -> None:
    """Ends all of the member's sessions too."""
    await connection.execute(
        "UPDATE member SET password_hash = $2, version = version + 1 WHERE id = $1", member_id, password_hash
    )
    await connection.execute("DELETE FROM web_session WHERE member_id = $1", member_id)


async def start_session(connection: Connection, member_id: UUID, *, agent: str = "") -> str:
    """The new session's token. Sweeps the sessions that ended by themselves. *agent*: which browser, in a word or two."""
    await connection.execute(
        "DELETE FROM web_session WHERE expires_at <= clock_timestamp() OR seen_at <= clock_timestamp() - $1::interval",
        IDLE_LIMIT,
    )
    token = new_token()
    await connection.execute(
        "INSERT INTO web_session (id, token_sha256, member_id, expires_at, agent) "
        "VALUES ($1, $2, $3, clock_timestamp() + $4::interval, $5)",
        uuid7(),
        token_hash(token),
        member_id,
        ABSOLUTE_LIMIT,
        agent,
    )
    return token


async def find_session(connection: Connection, token: str) -> SignedIn | None:
    """Who holds *token*, unless the session ended, was idle for 12 hours or is older than 14 days."""
    row = await connection.fetchrow(
        "SELECT s.id AS session_id, s.member_id, m.person_id, m.role, p.name, s.seen_at < clock_timestamp() - $3::interval AS is_old "
        "FROM web_session s JOIN member m ON m.id = s.member_id JOIN person p ON p.id = m.person_id "
        "WHERE s.token_sha256 = $1 AND s.expires_at > clock_timestamp() AND m.disabled_at IS NULL "
        "AND s.seen_at > clock_timestamp() - $2::interval",
        token_hash(token),
        IDLE_LIMIT,
        TOUCH_AFTER,
    )
    if row is None:
        return None
    if row["is_old"]:
        await connection.execute("UPDATE web_session SET seen_at = clock_timestamp() WHERE id = $1", row["session_id"])
    return SignedIn(row["member_id"], row["person_id"], row["session_id"], row["name"], row["role"], token)


async def end_session(connection: Connection, session_id: UUID) -> None:
    await connection.execute("DELETE FROM web_session WHERE id = $1", session_id)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser in which somebody is signed in."""

    id: UUID
    agent: str
    created_at: datetime
    seen_at: datetime


async def sessions_of(connection: Connection, member_id: UUID) -> list[Session]:
    """Those that can still be used, the one used last first."""
    rows = await connection.fetch(
        "SELECT id, agent, created_at, seen_at FROM web_session WHERE member_id = $1 "
        "AND expires_at > clock_timestamp() AND seen_at > clock_timestamp() - $2::interval ORDER BY seen_at DESC, id",
        member_id,
        IDLE_LIMIT,
    )
    return [Session(**dict(row)) for row in rows]


async def end_sessions(connection: Connection, member_id: UUID, *, only: UUID | None, but: UUID) -> int:
    """End one of a member's sessions, or all, *but* the one that asks; how many ended."""
    rows = await connection.fetch(
        "DELETE FROM web_session WHERE member_id = $1 AND id <> $3 AND ($2::uuid IS NULL OR id = $2) RETURNING id",
        member_id,
        only,
        but,
    )
    return len(rows)
