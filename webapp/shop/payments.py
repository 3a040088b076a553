"""Money that arrives: one interface for every way of paying, and what each message of a provider changes.

A provider's messages may come late, twice or out of order; `record` gives each the same answer whenever it comes. No
lock is held while a provider is asked: `begin` runs after the order is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Literal, Protocol
from uuid import UUID

from skep.webapp.i18n import dates
from skep.webapp.ids import uuid7
from skep.webapp.shop import invoices, stock
from skep.webapp.shop.availability import grant
from skep.webapp.shop.states import OrderState, PaymentState, may_become, payment_after
from skep.webapp.store import audit, jobs

if TYPE_CHECKING:
    from skep.webapp.store.audit import Actor
    from skep.webapp.store.pool import Connection, Database

CONFIRM_WITHIN = timedelta(hours=2)

Outcome = Literal["paid", "unchanged", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a provider needs to say whether and until when: *amount* in minor units, *ends_at* of the last session.

    *confirms_free*: free tickets count once the buyer has answered a mail.
    """

    amount: int
    currency: str
    timezone: str
    pays_on_site: bool
    transfer_details: str
    transfer_days: int
    ends_at: datetime
    confirms_free: bool = False


@dataclass(frozen=True, slots=True)
class PaymentRef:
    id: UUID
    order_id: UUID
    code: str
    amount: int
    currency: str


class Provider(Protocol):
    """A way of paying. *name* is stored and chooses its words."""

    @property
    def name(self) -> str: ...

    def offers(self, terms: Terms) -> bool: ...

    def first_state(self) -> PaymentState: ...

    def due_at(self, terms: Terms, now: datetime) -> datetime | None:
        """Until when the order waits for its money; None: for ever."""

    async def begin(self, payment: PaymentRef) -> str | None:
        """Where to send the buyer to pay; None: nowhere. Called without a transaction."""


class Free:
    name = "free"

    def offers(self, terms: Terms) -> bool:
        return terms.amount == 0 and not terms.confirms_free

    def first_state(self) -> PaymentState:
        return PaymentState.CONFIRMED

    def due_at(self, terms: Terms, now: datetime) -> datetime | None:
        return None

    async def begin(self, payment: PaymentRef) -> str | None:
        return None


class ByMail:
    """Nothing to pay, but to say yes by a link that only the address's owner has: robots take no places for long."""

    name = "by-mail"

    def offers(self, terms: Terms) -> bool:
        return terms.amount == 0 and terms.confirms_free

    def first_state(self) -> PaymentState:
        return PaymentState.PENDING

    def due_at(self, terms: Terms, now: datetime) -> datetime | None:
        return min(now + CONFIRM_WITHIN, terms.ends_at)

    async def begin(self, payment: PaymentRef) -> str | None:
        return None


class OnSite:
    """Paid at the door; the place is kept until the event is over."""

    name = "on-site"

    def offers(self, terms: Terms) -> bool:
        return terms.amount > 0 and terms.pays_on_site

    def first_state(self) -> PaymentState:
        return PaymentState.PENDING

    def due_at(self, terms: Terms, now: datetime) -> datetime | None:
        return terms.ends_at

    async def begin(self, payment: PaymentRef) -> str | None:
        return None


class Transfer:
    """A bank transfer, marked by hand when it has arrived."""

    name = "transfer"

    def offers(self, terms: Terms) -> bool:
        return terms.amount > 0 and bool(terms.transfer_details)

    def first_state(self) -> PaymentState:
        return PaymentState.PENDING

    def due_at(self, terms: Terms, now: datetime) -> datetime | None:
        return end_of_day(now, terms.transfer_days, terms.timezone)

    async def begin(self, payment: PaymentRef) -> str | None:
        return None


BUILT_IN: tuple[Provider, ...] = (Free(), ByMail(), OnSite(), Transfer())


def end_of_day(now: datetime, days: int, timezone: str) -> datetime:
    """23:59:59 of the day *days* from now, in the event's zone."""
    zone = dates.zone(timezone)
    day = now.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(day, time(23, 59, 59), tzinfo=zone)


async def find(connection: Connection, provider: str, reference: str) -> UUID | None:
    """The payment that *provider* calls *reference*."""
    found: UUID | None = await connection.fetchval(
        "SELECT id FROM payment WHERE provider = $1 AND reference = $2", provider, reference
    )
    return found


async def set_reference(connection: Connection, payment_id: UUID, reference: str) -> None:
    await connection.execute("UPDATE payment SET reference = $2 WHERE id = $1", payment_id, reference)


