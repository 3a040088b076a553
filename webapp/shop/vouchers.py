"""Vouchers: what a code is good for, and whether it still is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.shop import stock
from skep.webapp.shop.money import Effect, discounted
from skep.webapp.shop.refusal import Refused

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.pool import Connection

CODE_LIMIT = 40


@dataclass(frozen=True, slots=True)
class Voucher:
    """*type_id* None: good for every type. *uses_left* counts orders and live carts."""

    id: UUID
    code: str
    type_id: UUID | None
    effect: Effect
    value: int
    blocks_stock: bool
    is_expired: bool
    max_uses: int
    sold: int
    held: int

    @property
    def uses_left(self) -> int:
        return max(0, self.max_uses - self.sold - self.held)

    def is_for(self, type_id: UUID) -> bool:
        return self.type_id is None or self.type_id == type_id

    def keeps_places_of(self, type_id: UUID) -> bool:
        return self.blocks_stock and self.type_id == type_id

    def price(self, price: int) -> int:
        return discounted(price, self.effect, self.value)


def normal_code(text: str) -> str:
    """A code as it is stored: people type it in any case and with spaces around."""
    return "".join(text.split()).upper()[:CODE_LIMIT]


_SELECT = """
SELECT id, code, type_id, effect, value, blocks_stock, max_uses,
       coalesce(expires_at <= clock_timestamp(), false) AS is_expired FROM voucher
"""


async def find(connection: Connection, event_id: UUID, code: str) -> Voucher | None:
    row = await connection.fetchrow(f"{_SELECT} WHERE event_id = $1 AND code = $2", event_id, normal_code(code))
    return await _counted(connection, row)


async def exist(connection: Connection, event_id: UUID) -> bool:
    """Is there a code to ask for at all?"""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM voucher WHERE event_id = $1)", event_id))


async def by_id(connection: Connection, voucher_id: UUID) -> Voucher | None:
    return await _counted(connection, await connection.fetchrow(f"{_SELECT} WHERE id = $1", voucher_id))


async def _counted(connection: Connection, row: asyncpg.Record | None) -> Voucher | None:
    if row is None:
        return None
    sold, held = await stock.voucher_uses(connection, row["id"])
    return Voucher(**dict(row), sold=sold, held=held)


def usable(voucher: Voucher | None) -> Voucher:
    """Raises Refused for a code that is unknown, expired, used up, or in other people's carts for now."""
    if voucher is None:
        raise Refused("voucher-unknown")
    if voucher.is_expired:
        raise Refused("voucher-expired")
    if voucher.sold >= voucher.max_uses:
        raise Refused("voucher-used")
    if not voucher.uses_left:
        raise Refused("voucher-locked")
    return voucher
