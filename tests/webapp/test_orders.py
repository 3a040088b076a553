"""An organizer and the orders: finding, changing, refunding, selling at the door, and taking lists along."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from skep.webapp.errors import Busy
from skep.webapp.ids import uuid7
from skep.webapp.shop import carts, door, stock
from skep.webapp.shop.refusal import Refused
from skep.webapp.store import audit
from skep.webapp.store.pool import Database
from tests.rig.rows import make_event, make_type
from tests.rig.shop import make_buyer
from tests.rig.visitor import Answer, Visitor, visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def sell(database: Database, event: UUID, wanted: dict[UUID, int], *, email: str = "") -> UUID:
    return await door.sell(database, event, wanted, audit.CLOCK, name="Guest", email=email, language="en")


async def test_the_door_sells_what_is_left_and_not_one_more(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=3, price=1000)
    hidden = await make_type(eyes, sample.session, sample.pool, price=500, needs_voucher=True, min_per_order=2)
    await carts.add(database, sample.event, make_buyer(), {sample.type: 1})  # somebody online is a minute ahead
    order = await sell(database, sample.event, {sample.type: 1, hidden: 1})
    assert await eyes.fetchval("SELECT state FROM ticket_order WHERE id = $1", order) == "paid"
    row = await eyes.fetchrow("SELECT provider, state, amount FROM payment WHERE order_id = $1", order)
    assert row is not None
    assert tuple(row) == ("door", "confirmed", 1500)
    with pytest.raises(Refused, match="sold-out") as refusal:
        await sell(database, sample.event, {sample.type: 1})
    assert refusal.value.number == 0
    with pytest.raises(Refused, match="unknown"):
        await sell(database, sample.event, {uuid7(): 1})
    await eyes.execute("UPDATE event SET status = 'draft'")
    with pytest.raises(Refused, match="closed"):
        await sell(database, sample.event, {hidden: 1})
    assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 2


async def test_ten_doors_and_ten_buyers_for_five_places_sell_exactly_five(database: Database, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=5)

    async def at_the_door() -> int:
        try:
            await sell(database, sample.event, {sample.type: 1})
        except (Refused, Busy):
            return 0
        return 1

    async def online() -> int:
        try:
            return int(not await carts.add(database, sample.event, make_buyer(), {sample.type: 1}))
        except Busy:
            return 0

    taken = await asyncio.gather(*(one() for _ in range(10) for one in (at_the_door, online)))
    assert sum(taken) == 5
    assert (await stock.pools_by_id(eyes, [sample.pool]))[sample.pool].left == 0


def rows_of(answer: Answer) -> list[list[str]]:
    assert answer.text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))


async def test_from_the_list_to_the_order_and_through_its_life(
    organizer: Visitor, visitor: Visitor, eyes: Connection
) -> None:
    path = await organizer.create_event(price="10", capacity="9")
    await organizer.publish(path)
    await organizer.get(f"{path}/tickets/questions/new")
    await organizer.post(
        f"{path}/tickets/questions/new", {"kind": "choice", "label": "Which soup?", "choices": "Leek\n=Carrot"}
    )
    await visitor.add("open-studio-night", Ticket=3)
    form = (await visitor.get("/events/open-studio-night/checkout")).text
    soups = dict.fromkeys(re.findall(r'<select id="(q-[^"]+)"', form), "1")
    holders = re.findall(r'name="(holder-[0-9a-f-]{36})"', form)
    names = dict(zip(holders, ("", "Zoë Müller", '=HYPERLINK("x")'), strict=True))
    link = await visitor.check_out("open-studio-night", method="on-site", **soups, **names)
    assert link.path.startswith("/orders/"), link.words

    # Found by what anybody remembers of it, and by nothing else
    code = await eyes.fetchval("SELECT code FROM ticket_order")
    for words in ("noor", "NOOR@example", "zoe muller", code.lower(), code[:4]):
        assert code in (await organizer.get(f"{path}/orders?q={words}")).words, words
    for nothing in ("?q=nobody", "?q=%25", "?state=paid", "?q=%00%ff"):
        assert "No order is like that." in (await organizer.get(f"{path}/orders{nothing}")).words, nothing
    order = f"{path}/orders/" + str(await eyes.fetchval("SELECT id FROM ticket_order"))
    page = await organizer.get(order)
    for words in ("Zoë Müller", "Which soup?", "=Carrot", "To be paid", "€30.00", "At the door"):
        assert words in page.words

    # Notes, a new name, paid, one ticket back, the money back, the rest back
    assert (await organizer.post(f"{order}/notes", {"note": " "})).status == 422
    assert "Comes by <boat>" in (await organizer.post(f"{order}/notes", {"note": "Comes by <boat>"})).words
    ids = [str(row["id"]) for row in await eyes.fetch("SELECT id FROM order_position ORDER BY rank")]
    wrong = await organizer.post(f"{order}/holder", {"ticket": ids[1], "holder": ""})
    assert (wrong.status, "Write the name." in wrong.words) == (422, True)
    assert "a new code" in (await organizer.post(f"{order}/holder", {"ticket": ids[1], "holder": "Ada"})).words
    assert "Marked as paid." in (await organizer.post(f"{order}/paid")).words
    assert "it was marked already" in (await organizer.post(f"{order}/paid")).words
    assert "sent again" in (await organizer.post(f"{order}/resend")).words
    nothing_ticked = await organizer.post(f"{order}/give-back")
    assert (nothing_ticked.status, "Choose which tickets" in nothing_ticked.words) == (422, True)
    back = await organizer.post(f"{order}/give-back", {f"ticket-{ids[0]}": "yes"})
    assert "The tickets are cancelled" in back.words
    assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 2
    refund = await eyes.fetchval("SELECT id FROM refund")
    assert "the money went back" in (await organizer.post(f"{order}/refunds/{refund}")).words
    assert await eyes.fetchval("SELECT state FROM refund") == "done"
    assert "Nothing changed" in (await organizer.post(f"{order}/refunds/{refund}")).words
    assert (await organizer.post(f"{order}/refunds/{uuid7()}")).status == 200
    assert "is cancelled and its places" in (await organizer.post(f"{order}/cancel")).words
    last = await eyes.fetchval("SELECT id FROM refund WHERE state = 'owed'")
    assert order in (await organizer.get(f"{path}/orders?state=owed")).text
    await organizer.post(f"{order}/refunds/{last}")
    assert await eyes.fetchval("SELECT state FROM payment") == "refunded"
    page = await organizer.get(order)
    for words in ("Note written", "Name on a ticket changed", "Payment arrived", "Money paid back", "Léa Martin"):
        assert words in page.words
    log = await organizer.get("/organizer/audit?kind=order")
    assert f"Order {code}" in log.words
    assert "Noor" not in log.words


async def test_lists_are_taken_along_as_csv_that_runs_nothing(
    organizer: Visitor, visitor: Visitor, eyes: Connection
) -> None:
    path = await organizer.create_event(title="Été", price="1250.50", tax="20")
    await organizer.publish(path)
    slug = "ete"
    await visitor.register(slug, name="=1+1", email="noor@example.com")
    async with visiting(visitor.tenant) as another:
        await another.register(slug, name='Zoë; "Müller"', email="zoe@example.com")
    answer = await organizer.get(f"{path}/orders.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="ete-orders.csv"' in answer.headers["Content-Disposition"]
    head, first, second = rows_of(answer)
    assert head[:5] == ["Order", "State", "Ordered", "Buyer", "E-mail"]
    assert first[3] == "'=1+1"
    assert first[7:] == ["EUR", "1042.08", "208.42", "1250.50", "0.00"]
    assert second[3] == 'Zoë; "Müller"'
    (only,) = rows_of(await organizer.get(f"{path}/orders.csv?q=zoe"))[1:]
    assert only[4] == "zoe@example.com"
    assert rows_of(await organizer.get(f"{path}/orders.csv?state=cancelled"))[1:] == []
    people = rows_of(await organizer.get(f"{path}/attendees.csv"))
    assert people[0][:2] == ["Name", "Ticket"]
    assert [row[0] for row in people[1:]] == ["'=1+1", 'Zoë; "Müller"']
    async with visiting(visitor.tenant, language="fr") as french:
        await french.sign_in()
        text = (await french.get(f"{path}/orders.csv")).text
    assert "1250,50" in text
    assert "Commande;État" in text
    assert await eyes.fetchval("SELECT count(*) FROM audit WHERE action LIKE '% exported'") == 5
    filtered = await organizer.get(f"{path}/attendees?q=zoe")
    assert ("Müller" in filtered.words, "=1+1" in filtered.words) == (True, False)
    for odd in ("?type=x", "?session=%00", f"?type={uuid7()}", "?q=%ff"):
        assert (await organizer.get(f"{path}/attendees{odd}")).status == 200, odd


async def test_selling_at_the_door_by_the_page(organizer: Visitor, eyes: Connection) -> None:
    path = await organizer.create_event(price="8", capacity="4")
    assert "while the event is published" in (await organizer.get(f"{path}/door")).words
    await organizer.publish(path)
    field = re.search(r'name="(n-[0-9a-f-]{36})"', (await organizer.get(f"{path}/door")).text)
    assert field is not None
    for typed, sentence in (
        ({field[1]: ""}, "Choose how many tickets"),
        ({field[1]: "many"}, "Write a whole number from 1 to 50"),
        ({field[1]: "2", "email": "noor"}, "Write an e-mail address"),
        ({field[1]: "5", "name": "Kept"}, "Of “Ticket” only 4 are left. Nothing was sold."),
    ):
        answer = await organizer.post(f"{path}/door", typed)
        assert answer.status == 422
        assert sentence in answer.words
        assert 'value="Kept"' in answer.text or "name" not in typed
    sold = await organizer.post(f"{path}/door", {field[1]: "3"})
    assert "Sold and paid." in sold.words
    assert "no e-mail address" in sold.words
    assert "Guest" in sold.words
    async with organizer.session.get(organizer.tenant.url + sold.path.partition("?")[0] + "/tickets.pdf") as file:
        assert (file.status, file.content_type) == (200, "application/pdf")
    assert await eyes.fetchval("SELECT actor FROM audit WHERE action = 'order placed'") == "member"


async def test_a_calendar_of_all_events_by_a_secret_address(organizer: Visitor, visitor: Visitor) -> None:
    await organizer.create_event(title="Draft, still")
    await organizer.get("/organizer/account")
    made = await organizer.post("/organizer/account/calendar")
    found = re.search(r'value="https?://[^/"]+(/organizer/calendar/[^"]+\.ics)"', made.text)
    assert found is not None
    calendar = await visitor.get(found[1])
    assert calendar.headers["Content-Type"].startswith("text/calendar")
    assert "SUMMARY:Draft\\, still" in calendar.text
    assert "STATUS:TENTATIVE" in calendar.text
    assert all(len(line.encode()) <= 75 for line in calendar.text.split("\r\n"))
    await organizer.post("/organizer/account/calendar")
    assert (await visitor.get(found[1])).status == 404  # the new address ended it


async def test_20_a_ticket_that_somebody_came_in_with_is_not_given_back_by_its_buyer(
    organizer: Visitor, visitor: Visitor, eyes: Connection
) -> None:
    path = await organizer.create_event()
    await organizer.publish(path)
    await visitor.add("open-studio-night", Ticket=2)
    order = await visitor.check_out("open-studio-night")
    ids = [row["id"] for row in await eyes.fetch("SELECT id FROM order_position ORDER BY rank")]
    await eyes.execute(
        "INSERT INTO checkin_list (id, event_id, label) SELECT $1, id, 'Door' FROM event ON CONFLICT DO NOTHING",
        uuid7(),
    )
    await eyes.execute(
        "INSERT INTO checkin (id, list_id, position_id, code_sha256, nonce, gate, at) "
        "SELECT $1, id, $2, sha256('x'), 'n', 'Gate A', clock_timestamp() FROM checkin_list LIMIT 1",
        uuid7(),
        ids[0],
    )
    page = await visitor.get(order.path)
    assert f"ticket-{ids[0]}" not in page.text
    assert f"ticket-{ids[1]}" in page.text
    await visitor.post(f"{order.path}/cancel", {f"ticket-{identity}": "yes" for identity in ids})
    held = {row["id"]: row["is_held"] for row in await eyes.fetch("SELECT id, is_held FROM order_position")}
    assert held == {ids[0]: True, ids[1]: False}
    renamed = await visitor.post(f"{order.path}/holder", {"ticket": str(ids[0]), "holder": "Ada"})
    assert renamed.status == 404
    found = re.search(rf'href="({path}/orders/[^"]+)"', (await organizer.get(f"{path}/orders")).text)
    assert found is not None
    assert "Came in" in (await organizer.get(found[1])).words
    assert "1 of 1" in (await organizer.get(f"{path}/figures")).words
