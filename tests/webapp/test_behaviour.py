"""The behaviours that an event application agrees on, by their numbers: what is held, refused, freed and paid."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest

from skep.webapp.shop import carts, orders, payments, stock, tickets
from skep.webapp.shop.carts import Cart
from skep.webapp.shop.orders import Changed, Placed
from skep.webapp.shop.refusal import Refused
from skep.webapp.shop.states import PaymentState
from skep.webapp.store import audit, offers
from skep.webapp.store.offers import InUse, VoucherDraft
from skep.webapp.store.pool import Database
from tests.rig.rows import Sample, make_event, make_type
from tests.rig.shop import buy, check_out, make_buyer, ordered, purchase_of, set_remaining

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def left(connection: Connection, sample: Sample) -> int | None:
    return (await stock.pools_by_id(connection, [sample.pool]))[sample.pool].left


async def cart_of(connection: Connection, sample: Sample, buyer: str) -> Cart | None:
    return await carts.find(connection, sample.event, buyer)


async def make_voucher(connection: Connection, sample: Sample, **changes: object) -> UUID:
    values: dict[str, object] = {"code": "LUCKY", "type_id": None, "max_uses": 1, **changes}
    return await offers.create_voucher(connection, sample.event, VoucherDraft(**values))  # type: ignore[arg-type]  # a table of fields


async def payment_of(connection: Connection, placed: Placed) -> UUID:
    payment: UUID = await connection.fetchval("SELECT id FROM payment WHERE order_id = $1", placed.order_id)
    return payment


async def state_of(connection: Connection, placed: Placed) -> str:
    state: str = await connection.fetchval("SELECT state FROM ticket_order WHERE id = $1", placed.order_id)
    return state


async def mails(connection: Connection, kind: str) -> int:
    count: int = await connection.fetchval("SELECT count(*) FROM job WHERE kind = $1", kind)
    return count


async def test_01_of_two_simultaneous_adds_for_one_place_one_gets_it(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=1)
    results = await asyncio.gather(
        *(carts.add(database, sample.event, make_buyer(), {sample.type: 1}) for _ in range(2))
    )
    assert sorted(len(notes) for notes in results) == [0, 1]
    assert await eyes.fetchval("SELECT count(*) FROM cart_hold") == 1
    assert await eyes.fetchval("SELECT count(*) FROM cart") == 1  # who got nothing has no empty cart


async def test_02_a_voucher_for_one_use_is_won_by_one_of_two(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes)
    await make_voucher(eyes, sample)

    async def one() -> str:
        try:
            await carts.add(database, sample.event, make_buyer(), {sample.type: 1}, code="lucky")
        except Refused as refusal:
            return refusal.reason
        return "held"

    assert sorted(await asyncio.gather(one(), one())) == ["held", "voucher-locked"]


async def test_03_asking_for_two_of_one_adds_one_and_says_so(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=1)
    (note,) = await carts.add(database, sample.event, make_buyer(), {sample.type: 2})
    assert (note.kind, note.number) == ("fewer", 1)
    assert await left(eyes, sample) == 0


async def test_04_a_type_sells_the_least_of_its_pools(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=2)
    small = await offers.create_pool(eyes, sample.session, size=1)
    both = await make_type(eyes, sample.session, sample.pool, small)
    (note,) = await carts.add(database, sample.event, make_buyer(), {both: 2})
    assert (note.kind, note.number) == ("fewer", 1)
    (note,) = await carts.add(database, sample.event, make_buyer(), {both: 1})
    assert note.kind == "none"
    assert await carts.add(database, sample.event, make_buyer(), {sample.type: 1}) == ()


async def test_05_a_pending_order_holds_its_places_until_it_is_marked_expired(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=1, price=1000)
    placed = await ordered(database, sample)
    await eyes.execute("UPDATE ticket_order SET due_at = clock_timestamp() - interval '1 hour'")
    assert await left(eyes, sample) == 0
    async with database.transaction() as connection:
        assert await orders.expire(connection) == 1
    assert (await state_of(eyes, placed), await left(eyes, sample)) == ("expired", 1)


async def test_06_the_places_of_an_ended_cart_are_free_for_others(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=1)
    buyer = make_buyer()
    await carts.add(database, sample.event, buyer, {sample.type: 1})
    await set_remaining(eyes, sample, buyer, seconds=-1)
    assert await carts.add(database, sample.event, make_buyer(), {sample.type: 1}) == ()


async def test_07_cancelling_one_ticket_frees_exactly_one_place(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=3)
    placed = await ordered(database, sample, number=3)
    first = await eyes.fetchval("SELECT id FROM order_position ORDER BY rank LIMIT 1")
    for done in (1, 0):  # twice changes nothing the second time
        async with database.transaction() as connection:
            assert await orders.cancel(connection, placed.order_id, [first], audit.BUYER) == done
        assert await left(eyes, sample) == 1
    assert await state_of(eyes, placed) == "paid"


async def test_07b_an_order_without_tickets_is_cancelled_and_its_money_owed_back(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=2, price=1250)
    placed = await ordered(database, sample, number=2)
    await payments.record(database, await payment_of(eyes, placed), PaymentState.CONFIRMED, audit.PROVIDER)
    ids = [row["id"] for row in await eyes.fetch("SELECT id FROM order_position")]
    async with database.transaction() as connection:
        assert await orders.cancel(connection, placed.order_id, ids, audit.BUYER) == 2
    assert await state_of(eyes, placed) == "cancelled"
    assert await eyes.fetchval("SELECT sum(amount) FROM refund WHERE reason = 'cancelled'") == 2500


async def test_08_adding_renews_the_whole_cart_up_to_a_cap(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes)
    buyer = make_buyer()
    await carts.add(database, sample.event, buyer, {sample.type: 1})
    await set_remaining(eyes, sample, buyer, seconds=300)
    await carts.add(database, sample.event, buyer, {sample.type: 1})
    cart = await cart_of(eyes, sample, buyer)
    assert cart is not None
    assert cart.remaining > timedelta(minutes=29)
    await eyes.execute(
        "UPDATE cart SET renew_until = clock_timestamp() + interval '10 minutes', expires_at = renew_until"
    )
    await set_remaining(eyes, sample, buyer, seconds=300)
    await carts.add(database, sample.event, buyer, {})
    cart = await cart_of(eyes, sample, buyer)
    assert cart is not None
    assert timedelta(minutes=9) < cart.remaining < timedelta(minutes=11)
    assert len(cart.holds) == 2


async def test_09_of_an_ended_cart_only_what_is_gone_is_removed(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=1)
    endless = await make_type(eyes, sample.session, title={"en": "Online"})
    buyer = make_buyer()
    await carts.add(database, sample.event, buyer, {sample.type: 1, endless: 2})
    await set_remaining(eyes, sample, buyer, seconds=-1)
    await carts.add(database, sample.event, make_buyer(), {sample.type: 1})
    changed = await check_out(database, sample, buyer)
    assert isinstance(changed, Changed)
    assert [(note.kind, note.number, note.what.text("en")) for note in changed.notes] == [("lost", 1, "Ticket")]
    cart = await cart_of(eyes, sample, buyer)
    assert cart is not None
    assert [hold.type_id for hold in cart.holds] == [endless, endless]
    assert cart.is_live
    assert isinstance(await check_out(database, sample, buyer), Placed)


async def test_10_lowering_the_stock_under_a_valid_cart_does_not_stop_its_checkout(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=5)
    buyer = make_buyer()
    await carts.add(database, sample.event, buyer, {sample.type: 2})
    await offers.resize_pool(eyes, sample.pool, 0)
    assert isinstance(await check_out(database, sample, buyer), Placed)


async def test_11_a_voucher_in_another_live_cart_is_locked_and_in_an_ended_one_free(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes)
    await make_voucher(eyes, sample)
    first, second = make_buyer(), make_buyer()
    await carts.add(database, sample.event, first, {sample.type: 1}, code="LUCKY")
    with pytest.raises(Refused, match="voucher-locked"):
        await carts.add(database, sample.event, second, {sample.type: 1}, code="LUCKY")
    await set_remaining(eyes, sample, first, seconds=-1)
    assert await carts.add(database, sample.event, second, {sample.type: 1}, code="LUCKY") == ()
    assert isinstance(await check_out(database, sample, second), Placed)
    with pytest.raises(Refused, match="voucher-used"):
        await carts.add(database, sample.event, make_buyer(), {sample.type: 1}, code="LUCKY")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param("", "voucher-needed", id="none"),
        pytest.param("NOBODY", "voucher-unknown", id="unknown"),
        pytest.param("OLD", "voucher-expired", id="expired"),
    ],
)
async def test_12_a_type_for_vouchers_only_is_not_added_without_a_good_one(
    database: Database, eyes: Connection, code: str, reason: str
) -> None:
    sample = await make_event(eyes, needs_voucher=True)
    await make_voucher(eyes, sample)
    await make_voucher(eyes, sample, code="OLD", expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    buyer = make_buyer()
    with pytest.raises(Refused, match=reason):
        await carts.add(database, sample.event, buyer, {sample.type: 1}, code=code)
    assert await cart_of(eyes, sample, buyer) is None
    assert await carts.add(database, sample.event, buyer, {sample.type: 1}, code="lucky ") == ()


async def test_13_a_used_voucher_stays_and_its_maximum_does_not_fall_below_its_use(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes)
    voucher = await make_voucher(eyes, sample, max_uses=3)
    buyer = make_buyer()
    await carts.add(database, sample.event, buyer, {sample.type: 2}, code="LUCKY")
    await check_out(database, sample, buyer)
    with pytest.raises(InUse):
        await offers.delete_voucher(eyes, sample.event, voucher)
    with pytest.raises(InUse):
        await offers.limit_voucher(eyes, sample.event, voucher, 1)
    await offers.limit_voucher(eyes, sample.event, voucher, 2)


async def test_13b_a_voucher_that_keeps_places_keeps_them_from_everybody_else(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=2)
    await make_voucher(eyes, sample, type_id=sample.type, blocks_stock=True)
    (note,) = await carts.add(database, sample.event, make_buyer(), {sample.type: 2})
    assert note.number == 1
    friend = make_buyer()
    assert await carts.add(database, sample.event, friend, {sample.type: 1}, code="LUCKY") == ()
    assert await left(eyes, sample) == 0
    assert isinstance(await check_out(database, sample, friend), Placed)
    assert await left(eyes, sample) == 0


async def test_14_over_the_limit_of_an_order_nothing_is_added(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes)
    await eyes.execute("UPDATE event SET max_per_order = 5")
    buyer = make_buyer()
    await carts.add(database, sample.event, buyer, {sample.type: 1})
    with pytest.raises(Refused, match="order-limit"):
        await carts.add(database, sample.event, buyer, {sample.type: 5})
    cart = await cart_of(eyes, sample, buyer)
    assert cart is not None
    assert len(cart.holds) == 1


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        pytest.param({"sales_start": datetime(2080, 1, 1, tzinfo=UTC)}, "soon", id="before"),
        pytest.param({"sales_end": datetime(2020, 1, 1, tzinfo=UTC)}, "over", id="after"),
        pytest.param({"is_active": False}, "closed", id="switched off"),
    ],
)
async def test_15_outside_its_sales_window_a_type_is_refused(
    database: Database, eyes: Connection, window: dict[str, Any], reason: str
) -> None:
    sample = await make_event(eyes, **window)
    with pytest.raises(Refused, match=reason):
        await carts.add(database, sample.event, make_buyer(), {sample.type: 1})


@pytest.mark.parametrize("status", ["draft", "cancelled", "postponed"])
async def test_15b_an_event_that_is_not_live_sells_nothing(database: Database, eyes: Connection, status: str) -> None:
    sample = await make_event(eyes)
    early = make_buyer()
    await carts.add(database, sample.event, early, {sample.type: 1})
    await eyes.execute("UPDATE event SET status = $1", status)
    with pytest.raises(Refused, match="closed"):
        await carts.add(database, sample.event, make_buyer(), {sample.type: 1})
    with pytest.raises(Refused, match="closed"):
        await check_out(database, sample, early)


async def test_16_the_expiry_run_twice_changes_nothing_the_second_time(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=1, price=1000)
    await ordered(database, sample)
    await eyes.execute("UPDATE ticket_order SET due_at = clock_timestamp() - interval '1 hour'")
    rows = "SELECT (SELECT count(*) FROM job), (SELECT count(*) FROM audit), (SELECT max(version) FROM ticket_order)"
    async with database.transaction() as connection:
        assert await orders.expire(connection) == 1
        await carts.sweep(connection)
    before = await eyes.fetchrow(rows)
    async with database.transaction() as connection:
        assert await orders.expire(connection) == 0
        await carts.sweep(connection)
    assert await eyes.fetchrow(rows) == before


async def test_18_an_expired_order_paid_late_gets_its_places_or_its_money_back(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=1, price=1000)
    late = [await ordered(database, sample)]
    await eyes.execute("UPDATE ticket_order SET due_at = clock_timestamp() - interval '1 hour'")
    async with database.transaction() as connection:
        await orders.expire(connection)
    late.append(await ordered(database, sample))
    await eyes.execute("UPDATE ticket_order SET due_at = clock_timestamp() - interval '1 hour'")
    async with database.transaction() as connection:
        await orders.expire(connection)
    first, second = [await payment_of(eyes, placed) for placed in late]
    assert await payments.record(database, second, PaymentState.CONFIRMED, audit.PROVIDER) == "paid"
    assert await payments.record(database, first, PaymentState.CONFIRMED, audit.PROVIDER) == "refused"
    assert [await state_of(eyes, placed) for placed in late] == ["expired", "paid"]
    assert await left(eyes, sample) == 0
    assert await eyes.fetchval("SELECT amount FROM refund WHERE payment_id = $1 AND reason = 'late'", first) == 1000


async def test_a_checkout_sent_twice_makes_one_order_and_leads_to_it_both_times(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=5)
    buyer = make_buyer()
    await carts.add(database, sample.event, buyer, {sample.type: 1})
    cart = await cart_of(eyes, sample, buyer)
    assert cart is not None
    results = await asyncio.gather(
        *(orders.place(database, sample.event, buyer, cart.id, purchase_of(cart), payments.BUILT_IN) for _ in range(4))
    )
    placed = {(result.order_id, result.link) for result in results if isinstance(result, Placed)}
    assert len(placed) == 1
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order") == 1
    stranger = await orders.place(database, sample.event, make_buyer(), cart.id, purchase_of(cart), payments.BUILT_IN)
    assert stranger is None  # who knows a cart's id but not its secret learns nothing


async def test_prices_tax_and_discount_are_stored_per_line(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, price=1999, tax_bp=550)
    await make_voucher(eyes, sample, effect="percent", value=1500)
    buyer = make_buyer()
    await carts.add(database, sample.event, buyer, {sample.type: 2}, code="LUCKY")
    placed = await check_out(database, sample, buyer)
    assert isinstance(placed, Placed)
    rows = await eyes.fetch("SELECT gross, net, tax, tax_bp FROM order_position ORDER BY gross")
    assert [tuple(row.values()) for row in rows] == [(1699, 1610, 89, 550), (1999, 1895, 104, 550)]
    order = await tickets.by_link(eyes, placed.link)
    assert order is not None
    assert order.total.gross == 3698


async def test_a_price_that_changes_later_does_not_change_what_is_in_a_cart(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, price=1000)
    buyer = make_buyer()
    await carts.add(database, sample.event, buyer, {sample.type: 1})
    await eyes.execute("UPDATE ticket_type SET price = 5000")
    assert isinstance(await check_out(database, sample, buyer), Placed)
    assert await eyes.fetchval("SELECT gross FROM order_position") == 1000


async def test_everything_an_order_causes_is_written_with_it(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes)
    placed = await ordered(database, sample)
    assert await mails(eyes, "mail.order_paid") == 1
    assert await eyes.fetchval("SELECT action FROM audit WHERE object_id = $1", placed.order_id) == "order placed"
    payload = await eyes.fetchval("SELECT payload::text FROM job")
    assert "noor" not in payload.lower()
    assert placed.link not in payload


async def test_a_minimum_that_was_undercut_by_removing_is_refused_at_checkout(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, min_per_order=2)
    buyer = make_buyer()
    with pytest.raises(Refused, match="type-minimum"):
        await carts.add(database, sample.event, buyer, {sample.type: 1})
    await carts.add(database, sample.event, buyer, {sample.type: 2})
    await carts.remove(eyes, sample.event, buyer, sample.type, 1)
    with pytest.raises(Refused, match="type-minimum"):
        await check_out(database, sample, buyer)


async def test_a_way_to_pay_that_the_event_does_not_offer_is_refused(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, price=1000)
    for method in ("free", "transfer", "gold"):
        with pytest.raises(Refused, match="method"):
            await buy(database, sample, method=method)
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order") == 0
