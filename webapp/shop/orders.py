"""Orders: made of a cart at once or not at all; cancelled ticket by ticket; expired by the clock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from skep.webapp.errors import Busy
from skep.webapp.ids import derived_secret, new_secret, order_code, secret_text, token_hash, uuid7
from skep.webapp.shop import carts, invoices, stock
from skep.webapp.shop import catalog as catalogs
from skep.webapp.shop.carts import Cart
from skep.webapp.shop.catalog import Catalog
from skep.webapp.shop.payments import PaymentRef, Provider, Terms
from skep.webapp.shop.refusal import Note, Refused
from skep.webapp.shop.states import OrderState, PaymentState
from skep.webapp.store import audit, jobs
from skep.webapp.store.audit import Actor

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection, Database


@dataclass(frozen=True, slots=True)
class Purchase:
    """What the buyer typed. *holders*: a name per place of the cart, "" for the buyer; *answers* by (place, question).

    *actor* is somebody else where it is sold at the door. *terms_id*: the version of the terms that was accepted; None where there are none.
    """

    name: str
    email: str
    language: str
    holders: Mapping[UUID, str]
    answers: Mapping[tuple[UUID, UUID], str]
    method: str
    terms_id: UUID | None = None
    actor: Actor = audit.BUYER


@dataclass(frozen=True, slots=True)
class Placed:
    """*link* is the secret of the address that shows the order.

    *payment* and *provider* are None if the order was there already; otherwise `provider.begin(payment)` is next, when
    no transaction is open.
    """

    order_id: UUID
    link: str
    payment: PaymentRef | None = None
    provider: Provider | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """No order: the cart is not what the buyer saw. The notes say what was lost."""

    notes: tuple[Note, ...]


def link_of(buyer: str, cart_id: UUID) -> str:
    """The link of the order made of this cart: whoever sends the same cart twice is led to the same order."""
    return secret_text(derived_secret(buyer, f"order {cart_id}"))


async def place(
    database: Database,
    event_id: UUID,
    buyer: str,
    cart_id: UUID,
    purchase: Purchase,
    providers: Sequence[Provider],
    *,
    strict: bool = True,
) -> Placed | Changed | None:
    """Turn the cart into an order. None: there is no such cart. Not *strict*: types' minimums do not count.

    A cart that is safe for a while takes no lock; one that nearly or wholly ran out takes it and is checked again.
    Raises Refused, and Busy.
    """

    async def keys(connection: Connection) -> set[int]:
        cart = await carts.find(connection, event_id, buyer)
        if cart is None or cart.is_safe:
            return set()
        return await carts.lock_keys(connection, cart, {}, None)

    async def work(connection: Connection, locked: set[int]) -> Placed | Changed | None:
        cart = await carts.find(connection, event_id, buyer, for_update=True)
        if cart is None or cart.id != cart_id:
            return await _made_before(connection, buyer, cart_id)
        if not cart.is_safe:
            if not locked and await carts.lock_keys(connection, cart, {}, None):
                raise Busy("the cart has not long to live: its places are counted under their locks")
            catalog = await catalogs.load_one(connection, event_id, except_cart=cart.id)
            carts.require_locks(catalog, cart, {}, locked)
            cart, notes = await carts.recheck(connection, cart, catalog)
            if notes:
                if cart.holds:
                    await carts.renew(connection, cart)
                return Changed(notes)
        if {hold.id for hold in cart.holds} != purchase.holders.keys():
            return Changed(())
        return await _write(connection, cart, buyer, purchase, providers, strict=strict)

    return await stock.in_turn(database, keys, work, most_need_none=True)


async def _made_before(connection: Connection, buyer: str, cart_id: UUID) -> Placed | None:
    link = link_of(buyer, cart_id)
    order_id = await connection.fetchval(
        "SELECT o.id FROM ticket_order o JOIN order_link l ON l.order_id = o.id "
        "WHERE o.cart_id = $1 AND l.token_sha256 = $2",
        cart_id,
        token_hash(link),
    )
    return None if order_id is None else Placed(order_id, link)


async def _write(
    connection: Connection, cart: Cart, buyer: str, purchase: Purchase, providers: Sequence[Provider], *, strict: bool
) -> Placed:
    event = await connection.fetchrow(
        "SELECT e.status, e.currency, e.timezone, e.pays_on_site, e.transfer_details, e.transfer_days, "
        "max(s.ends_at) AS ends_at, clock_timestamp() AS now, max(s.ends_at) > clock_timestamp() AS is_open, "
        "(SELECT confirms_free FROM site_option) AS confirms_free, "
        "(SELECT json_object_agg(t.id, t.min_per_order) FROM ticket_type t WHERE t.id = ANY($2)) AS minima "
        "FROM (SELECT * FROM event WHERE id = $1 FOR SHARE) e JOIN event_session s ON s.event_id = e.id "
        "GROUP BY e.status, e.currency, e.timezone, e.pays_on_site, e.transfer_details, e.transfer_days",
        cart.event_id,  # FOR SHARE: an event that is being cancelled sells nothing any more
        [hold.type_id for hold in cart.holds],
    )
    if event is None or event["status"] != "live" or not event["is_open"]:
        raise Refused("closed")
    if strict:
        await _refuse_too_few(connection, cart, json.loads(event["minima"] or "{}"))
    terms = terms_of(event, cart.total.gross)
    names = ("free", "by-mail") if purchase.method == "free" else (purchase.method,)  # a seller's app asks for "free"
    provider = next((p for p in providers if p.name in names and p.offers(terms)), None)
    if provider is None:
        raise Refused("method")
    now: datetime = event["now"]
    is_paid = provider.first_state() is PaymentState.CONFIRMED
    state = OrderState.PAID if is_paid else OrderState.PENDING
    made = _Rows(cart, purchase, state, payment=provider.first_state())
    await made.write(connection, buyer, event["currency"], provider, provider.due_at(terms, now))
    if is_paid and terms.amount:
        await invoices.issue(connection, made.order_id)
    reference = PaymentRef(made.payment_id, made.order_id, made.code, terms.amount, terms.currency)
    return Placed(made.order_id, link_of(buyer, cart.id), reference, provider)


def terms_of(event: asyncpg.Record, amount: int) -> Terms:
    return Terms(
        amount=amount,
        currency=event["currency"],
        timezone=event["timezone"],
        pays_on_site=event["pays_on_site"],
        transfer_details=event["transfer_details"],
        transfer_days=event["transfer_days"],
        ends_at=event["ends_at"],
        confirms_free=event["confirms_free"],
    )


async def _refuse_too_few(connection: Connection, cart: Cart, minima: Mapping[str, int]) -> None:
    """A minimum, by type, may have been undercut by taking tickets out again."""
    counts = Counter(hold.type_id for hold in cart.holds)
    if not minima:
        raise Refused("nothing")
    for type_id, number in counts.items():
        if number < (least := minima.get(str(type_id), 0)):
            catalog: Catalog = await catalogs.load_one(connection, cart.event_id)
            raise Refused("type-minimum", what=catalog.type_by_id[type_id].title, number=least)


# One statement for what every order has: each one less is a wait less under the lock of a cart that ran late.
_WRITE = """
WITH buyer AS (INSERT INTO person (id, kind, name, email, language) VALUES ($1, 'guest', $2, $3, $4)),
placed AS (
    INSERT INTO ticket_order (id, event_id, code, state, person_id, cart_id, language, currency, due_at, paid_at,
                              terms_id)
    VALUES ($5, $6, $7, $8, $1, $9, $4, $10, $11, CASE WHEN $8 = 'paid' THEN clock_timestamp() END, $31)
    RETURNING id),
