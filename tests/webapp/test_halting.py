"""Cancelling, postponing and moving an event: everything that follows, once, and nothing sold beside it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from skep.webapp.shop import carts, halting, payments, stock
from skep.webapp.shop.orders import Placed
from skep.webapp.shop.refusal import Refused
from skep.webapp.shop.states import PaymentState
from skep.webapp.store import audit
from skep.webapp.store.pool import Database
from tests.rig.rows import Sample, make_event
from tests.rig.shop import buy, check_out, make_buyer, ordered
from tests.rig.smtp import Mailbox, serving
from tests.rig.tenant import Tenant
from tests.rig.visitor import Visitor, visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def pay(database: Database, eyes: Connection, placed: Placed) -> None:
    payment = await eyes.fetchval("SELECT id FROM payment WHERE order_id = $1", placed.order_id)
    await payments.record(database, payment, PaymentState.CONFIRMED, audit.PROVIDER)


async def cancel(database: Database, event: UUID, notice: str = "") -> bool:
    async with database.transaction() as connection:
        return await halting.cancel(connection, event, "en", notice, audit.CLOCK)


async def test_cancelling_gives_back_everything_once(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=10, price=1500)
    paid, pending = await ordered(database, sample, number=2), await ordered(database, sample)
    await pay(database, eyes, paid)
    other = await make_event(eyes, capacity=10)
    untouched = await ordered(database, other)
    await carts.add(database, sample.event, make_buyer(), {sample.type: 1})
    version = await eyes.fetchval("SELECT version FROM event WHERE id = $1", sample.event)

    effect = await halting.effect(eyes, sample.event)
    assert (effect.orders, effect.tickets, effect.paid, effect.owed, effect.waiting) == (2, 3, 1, 3000, 0)
    assert await cancel(database, sample.event, "The singer is ill.")
    for _ in range(2):  # once more changes nothing
        states = {row["id"]: row["state"] for row in await eyes.fetch("SELECT id, state FROM ticket_order")}
        assert states == {paid.order_id: "cancelled", pending.order_id: "cancelled", untouched.order_id: "paid"}
        assert await eyes.fetchval("SELECT sum(amount) FROM refund WHERE state = 'owed'") == 3000
        assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 1
        assert await eyes.fetchval("SELECT count(*) FROM cart") == 0
        assert await eyes.fetchval("SELECT count(*) FROM job WHERE kind = 'mail.event_cancelled'") == 2
        assert await eyes.fetchval("SELECT count(*) FROM job WHERE kind = 'mail.tickets_cancelled'") == 0
        assert await eyes.fetchval("SELECT version FROM event WHERE id = $1", sample.event) == version + 1
        assert not await cancel(database, sample.event)
    assert await eyes.fetchval("SELECT count(*) FROM audit WHERE action = 'event cancelled'") == 1


async def test_a_sale_and_a_cancelling_at_the_same_moment_leave_no_order_behind(
    database: Database, eyes: Connection
) -> None:
    """Whoever is first: the sale is written and then cancelled, or it is refused."""
    for _ in range(5):
        sample = await make_event(eyes, capacity=20)
        buyers = [make_buyer() for _ in range(6)]
        for buyer in buyers:
            await carts.add(database, sample.event, buyer, {sample.type: 1})

        async def one(buyer: str, sample: Sample = sample) -> str:
            try:
                placed = await check_out(database, sample, buyer)
            except Refused as refusal:
                return refusal.reason
            return "placed" if isinstance(placed, Placed) else "gone"

        results = await asyncio.gather(cancel(database, sample.event), *(one(buyer) for buyer in buyers))
        assert set(results[1:]) <= {"placed", "closed", "gone"}
        good = "SELECT count(*) FROM ticket_order WHERE event_id = $1 AND state <> 'cancelled'"
        assert await eyes.fetchval(good, sample.event) == 0
        told = await eyes.fetchval(
            "SELECT count(*) FROM job j JOIN ticket_order o ON j.payload->>'order' = o.id::text "
            "WHERE j.kind = 'mail.event_cancelled' AND o.event_id = $1",
            sample.event,
        )
        assert told == results.count("placed")


async def test_a_payment_that_arrives_after_cancelling_is_owed_back(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=3, price=1500)
    placed = await ordered(database, sample)
    await cancel(database, sample.event)
    await pay(database, eyes, placed)
    assert await eyes.fetchval("SELECT state FROM ticket_order") == "cancelled"
    assert [tuple(row) for row in await eyes.fetch("SELECT amount, reason FROM refund")] == [(1500, "cancelled")]


async def test_cancelling_many_orders_is_one_transaction(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=50)
    for _ in range(12):
        await ordered(database, sample)

    async def die_before_the_end() -> None:
        async with database.transaction() as connection:
            assert await halting.cancel(connection, sample.event, "en", "", audit.CLOCK)
            raise RuntimeError("lights out")

    with pytest.raises(RuntimeError, match="lights out"):
        await die_before_the_end()
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order WHERE state = 'paid'") == 12
    assert await eyes.fetchval("SELECT status FROM event") == "live"
    assert await cancel(database, sample.event)
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order WHERE state = 'cancelled'") == 12


async def test_postponing_keeps_orders_and_sells_nothing_until_there_is_a_date(
    database: Database, eyes: Connection
) -> None:
    sample = await make_event(eyes, capacity=5, price=1000)
    placed = await ordered(database, sample)
    async with database.transaction() as connection:
        assert await halting.postpone(connection, sample.event, "en", "", audit.CLOCK)
    async with database.transaction() as connection:
        assert not await halting.postpone(connection, sample.event, "en", "", audit.CLOCK)
    assert await eyes.fetchval("SELECT due_at FROM ticket_order") is None  # who pays at the door waits with it
    with pytest.raises(Refused, match="closed"):
        await buy(database, sample)
    when = {sample.session: (datetime(2091, 1, 1, tzinfo=UTC), datetime(2091, 1, 2, tzinfo=UTC))}
    for done in (True, False):
        async with database.transaction() as connection:
            assert await halting.move(connection, sample.event, when, "en", "", audit.CLOCK) is done
    row = await eyes.fetchrow("SELECT state, due_at FROM ticket_order WHERE id = $1", placed.order_id)
    assert row is not None
    assert tuple(row) == ("pending", datetime(2091, 1, 2, tzinfo=UTC))
    kinds = [row["kind"] for row in await eyes.fetch("SELECT kind FROM job ORDER BY id")]
    assert kinds == ["mail.order_placed", "mail.event_postponed", "mail.event_moved"]
    assert isinstance(await buy(database, sample), Placed)
    assert (await stock.pools_by_id(eyes, [sample.pool]))[sample.pool].left == 3


# By the pages


def body(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    text: str = part.get_content()
    return text


async def test_an_organizer_cancels_and_everybody_reads_it_in_their_language(tenant: Tenant, eyes: Connection) -> None:
    async with serving(Mailbox()) as mailbox:
        tenant.settings["settings"] |= {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(mailbox.port),
            "SMTP_TLS": "off",
            "MAIL_FROM": "tickets@acme.example",
        }
        tenant.settings["worker"] = "service"
        tenant.write()
        async with (
            tenant.running(),
            visiting(tenant) as organizer,
            visiting(tenant) as noor,
            visiting(tenant, language="fr") as zoe,
        ):
            await organizer.become_organizer()
            path = await organizer.create_event()
            await organizer.publish(path)
            link = (await noor.register("open-studio-night", name="Noor", email="noor@example.com")).path
            await zoe.register("open-studio-night", name="Zoë", email="zoe@example.com")
            await tenant.work()
            mailbox.mails.clear()

            page = await organizer.get(f"{path}/cancel")
            for sentence in ("2 tickets are no longer valid", "2 mails are sent", "This cannot be undone"):
                assert sentence in page.words
            long = await organizer.post(f"{path}/cancel", {"notice": "x" * 1001})
            assert (long.status, "at most 1,000 characters" in long.words) == (422, True)
            done = await organizer.post(f"{path}/cancel", {"notice": "The roof leaks.\nWe are sorry."})
            assert "The event is cancelled." in done.words
            assert "The event is cancelled." in (await organizer.post(f"{path}/cancel")).words  # twice is once
            assert (await organizer.get(f"{path}/cancel")).status == 404

            public = await noor.get("/events/open-studio-night")
            assert "This event will not take place." in public.words
            assert "The roof leaks." in public.words
            assert "cancelled" in (await noor.get(link)).words
            calendar = (await noor.get("/events/open-studio-night/calendar.ics")).text
            assert "STATUS:CANCELLED" in calendar
            assert "SEQUENCE:2" in calendar

            await tenant.work()
            mails = {mail["To"]: mail for mail in mailbox.mails}
            assert set(mails) == {"noor@example.com", "zoe@example.com"}
            assert mails["noor@example.com"]["Subject"] == "The event is cancelled: Open studio night"
            assert "L’événement est annulé" in mails["zoe@example.com"]["Subject"]
            assert "The roof leaks." in body(mails["zoe@example.com"])
            (file,) = list(mails["noor@example.com"].iter_attachments())
            assert file.get_content_type() == "text/calendar"
            assert "STATUS:CANCELLED" in file.get_content()


async def test_an_organizer_postpones_and_sets_the_new_date(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event()
    assert (await organizer.get(f"{path}/postpone")).status == 404  # nobody was told of it yet
    await organizer.publish(path)
    page = await organizer.get(f"{path}/postpone")
    fields = dict(re.findall(r'name="((?:starts|ends)-[^"]+)" type="datetime-local" value="([^"]*)"', page.text))
    assert sorted(fields.values()) == ["2090-12-04T19:00", "2090-12-04T22:00"]
    starts, ends = sorted(fields, reverse=True)

    assert "postponed" in (await organizer.post(f"{path}/postpone", {"date": "later", **fields})).words
    public = await visitor.get("/events/open-studio-night")
    assert "A new date is not known yet." in public.words
    assert "STATUS:TENTATIVE" in (await visitor.get("/events/open-studio-night/calendar.ics")).text

    wrong = await organizer.post(f"{path}/postpone", {"date": "now", starts: "2091-02-01T20:00", ends: "nonsense"})
    assert wrong.status == 422
    assert "Say when the event ends." in wrong.words
    assert 'value="2091-02-01T20:00"' in wrong.text
    assert (await organizer.post(f"{path}/postpone", {"date": "never"})).status == 422
    moved = await organizer.post(
        f"{path}/postpone", {"date": "now", starts: "2091-02-01T20:00", ends: "2091-02-01T22:00"}
    )
    assert "The new date is set." in moved.words
    public = await visitor.get("/events/open-studio-night")
    assert "Thursday 1\u00a0February 2091" in public.text
    assert "Register" in public.words
