"""Carts: places held for a while, for a browser that has no account.

A cart belongs to a random secret in a cookie, of which the database has the hash. Every row of it is one place, at the
price it had when it was taken. Past its end its places are free for others; its rows stay, and are tried again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.ids import token_hash, uuid7
from skep.webapp.shop import catalog as catalogs
from skep.webapp.shop import stock, vouchers
from skep.webapp.shop.availability import Pool, grant
from skep.webapp.shop.catalog import Catalog, TicketType
from skep.webapp.shop.money import Amount, total, with_tax
from skep.webapp.shop.refusal import Note, Refused
from skep.webapp.shop.vouchers import Voucher

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.store.pool import Connection, Database

HOLD = timedelta(minutes=30)  # long enough to find a card and type four names
RENEWAL_CAP = timedelta(minutes=90)  # from the cart's beginning: nobody keeps places for ever by adding and removing
KEPT_AFTER_END = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Hold:
    id: UUID
    type_id: UUID
    session_id: UUID
    voucher_id: UUID | None
    price: int
    tax_bp: int

    @property
    def amount(self) -> Amount:
        return with_tax(self.price, self.tax_bp)


@dataclass(frozen=True, slots=True)
class Cart:
    """*remaining* may be below zero: then its places are free for others. *holds* in the order of taking."""

    id: UUID
    event_id: UUID
    expires_at: datetime
    remaining: timedelta
    holds: tuple[Hold, ...]

    @property
    def is_live(self) -> bool:
        return self.remaining > timedelta(0)

    @property
    def is_safe(self) -> bool:
        """Long enough to live to be confirmed without the lock."""
        return self.remaining >= stock.SAFE_MARGIN

    @property
    def total(self) -> Amount:
        return total([hold.amount for hold in self.holds])

    def count(self, type_id: UUID) -> int:
        return sum(hold.type_id == type_id for hold in self.holds)


_SELECT = """
SELECT c.id AS cart_id, c.event_id, c.expires_at, c.expires_at - clock_timestamp() AS remaining,
       h.id, h.type_id, h.session_id, h.voucher_id, h.price, h.tax_bp