link AS (INSERT INTO order_link (token_sha256, order_id) SELECT $12, id FROM placed),
payment AS (
    INSERT INTO payment (id, order_id, provider, state, amount, confirmed_at)
    SELECT $13, id, $14, $15, $16, CASE WHEN $15 = 'confirmed' THEN clock_timestamp() END FROM placed),
mail AS (
    INSERT INTO job (id, kind, payload, unique_key)
    SELECT $17, $18, jsonb_build_object('order', id), $18 || ':' || id FROM placed),
trace AS (
    INSERT INTO audit (id, actor, actor_id, action, object_kind, object_id)
    SELECT $19, $32, $33, 'order placed', 'order', id FROM placed),
emptied AS (DELETE FROM cart WHERE id = $9)
INSERT INTO order_position (order_id, id, rank, session_id, type_id, person_id, voucher_id, gross, net, tax, tax_bp, secret)
SELECT placed.id, line.* FROM placed, unnest(
    $20::uuid[], $21::int[], $22::uuid[], $23::uuid[], $24::uuid[], $25::uuid[], $26::bigint[], $27::bigint[],
    $28::bigint[], $29::int[], $30::bytea[]) AS line
"""


class _Rows:
    """The rows of a new order, with their ids."""

    def __init__(self, cart: Cart, purchase: Purchase, state: OrderState, *, payment: PaymentState) -> None:
        self.order_id, self.payment_id, self.person_id = uuid7(), uuid7(), uuid7()
        self.code = order_code()
        self._cart = cart
        self._purchase = purchase
        self._state = state
        self._payment = payment
        self._positions = {hold.id: uuid7() for hold in cart.holds}

    async def write(
        self, connection: Connection, buyer: str, currency: str, provider: Provider, due_at: datetime | None
    ) -> None:
        """Raises Busy if the random code is another order's: the next try has another."""
        cart, purchase = self._cart, self._purchase
        mail = "mail.order_paid" if self._state is OrderState.PAID else "mail.order_placed"
        holders = await self._holders(connection)
        lines = []
        for rank, hold in enumerate(cart.holds):
            amount = hold.amount
            lines.append((self._positions[hold.id], rank, hold.session_id, hold.type_id, holders.get(hold.id),
                          hold.voucher_id, amount.gross, amount.net, amount.tax, hold.tax_bp, new_secret()))  # fmt: skip
        try:
            await connection.execute(
                _WRITE,
                self.person_id,
                purchase.name,
                purchase.email,
                purchase.language,
                self.order_id,
                cart.event_id,
                self.code,
                self._state.value,
                cart.id,
                currency,
                due_at,
                token_hash(link_of(buyer, cart.id)),
                self.payment_id,
                provider.name,
                self._payment.value,
                cart.total.gross,
                uuid7(),
                mail,
                uuid7(),
                *(list(column) for column in zip(*lines, strict=True)),
                purchase.terms_id,
                purchase.actor.kind,
                purchase.actor.id,
            )
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "ticket_order_code_key":
                raise Busy("a random order code was taken") from error
            raise
        answers = [
            (uuid7(), self._positions[hold], question, value) for (hold, question), value in purchase.answers.items()
        ]
        if answers:
            await connection.executemany(
                "INSERT INTO answer (id, position_id, question_id, value) VALUES ($1, $2, $3, $4)", answers
            )

    async def _holders(self, connection: Connection) -> dict[UUID, UUID]:
        """Persons for the names that are not the buyer's, by place."""
        names = {hold: name for hold, name in self._purchase.holders.items() if name and name != self._purchase.name}
        persons = {hold: uuid7() for hold in names}
        if names:
            await connection.executemany(
                "INSERT INTO person (id, kind, name, email, language) VALUES ($1, 'guest', $2, '', $3)",
                [(persons[hold], name, self._purchase.language) for hold, name in names.items()],
            )
        return persons


