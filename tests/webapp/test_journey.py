"""What people come for: an organizer announces an event, a visitor finds it and registers."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

from tests.rig.rows import make_event
from tests.rig.tenant import Tenant
from tests.rig.visitor import PASSWORD, Visitor, event_fields, make_invitation, visiting


async def test_a_fresh_site_says_that_nothing_is_announced_yet(visitor: Visitor) -> None:
    answer = await visitor.get("/")
    assert answer.status == 200
    assert "Nothing announced yet" in answer.words


async def test_from_invitation_to_registration(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event(title="Soirée d’été", place="Atelier Nord")
    assert (await visitor.get("/events/soiree-d-ete")).status == 404  # still a draft

    assert "The page is public" in (await organizer.publish(path)).words
    assert "Soirée d’été" in (await visitor.get("/")).words

    confirmation = await visitor.register("soiree-d-ete", name="Noor", email="Noor@Example.com")
    assert confirmation.path.startswith("/orders/")
    assert "You are registered" in confirmation.words
    assert confirmation.headers["Cache-Control"] == "no-store"

    attendees = await organizer.get(f"{path}/attendees")
    assert "Noor noor@example.com" in attendees.words


async def test_a_draft_is_there_for_organizers_and_for_nobody_else(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event()
    assert "This is a draft" in (await organizer.get("/events/open-studio-night")).words
    assert (await visitor.get("/events/open-studio-night")).status == 404
    assert (await visitor.register("open-studio-night")).status == 404

    await organizer.publish(path)
    assert (await visitor.get("/events/open-studio-night")).status == 200
    await organizer.post(f"{path}/unpublish")
    assert (await visitor.get("/events/open-studio-night")).status == 404


async def test_the_secret_link_outlives_the_public_page(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event()
    await organizer.publish(path)
    link = (await visitor.register("open-studio-night")).path
    await organizer.post(f"{path}/unpublish")
    answer = await visitor.get(link)
    assert answer.status == 200
    assert "Your registration still stands" in answer.words


async def test_twenty_guests_for_one_place_get_exactly_one(organizer: Visitor, tenant: Tenant) -> None:
    await organizer.publish(await organizer.create_event(capacity="1"))

    async def guest(number: int) -> int:
        async with visiting(tenant) as somebody:
            return (await somebody.register("open-studio-night", name=f"Guest {number}")).status

    statuses = Counter(await asyncio.gather(*(guest(number) for number in range(20))))
    assert set(statuses) <= {200, 409}  # refused by the stock, or told so by the page
    connection = await tenant.admin()
    assert await connection.fetchval("SELECT count(*) FROM order_position WHERE is_held") == 1
    assert await connection.fetchval("SELECT count(*) FROM person WHERE kind = 'guest'") == 1
    await connection.close()


async def test_a_full_event_says_so(organizer: Visitor, visitor: Visitor) -> None:
    await organizer.publish(await organizer.create_event(capacity="1"))
    await visitor.register("open-studio-night")
    assert "All places are taken" in (await visitor.get("/events/open-studio-night")).words
    assert "Full" in (await visitor.get("/")).words


async def test_an_event_that_is_over_takes_no_registration(organizer: Visitor, visitor: Visitor) -> None:
    await organizer.publish(await organizer.create_event(starts="2020-01-01T10:00", ends="2020-01-01T11:00"))
    assert "This event is over" in (await visitor.get("/events/open-studio-night")).words
    assert "This event is over" in (await visitor.register("open-studio-night")).words
    assert "Open studio night" not in (await visitor.get("/")).words
    assert "Past events" in (await organizer.get("/organizer")).words


async def test_editing_keeps_the_address_and_shows_the_new_words(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event()
    await organizer.publish(path)
    await organizer.get(f"{path}/edit")
    saved = await organizer.post(f"{path}/edit", {"version": "2", **event_fields(title="Closed studio", language="fr")})
    assert "Changes saved" in saved.words
    page = await visitor.get("/events/open-studio-night")
    assert '<h1 lang="fr">Closed studio</h1>' in page.text


async def test_two_organizers_saving_at_once_both_see_what_happened(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event()
    await organizer.post(f"{path}/edit", {"version": "1", **event_fields(title="First")})
    answer = await organizer.post(f"{path}/edit", {"version": "1", **event_fields(title="Second")})
    assert answer.status == 409
    assert "Somebody else saved this event" in answer.words
    assert 'value="Second"' in answer.text  # nothing typed is lost
    again = await organizer.post(f"{path}/edit", {"version": "2", **event_fields(title="Second")})
    assert "Changes saved" in again.words


async def test_places_cannot_be_fewer_than_people_registered(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event(capacity="5")
    await organizer.publish(path)
    for name in ("Anna", "Zoë"):
        await visitor.register("open-studio-night", name=name)
    answer = await organizer.post(f"{path}/edit", {"version": "2", **event_fields(capacity="1")})
    assert answer.status == 422
    assert "2 people are already registered" in answer.words


async def test_events_of_the_same_name_get_different_addresses(organizer: Visitor, visitor: Visitor) -> None:
    for _ in range(2):
        await organizer.publish(await organizer.create_event())
    page = (await visitor.get("/")).text
    assert page.count('href="/events/open-studio-night') == 2
    assert page.count('href="/events/open-studio-night"') == 1


async def test_an_invitation_works_once(tenant: Tenant, visitor: Visitor) -> None:
    token = await make_invitation(tenant)
    for _ in range(2):  # looking does not use it up
        assert (await visitor.get(f"/invite/{token}")).status == 200
    fields = {"name": "Léa", "email": "lea@example.com", "password": PASSWORD}
    assert (await visitor.post(f"/invite/{token}", fields)).path == "/organizer?notice=welcome"
    assert (await visitor.get(f"/invite/{token}")).status == 410
    assert (await visitor.post(f"/invite/{token}", fields)).status == 410


async def test_an_invitation_taken_by_many_at_once_makes_one_account(tenant: Tenant, visitor: Visitor) -> None:
    token = await make_invitation(tenant)

    async def accept(number: int) -> int:
        async with visiting(tenant) as somebody:
            email = f"lea{number}@example.com"
            return (
                await somebody.post(f"/invite/{token}", {"name": "Léa", "email": email, "password": PASSWORD})
            ).status

    assert sorted(await asyncio.gather(*(accept(number) for number in range(5)))) == [200, 410, 410, 410, 410]


async def test_an_invitation_expires(tenant: Tenant, visitor: Visitor) -> None:
    token = await make_invitation(tenant)
    connection = await tenant.admin()
    await connection.execute("UPDATE invitation SET expires_at = now() - interval '1 second'")
    await connection.close()
    assert (await visitor.get(f"/invite/{token}")).status == 410


async def test_an_invitation_for_somebody_with_an_account_sets_a_new_password(
    organizer: Visitor, tenant: Tenant
) -> None:
    token = await make_invitation(tenant, email="lea@example.com")
    async with visiting(tenant) as elsewhere:
        assert "Choose a new password" in (await elsewhere.get(f"/invite/{token}")).words
        assert (await elsewhere.post(f"/invite/{token}", {"password": "another long password"})).status == 200
    assert (await organizer.get("/organizer")).path.startswith("/organizer/sign-in")  # other browsers are signed out
    assert (await organizer.sign_in()).status == 422
    assert (await organizer.sign_in(password="another long password")).path == "/organizer"


async def test_the_reader_decides_the_language_and_the_event_its_own(organizer: Visitor, tenant: Tenant) -> None:
    await organizer.publish(await organizer.create_event(title="Soirée", language="fr"))
    async with visiting(tenant, language="fr-CH, en;q=0.5") as french:
        page = await french.get("/events/soiree")
        assert '<html lang="fr">' in page.text
        assert "lundi 4\u00a0décembre 2090".capitalize() in page.text
        assert "heure de Paris (UTC+1)" in page.text
    async with visiting(tenant, language="de") as german:  # neither of ours: the event's own
        assert '<html lang="fr">' in (await german.get("/events/soiree")).text
        assert '<html lang="en">' in (await german.get("/")).text


async def test_a_long_list_comes_in_pages_and_each_event_once(visitor: Visitor, tenant: Tenant) -> None:
    connection = await tenant.admin()
    for _ in range(45):
        await make_event(connection)
    await connection.close()
    first, second, third = [await visitor.get(f"/?page={page}") for page in (1, 2, 3)]
    links = [re.findall(r'href="/events/([a-z0-9-]+)"', page.text) for page in (first, second)]
    assert [len(found) for found in links] == [40, 5]
    assert len({*links[0], *links[1]}) == 45
    assert 'rel="next" href="/?page=2"' in first.text
    assert 'rel="next"' not in second.text
    assert "There are no events on this page." in third.words
