"""What an event offers: its sessions, ticket types, pools and questions, with what is left of them now."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.i18n import dates
from skep.webapp.shop import stock
from skep.webapp.shop.availability import Pool, Sale, Window, left_of
from skep.webapp.store.texts import Texts

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.pool import Connection


@dataclass(frozen=True, slots=True)
class Session:
    """Moments are in the event's zone."""

    id: UUID
    title: Texts
    starts_at: datetime
    ends_at: datetime
    is_over: bool
    version: int


@dataclass(frozen=True, slots=True)
class TicketType:
    id: UUID
    session_id: UUID
    title: Texts
    description: Texts
    price: int
    tax_bp: int
    sales: Window
    min_per_order: int
    max_per_order: int | None
    needs_voucher: bool
    is_active: bool
    pool_ids: tuple[UUID, ...]
    version: int


@dataclass(frozen=True, slots=True)
class Question:
    """*type_ids* empty: asked for every ticket. *choices*: an answer names one by its place."""

    id: UUID
    kind: str
    label: Texts
    hint: Texts
    choices: tuple[Texts, ...]
    is_required: bool
    type_ids: frozenset[UUID]
    version: int = 1

    def is_for(self, type_id: UUID) -> bool:
        return not self.type_ids or type_id in self.type_ids


@dataclass(frozen=True)
class Catalog:
    """One event's offer at the database's *now*."""

    event_id: UUID
    now: datetime
    is_selling: bool  # live, not over
    max_per_order: int
    sessions: tuple[Session, ...]
    types: tuple[TicketType, ...]
    pools: dict[UUID, Pool]

    @cached_property
    def session_by_id(self) -> dict[UUID, Session]:
        return {session.id: session for session in self.sessions}

    @cached_property
    def type_by_id(self) -> dict[UUID, TicketType]:
        return {kind.id: kind for kind in self.types}

    def left(self, kind: TicketType) -> int | None:
        return left_of(kind.pool_ids, self.pools)

    def sale(self, kind: TicketType) -> Sale:
        """May it be bought now, by somebody without a voucher?"""
        if not self.is_selling or not kind.is_active or self.session_by_id[kind.session_id].is_over:
            return "closed"
        state = kind.sales.at(self.now)
        if state != "open":
            return state
        if kind.needs_voucher:
            return "voucher"
        return "sold out" if self.left(kind) == 0 else "open"

    @property
    def public_types(self) -> tuple[TicketType, ...]:
        return tuple(kind for kind in self.types if kind.is_active and not kind.needs_voucher)

    @property
    def is_open(self) -> bool:
        return any(self.sale(kind) == "open" for kind in self.public_types)

    @property
    def is_sold_out(self) -> bool:
        """Nothing can be had, and stock is the only reason for at least one type."""
        return not self.is_open and any(self.sale(kind) == "sold out" for kind in self.public_types)

    @property
    def price_from(self) -> int | None:
        """The least price of what is for sale, now or later. None: nothing is."""
        prices = [kind.price for kind in self.public_types if self.sale(kind) in ("open", "soon", "sold out")]
        return min(prices, default=None)

    @property
    def is_free(self) -> bool:
        return all(kind.price == 0 for kind in self.types if kind.is_active)

    @property
    def left_in_all(self) -> int | None:
        """Places over all pools of sessions to come; None: unlimited."""
        coming = {session.id for session in self.sessions if not session.is_over}
        pools = [pool for pool in self.pools.values() if pool.session_id in coming]
        if any(pool.left is None for pool in pools) or not pools or any(not kind.pool_ids for kind in self.types):
            return None
        return sum(pool.left or 0 for pool in pools)


