"""Buying without pages: what the shop's own functions are asked for, where a test is about stock or states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.webapp.ids import new_secret, secret_text
from skep.webapp.shop import carts, orders
from skep.webapp.shop.orders import Changed, Placed, Purchase
from skep.webapp.shop.payments import BUILT_IN, Provider
from tests.rig.rows import Sample

if TYPE_CHECKING:
    import asyncpg

    from skep.webapp.shop.carts import Cart
    from skep.webapp.store.pool import Database

    Connection = asyncpg.Connection[asyncpg.Record]


def make_buyer() -> str:
    """A fresh browser's secret."""
    return secret_text(new_secret())


def purchase_of(cart: Cart, *, method: str | None = None, name: str = "Noor") -> Purchase:
    """The checkout of this cart, all tickets in the buyer's name."""
    chosen = method or ("on-site" if cart.total.gross else "free")
    return Purchase(name, "noor@example.com", "en", {hold.id: "" for hold in cart.holds}, {}, chosen)


async def check_out(
    database: Database,
    sample: Sample,
    buyer: str,
    *,
    method: str | None = None,
    providers: tuple[Provider, ...] = BUILT_IN,
) -> Placed | Changed | None:
    async with database.connection() as connection:
        cart = await carts.find(connection, sample.event, buyer)
    if cart is None:
        return None
    purchase = purchase_of(cart, method=method)
    return await orders.place(database, sample.event, buyer, cart.id, purchase, providers)


async def buy(
    database: Database,
    sample: Sample,
    buyer: str | None = None,
    *,
    number: int = 1,
    method: str | None = None,
    providers: tuple[Provider, ...] = BUILT_IN,
) -> Placed | Changed | None:
    """Into the cart and through the checkout; None if nothing was to be had."""
    buyer = buyer or make_buyer()
    await carts.add(database, sample.event, buyer, {sample.type: number})
    return await check_out(database, sample, buyer, method=method, providers=providers)


async def ordered(
    database: Database,
    sample: Sample,
    *,
    number: int = 1,
    method: str | None = None,
    providers: tuple[Provider, ...] = BUILT_IN,
) -> Placed:
    """An order that must succeed."""
    placed = await buy(database, sample, number=number, method=method, providers=providers)
    assert isinstance(placed, Placed)
    return placed


async def set_remaining(connection: Connection, sample: Sample, buyer: str, *, seconds: int) -> None:
    """Move the end of this buyer's cart to so many seconds from now, or ago."""
    await connection.execute(
        "UPDATE cart SET expires_at = clock_timestamp() + make_interval(secs => $3) "
        "WHERE event_id = $1 AND buyer_sha256 = sha256($2)",
        sample.event,
        buyer.encode(),
        seconds,
    )
