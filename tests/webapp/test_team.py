"""Who may do what: every page of the organizers' side, asked by somebody who has no right to it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest
from aiohttp.web import RouteDef

from skep.webapp.ids import uuid7
from skep.webapp.organizer.routes import routes
from skep.webapp.store import invitations
from skep.webapp.store.rights import RIGHTS
from tests.rig.tenant import Web
from tests.rig.visitor import PASSWORD, Visitor, make_invitation, visiting

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

# What every member may open, whatever they were given.
FOR_EVERY_MEMBER = {
    "/organizer",
    "/organizer/sign-out",
    "/organizer/account",
    "/organizer/account/sessions/end",
    "/organizer/account/calendar",
    "/organizer/account/calendar/end",
}
# What nobody has to be signed in for: the ways in, and the calendar's secret address.
FOR_EVERYBODY = {
    "/organizer/sign-in",
    "/organizer/reset",
    "/invite/{token:[A-Za-z0-9_-]{43}}",
    "/organizer/calendar/{token:[A-Za-z0-9_-]{43}}.ics",
}


def event_routes() -> list[RouteDef]:
    return [route for route in routes if isinstance(route, RouteDef) and "{event_id" in route.path]


def address(path: str, event: str) -> str:
    """*path* with the event's id, and an id that nothing has wherever it asks for another."""
    filled = path.replace("{event_id:[0-9a-f-]{36}}", event.rpartition("/")[2])
    filled = re.sub(r"\{\w+:\[0-9a-f-\]\{36\}\}", str(uuid7()), filled)
    return re.sub(r"\{\w+:([a-z-]+)[|a-z-]*\}", r"\1", filled)  # one of several words


async def become(visitor: Visitor, eyes: Connection, email: str, *, role: str = "organizer") -> UUID:
    """*visitor* accepts an invitation as the team's page makes it; their person."""
    person = await invitations.person_of(eyes, email, "en")
    await eyes.execute("INSERT INTO invited (person_id, role) VALUES ($1, $2)", person, role)
    token = await make_invitation(visitor.tenant, email=email)
    answer = await visitor.post(f"/invite/{token}", {"name": "Ada", "email": email, "password": PASSWORD})
    assert answer.path == "/organizer?notice=welcome", answer.words
    await visitor.get("/organizer/account")
    return person


async def give(eyes: Connection, person: UUID, event: str, *may: str) -> None:
    await eyes.execute("DELETE FROM event_right WHERE person_id = $1", person)
    await eyes.executemany(
        "INSERT INTO event_right VALUES ($1, $2, $3)", [(person, UUID(event.rpartition("/")[2]), one) for one in may]
    )


@pytest.fixture
async def helper(web: Web) -> AsyncIterator[Visitor]:
    """Another browser."""
    async with visiting(web.tenant) as somebody:
        yield somebody


async def ask(visitor: Visitor, route: RouteDef, path: str) -> int:
    if route.method == "GET":
        return (await visitor.get(path, redirects=False)).status
    if path.endswith("/picture"):  # it reads its rights before its form
        return (await visitor.post(path, redirects=False)).status
    return (await visitor.post(path, redirects=False)).status


async def test_every_page_of_an_event_is_missing_for_members_of_other_events(
    organizer: Visitor, helper: Visitor, eyes: Connection
) -> None:
    theirs, others = [await organizer.create_event(title=title) for title in ("Theirs", "Others")]
    person = await become(helper, eyes, "ada@example.com")
    await give(eyes, person, theirs, *RIGHTS)
    assert event_routes()
    answers = {}
    for route in event_routes():
        answers[f"{route.method} {route.path}"] = await ask(helper, route, address(route.path, others))
    assert {route: status for route, status in answers.items() if status != 404} == {}
    assert (await helper.get(theirs)).status == 200
    assert await eyes.fetchval("SELECT count(*) FROM event WHERE status <> 'draft'") == 0
    page = (await helper.get("/organizer")).words
    assert "Theirs" in page
    assert "Others" not in page
    assert (await helper.get("/events/others")).status == 404
    assert (await helper.get("/events/theirs")).status == 200


@pytest.mark.parametrize(
    ("may", "open_to_them", "missing"),
    [
        pytest.param("manage", ("/edit", "/tickets", ""), ("/orders", "/attendees"), id="manage"),
        pytest.param("orders", ("/orders", "/attendees", ""), ("/edit", "/tickets", "/picture"), id="orders"),
        pytest.param("checkin", ("",), ("/edit", "/orders", "/attendees"), id="check-in"),
    ],
)
async def test_each_right_opens_its_own_pages_only(
    organizer: Visitor,
    helper: Visitor,
    eyes: Connection,
    may: str,
    open_to_them: tuple[str, ...],
    missing: tuple[str, ...],
) -> None:
    path = await organizer.create_event()
    await give(eyes, await become(helper, eyes, "ada@example.com"), path, may)
    for page in open_to_them:
        answer = await helper.get(path + page)
        assert answer.status == 200, page
        here = {link for link in re.findall(rf'href="{path}(/[^"]*)"', answer.text) if not link.startswith("/tickets/")}
        for link in sorted(here):  # no page shows the way to a closed one
            assert (await helper.get(path + link)).status == 200, (page, link)
    for page in missing:
        assert (await helper.get(path + page)).status == 404, page