async def load(
    connection: Connection, event_ids: Iterable[UUID], *, except_cart: UUID | None = None, counted: bool = True
) -> dict[UUID, Catalog]:
    """The catalogs of these events. Without the lock that `stock` describes it is for showing only.

    Not *counted*, pools are left out: for pages that are not about what is left.
    """
    wanted = list(event_ids)
    rows = await connection.fetch(
        "SELECT s.id, s.event_id, s.title, s.starts_at, s.ends_at, s.version, e.language, e.timezone, e.max_per_order, "
        "e.status = 'live' AS is_live, clock_timestamp() AS now "
        "FROM event_session s JOIN event e ON e.id = s.event_id WHERE s.event_id = ANY($1) ORDER BY s.starts_at, s.id",
        wanted,
    )
    by_event: dict[UUID, list[asyncpg.Record]] = {event_id: [] for event_id in wanted}
    for row in rows:
        by_event[row["event_id"]].append(row)
    session_ids = [row["id"] for row in rows]
    own = {row["id"]: row["language"] for row in rows}
    types = await connection.fetch(
        "SELECT t.*, ARRAY(SELECT tp.pool_id FROM ticket_type_pool tp WHERE tp.type_id = t.id ORDER BY 1) AS pool_ids "
        "FROM ticket_type t WHERE t.session_id = ANY($1) ORDER BY t.rank, t.id",
        session_ids,
    )
    pools = await stock.pools_of(connection, session_ids, except_cart=except_cart) if counted else {}
    found: dict[UUID, Catalog] = {}
    for event_id, sessions in by_event.items():
        if not sessions:
            continue
        first = sessions[0]
        here = {row["id"] for row in sessions}
        found[event_id] = Catalog(
            event_id=event_id,
            now=first["now"],
            is_selling=first["is_live"] and any(row["ends_at"] > first["now"] for row in sessions),
            max_per_order=first["max_per_order"],
            sessions=tuple(_session(row) for row in sessions),
            types=tuple(_type(row, own[row["session_id"]]) for row in types if row["session_id"] in here),
            pools={pool.id: pool for pool in pools.values() if pool.session_id in here},
        )
    return found


async def load_one(
    connection: Connection, event_id: UUID, *, except_cart: UUID | None = None, counted: bool = True
) -> Catalog:
    """Raises KeyError if the event has no session, which no page of ours makes."""
    return (await load(connection, [event_id], except_cart=except_cart, counted=counted))[event_id]


async def questions(connection: Connection, event_id: UUID, language: str) -> tuple[Question, ...]:
    """Those of the checkout, in the order in which they are asked; *language* is the event's own."""
    rows = await connection.fetch(
        "SELECT q.*, ARRAY(SELECT qt.type_id FROM question_type qt WHERE qt.question_id = q.id) AS type_ids "
        "FROM question q WHERE q.event_id = $1 AND NOT q.at_door ORDER BY q.rank, q.id",
        event_id,
    )
    return tuple(
        Question(
            id=row["id"],
            kind=row["kind"],
            label=Texts(json.loads(row["label"]), language),
            hint=Texts(json.loads(row["hint"]), language),
            choices=tuple(Texts(choice, language) for choice in json.loads(row["choices"])),
            is_required=row["is_required"],
            type_ids=frozenset(row["type_ids"]),
            version=row["version"],
        )
        for row in rows
    )


def _session(row: asyncpg.Record) -> Session:
    zone = dates.zone(row["timezone"])
    return Session(
        id=row["id"],
        title=Texts(json.loads(row["title"]), row["language"]),
        starts_at=row["starts_at"].astimezone(zone),
        ends_at=row["ends_at"].astimezone(zone),
        is_over=row["ends_at"] <= row["now"],
        version=row["version"],
    )


def _type(row: asyncpg.Record, own: str) -> TicketType:
    return TicketType(
        id=row["id"],
        session_id=row["session_id"],
        title=Texts(json.loads(row["title"]), own),
        description=Texts(json.loads(row["description"]), own),
        price=row["price"],
        tax_bp=row["tax_bp"],
        sales=Window(row["sales_start"], row["sales_end"]),
        min_per_order=row["min_per_order"],
        max_per_order=row["max_per_order"],
        needs_voucher=row["needs_voucher"],
        is_active=row["is_active"],
        pool_ids=tuple(row["pool_ids"]),
        version=row["version"],
    )
