"""Writing what an event offers: two at once, alike, asked again, and the whole of it copied."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import asyncpg

from tests.rig.uploads import send
from tests.rig.visitor import Visitor, event_fields
from tests.webapp.test_browser import poster

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


def fields_of(page: str) -> dict[str, str]:
    """What a browser would send of a page's inputs."""
    found = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page))
    for name, kind in re.findall(r'name="([^"]+)" type="checkbox"([^>]*)', page):
        found.pop(name, None)
        if "checked" in kind:
            found[name] = "yes"
    return found


async def test_two_who_save_an_event_at_once_see_where_they_differ(organizer: Visitor) -> None:
    path = await organizer.create_event(price="5")
    await organizer.post(f"{path}/edit", {"version": "1", **event_fields(title="First", place="Hall <1>")})
    answer = await organizer.post(f"{path}/edit", {"version": "1", **event_fields(title="Second", pays_on_site="")})
    assert answer.status == 409
    assert "Title Saved now First Yours Second" in answer.words
    assert "Place Saved now Hall <1> Yours Atelier Nord, Paris" in answer.words
    assert "People may pay at the door Saved now yes Yours no" in answer.words
    assert "Starts Saved now" not in answer.words  # both wrote the same
    again = await organizer.post(f"{path}/edit", {"version": "2", **event_fields(title="Second")})
    assert "Changes saved" in again.words
    same = await organizer.post(f"{path}/edit", {"version": "1", **event_fields(title="Second")})
    assert (same.status, "with the same content" in same.words) == (409, True)


async def test_two_who_save_a_ticket_or_a_question_at_once_see_both(organizer: Visitor, eyes: Connection) -> None:
    path = await organizer.create_event(price="5")
    kind = f"{path}/tickets/types/" + str(await eyes.fetchval("SELECT id FROM ticket_type"))
    form = fields_of((await organizer.get(kind)).text)
    assert "Saved." in (await organizer.post(kind, {**form, "price": "6"})).words
    stale = await organizer.post(kind, {**form, "price": "7", "needs_voucher": "yes"})
    assert stale.status == 409
    assert "Price Saved now 6 Yours 7" in stale.words
    assert "Only with a code Saved now no Yours yes" in stale.words
    assert "Saved." in (await organizer.post(kind, {**form, "version": "2", "price": "7"})).words

    await organizer.get(f"{path}/tickets/questions/new")
    await organizer.post(f"{path}/tickets/questions/new", {"kind": "choice", "label": "Soup?", "choices": "Leek\nPea"})
    question = f"{path}/tickets/questions/" + str(await eyes.fetchval("SELECT id FROM question"))
    page = await organizer.get(question)
    assert "Leek\nPea" in page.text
    changed = {"kind": "choice", "label": "Which soup?", "choices": "Leek\nPea\nBean", "version": "1"}
    assert "Saved." in (await organizer.post(question, changed)).words
    stale = await organizer.post(question, {**changed, "label": "What soup?"})
    assert (stale.status, "Question Saved now Which soup? Yours What soup?" in stale.words) == (409, True)


async def test_what_was_answered_keeps_its_kind_and_its_choices(
    organizer: Visitor, visitor: Visitor, eyes: Connection
) -> None:
    path = await organizer.create_event()
    await organizer.publish(path)
    new = f"{path}/tickets/questions/new"
    await organizer.get(new)
    await organizer.post(new, {"kind": "choice", "label": "Soup?", "choices": "Leek\nPea"})
    page = await visitor.get("/events/open-studio-night")
    found = re.search(r'name="(n-[0-9a-f-]{36})"', page.text)
    assert found is not None
    await visitor.post("/events/open-studio-night/cart", {found[1]: "1"})
    checkout = (await visitor.get("/events/open-studio-night/checkout")).text
    soups = dict.fromkeys(re.findall(r'<select id="(q-[^"]+)"', checkout), "1")
    order = await visitor.check_out("open-studio-night", **soups)
    assert order.path.startswith("/orders/"), order.words
    question = f"{path}/tickets/questions/" + str(await eyes.fetchval("SELECT id FROM question"))
    typed = {"kind": "line", "label": "Soup?", "choices": "Leek", "version": "1"}
    answer = await organizer.post(question, typed)
    assert (answer.status, "the kind of answer stays" in answer.words) == (422, True)
    answer = await organizer.post(question, {**typed, "kind": "choice", "choices": "Leek\nPea"})
    assert "Saved." in answer.words
    assert "Pea" in (await organizer.get(f"{path}/attendees")).words