async def cancel(connection: Connection, order_id: UUID, position_ids: Sequence[UUID], actor: Actor) -> int:
    """Give back these tickets of an order; how many were. Their places are free at once, their money is owed back.

    An order without tickets left is cancelled. Doing it twice changes nothing the second time.
    """
    state = await connection.fetchval("SELECT state FROM ticket_order WHERE id = $1 FOR UPDATE", order_id)
    if state is None or not OrderState(state).holds_places:
        return 0
    rows = await connection.fetch(
        "UPDATE order_position SET is_held = false, cancelled_at = clock_timestamp(), version = version + 1 "
        "WHERE order_id = $1 AND id = ANY($2) AND cancelled_at IS NULL RETURNING id, gross",
        order_id,
        list(position_ids),
    )
    if not rows:
        return 0
    back = sum(row["gross"] for row in rows)
    if state == OrderState.PAID and back:
        await connection.execute(
            "INSERT INTO refund (id, payment_id, amount, reason) SELECT $1, id, $2, 'cancelled' FROM payment "
            "WHERE order_id = $3 AND state = 'confirmed' ORDER BY confirmed_at DESC LIMIT 1",
            uuid7(),
            back,
            order_id,
        )
    rest = await connection.fetchval(
        "SELECT count(*) FROM order_position WHERE order_id = $1 AND cancelled_at IS NULL", order_id
    )
    if rest == 0:
        await connection.execute(
            "UPDATE ticket_order SET state = 'cancelled', closed_at = clock_timestamp(), version = version + 1 "
            "WHERE id = $1",
            order_id,
        )
    else:
        await connection.execute(
            "UPDATE payment SET amount = amount - $2, version = version + 1 "
            "WHERE order_id = $1 AND state IN ('created', 'pending')",
            order_id,
            back,
        )
    await audit.record(connection, actor, "tickets cancelled", "order", order_id, ("positions",))
    await jobs.enqueue(connection, "mail.tickets_cancelled", {"order": str(order_id), "tickets": len(rows)})
    if state == OrderState.PAID and back:
        await invoices.credit(connection, order_id, [row["id"] for row in rows])
    return len(rows)


