"""What stays gone: written with what removes it, read when rows of an earlier day are put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

Kind: TypeAlias = Literal["person", "member", "token", "device", "unsubscribed", "invoice"]


async def bury(connection: Connection, kind: Kind, *ids: object, value: int | None = None) -> None:
    """*ids*: UUIDs; of an address its SHA-256 in hex; of an invoice series its name, with its highest number as *value*.

    Twice is once; a number only rises.
    """
    await connection.execute(
        "INSERT INTO tombstone (kind, id, value) SELECT $1, id, $3 FROM unnest($2::text[]) AS id "
        "ON CONFLICT (kind, id) DO UPDATE SET value = greatest(tombstone.value, excluded.value), "
        "buried_at = CASE WHEN excluded.value > tombstone.value THEN excluded.buried_at ELSE tombstone.buried_at END",
        kind,
        [str(identity) for identity in ids],
        value,
    )