async def test_what_belongs_to_the_whole_site_is_for_owners(helper: Visitor, eyes: Connection) -> None:
    await become(helper, eyes, "ada@example.com")
    answers = {}
    for route in routes:
        if isinstance(route, RouteDef) and "{event_id" not in route.path:
            if route.path in FOR_EVERY_MEMBER | FOR_EVERYBODY:
                continue
            answers[f"{route.method} {route.path}"] = await ask(helper, route, address(route.path, ""))
    assert answers
    assert {route: status for route, status in answers.items() if status != 404} == {}


async def test_strangers_are_sent_to_sign_in_from_every_page(organizer: Visitor, visitor: Visitor) -> None:
    event = await organizer.create_event()
    for route in routes:
        if isinstance(route, RouteDef) and route.path not in FOR_EVERYBODY:
            answer = await getattr(visitor, route.method.lower())(address(route.path, event), redirects=False)
            assert answer.status == 303, route
            assert answer.headers["Location"].startswith("/organizer/sign-in"), route


async def test_an_owner_invites_gives_rights_shuts_out_and_lets_in_again(
    organizer: Visitor, helper: Visitor, eyes: Connection
) -> None:
    event = await organizer.create_event()
    event_id = event.rpartition("/")[2]
    await organizer.get("/organizer/team")
    page = await organizer.post("/organizer/team", {"email": "Ada@Example.com", "role": "organizer"})
    assert "The invitation is on its way." in page.words
    person = page.path.partition("?")[0]
    saved = await organizer.post(person, {"role": "organizer", f"orders-{event_id}": "yes", "manage-nonsense": "yes"})
    assert "Saved." in saved.words
    token = await make_invitation(organizer.tenant, email="ada@example.com")
    await helper.post(f"/invite/{token}", {"name": "Ada", "email": "ada@example.com", "password": PASSWORD})
    assert (await helper.get(f"{event}/orders")).status == 200
    assert (await helper.get("/organizer/team")).status == 404
    assert "Ada" in (await organizer.get("/organizer/team")).words

    assert "disabled and signed out" in (await organizer.post(f"{person}/disable")).words
    assert (await helper.get("/organizer")).path.startswith("/organizer/sign-in")
    assert (await helper.sign_in(email="ada@example.com")).status == 422
    await organizer.post(f"{person}/enable")
    assert (await helper.sign_in(email="ada@example.com")).path == "/organizer"

    actions = {row["action"] for row in await eyes.fetch("SELECT action FROM audit")}
    assert actions >= {"organizer invited", "rights changed", "organizer disabled", "organizer enabled"}


async def test_the_last_owner_stays_one(organizer: Visitor, eyes: Connection) -> None:
    own = await eyes.fetchval("SELECT person_id FROM member")
    await organizer.get("/organizer/team")
    for action, fields in (("", {"role": "organizer"}), ("/disable", {})):
        answer = await organizer.post(f"/organizer/team/{own}{action}", fields)
        assert answer.status == 422
        assert "the only owner who can sign in" in answer.words
    assert await eyes.fetchval("SELECT role FROM member WHERE disabled_at IS NULL") == "owner"


async def test_an_invitation_that_is_taken_back_opens_nothing(
    organizer: Visitor, helper: Visitor, eyes: Connection
) -> None:
    await organizer.get("/organizer/team")
    page = await organizer.post("/organizer/team", {"email": "ada@example.com", "role": "owner"})
    assert "Owner" in page.words
    token = await make_invitation(organizer.tenant, email="ada@example.com")
    person = await eyes.fetchval("SELECT id FROM person WHERE email = 'ada@example.com'")
    assert "taken back" in (await organizer.post(f"/organizer/team/{person}/take-back")).words
    assert (await helper.get(f"/invite/{token}")).status == 410
    assert await eyes.fetchval("SELECT count(*) FROM person WHERE email = 'ada@example.com'") == 0


async def test_an_organizer_ends_their_other_sessions(organizer: Visitor, helper: Visitor) -> None:
    await helper.sign_in()
    page = await organizer.get("/organizer/account")
    assert page.text.count('name="session"') == 1
    assert "Signed out there." in (await organizer.post("/organizer/account/sessions/end")).words
    assert (await helper.get("/organizer")).path.startswith("/organizer/sign-in")
    assert (await organizer.get("/organizer")).path == "/organizer"
    assert (await organizer.post("/organizer/account/sessions/end", {"session": "x"})).status == 400