async def set_holder(connection: Connection, order_id: UUID, position_id: UUID, name: str, actor: Actor) -> None:
    """Another name on a ticket. Its code changes too: a picture that was passed on lets nobody in any more."""
    person_id = uuid7()
    await connection.execute(
        "INSERT INTO person (id, kind, name, email, language) SELECT $1, 'guest', $2, '', language FROM ticket_order "
        "WHERE id = $3",
        person_id,
        name,
        order_id,
    )
    await connection.execute(
        "UPDATE order_position SET person_id = $3, secret = $4, version = version + 1 "
        "WHERE id = $2 AND order_id = $1 AND cancelled_at IS NULL",
        order_id,
        position_id,
        person_id,
        new_secret(),
    )
    await audit.record(connection, actor, "holder changed", "position", position_id, ("person_id", "secret"))
    await jobs.enqueue(connection, "mail.tickets_changed", {"order": str(order_id)})


async def expire(connection: Connection) -> int:
    """Mark pending orders past their due date; how many were. Until then they keep their places."""
    rows = await connection.fetch(
        "UPDATE ticket_order SET state = 'expired', closed_at = clock_timestamp(), version = version + 1 "
        "WHERE id IN (SELECT id FROM ticket_order WHERE state = 'pending' AND due_at <= clock_timestamp() "
        "ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING id"
    )
    ids = [row["id"] for row in rows]
    await connection.execute("UPDATE order_position SET is_held = false WHERE order_id = ANY($1) AND is_held", ids)
    for order_id in ids:
        await audit.record(connection, audit.CLOCK, "order expired", "order", order_id, ("state",))
        await jobs.enqueue(connection, "mail.order_expired", {"order": str(order_id)})
    return len(ids)
