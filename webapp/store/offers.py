"""What an organizer offers: sessions, pools, ticket types, questions, vouchers, written.

Reading them with what is left is `shop.catalog`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from skep.webapp.ids import uuid7

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


class StaleVersion(Exception):
    """Somebody else saved the row meanwhile."""


class CodeTaken(Exception):
    """The event has a voucher of this code already."""


class InUse(Exception):
    """Something was sold with it: it stays."""


@dataclass(frozen=True, slots=True)
class TypeDraft:
    """A ticket type as written; texts by language."""

    session_id: UUID
    title: dict[str, str]
    price: int
    tax_bp: int
    description: dict[str, str] = field(default_factory=dict)
    pool_ids: tuple[UUID, ...] = ()
    rank: int = 0
    sales_start: datetime | None = None
    sales_end: datetime | None = None
    min_per_order: int = 1
    max_per_order: int | None = None
    needs_voucher: bool = False
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class VoucherDraft:
    code: str
    type_id: UUID | None
    max_uses: int
    effect: str = "none"
    value: int = 0
    blocks_stock: bool = False
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuestionDraft:
    kind: str
    label: dict[str, str]
    hint: dict[str, str] = field(default_factory=dict)
    choices: tuple[dict[str, str], ...] = ()
    is_required: bool = False
    type_ids: tuple[UUID, ...] = ()


async def create_session(
    connection: Connection, event_id: UUID, *, starts_at: datetime, ends_at: datetime, title: dict[str, str]
) -> UUID:
    session_id = uuid7()
    await connection.execute(
        "INSERT INTO event_session (id, event_id, starts_at, ends_at, title) VALUES ($1, $2, $3, $4, $5)",
        session_id,
        event_id,
        starts_at,
        ends_at,
        _json(title),
    )
    return session_id


async def save_session(
    connection: Connection,
    session_id: UUID,
    *,
    starts_at: datetime,
    ends_at: datetime,
    title: dict[str, str],
    version: int,
) -> None:
    """Raises StaleVersion unless it still has *version*. A title that is empty goes."""
    saved = await connection.fetchval(
        "UPDATE event_session SET starts_at = $3, ends_at = $4, title = $5, version = version + 1 "
        "WHERE id = $1 AND version = $2 RETURNING true",
        session_id,
        version,
        starts_at,
        ends_at,
        _json(title),
    )
    if not saved:
        raise StaleVersion


async def create_pool(
    connection: Connection,
    session_id: UUID,
    *,
    size: int | None,
    title: dict[str, str] | None = None,
    identity: UUID | None = None,
) -> UUID:
    pool_id = identity or uuid7()
    await connection.execute(
        "INSERT INTO stock_pool (id, session_id, size, title) VALUES ($1, $2, $3, $4)",
        pool_id,
        session_id,
        size,
        _json(title or {}),
    )
    return pool_id


async def resize_pool(connection: Connection, pool_id: UUID, size: int | None) -> None:
    """Also below what is held: carts that live still succeed."""
    await connection.execute("UPDATE stock_pool SET size = $2, version = version + 1 WHERE id = $1", pool_id, size)


async def save_type(connection: Connection, draft: TypeDraft, *, type_id: UUID | None = None, version: int = 0) -> UUID:
    """A new type, or *type_id* if it still has *version*. Raises StaleVersion."""
    values = (
        draft.session_id,
        _json(draft.title),
        _json(draft.description),
        draft.rank,
        draft.price,
        draft.tax_bp,
        draft.sales_start,
        draft.sales_end,
        draft.min_per_order,
        draft.max_per_order,
        draft.needs_voucher,
        draft.is_active,
    )
    if type_id is None:
        type_id = uuid7()
        await connection.execute(
            "INSERT INTO ticket_type (id, session_id, title, description, rank, price, tax_bp, sales_start, sales_end, "
            "min_per_order, max_per_order, needs_voucher, is_active) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            type_id,
            *values,
        )
    else:
        saved = await connection.fetchval(
            "UPDATE ticket_type SET session_id = $3, title = title || $4::jsonb, "
            "description = description || $5::jsonb, rank = $6, price = $7, tax_bp = $8, sales_start = $9, "
            "sales_end = $10, min_per_order = $11, max_per_order = $12, needs_voucher = $13, is_active = $14, "
            "version = version + 1 WHERE id = $1 AND version = $2 RETURNING true",
            type_id,
            version,
            *values,
        )
        if not saved:
            raise StaleVersion
        await connection.execute("DELETE FROM ticket_type_pool WHERE type_id = $1", type_id)
    await connection.execute(
        "INSERT INTO ticket_type_pool (type_id, pool_id) SELECT $1, unnest($2::uuid[])", type_id, list(draft.pool_ids)
    )
    return type_id


async def create_voucher(connection: Connection, event_id: UUID, draft: VoucherDraft) -> UUID:
    """Raises CodeTaken."""
    voucher_id = uuid7()
    made = await connection.fetchval(
        "INSERT INTO voucher (id, event_id, code, type_id, max_uses, effect, value, blocks_stock, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (event_id, code) DO NOTHING RETURNING true",
        voucher_id,
        event_id,
        draft.code,
        draft.type_id,
        draft.max_uses,
        draft.effect,
        draft.value,
        draft.blocks_stock,
        draft.expires_at,
    )
    if not made:
        raise CodeTaken
    return voucher_id


async def delete_voucher(connection: Connection, event_id: UUID, voucher_id: UUID) -> None:
    """Raises InUse if something was ordered with it: the order refers to it."""
    try:
        async with connection.transaction():
            await connection.execute("DELETE FROM voucher WHERE id = $1 AND event_id = $2", voucher_id, event_id)
    except asyncpg.ForeignKeyViolationError as error:
        raise InUse from error


@dataclass(frozen=True, slots=True)
class Uses:
    """How often a voucher is good, and until when."""

    id: UUID
    code: str
    max_uses: int
    expires_at: datetime | None


async def uses(connection: Connection, event_id: UUID, voucher_id: UUID) -> Uses | None:
    row = await connection.fetchrow(
        "SELECT id, code, max_uses, expires_at FROM voucher WHERE id = $1 AND event_id = $2", voucher_id, event_id
    )
    return None if row is None else Uses(**dict(row))


async def end_voucher(connection: Connection, event_id: UUID, voucher_id: UUID, expires_at: datetime | None) -> None:
    """Until when it is good; None: always. What was ordered with it stays."""
    await connection.execute(
        "UPDATE voucher SET expires_at = $3, version = version + 1 WHERE id = $1 AND event_id = $2",
        voucher_id,
        event_id,
        expires_at,
    )


async def limit_voucher(connection: Connection, event_id: UUID, voucher_id: UUID, max_uses: int) -> None:
    """Raises InUse if it was used more often already. Must run in a transaction that holds the voucher's lock."""
    used = await connection.fetchval(
        "SELECT count(*) FROM order_position WHERE voucher_id = $1 AND is_held", voucher_id
    )
    if max_uses < used:
        raise InUse
    await connection.execute(
        "UPDATE voucher SET max_uses = $3, version = version + 1 WHERE id = $1 AND event_id = $2",
        voucher_id,
        event_id,
        max_uses,
    )


