"""The secret address of a member's calendar: programs that read calendars cannot sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.ids import new_token, token_hash

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


async def renew(connection: Connection, member_id: UUID) -> str:
    """The token of a new address; the one before is gone."""
    token = new_token()
    await connection.execute(
        "INSERT INTO calendar_feed (member_id, token_sha256) VALUES ($1, $2) "
        "ON CONFLICT (member_id) DO UPDATE SET token_sha256 = $2, created_at = clock_timestamp()",
        member_id,
        token_hash(token),
    )
    return token


async def end(connection: Connection, member_id: UUID) -> bool:
    """False if there was none."""
    found = await connection.fetchval("DELETE FROM calendar_feed WHERE member_id = $1 RETURNING true", member_id)
    return bool(found)


async def exists(connection: Connection, member_id: UUID) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM calendar_feed WHERE member_id = $1)", member_id))


async def find(connection: Connection, token: str) -> tuple[UUID, bool] | None:
    """Whose calendar: (person, are they an owner); None for an address that is unknown or whose member is shut out."""
    row = await connection.fetchrow(
        "SELECT m.person_id, m.role = 'owner' AS is_owner FROM calendar_feed f JOIN member m ON m.id = f.member_id "
        "WHERE f.token_sha256 = $1 AND m.disabled_at IS NULL",
        token_hash(token),
    )
    return None if row is None else (row["person_id"], row["is_owner"])
