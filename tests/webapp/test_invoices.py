"""Invoices and credit notes: numbered without gaps whatever happens, never changed, read back years later."""

from __future__ import annotations

import asyncio
import io
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest

from skep.webapp.bounded.invoice_file import draw
from skep.webapp.shop import halting, invoices, orders, payments
from skep.webapp.shop.invoice_sheets import Seller
from skep.webapp.shop.orders import Placed
from skep.webapp.shop.states import PaymentState
from skep.webapp.store import audit, retention
from skep.webapp.store.pool import Database
from tests.rig.rows import Sample, make_event
from tests.rig.shop import ordered
from tests.rig.visitor import Visitor

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

SELLER = Seller("Acme SARL", "1 rue du Port\n44000 Nantes", "FR12345678901", "IBAN FR76", "ACME-", "Europe/Paris", 0)


@pytest.fixture
async def sample(eyes: Connection) -> Sample:
    await invoices.save_seller(eyes, SELLER)
    return await make_event(eyes, capacity=200, price=1250, tax_bp=550)


async def pay(database: Database, eyes: Connection, placed: Placed) -> None:
    payment = await eyes.fetchval("SELECT id FROM payment WHERE order_id = $1", placed.order_id)
    assert await payments.record(database, payment, PaymentState.CONFIRMED, audit.PROVIDER) == "paid"


async def numbers(eyes: Connection, series: str = "invoice") -> list[int]:
    rows = await eyes.fetch("SELECT number FROM invoice WHERE series = $1 ORDER BY number", series)
    return [row["number"] for row in rows]


def text_of(pdf: bytes) -> str:
    pages = pypdfium2.PdfDocument(io.BytesIO(pdf))
    return "\n".join(page.get_textpage().get_text_bounded() for page in pages).replace("\r\n", "\n")


async def test_a_paid_order_gets_one_invoice_however_often_it_is_told(
    database: Database, eyes: Connection, sample: Sample
) -> None:
    placed = await ordered(database, sample, number=2)
    assert await numbers(eyes) == []
    await pay(database, eyes, placed)
    payment = await eyes.fetchval("SELECT id FROM payment")
    await payments.record(database, payment, PaymentState.CONFIRMED, audit.PROVIDER)
    async with database.transaction() as connection:
        assert await invoices.issue(connection, placed.order_id) is None
    row = await eyes.fetchrow("SELECT label, gross, net, tax, issued_on, created_at FROM invoice")
    assert row is not None
    assert re.fullmatch(r"ACME-20\d\d-0001", row["label"])
    assert (row["gross"], row["net"], row["tax"]) == (2500, 2370, 130)
    assert abs(row["created_at"].date() - row["issued_on"]) <= timedelta(days=1)


async def test_numbers_have_no_gap_though_many_pay_at_once_and_some_are_rolled_back(
    database: Database, eyes: Connection, sample: Sample
) -> None:
    placed = [await ordered(database, sample) for _ in range(24)]
    ids = [await eyes.fetchval("SELECT id FROM payment WHERE order_id = $1", one.order_id) for one in placed]

    async def fail(order_id: UUID) -> None:
        async with database.transaction() as connection:
            await connection.execute("UPDATE ticket_order SET state = 'paid' WHERE id = $1", order_id)
            assert await invoices.issue(connection, order_id) is not None
            raise RuntimeError("lights out")

    results = await asyncio.gather(
        *(payments.record(database, one, PaymentState.CONFIRMED, audit.PROVIDER) for one in ids[:16]),
        *(fail(one.order_id) for one in placed[16:]),
        return_exceptions=True,
    )
    assert results[:16] == ["paid"] * 16
    assert all(isinstance(result, RuntimeError) for result in results[16:])
    assert await numbers(eyes) == list(range(1, 17))
    for one in ids[16:]:
        await payments.record(database, one, PaymentState.CONFIRMED, audit.PROVIDER)
    assert await numbers(eyes) == list(range(1, 25))
    days = [row["issued_on"] for row in await eyes.fetch("SELECT issued_on FROM invoice ORDER BY number")]
    assert days == sorted(days)