async def create_question(connection: Connection, event_id: UUID, draft: QuestionDraft) -> UUID:
    """Asked after those that exist."""
    question_id = uuid7()
    await connection.execute(
        "INSERT INTO question (id, event_id, kind, label, hint, choices, is_required, rank) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, "
        "(SELECT coalesce(max(rank), -1) + 1 FROM question WHERE event_id = $2))",
        question_id,
        event_id,
        draft.kind,
        _json(draft.label),
        _json(draft.hint),
        json.dumps(draft.choices, ensure_ascii=False),
        draft.is_required,
    )
    await connection.execute(
        "INSERT INTO question_type (question_id, type_id) SELECT $1, unnest($2::uuid[])",
        question_id,
        list(draft.type_ids),
    )
    return question_id


async def save_question(
    connection: Connection, event_id: UUID, question_id: UUID, draft: QuestionDraft, *, version: int
) -> None:
    """Other words in the draft's language; those in other languages stay. For which types it is asked stays too.

    Raises StaleVersion unless it still has *version*.
    """
    row = await connection.fetchrow(
        "SELECT choices FROM question WHERE id = $1 AND event_id = $2 AND version = $3 FOR UPDATE",
        question_id,
        event_id,
        version,
    )
    if row is None:
        raise StaleVersion
    before = json.loads(row["choices"])
    choices = [
        {**(before[place] if place < len(before) else {}), **choice} for place, choice in enumerate(draft.choices)
    ]
    await connection.execute(
        "UPDATE question SET kind = $2, label = label || $3::jsonb, hint = hint || $4::jsonb, choices = $5, "
        "is_required = $6, version = version + 1 WHERE id = $1",
        question_id,
        draft.kind,
        _json(draft.label),
        _json(draft.hint),
        json.dumps(choices, ensure_ascii=False),
        draft.is_required,
    )


async def is_answered(connection: Connection, question_id: UUID) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM answer WHERE question_id = $1)", question_id))


async def delete_question(connection: Connection, event_id: UUID, question_id: UUID) -> None:
    """Raises InUse if somebody answered it."""
    try:
        async with connection.transaction():
            await connection.execute("DELETE FROM question WHERE id = $1 AND event_id = $2", question_id, event_id)
    except asyncpg.ForeignKeyViolationError as error:
        raise InUse from error


def _json(value: dict[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False)
