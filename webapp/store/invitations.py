"""Invitations: a one-time link by which somebody becomes an organizer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.ids import token_hash, uuid7

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

LIFETIME = timedelta(days=7)
RESET_LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Invitation:
    """An open invitation; *person_id* and *email* are set if it names somebody.

    *member_id* is set if that somebody has an account already: then the invitation is a way to a new password.
    """

    id: UUID
    person_id: UUID | None
    member_id: UUID | None
    email: str
    expires_at: datetime


async def create(
    connection: Connection, token: str, *, email: str | None, language: str, lifetime: timedelta = LIFETIME
) -> UUID:
    """Store an invitation for *token* (only its hash). A second one for the same address names the same person."""
    person_id = None if email is None else await person_of(connection, email, language)
    identity = uuid7()
    await connection.execute(
        "INSERT INTO invitation (id, token_sha256, person_id, expires_at) "
        "VALUES ($1, $2, $3, clock_timestamp() + $4::interval)",
        identity,
        token_hash(token),
        person_id,
        lifetime,
    )
    return identity


async def person_of(connection: Connection, email: str, language: str) -> UUID:
    """Who has this address: a member, or somebody to invite."""
    member: UUID | None = await connection.fetchval("SELECT id FROM person WHERE email = $1 AND kind = 'member'", email)
    if member is not None:
        return member
    identity: UUID = await connection.fetchval(
        "INSERT INTO person (id, kind, name, email, language) VALUES ($1, 'invited', '', $2, $3) "
        "ON CONFLICT (email) WHERE kind = 'invited' DO UPDATE SET language = excluded.language RETURNING id",
        uuid7(),
        email,
        language,
    )
    return identity


async def find_open(connection: Connection, token: str) -> Invitation | None:
    """The invitation, unless it is unknown, used or expired."""
    row = await connection.fetchrow(
        "SELECT i.id, i.person_id, m.id AS member_id, coalesce(p.email, '') AS email, i.expires_at "
        "FROM invitation i LEFT JOIN person p ON p.id = i.person_id LEFT JOIN member m ON m.person_id = p.id "
        "WHERE i.token_sha256 = $1 AND i.used_at IS NULL AND i.expires_at > clock_timestamp()",
        token_hash(token),
    )
    return None if row is None else Invitation(**dict(row))


async def use(connection: Connection, token: str) -> Invitation | None:
    """Take the invitation, so that nobody else can; None if it is unknown, used or expired.

    In the transaction that makes the account: the row stays locked until it commits.
    """
    invitation = await find_open(connection, token)
    if invitation is None:
        return None
    taken = await connection.fetchval(
        "UPDATE invitation SET used_at = clock_timestamp() WHERE id = $1 AND used_at IS NULL RETURNING true",
        invitation.id,
    )
    return invitation if taken else None