async def test_what_is_cancelled_is_credited_and_no_more(database: Database, eyes: Connection, sample: Sample) -> None:
    placed = await ordered(database, sample, number=3)
    await pay(database, eyes, placed)
    positions = [row["id"] for row in await eyes.fetch("SELECT id FROM order_position ORDER BY rank")]
    for ids in (positions[:1], positions[:1], positions):
        async with database.transaction() as connection:
            await orders.cancel(connection, placed.order_id, ids, audit.BUYER)
    rows = await eyes.fetch("SELECT series, gross, corrects_id FROM invoice ORDER BY created_at")
    first = await eyes.fetchval("SELECT id FROM invoice WHERE series = 'invoice'")
    assert [tuple(row) for row in rows] == [("invoice", 3750, None), ("credit", 1250, first), ("credit", 2500, first)]
    assert await numbers(eyes, "credit") == [1, 2]
    assert await eyes.fetchval("SELECT sum(amount) FROM refund") == 3750


async def test_cancelling_an_event_credits_every_invoice(database: Database, eyes: Connection, sample: Sample) -> None:
    for _ in range(3):
        await pay(database, eyes, await ordered(database, sample))
    await ordered(database, sample)  # not paid: nothing to credit
    async with database.transaction() as connection:
        await halting.cancel(connection, sample.event, "en", "", audit.CLOCK)
    assert await numbers(eyes, "credit") == [1, 2, 3]
    assert await eyes.fetchval("SELECT count(DISTINCT corrects_id) FROM invoice WHERE series = 'credit'") == 3


async def test_nothing_is_issued_for_free_tickets_or_without_a_seller(database: Database, eyes: Connection) -> None:
    priced = await make_event(eyes, capacity=5, price=1000)
    early = await ordered(database, priced)
    await pay(database, eyes, early)
    await invoices.save_seller(eyes, SELLER)
    await ordered(database, await make_event(eyes, capacity=5))
    assert await numbers(eyes) == []
    async with database.transaction() as connection:  # made by hand, later
        assert await invoices.issue(connection, early.order_id) is not None


async def test_an_invoice_stays_whatever_changes_around_it(
    database: Database, eyes: Connection, sample: Sample
) -> None:
    placed = await ordered(database, sample)
    await pay(database, eyes, placed)
    (one,) = await invoices.of_order(eyes, placed.order_id)

    async def file() -> bytes:
        found = await invoices.sheet(eyes, placed.order_id, one.id)
        assert found is not None
        return draw(found[1])

    before = await file()
    await eyes.execute('UPDATE event SET title = \'{"en": "Renamed"}\'')
    await eyes.execute('UPDATE ticket_type SET title = \'{"en": "Renamed"}\', tax_bp = 2000')
    await eyes.execute("UPDATE seller SET legal_name = 'Another'")
    await eyes.execute("UPDATE person SET name = '', email = '' WHERE kind = 'guest'")  # erased with the event
    await eyes.execute("UPDATE invoice SET gross = 1, net = 1, tax = 0, label = 'x'")
    assert await file() == before
    words = text_of(before)
    for expected in ("Acme SARL", "44000 Nantes", "FR12345678901", "Noor", "Sample", "€12.50", "5.5%", "IBAN FR76"):
        assert expected in words


async def test_a_long_invoice_goes_on_over_pages() -> None:
    document = {
        "layout": 1, "language": "fr", "title": "Facture", "event": "Nuit", "seller": ["Acme", "Nantes"], "buyer": "À",
        "name": "Zoë <Müller>", "facts": [["Numéro", "2026-0001"]], "head": ["a", "b", "c", "d", "e"],
        "lines": [[f"Place {number} " + "très " * 30, "1", "12,50 €", "5,5 %", "12,50 €"] for number in range(60)],
        "rates": [["À 5,5 %", "hors taxe", "taxe"]], "totals": [["Total", "750,00 €"]], "footer": ["Pied"],
    }  # fmt: skip
    pdf = draw(document)
    assert len(pypdfium2.PdfDocument(io.BytesIO(pdf))) > 2
    words = text_of(pdf)
    assert "Place 59" in words
    assert "750,00 €" in words
    assert draw(document) == pdf