FROM cart c LEFT JOIN cart_hold h ON h.cart_id = c.id WHERE c.buyer_sha256 = $1 AND c.event_id = $2 ORDER BY h.id
"""


async def find(connection: Connection, event_id: UUID, buyer: str, *, for_update: bool = False) -> Cart | None:
    """The cart of the browser that holds *buyer*, live or not."""
    rows = await connection.fetch(f"{_SELECT}{' FOR UPDATE OF c' if for_update else ''}", token_hash(buyer), event_id)
    if not rows:
        return None
    first = rows[0]
    return Cart(
        id=first["cart_id"],
        event_id=first["event_id"],
        expires_at=first["expires_at"],
        remaining=first["remaining"],
        holds=tuple(_hold(row) for row in rows if row["id"] is not None),
    )


async def _holds(connection: Connection, cart_id: UUID) -> tuple[Hold, ...]:
    rows = await connection.fetch(
        "SELECT id, type_id, session_id, voucher_id, price, tax_bp FROM cart_hold WHERE cart_id = $1 ORDER BY id",
        cart_id,
    )
    return tuple(_hold(row) for row in rows)


def _hold(row: asyncpg.Record) -> Hold:
    return Hold(row["id"], row["type_id"], row["session_id"], row["voucher_id"], row["price"], row["tax_bp"])


async def add(
    database: Database, event_id: UUID, buyer: str, wanted: Mapping[UUID, int], *, code: str = ""
) -> tuple[Note, ...]:
    """Hold *wanted* (type: how many) and renew the whole cart; what could not be had is in the notes.

    With nothing wanted the cart is renewed. Raises Refused, and then nothing changed, for what may not be sold or goes
    over a limit; Busy if too many people want these places at this second.
    """

    async def keys(connection: Connection) -> set[int]:
        found = await keys_to_add(connection, event_id, buyer, wanted)
        voucher = await vouchers.find(connection, event_id, code) if code else None
        return found | ({stock.voucher_key(voucher.id)} if voucher else set())

    async def work(connection: Connection, locked: set[int]) -> tuple[Note, ...]:
        cart, is_new = await _open(connection, event_id, buyer)
        catalog = await catalogs.load_one(connection, event_id, except_cart=cart.id)
        require_locks(catalog, cart, wanted, locked)
        cart, notes = await recheck(connection, cart, catalog)
        voucher = vouchers.usable(await vouchers.find(connection, event_id, code)) if code else None
        _refuse_what_may_not_be(catalog, cart, wanted, voucher)
        taken, fewer = await _take(connection, cart, catalog, wanted, voucher)
        if taken or cart.holds:
            if not is_new:
                await renew(connection, cart)
        else:
            await connection.execute("DELETE FROM cart WHERE id = $1", cart.id)
        return notes + fewer

    return await stock.in_turn(database, keys, work)


async def remove(connection: Connection, event_id: UUID, buyer: str, type_id: UUID, number: int) -> None:
    """Give back up to *number* places of a type. Freeing needs no lock."""
    cart = await find(connection, event_id, buyer, for_update=True)
    if cart is None:
        return
    going = [hold.id for hold in reversed(cart.holds) if hold.type_id == type_id][:number]
    await connection.execute("DELETE FROM cart_hold WHERE id = ANY($1)", going)
    if len(going) == len(cart.holds):
        await connection.execute("DELETE FROM cart WHERE id = $1", cart.id)


async def sweep(connection: Connection) -> None:
    """Forget carts that ended a day ago. Twice changes nothing the second time."""
    await connection.execute("DELETE FROM cart WHERE expires_at < clock_timestamp() - $1::interval", KEPT_AFTER_END)


async def lock_keys(
    connection: Connection, cart: Cart | None, wanted: Mapping[UUID, int], voucher: Voucher | None
) -> set[int]:
    """The locks for taking *wanted* and what *cart* has: its limited pools, and the vouchers."""
    types = {*wanted, *(hold.type_id for hold in cart.holds)} if cart else set(wanted)
    limited = await connection.fetch(
        "SELECT DISTINCT p.id FROM ticket_type_pool tp JOIN stock_pool p ON p.id = tp.pool_id "
        "WHERE tp.type_id = ANY($1) AND p.size IS NOT NULL",
        list(types),
    )
    used = {hold.voucher_id for hold in cart.holds if hold.voucher_id} if cart else set()
    codes = used | ({voucher.id} if voucher else set())
    return {stock.pool_key(row["id"]) for row in limited} | {stock.voucher_key(identity) for identity in codes}


def require_locks(catalog: Catalog, cart: Cart, wanted: Mapping[UUID, int], locked: set[int]) -> None:
    """Raises Busy if a pool was limited, or a place added, between choosing the locks and having them."""
    types = {*wanted, *(hold.type_id for hold in cart.holds)} & catalog.type_by_id.keys()
    pools = {pool_id for type_id in types for pool_id in catalog.type_by_id[type_id].pool_ids}
    stock.require(locked, (catalog.pools[pool_id] for pool_id in pools))


async def recheck(connection: Connection, cart: Cart, catalog: Catalog) -> tuple[Cart, tuple[Note, ...]]:
    """*cart* with what it still may have: a live one everything, an ended one what nobody took meanwhile.

    Needs the locks of its pools, and a *catalog* read after them that leaves this cart out.
    """
    if cart.is_live or not cart.holds:
        return cart, ()
    kept: list[Hold] = []
    pools = catalog.pools
    kept_by_voucher: Counter[UUID] = Counter()
    for hold in cart.holds:
        kind = catalog.type_by_id.get(hold.type_id)
        if kind is None or not kind.is_active or not catalog.is_selling:
            continue
        if hold.voucher_id is not None:
            voucher = await vouchers.by_id(connection, hold.voucher_id)
            if voucher is None or voucher.is_expired or voucher.uses_left <= kept_by_voucher[voucher.id]:
                continue
            kept_by_voucher[voucher.id] += 1
            if voucher.keeps_places_of(kind.id):
                kept.append(hold)
                continue
        if grant([(kind.id, 1)], _drawn_on(catalog), pools)[kind.id]:
            kept.append(hold)
            pools = _occupied(pools, kind, 1)
    lost = Counter(hold.type_id for hold in cart.holds) - Counter(hold.type_id for hold in kept)
    await connection.execute(
        "DELETE FROM cart_hold WHERE cart_id = $1 AND NOT id = ANY($2)", cart.id, [hold.id for hold in kept]
    )
    notes = tuple(Note("lost", catalog.type_by_id[type_id].title, number) for type_id, number in lost.items())
    return replace(cart, holds=tuple(kept)), notes


# What `lock_keys` finds, for wanted types and the cart of a browser, in one statement.
_KEYS = """
WITH held AS (SELECT h.type_id, h.voucher_id FROM cart c JOIN cart_hold h ON h.cart_id = c.id
              WHERE c.buyer_sha256 = $2 AND c.event_id = $3)
SELECT p.id AS pool, NULL AS voucher FROM stock_pool p WHERE p.size IS NOT NULL AND p.id IN (
    SELECT tp.pool_id FROM ticket_type_pool tp WHERE tp.type_id = ANY($1) OR tp.type_id IN (SELECT type_id FROM held))
