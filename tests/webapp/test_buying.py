"""The buying path over HTTP, as a browser without JavaScript walks it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING

import asyncpg
import pytest

from skep.webapp.seed import seed
from skep.webapp.settings import Settings
from skep.webapp.store import offers
from skep.webapp.store.offers import VoucherDraft
from tests.rig.rows import make_event, make_type
from tests.rig.tenant import Tenant
from tests.rig.visitor import Visitor, event_fields, visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def test_from_the_page_to_the_tickets(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=5, price=1250, tax_bp=550)
    await make_type(eyes, sample.session, sample.pool, title={"en": "Reduced"}, price=800, rank=1)
    cart = await visitor.add(sample.slug, Ticket=1, Reduced=2)
    assert cart.path == f"/events/{sample.slug}/cart"
    assert cart.headers["Cache-Control"] == "no-store"
    assert "€28.50" in cart.words
    page = await visitor.get(f"/events/{sample.slug}/checkout")
    (field, *_) = re.findall(r'name="(holder-[0-9a-f-]{36})"', page.text)
    order = await visitor.check_out(sample.slug, **{field: "Aya"})
    assert re.fullmatch(r"/orders/[A-Za-z0-9_-]{22}", order.path)
    assert "Reserved for you" in order.words
    assert "Aya" in order.words
    assert order.words.count("Noor") >= 2
    assert "2 places left" in (await visitor.get(f"/events/{sample.slug}")).words
    assert (await visitor.get(f"/events/{sample.slug}/cart")).words.count("Your cart is empty") == 1


async def test_a_single_free_ticket_leads_straight_to_the_registration(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=1)
    assert 'name="then" value="checkout"' in (await visitor.get(f"/events/{sample.slug}")).text
    answer = await visitor.post(f"/events/{sample.slug}/cart", {f"n-{sample.type}": "1", "then": "checkout"})
    assert answer.path == f"/events/{sample.slug}/checkout"


async def test_two_tickets_wanted_and_one_there_is_said_on_the_next_page(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=1)
    answer = await visitor.post(f"/events/{sample.slug}/cart", {f"n-{sample.type}": "2"})
    assert "1 ticket “Ticket” fewer than you asked for" in answer.words


async def test_notes_in_the_address_speak_of_nothing_but_this_events_tickets(
    visitor: Visitor, eyes: Connection
) -> None:
    sample = await make_event(eyes)
    answer = await visitor.get(f"/events/{sample.slug}/cart?note=fewer-1-Send+money+to+Eve&note=none-1-Ticket")
    assert "money" not in answer.words
    assert "“Ticket” is taken: somebody was a moment faster." in answer.words


async def test_a_free_form_is_refused_field_by_field_and_keeps_what_was_typed(
    visitor: Visitor, eyes: Connection
) -> None:
    sample = await make_event(eyes)
    await offers.create_question(
        eyes, sample.event, offers.QuestionDraft("line", {"en": "Your instrument"}, is_required=True)
    )
    await visitor.add(sample.slug, Ticket=1)
    answer = await visitor.check_out(sample.slug, name="Kept name", email="noor")
    assert answer.status == 422
    assert 'value="Kept name"' in answer.text
    for sentence in ("Write an e-mail address like", "“Your instrument”: Please answer this question."):
        assert answer.words.count(sentence) == 2  # on top and beside the field
    question = re.search(r'id="(q-[^"]+)"', answer.text)
    assert question is not None
    order = await visitor.check_out(sample.slug, **{question[1]: "Viola"})
    assert "You are registered" in order.words
    assert await eyes.fetchval("SELECT value FROM answer") == "Viola"


async def test_a_code_opens_hidden_tickets_and_lowers_prices(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes, price=2000)
    await make_type(eyes, sample.session, sample.pool, title={"en": "Backstage"}, price=5000, needs_voucher=True)
    await offers.create_voucher(eyes, sample.event, VoucherDraft("FRIEND", None, 5, "percent", 1000))
    page = await visitor.get(f"/events/{sample.slug}")
    assert "Backstage" not in page.words
    assert "Do you have a code?" in page.words
    page = await visitor.get(f"/events/{sample.slug}?voucher=friend")
    assert "Backstage" in page.words
    assert "€45.00" in page.words
    cart = await visitor.add(sample.slug, voucher="friend", Backstage=1, Ticket=1)
    assert "€63.00" in cart.words
    assert "We do not know this code" in (await visitor.get(f"/events/{sample.slug}?voucher=nobody")).words


async def test_a_checkout_sent_twice_shows_the_same_order(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes)
    await visitor.add(sample.slug, Ticket=1)
    page = await visitor.get(f"/events/{sample.slug}/checkout")
    cart = re.search(r'name="cart" value="([^"]+)"', page.text)
    assert cart is not None
    form = {"cart": cart[1], "name": "Noor", "email": "noor@example.com"}
    answers = await asyncio.gather(*(visitor.post(f"/events/{sample.slug}/checkout", form) for _ in range(3)))
    assert len({answer.path for answer in answers}) == 1
    assert (await visitor.post(f"/events/{sample.slug}/checkout", form)).path == answers[0].path
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order") == 1


async def test_a_hundred_browsers_for_ten_places_over_http(tenant: Tenant, visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=10)

    async def one(number: int) -> int:
        async with visiting(tenant) as somebody:
            answer = await somebody.register(sample.slug, name=f"Guest {number}")
            return 200 if answer.path.startswith("/orders/") else 409

    outcomes: Counter[int] = Counter()
    for _ in range(2):
        outcomes += Counter(await asyncio.gather(*(one(number) for number in range(25))))
    assert outcomes == {200: 10, 409: 40}
    assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 10


async def test_tickets_are_given_back_one_by_one_and_not_too_late(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=2)
    await visitor.add(sample.slug, Ticket=2)
    order = await visitor.check_out(sample.slug)
    tickets = re.findall(r'name="(ticket-[0-9a-f-]{36})"', order.text)
    assert len(tickets) == 2
    answer = await visitor.post(f"{order.path}/cancel", {tickets[0]: "yes"})
    assert "Thank you for making room" in answer.words
    assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 1
    await eyes.execute("UPDATE event_session SET starts_at = clock_timestamp() + interval '1 hour'")
    await visitor.post(f"{order.path}/cancel", {tickets[1]: "yes"})
    assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 1
    assert "I cannot come" not in (await visitor.get(order.path)).words


async def test_32_resending_says_the_same_to_everybody_and_sends_once_a_day(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes)
    await visitor.register(sample.slug, email="noor@example.com")
    count = "SELECT count(*) FROM job WHERE kind = 'mail.tickets_again'"
    answers = [await visitor.post("/tickets", {"email": email}) for email in ("nobody@example.com", "Noor@Example.com")]
    assert {answer.words for answer in answers} == {answers[0].words}
    assert "Look into your mailbox" in answers[0].words
    assert await eyes.fetchval(count) == 1
    await visitor.post("/tickets", {"email": "noor@example.com"})
    assert await eyes.fetchval(count) == 1
    assert (await visitor.post("/tickets", {"email": "noor"})).status == 422


async def test_a_ticket_goes_to_somebody_else_with_a_code_of_its_own(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes)
    order = await visitor.register(sample.slug)
    ticket = re.search(r'name="ticket" value="([0-9a-f-]{36})"', order.text)
    assert ticket is not None
    before = await eyes.fetchval("SELECT secret FROM order_position")
    refused = await visitor.post(f"{order.path}/holder", {"ticket": ticket[1], "holder": " "})
    assert refused.status == 422
    assert "Write your name." in refused.words
    changed = await visitor.post(f"{order.path}/holder", {"ticket": ticket[1], "holder": "Aya"})
    assert "The ticket has a new name and a new code." in changed.words
    assert "Aya" in changed.words
    assert await eyes.fetchval("SELECT secret FROM order_position") != before
    other = await visitor.register(sample.slug)
    assert (await visitor.post(f"{other.path}/holder", {"ticket": ticket[1], "holder": "Eve"})).status == 404


async def test_tickets_of_another_order_are_not_given_back(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes)
    mine = await visitor.register(sample.slug)
    yours = await visitor.register(sample.slug)
    ticket = re.search(r'name="(ticket-[0-9a-f-]{36})"', yours.text)
    assert ticket is not None
    await visitor.post(f"{mine.path}/cancel", {ticket[1]: "yes"})
    assert await eyes.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 2


async def test_another_browser_sees_neither_cart_nor_checkout(
    visitor: Visitor, tenant: Tenant, eyes: Connection
) -> None:
    sample = await make_event(eyes)
    await visitor.add(sample.slug, Ticket=1)
    async with visiting(tenant) as other:
        assert "Your cart is empty" in (await other.get(f"/events/{sample.slug}/cart")).words
        assert (await other.get(f"/events/{sample.slug}/checkout")).path == f"/events/{sample.slug}/cart"


async def test_a_robot_that_fills_every_field_gets_nothing(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes)
    await visitor.add(sample.slug, Ticket=1)
    answer = await visitor.check_out(sample.slug, website="https://spam.example")
    assert answer.status == 422
    assert "This looks like a robot." in answer.words
    assert await eyes.fetchval("SELECT count(*) FROM ticket_order") == 0


async def test_free_places_are_limited_by_network_and_paid_ones_are_not(visitor: Visitor, eyes: Connection) -> None:
    free = await make_event(eyes)
    statuses = [(await visitor.register(free.slug)).status for _ in range(62)]
    assert statuses == [200] * 60 + [422] * 2
    paid = await make_event(eyes, price=500)
    assert (await visitor.register(paid.slug)).path.startswith("/orders/")


async def test_an_ended_cart_says_so_and_can_be_had_again(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=1)
    await visitor.add(sample.slug, Ticket=1)
    await eyes.execute("UPDATE cart SET expires_at = clock_timestamp() - interval '1 s'")
    assert "The time is up" in (await visitor.get(f"/events/{sample.slug}/cart")).words
    again = await visitor.post(f"/events/{sample.slug}/cart/renew")
    assert "Held for you until" in again.words
    await visitor.post(f"/events/{sample.slug}/cart/remove", {"type": str(sample.type)})
    assert "Your cart is empty" in (await visitor.get(f"/events/{sample.slug}/cart")).words


async def test_the_waiting_list_takes_an_address_once_and_says_the_same(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes, capacity=1)
    waiting = f"/events/{sample.slug}/waiting/{sample.type}"
    assert (await visitor.get(waiting)).path == f"/events/{sample.slug}"  # there are tickets
    await visitor.register(sample.slug)
    assert "Join the waiting list" in (await visitor.get(f"/events/{sample.slug}")).words
    assert (await visitor.post(waiting, {"name": "Aya", "email": "aya"})).status == 422
    for _ in range(2):
        assert "You are on the list" in (await visitor.post(waiting, {"name": "Aya", "email": "aya@example.com"})).words
    assert await eyes.fetchval("SELECT count(*) FROM waiting_entry") == 1
    assert (await visitor.get(f"/events/{sample.slug}/waiting/{sample.event}")).status == 404


async def test_22_the_calendar_file_is_in_utc_with_an_identity_that_stays(visitor: Visitor, eyes: Connection) -> None:
    sample = await make_event(eyes)
    title = '{"en": "Tea, scones; and a very long title that goes on and on until it must be folded somewhere, é"}'
    await eyes.execute("UPDATE event SET title = $1", title)
    answer = await visitor.get(f"/events/{sample.slug}/calendar.ics")
    assert answer.headers["Content-Type"].startswith("text/calendar")
    lines = answer.text.split("\r\n")
    assert "DTSTART:20900101T000000Z" in lines
    assert f"UID:{sample.session}@{visitor.tenant.uid}" in lines
    assert all(len(line.encode()) <= 75 for line in lines)
    assert "Tea\\, scones\\; and" in answer.text.replace("\r\n ", "")
    await eyes.execute("UPDATE event SET version = version + 1")
    again = await visitor.get(f"/events/{sample.slug}/calendar.ics")
    assert [line for line in again.text.split("\r\n") if line.startswith("SEQUENCE")] == ["SEQUENCE:1"]


@pytest.mark.parametrize("words", ["relier", "RELIER LIVRE", "ecole"])
async def test_searching_finds_titles_and_places_whatever_the_accents(
    visitor: Visitor, eyes: Connection, words: str
) -> None:
    sample = await make_event(eyes)
    await make_event(eyes)
    title, place = '{"fr": "Relier un livre"}', '{"fr": "L’École du papier"}'
    await eyes.execute("UPDATE event SET title = $2, place = $3 WHERE id = $1", sample.event, title, place)
    page = await visitor.get(f"/?q={words}")
    assert re.findall(r'<h3><a href="/events/([^"]+)"', page.text) == [sample.slug]
    assert "Nothing found for “%”" in (await visitor.get("/?q=%25")).words


@pytest.mark.parametrize(
    "fields", [{"n-nonsense": "1"}, {"n-" + "0" * 8 + "-0000-7000-8000-" + "0" * 12: "x"}, {"type": "x"}]
)
async def test_fields_that_no_page_of_ours_sends_are_refused_politely(
    visitor: Visitor, eyes: Connection, fields: dict[str, str]
) -> None:
    sample = await make_event(eyes)
    path = "/cart/remove" if "type" in fields else "/cart"
    assert (await visitor.post(f"/events/{sample.slug}{path}", fields)).status == 400
    unknown = {"n-" + "0" * 8 + "-0000-7000-8000-" + "0" * 12: "1"}
    assert "no longer offered" in (await visitor.post(f"/events/{sample.slug}/cart", unknown)).words


async def test_an_organizer_sells_what_they_describe(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event(price="12,50", tax="5.5", capacity="10", transfer_details="IBAN FR76")
    await organizer.publish(path)
    offer = f"{path}/tickets"
    page = await organizer.get(offer)
    session = re.search(r'name="session" value="([^"]+)"', (await organizer.get(f"{offer}/types/new")).text)
    assert session is not None
    kind = {"title": "Patron", "price": "100", "session": session[1], "is_active": "yes", "min": "1"}
    assert "Saved." in (await organizer.post(f"{offer}/types/new", kind)).words
    voucher = {"code": "half", "max_uses": "3", "effect": "percent", "value": "50"}
    assert "HALF" in (await organizer.post(f"{offer}/vouchers/new", voucher)).words
    question = {"label": "Which seat?", "kind": "choice", "choices": "Left\nRight", "is_required": "yes"}
    assert "Which seat?" in (await organizer.post(f"{offer}/questions/new", question)).words
    again = {"starts": "2090-12-05T19:00", "ends": "2090-12-05T22:00", "capacity": "4", "price": "5"}
    assert "Saved." in (await organizer.post(f"{offer}/sessions/new", again)).words
    pool = re.search(r'action="([^"]+/pools/[^"]+)"', page.text)
    assert pool is not None
    assert "Saved." in (await organizer.post(pool[1], {"capacity": "3"})).words

    await visitor.add("open-studio-night", voucher="half", Patron=2)
    checkout = await visitor.get("/events/open-studio-night/checkout")
    seats = dict.fromkeys(re.findall(r'<select id="(q-[^"]+)"', checkout.text), "1")
    order = await visitor.check_out("open-studio-night", method="transfer", **seats)
    assert "Your transfer" in order.words
    assert "€100.00" in order.words

    orders = await organizer.get(f"{path}/orders")
    found = re.search(rf'href="({path}/orders/[^"]+)"', orders.text)
    assert found is not None
    paid = re.search(r'action="([^"]+/paid)"', (await organizer.get(found[1])).text)
    assert paid is not None
    assert "Marked as paid." in (await organizer.post(paid[1])).words
    assert "it was marked already" in (await organizer.post(paid[1])).words
    assert "Your tickets" in (await visitor.get(order.path)).words
    delete = re.search(r'action="([^"]+/vouchers/[^"]+/delete)"', (await organizer.get(offer)).text)
    assert delete is not None
    assert "so it stays" in (await organizer.post(delete[1])).words


async def test_a_type_saved_by_two_organizers_shows_both(organizer: Visitor) -> None:
    path = await organizer.create_event()
    kind = re.search(r'href="([^"]+/types/[0-9a-f-]{36})"', (await organizer.get(f"{path}/tickets")).text)
    assert kind is not None
    form = {"title": "First", "is_active": "yes", "min": "1", "version": "1"}
    assert "Saved." in (await organizer.post(kind[1], form)).words
    answer = await organizer.post(kind[1], {**form, "title": "Second"})
    assert answer.status == 409
    assert 'value="Second"' in answer.text


async def test_who_buys_accepts_the_terms_and_the_version_is_kept(
    organizer: Visitor, visitor: Visitor, eyes: Connection
) -> None:
    assert "Nothing has been written here yet." in (await visitor.get("/legal")).words
    assert "Changes saved." in (await organizer.post("/organizer/legal", {"terms": "Be kind."})).words
    assert "Be kind." in (await visitor.get("/legal")).words
    sample = await make_event(eyes)
    await visitor.add(sample.slug, Ticket=1)
    refused = await visitor.check_out(sample.slug)
    assert refused.status == 422
    assert refused.words.count("Please accept the terms.") == 2
    first = re.search(r'name="terms_id" value="([^"]+)"', refused.text)
    assert first is not None
    await organizer.post("/organizer/legal", {"terms": "Be very kind."})
    late = await visitor.check_out(sample.slug, terms="yes", terms_id=first[1])
    assert "The terms were changed a moment ago." in late.words
    assert (await visitor.check_out(sample.slug, terms="yes")).path.startswith("/orders/")
    accepted = "SELECT l.body ->> 'en' FROM ticket_order o JOIN legal_text l ON l.id = o.terms_id"
    assert await eyes.fetchval(accepted) == "Be very kind."
    assert await eyes.fetchval("SELECT count(*) FROM legal_text") == 2


async def test_a_session_is_moved_and_two_who_move_it_both_see(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event()
    await organizer.publish(path)
    session = re.search(r'href="([^"]+/sessions/[0-9a-f-]{36})"', (await organizer.get(f"{path}/tickets")).text)
    assert session is not None
    form = {"title": "Late show", "starts": "2090-12-04T21:00", "ends": "2090-12-04T23:00", "version": "1"}
    assert (await organizer.post(session[1], {**form, "ends": "2090-12-04T20:00"})).status == 422
    assert "Saved." in (await organizer.post(session[1], form)).words
    page = await visitor.get("/events/open-studio-night")
    assert "21:00 – 23:00" in page.words.replace("\u00a0", " ")
    assert "Late show" in page.words
    assert (await organizer.post(session[1], form)).status == 409


async def test_the_currency_stays_once_something_was_ordered(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event(price="10")
    await organizer.publish(path)
    await visitor.register("open-studio-night")
    answer = await organizer.post(f"{path}/edit", {"version": "2", **event_fields(currency="CHF")})
    assert answer.status == 422
    assert "the currency stays as it is" in answer.words


async def test_the_samples_are_a_site_one_can_buy_from(visitor: Visitor, tenant: Tenant) -> None:
    assert await seed(Settings.read(tenant.env)) == 4
    assert await seed(Settings.read(tenant.env)) == 0  # a second time changes nothing
    page = await visitor.get("/")
    slugs = re.findall(r'<h3><a href="/events/([^"]+)"', page.text)
    assert len(slugs) == 4
    assert "3 places left" in page.words
    assert (await visitor.register("makers-market")).path.startswith("/orders/")