async def test_old_invoices_are_forgotten_after_ten_years_and_their_numbers_are_not(
    database: Database, eyes: Connection, sample: Sample
) -> None:
    placed = await ordered(database, sample)
    await pay(database, eyes, placed)
    assert await retention.erase_invoices(eyes) == 0
    first = await retention.next_invoices_due(eyes)
    now = await eyes.fetchval("SELECT clock_timestamp()")
    assert first is not None
    assert first.year == now.year + 11
    await eyes.execute("ALTER TABLE invoice DISABLE RULE invoice_stays")
    await eyes.execute("UPDATE invoice SET year = year - 11, issued_on = issued_on - interval '11 years'")
    await eyes.execute("ALTER TABLE invoice ENABLE RULE invoice_stays")
    due = await retention.next_invoices_due(eyes)
    assert due is not None
    assert due < await eyes.fetchval("SELECT clock_timestamp()")
    assert await retention.erase_invoices(eyes) == 1
    assert await retention.next_invoices_due(eyes) is None
    assert await eyes.fetchval("SELECT count(*) FROM person WHERE kind = 'billed'") == 0
    await pay(database, eyes, await ordered(database, sample))
    assert await numbers(eyes) == [2]


async def test_owner_and_buyer_get_their_invoices_as_files(organizer: Visitor, visitor: Visitor) -> None:
    await organizer.get("/organizer/invoices/seller")
    wrong = await organizer.post("/organizer/invoices/seller", {"version": "0", "prefix": "a b", "footer": "Kept"})
    assert wrong.status == 422
    for sentence in ("Write the name of who sells.", "Write the address", "letters, digits and hyphens only", "Kept"):
        assert sentence in wrong.words
    fields = {"version": "0", "legal_name": "Acme SARL", "address": "1 rue du Port\nNantes", "prefix": "acme-"}
    assert "Saved." in (await organizer.post("/organizer/invoices/seller", fields)).words
    stale = await organizer.post("/organizer/invoices/seller", {**fields, "legal_name": "Mine"})
    assert (stale.status, "Somebody else changed this" in stale.words) == (409, True)

    path = await organizer.create_event(price="12.50", tax="5.5")
    await organizer.publish(path)
    link = (await visitor.register("open-studio-night")).path
    found = re.search(rf'href="({path}/orders/[^"]+)"', (await organizer.get(f"{path}/orders")).text)
    assert found is not None
    paid = await organizer.post(f"{found[1]}/paid")
    assert "Marked as paid." in paid.words
    assert "Invoice ACME-" in paid.words
    theirs = re.search(r'href="(/organizer/[^"]+/invoices/[^"]+\.pdf)"', paid.text)
    mine = re.search(r'href="(/orders/[^"]+/invoices/[^"]+\.pdf)"', (await visitor.get(link)).text)
    assert theirs is not None
    assert mine is not None
    files = []
    for somebody, address in ((organizer, theirs[1]), (visitor, mine[1])):
        async with somebody.session.get(somebody.tenant.url + address) as answer:
            assert answer.status == 200
            assert answer.content_type == "application/pdf"
            files.append(await answer.read())
    assert files[0] == files[1]
    assert "Acme SARL" in text_of(files[0])
    assert (await visitor.get(mine[1].replace("/invoices/0", "/invoices/1"))).status == 404
    journal = await organizer.get("/organizer/invoices/export.csv")
    assert journal.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "11.85,0.65,12.50" in journal.text
    assert json.dumps("Noor")[1:-1] in (await organizer.get("/organizer/invoices")).words
