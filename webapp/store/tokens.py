"""Tokens of programs: a team's, made by an organizer, and a device's, made by reading a code from a screen.

A token is random and stored as its hash, so it is shown once. What it may do is a set of scopes, and the events that it
may do it to. A revoked row stays: scans keep saying which device made them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, get_args
from uuid import UUID

from skep.webapp.ids import new_token, token_hash, uuid7
from skep.webapp.store import audit, tombstones
from skep.webapp.store.audit import Actor

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.pool import Connection

Scope = Literal[
    "events:read", "events:write", "sell", "orders:read", "orders:write", "attendees:read", "exports", "checkin"
]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
DEVICE_SCOPES: Final[tuple[Scope, ...]] = ("checkin",)
PREFIXES = {"team": "skt_", "device": "skd_"}  # who finds one in a log or a repository knows what it is

_SHAPE = re.compile(r"sk[td]_[A-Za-z0-9_-]{43}")
ENROLMENT_LIFETIME = timedelta(minutes=10)  # a code is read from a screen, not sent by mail
TOUCH_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Token:
    """*event_ids* None: all events."""

    id: UUID
    kind: str
    name: str
    scopes: frozenset[str]
    event_ids: frozenset[UUID] | None
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None

    def may(self, event_id: UUID) -> bool:
        return self.event_ids is None or event_id in self.event_ids


_SELECT = """
SELECT t.id, t.kind, t.label, t.scopes, t.created_at, t.used_at, t.revoked_at,
       coalesce(t.used_at < clock_timestamp() - $1::interval, true) AS is_old,
       CASE WHEN NOT t.all_events THEN ARRAY(SELECT event_id FROM api_token_event x WHERE x.token_id = t.id) END AS events
FROM api_token t
"""


def _token(row: asyncpg.Record) -> Token:
    return Token(
        id=row["id"],
        kind=row["kind"],
        name=row["label"],
        scopes=frozenset(row["scopes"]),
        event_ids=None if row["events"] is None else frozenset(row["events"]),
        created_at=row["created_at"],
        used_at=row["used_at"],
        revoked_at=row["revoked_at"],
    )


def is_token(text: str) -> bool:
    """Could it be one of ours?"""
    return _SHAPE.fullmatch(text) is not None


async def find(connection: Connection, secret: str) -> Token | None:
    """Whose *secret* this is, unless it was revoked. Notes that it was used, at most every few minutes."""
    row = await connection.fetchrow(
        f"{_SELECT} WHERE t.token_sha256 = $2 AND t.revoked_at IS NULL", TOUCH_AFTER, token_hash(secret)
    )
    if row is None:
        return None
    if row["is_old"]:
        await connection.execute("UPDATE api_token SET used_at = clock_timestamp() WHERE id = $1", row["id"])
    return _token(row)


async def everything(connection: Connection) -> list[Token]:
    """The newest first, what was revoked last."""
    rows = await connection.fetch(f"{_SELECT} ORDER BY t.revoked_at IS NOT NULL, t.id DESC", TOUCH_AFTER)
    return [_token(row) for row in rows]


async def create(
    connection: Connection,
    *,
    kind: Literal["team", "device"],
    name: str,
    scopes: Collection[Scope],
    event_ids: Sequence[UUID] | None,
    member_id: UUID | None,
) -> tuple[UUID, str]:
    """(its id, the secret that is shown this once). Must run in a transaction."""
    secret, identity = PREFIXES[kind] + new_token(), uuid7()
    await connection.execute(
        "INSERT INTO api_token (id, kind, label, token_sha256, scopes, all_events, created_by) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        identity,
        kind,
        name,
        token_hash(secret),
        sorted(scopes),
        event_ids is None,
        member_id,
    )
    await connection.execute(
        "INSERT INTO api_token_event (token_id, event_id) SELECT $1, id FROM event WHERE id = ANY($2)",
        identity,
        list(event_ids or ()),
    )
    actor = Actor("member", member_id)
    await audit.record(connection, actor, f"{kind} token made", "token", identity, ("scopes", "events"))
    return identity, secret


async def revoke(connection: Connection, token_id: UUID, member_id: UUID) -> bool:
    """False if there is none, or it was revoked before. Must run in a transaction."""
    kind = await connection.fetchval(
        "UPDATE api_token SET revoked_at = clock_timestamp(), version = version + 1 "
        "WHERE id = $1 AND revoked_at IS NULL RETURNING kind",
        token_id,
    )
    if kind is not None:
        await tombstones.bury(connection, "device" if kind == "device" else "token", token_id)
        await connection.execute("DELETE FROM idempotency WHERE token_id = $1", token_id)
        await audit.record(connection, Actor("member", member_id), "token revoked", "token", token_id, ("revoked_at",))
    return kind is not None


async def offer_enrolment(connection: Connection, *, name: str, event_ids: Sequence[UUID], member_id: UUID) -> str:
    """The code that a device reads within ten minutes. Sweeps those that nobody read."""
    await connection.execute(
        "DELETE FROM enrolment WHERE token_id IS NULL AND expires_at < clock_timestamp() - interval '1 day'"
    )
    code, identity = new_token(), uuid7()
    await connection.execute(
        "INSERT INTO enrolment (id, code_sha256, label, event_ids, created_by, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, clock_timestamp() + $6::interval)",
        identity,
        token_hash(code),
        name,
        list(event_ids),
        member_id,
        ENROLMENT_LIFETIME,
    )
    await audit.record(connection, Actor("member", member_id), "enrolment offered", "enrolment", identity)
    return code


async def enrol(connection: Connection, code: str) -> str | None:
    """A device's own secret for a code, once; None if the code is unknown, used or too old. In a transaction."""
    row = await connection.fetchrow(
        "SELECT id, label, event_ids, created_by FROM enrolment "
        "WHERE code_sha256 = $1 AND token_id IS NULL AND expires_at > clock_timestamp() FOR UPDATE",
        token_hash(code),
    )
    if row is None:
        return None
    token_id, secret = await create(
        connection,
        kind="device",
        name=row["label"],
        scopes=DEVICE_SCOPES,
        event_ids=row["event_ids"],
        member_id=row["created_by"],
    )
    await connection.execute("UPDATE enrolment SET token_id = $2 WHERE id = $1", row["id"], token_id)
    return secret
