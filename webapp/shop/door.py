"""Tickets sold at the door: paid on the spot, by the same locks and counts as every other sale.

First the places are held, as a cart holds them; then the cart becomes an order. What the public's rules are for, sales
windows, hidden types, how many an order, does not bind who stands at the door. Stock does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.errors import Busy
from skep.webapp.ids import new_secret, secret_text, token_hash, uuid7
from skep.webapp.shop import carts, orders, stock
from skep.webapp.shop import catalog as catalogs
from skep.webapp.shop.availability import grant
from skep.webapp.shop.orders import Placed, Purchase
from skep.webapp.shop.payments import PaymentRef, Terms
from skep.webapp.shop.refusal import Refused
from skep.webapp.shop.states import PaymentState

if TYPE_CHECKING:
    from skep.webapp.store.audit import Actor
    from skep.webapp.store.pool import Connection, Database

HOLD = timedelta(minutes=5)  # until the order is written, a moment later; longer than the margin of a safe cart
MOST = 50  # tickets of one sale


class Door:
    """Paid in cash or by whatever lies on the table; never offered to the public."""

    name = "door"

    def offers(self, terms: Terms) -> bool:
        return True

    def first_state(self) -> PaymentState:
        return PaymentState.CONFIRMED

    def due_at(self, terms: Terms, now: datetime) -> datetime | None:
        return None

    async def begin(self, payment: PaymentRef) -> str | None:
        return None


async def sell(
    database: Database,
    event_id: UUID,
    wanted: Mapping[UUID, int],
    actor: Actor,
    *,
    name: str,
    email: str,
    language: str,
) -> UUID:
    """The order, paid, with so many tickets of each type: all or nothing. *email* may be empty.

    Raises Refused if the event is not live or over ("closed"), a type is none of its own ("unknown"), or not so many
    are left ("sold-out"); Busy.
    """
    buyer, cart_id = secret_text(new_secret()), uuid7()

    async def keys(connection: Connection) -> set[int]:
        return await carts.lock_keys(connection, None, wanted, None)

    async def hold(connection: Connection, locked: set[int]) -> list[UUID]:
        return await _hold(connection, event_id, wanted, cart_id, buyer, locked)

    places = await stock.in_turn(database, keys, hold)
    purchase = Purchase(name, email, language, dict.fromkeys(places, ""), {}, Door.name, actor=actor)
    placed = await orders.place(database, event_id, buyer, cart_id, purchase, (Door(),), strict=False)
    if not isinstance(placed, Placed):  # somebody emptied the cart within this moment: the clock jumped
        raise Busy("the places held for the door were lost")
    return placed.order_id


async def _hold(
    connection: Connection, event_id: UUID, wanted: Mapping[UUID, int], cart_id: UUID, buyer: str, locked: set[int]
) -> list[UUID]:
    """The places of a new cart. Needs the locks of the types' pools."""
    catalog = await catalogs.load_one(connection, event_id)
    kinds = {type_id: catalog.type_by_id[type_id] for type_id in wanted if type_id in catalog.type_by_id}
    number = sum(wanted.values())
    if kinds.keys() != wanted.keys() or not 0 < number <= MOST or any(count < 1 for count in wanted.values()):
        raise Refused(
            "unknown" if kinds.keys() != wanted.keys() else "nothing" if number < 1 else "order-limit", number=MOST
        )
    if not catalog.is_selling:
        raise Refused("closed")
    stock.require(locked, (catalog.pools[pool_id] for kind in kinds.values() for pool_id in kind.pool_ids))
    drawn_on = {kind.id: kind.pool_ids for kind in kinds.values()}
    given = grant(wanted.items(), drawn_on, catalog.pools)
    for type_id, count in wanted.items():
        if given[type_id] < count:
            raise Refused("sold-out", what=kinds[type_id].title, number=given[type_id])
    await connection.execute(
        "INSERT INTO cart (id, event_id, buyer_sha256, expires_at, renew_until) "
        "VALUES ($1, $2, $3, clock_timestamp() + $4::interval, clock_timestamp() + $4::interval)",
        cart_id,
        event_id,
        token_hash(buyer),
        HOLD,
    )
    rows = [
        (uuid7(), cart_id, kind.id, kind.session_id, kind.price, kind.tax_bp)
        for kind in kinds.values()
        for _ in range(wanted[kind.id])
    ]
    await connection.executemany(
        "INSERT INTO cart_hold (id, cart_id, type_id, session_id, price, tax_bp) VALUES ($1, $2, $3, $4, $5, $6)", rows
    )
    return [row[0] for row in rows]