async def test_a_ticket_like_another_shares_its_places(organizer: Visitor, visitor: Visitor, eyes: Connection) -> None:
    path = await organizer.create_event(price="20", capacity="1")
    await organizer.publish(path)
    kind = await eyes.fetchval("SELECT id FROM ticket_type")
    form = fields_of((await organizer.get(f"{path}/tickets/types/new?like={kind}")).text)
    assert form["price"] == "20"
    made = await organizer.post(f"{path}/tickets/types/new", {**form, "title": "Student", "price": "10"})
    assert "Saved." in made.words
    assert len({row["pool_id"] for row in await eyes.fetch("SELECT pool_id FROM ticket_type_pool")}) == 1
    await visitor.add("open-studio-night", Student=1)
    page = await visitor.get("/events/open-studio-night")
    assert page.words.count("Sold out.") == 2
    assert (await organizer.get(f"{path}/tickets/types/new?like=nonsense")).status == 200


async def test_a_copy_has_everything_but_what_was_sold(organizer: Visitor, visitor: Visitor, eyes: Connection) -> None:
    path = await organizer.create_event(price="10", capacity="30", title="Summer")
    await organizer.get(f"{path}/tickets/sessions/new")
    late = {"title": "Late show", "starts": "2091-03-29T01:30", "ends": "2091-03-29T05:00", "capacity": "9"}
    assert "Saved." in (await organizer.post(f"{path}/tickets/sessions/new", late)).words
    await organizer.post(f"{path}/tickets/questions/new", {"kind": "line", "label": "Diet?"})
    await organizer.post(f"{path}/tickets/vouchers/new", {"code": "FRIEND", "max_uses": "1"})
    await organizer.get(f"{path}/picture")
    await send(organizer, path, poster(), alt="A lamp")
    await organizer.publish(path)
    await visitor.register("summer", method="on-site")
    page = await organizer.get(f"{path}/clone")
    assert 'value="2090-12-11T19:00"' in page.text  # a week on, the same evening
    wrong = await organizer.post(f"{path}/clone", {"title": "", "starts": "soon"})
    assert wrong.status == 422
    for sentence in ("Give the event a title.", "Say when the event starts."):
        assert sentence in wrong.words
    made = await organizer.post(f"{path}/clone", {"title": "Summer", "starts": "2091-12-04T19:00"})
    assert "Draft saved." in made.words
    copy = made.path.partition("?")[0]
    assert copy != path
    assert (await visitor.get("/events/summer")).status == 200
    counts = {
        table: await eyes.fetchval(f"SELECT count(*) FROM {table}")
        for table in ("event", "event_session", "stock_pool", "ticket_type", "ticket_type_pool", "question", "picture")
    }
    assert counts == {
        "event": 2, "event_session": 4, "stock_pool": 4, "ticket_type": 4, "ticket_type_pool": 4, "question": 2,
        "picture": 2,
    }  # fmt: skip
    assert await eyes.fetchval("SELECT count(*) FROM voucher") == 1
    words = (await organizer.get(f"{copy}/tickets")).words
    assert "Late show" in words
    assert "28\u00a0March" in words or "28 March" in words
    assert "0 taken" in words
    assert await eyes.fetchval("SELECT count(*) FROM audit WHERE action = 'event cloned'") == 1


async def test_13_a_used_code_stays_and_its_number_does_not_fall_below_its_use(
    organizer: Visitor, visitor: Visitor, eyes: Connection
) -> None:
    path = await organizer.create_event()
    await organizer.publish(path)
    offer = f"{path}/tickets"
    await organizer.get(f"{offer}/vouchers/new")
    await organizer.post(f"{offer}/vouchers/new", {"code": "friend", "max_uses": "3"})
    code = f"{offer}/vouchers/" + str(await eyes.fetchval("SELECT id FROM voucher"))
    await visitor.add("open-studio-night", voucher="friend", Ticket=2)
    assert (await visitor.check_out("open-studio-night")).path.startswith("/orders/")
    page = await organizer.get(code)
    assert fields_of(page.text)["max_uses"] == "3"
    for typed, sentence in (
        ({"max_uses": "1"}, "More tickets than that were ordered"),
        ({"max_uses": "none"}, "Write a whole number"),
        ({"max_uses": "3", "ends": "later"}, "Write a date and a time."),
    ):
        answer = await organizer.post(code, typed)
        assert (answer.status, sentence in answer.words, "FRIEND" in answer.words) == (422, True, True)
    assert "Saved." in (await organizer.post(code, {"max_uses": "2", "ends": "2090-12-01T12:00"})).words
    row = await eyes.fetchrow("SELECT max_uses, expires_at FROM voucher")
    assert row is not None
    assert (row["max_uses"], row["expires_at"].isoformat()) == (2, "2090-12-01T11:00:00+00:00")
    assert "so it stays" in (await organizer.post(f"{code}/delete")).words