async def record(database: Database, payment_id: UUID, said: PaymentState, actor: Actor) -> Outcome:
    """What the provider, or an organizer, says of a payment; and what follows for its order.

    An expired order that is paid late gets its places again if they are free; otherwise the money is owed back
    ("refused"). Saying it again is "unchanged".
    """

    async def keys(connection: Connection) -> set[int]:
        if said is not PaymentState.CONFIRMED:
            return set()
        rows = await connection.fetch(
            "SELECT DISTINCT p.id FROM payment y JOIN ticket_order o ON o.id = y.order_id AND o.state = 'expired' "
            "JOIN order_position x ON x.order_id = o.id JOIN ticket_type_pool tp ON tp.type_id = x.type_id "
            "JOIN stock_pool p ON p.id = tp.pool_id AND p.size IS NOT NULL WHERE y.id = $1",
            payment_id,
        )
        return {stock.pool_key(row["id"]) for row in rows}

    async def work(connection: Connection, locked: set[int]) -> Outcome:
        return await _record(connection, payment_id, said, actor, locked)

    return await stock.in_turn(database, keys, work)


async def _record(
    connection: Connection, payment_id: UUID, said: PaymentState, actor: Actor, locked: set[int]
) -> Outcome:
    order = await connection.fetchrow(
        "SELECT o.id, o.state, o.person_id FROM ticket_order o WHERE o.id = (SELECT order_id FROM payment WHERE id = $1) "
        "FOR UPDATE",
        payment_id,
    )
    if order is None:
        return "unknown"
    payment = await connection.fetchrow("SELECT state, amount FROM payment WHERE id = $1 FOR UPDATE", payment_id)
    assert payment is not None  # noqa: S101 (its order was found by it)
    after = payment_after(PaymentState(payment["state"]), said)
    if after is None:
        return "unchanged"
    await connection.execute(
        "UPDATE payment SET state = $2, version = version + 1, "
        "confirmed_at = CASE WHEN $2 = 'confirmed' THEN clock_timestamp() ELSE confirmed_at END WHERE id = $1",
        payment_id,
        after.value,
    )
    await audit.record(connection, actor, f"payment {after}", "payment", payment_id, ("state",))
    if after is not PaymentState.CONFIRMED:
        return "unchanged"
    return await _settle(connection, order["id"], OrderState(order["state"]), payment_id, payment["amount"], locked)


async def _settle(
    connection: Connection, order_id: UUID, state: OrderState, payment_id: UUID, amount: int, locked: set[int]
) -> Outcome:
    """The order of a payment that was confirmed just now."""
    if not may_become(state, OrderState.PAID):
        await _owe_back(connection, payment_id, amount, "twice" if state is OrderState.PAID else "cancelled", order_id)
        return "refused"
    if state is OrderState.EXPIRED and not await _places_again(connection, order_id, locked):
        await _owe_back(connection, payment_id, amount, "late", order_id)
        return "refused"
    await connection.execute(
        "UPDATE ticket_order SET state = 'paid', paid_at = clock_timestamp(), closed_at = NULL, version = version + 1 "
        "WHERE id = $1",
        order_id,
    )
    await jobs.enqueue(
        connection, "mail.order_paid", {"order": str(order_id)}, unique_key=f"mail.order_paid:{order_id}"
    )
    await invoices.issue(connection, order_id)
    return "paid"


async def _places_again(connection: Connection, order_id: UUID, locked: set[int]) -> bool:
    rows = await connection.fetch(
        "SELECT x.id, x.type_id, ARRAY(SELECT tp.pool_id FROM ticket_type_pool tp WHERE tp.type_id = x.type_id) AS pools "
        "FROM order_position x WHERE x.order_id = $1 AND x.cancelled_at IS NULL",
        order_id,
    )
    drawn_on: Mapping[UUID, tuple[UUID, ...]] = {row["type_id"]: tuple(row["pools"]) for row in rows}
    pools = await stock.pools_by_id(connection, {pool for ids in drawn_on.values() for pool in ids})
    stock.require(locked, pools.values())
    wanted = [(row["type_id"], 1) for row in rows]
    if sum(grant(wanted, drawn_on, pools).values()) < len(wanted):
        return False
    await connection.execute(
        "UPDATE order_position SET is_held = true WHERE order_id = $1 AND cancelled_at IS NULL", order_id
    )
    return True


async def _owe_back(connection: Connection, payment_id: UUID, amount: int, reason: str, order_id: UUID) -> None:
    if not amount:
        return
    await connection.execute(
        "INSERT INTO refund (id, payment_id, amount, reason) VALUES ($1, $2, $3, $4)",
        uuid7(),
        payment_id,
        amount,
        reason,
    )
    await jobs.enqueue(
        connection,
        "mail.refund_owed",
        {"order": str(order_id), "reason": reason},
        unique_key=f"mail.refund:{payment_id}",
    )
