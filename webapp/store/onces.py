"""Requests that must have one effect, by token and key; what was answered is sealed by whoever asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

KEPT = timedelta(hours=24)
LOST_AFTER = timedelta(minutes=2)  # longer than any request may take


@dataclass(frozen=True, slots=True)
class Once:
    """*answer* None: not answered yet; *is_lost*: and never will be."""

    request_sha256: bytes
    status: int | None
    answer: bytes | None
    is_lost: bool


async def begin(connection: Connection, token_id: UUID, name: bytes, request_sha256: bytes) -> Once | None:
    """None: this is the first, and now it is on its way. Must run in a transaction of its own."""
    made = await connection.fetchval(
        "INSERT INTO idempotency (token_id, key_sha256, request_sha256) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING "
        "RETURNING true",
        token_id,
        name,
        request_sha256,
    )
    if made:
        return None
    row = await connection.fetchrow(
        "SELECT request_sha256, status, answer, created_at <= clock_timestamp() - $3::interval AS is_lost "
        "FROM idempotency WHERE token_id = $1 AND key_sha256 = $2",
        token_id,
        name,
        LOST_AFTER,
    )
    return Once(request_sha256, None, None, is_lost=False) if row is None else Once(**dict(row))


async def finish(connection: Connection, token_id: UUID, name: bytes, status: int, answer: bytes) -> None:
    await connection.execute(
        "UPDATE idempotency SET status = $3, answer = $4 WHERE token_id = $1 AND key_sha256 = $2",
        token_id,
        name,
        status,
        answer,
    )


async def forget(connection: Connection, token_id: UUID, name: bytes) -> None:
    await connection.execute("DELETE FROM idempotency WHERE token_id = $1 AND key_sha256 = $2", token_id, name)


async def sweep(connection: Connection) -> None:
    await connection.execute("DELETE FROM idempotency WHERE created_at <= clock_timestamp() - $1::interval", KEPT)