UNION ALL SELECT NULL, voucher_id FROM held WHERE voucher_id IS NOT NULL
"""


async def keys_to_add(connection: Connection, event_id: UUID, buyer: str, wanted: Mapping[UUID, int]) -> set[int]:
    rows = await connection.fetch(_KEYS, list(wanted), token_hash(buyer), event_id)
    return {stock.pool_key(row["pool"]) if row["pool"] else stock.voucher_key(row["voucher"]) for row in rows}


async def _open(connection: Connection, event_id: UUID, buyer: str) -> tuple[Cart, bool]:
    """The browser's cart, and whether it was made just now; its row stays ours until the transaction ends."""
    row = await connection.fetchrow(
        "INSERT INTO cart (id, event_id, buyer_sha256, expires_at, renew_until) "
        "VALUES ($1, $2, $3, clock_timestamp() + $4::interval, clock_timestamp() + $5::interval) "
        "ON CONFLICT (buyer_sha256, event_id) DO UPDATE SET version = cart.version + 1 "
        "RETURNING id, event_id, expires_at, expires_at - clock_timestamp() AS remaining, xmax = 0 AS is_new",
        uuid7(),
        event_id,
        token_hash(buyer),
        HOLD,
        RENEWAL_CAP,
    )
    assert row is not None  # noqa: S101 (the insert or the update returns one)
    is_new: bool = row["is_new"]  # nobody else ever wrote this row: it has no holds
    holds = () if is_new else await _holds(connection, row["id"])
    return Cart(row["id"], row["event_id"], row["expires_at"], row["remaining"], holds), is_new


async def renew(connection: Connection, cart: Cart) -> None:
    """All of it, up to the cap; an ended cart begins anew."""
    if cart.is_live:
        await connection.execute(
            "UPDATE cart SET expires_at = greatest(expires_at, least(renew_until, clock_timestamp() + $2::interval)) "
            "WHERE id = $1",
            cart.id,
            HOLD,
        )
    else:
        await connection.execute(
            "UPDATE cart SET created_at = clock_timestamp(), expires_at = clock_timestamp() + $2::interval, "
            "renew_until = clock_timestamp() + $3::interval WHERE id = $1",
            cart.id,
            HOLD,
            RENEWAL_CAP,
        )


def _refuse_what_may_not_be(catalog: Catalog, cart: Cart, wanted: Mapping[UUID, int], voucher: Voucher | None) -> None:
    for type_id, number in wanted.items():
        kind = catalog.type_by_id.get(type_id)
        if kind is None:
            raise Refused("unknown")
        match catalog.sale(kind):
            case "closed":
                raise Refused("closed", what=kind.title)
            case "soon":
                raise Refused("soon", what=kind.title)
            case "over":
                raise Refused("over", what=kind.title)
        if kind.needs_voucher and (voucher is None or not voucher.is_for(type_id)):
            raise Refused("voucher-needed", what=kind.title)
        in_all = cart.count(type_id) + number
        if kind.max_per_order is not None and in_all > kind.max_per_order:
            raise Refused("type-limit", what=kind.title, number=kind.max_per_order)
        if in_all < kind.min_per_order:
            raise Refused("type-minimum", what=kind.title, number=kind.min_per_order)
    if len(cart.holds) + sum(wanted.values()) > catalog.max_per_order:
        raise Refused("order-limit", number=catalog.max_per_order)
    if voucher is not None and wanted and not any(voucher.is_for(type_id) for type_id in wanted):
        raise Refused("voucher-other")


async def _take(
    connection: Connection, cart: Cart, catalog: Catalog, wanted: Mapping[UUID, int], voucher: Voucher | None
) -> tuple[int, tuple[Note, ...]]:
    """How many places were taken, and what could not be had."""
    pools = catalog.pools
    for hold in cart.holds:
        pools = _occupied(pools, catalog.type_by_id[hold.type_id], 1)
    uses_left = voucher.uses_left if voucher else 0
    notes: list[Note] = []
    rows: list[tuple[UUID, UUID, UUID, UUID, UUID | None, int, int]] = []
    for type_id, number in wanted.items():
        kind = catalog.type_by_id[type_id]
        with_code = min(number, uses_left) if voucher and voucher.is_for(type_id) else 0
        uses_left -= with_code
        asked = with_code if kind.needs_voucher else number
        kept_for_code = with_code if voucher and voucher.keeps_places_of(type_id) else 0
        given = kept_for_code + grant([(type_id, asked - kept_for_code)], _drawn_on(catalog), pools)[type_id]
        pools = _occupied(pools, kind, given - kept_for_code)
        if given < number:
            notes.append(Note("fewer" if given else "none", kind.title, number - given))
        for place in range(given):
            code = voucher if voucher is not None and place < with_code else None
            price = code.price(kind.price) if code else kind.price
            rows.append((uuid7(), cart.id, kind.id, kind.session_id, code.id if code else None, price, kind.tax_bp))
    if rows:
        await connection.execute(
            "INSERT INTO cart_hold (id, cart_id, type_id, session_id, voucher_id, price, tax_bp) "
            "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[], $7::int[])",
            *(list(column) for column in zip(*rows, strict=True)),
        )
    return len(rows), tuple(notes)


def _drawn_on(catalog: Catalog) -> dict[UUID, tuple[UUID, ...]]:
    return {kind.id: kind.pool_ids for kind in catalog.types}


def _occupied(pools: Mapping[UUID, Pool], kind: TicketType, number: int) -> dict[UUID, Pool]:
    """*pools* with *number* more places of *kind* taken."""
    return {
        identity: replace(pool, used=pool.used + number) if identity in kind.pool_ids else pool
        for identity, pool in pools.items()
    }
