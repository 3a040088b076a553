"""Every kind of rubbish gets a sentence, and nothing becomes a 500."""

from __future__ import annotations

import pytest

from tests.rig.visitor import PASSWORD, Visitor, event_fields, make_invitation


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"title": "  "}, "Give the event a title.", id="no title"),
        pytest.param({"title": "x" * 201}, "Use at most 200 characters.", id="long title"),
        pytest.param({"title": "a\x00b"}, "Remove the control characters.", id="NUL"),
        pytest.param({"starts": "tomorrow"}, "Say when the event starts.", id="no date"),
        pytest.param({"starts": "2090-02-30T10:00"}, "Say when the event starts.", id="no such day"),
        pytest.param({"starts": "9999-12-31T23:59"}, "Choose a date between 2000 and 2099.", id="far future"),
        pytest.param({"ends": "2090-12-04T18:00"}, "The end must be after the start.", id="ends before it starts"),
        pytest.param({"ends": "2092-12-04T18:00"}, "An event lasts at most 366 days.", id="endless"),
        pytest.param({"timezone": "Europe/Atlantis"}, "Choose a time zone from the list", id="no such zone"),
        pytest.param({"timezone": "../../etc/passwd"}, "Choose a time zone from the list", id="a path as zone"),
        pytest.param({"timezone": "America"}, "Choose a time zone from the list", id="a folder as zone"),
        pytest.param(
            {"starts": "2030-03-31T02:30", "ends": "2030-03-31T05:00"}, "this time does not exist", id="skipped hour"
        ),
        pytest.param({"capacity": "0"}, "Write a whole number from 1", id="no places"),
        pytest.param({"capacity": "٣"}, "Write a whole number from 1", id="other digits"),
        pytest.param({"capacity": "1e5"}, "Write a whole number from 1", id="not whole"),
        pytest.param({"language": "tlh"}, "Choose one of the languages.", id="no such language"),
        pytest.param({"description": "x" * 20_001}, "Use at most 20,000 characters.", id="long description"),
    ],
)
async def test_an_event_with_a_mistake_is_refused_and_what_was_typed_is_kept(
    organizer: Visitor, changes: dict[str, str], sentence: str
) -> None:
    await organizer.get("/organizer/events/new")
    answer = await organizer.post("/organizer/events/new", event_fields(**{"place": "Kept place", **changes}))
    assert answer.status == 422
    assert answer.words.count(sentence) == 2  # on top and beside the field
    assert 'value="Kept place"' in answer.text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param({"name": "", "email": "noor@example.com"}, "Write your name.", id="no name"),
        pytest.param({"name": "N" * 101, "email": "noor@example.com"}, "Use at most 100 characters", id="long name"),
        pytest.param({"name": "Noor", "email": "noor"}, "Write an e-mail address like", id="no address"),
        pytest.param({"name": "Noor", "email": "a@b@example.com"}, "Write an e-mail address like", id="two ats"),
        pytest.param({"name": "Noor", "email": "a@example.com\nBcc: b@example.com"}, "Write an e-mail", id="injection"),
    ],
)
async def test_a_registration_with_a_mistake_is_refused(
    organizer: Visitor, visitor: Visitor, fields: dict[str, str], sentence: str
) -> None:
    await organizer.publish(await organizer.create_event())
    answer = await visitor.register("open-studio-night", **fields)
    assert answer.status == 422
    assert sentence in answer.words


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/events/%00", 404, id="NUL in a path"),
        pytest.param("/events/" + "a" * 5000, 404, id="long path"),
        pytest.param("/events/%ff%fe", 404, id="no UTF-8"),
        pytest.param("/registrations/" + "A" * 43, 404, id="unknown registration"),
        pytest.param("/invite/" + "A" * 43, 410, id="unknown invitation"),
        pytest.param("/?page=-1", 200, id="page before the first"),
        pytest.param("/?page=99999999999999999999", 200, id="page beyond numbers"),
        pytest.param("/?page=900", 200, id="page after the last"),
    ],
)
async def test_odd_addresses(visitor: Visitor, path: str, status: int) -> None:
    assert (await visitor.get(path)).status == status


@pytest.mark.parametrize("event_id", ["0" * 36, "-" * 36, "01a2041c-f94d-7880-9362-eb7df3f8bf10"])
async def test_events_that_do_not_exist_are_missing(organizer: Visitor, event_id: str) -> None:
    await organizer.get("/organizer/events/new")
    assert (await organizer.get(f"/organizer/events/{event_id}")).status == 404
    assert (await organizer.post(f"/organizer/events/{event_id}/publish")).status == 404


async def test_odd_bodies_and_methods(visitor: Visitor, organizer: Visitor) -> None:
    url = visitor.tenant.url
    origin = {"Origin": url}
    form = {**origin, "Content-Type": "application/x-www-form-urlencoded"}
    sign_in = f"{url}/organizer/sign-in"
    cases: list[tuple[str, str, dict[str, str], bytes, int]] = [
        ("POST", sign_in, {**origin, "Content-Type": "application/json"}, b"{}", 400),
        ("POST", sign_in, {**origin, "Content-Type": "multipart/form-data"}, b"x", 400),
        ("POST", sign_in, {**form, "Content-Type": form["Content-Type"] + "; charset=klingon"}, b"a=b", 400),
        ("POST", sign_in, form, b"email=%ff%fe&password=%00", 422),
        ("POST", sign_in, form, b"email=" + b"x" * 200_000, 413),
        ("POST", f"{url}/", form, b"", 405),
        ("DELETE", sign_in, origin, b"", 405),
        ("PATCH", sign_in, origin, b"", 405),
    ]
    for method, address, headers, body, status in cases:
        async with visitor.session.request(method, address, headers=headers, data=body) as answer:
            assert answer.status == status, (method, headers, await answer.text())
            assert "Content-Security-Policy" in answer.headers
            assert "<h1>" in await answer.text()
            if status == 405:
                assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param({"password": "123456789"}, "Use at least 10 characters", id="short"),
        pytest.param({"password": "x" * 201}, "Use at most 200 characters", id="long"),
        pytest.param({"password": "lea.martin@example.com"}, "not your e-mail address", id="the address"),
        pytest.param({"email": "lea@example.com"}, "already an account with this address", id="taken"),
    ],
)
async def test_an_account_with_a_mistake_is_refused_and_the_invitation_stays(
    organizer: Visitor, visitor: Visitor, fields: dict[str, str], sentence: str
) -> None:
    token = await make_invitation(visitor.tenant)
    typed = {"name": "Léa", "email": "lea.martin@example.com", "password": PASSWORD}
    answer = await visitor.post(f"/invite/{token}", typed | fields)
    assert answer.status == 422
    assert sentence in answer.words
    assert "password" in answer.text
    assert fields.get("password", PASSWORD) not in answer.text.replace('value="lea.martin@example.com"', "")
    assert (await visitor.post(f"/invite/{token}", typed)).status == 200
