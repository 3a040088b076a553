"""Every kind of rubbish gets a sentence, and nothing becomes a 500."""

from __future__ import annotations

import pytest

from tests.rig.visitor import PASSWORD, Visitor, event_fields, make_invitation


async def test_an_event_with_mistakes_is_refused_and_what_was_typed_is_kept(organizer: Visitor) -> None:
    await organizer.get("/organizer/events/new")
    mistakes = event_fields(title="a\x00b", ends="2090-12-04T18:00", capacity="none", place="Kept place")
    answer = await organizer.post("/organizer/events/new", mistakes)
    assert answer.status == 422
    for sentence in ("Remove the control characters.", "The end must be after the start.", "Write a whole number"):
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


async def test_odd_addresses_get_a_page(visitor: Visitor) -> None:
    expected = {
        "/events/%00": 404,
        "/events/" + "a" * 5000: 404,
        "/events/%ff%fe": 404,
        "/registrations/" + "A" * 43: 404,
        "/orders/" + "A" * 22: 404,
        "/orders/" + "A" * 21: 404,
        "/?q=%00%ff%25": 200,
        "/?q=" + "x" * 3000: 200,
        "/invite/" + "A" * 43: 410,
        "/?page=-1": 200,
        "/?page=99999999999999999999": 200,
        "/?page=900": 200,
    }
    assert {path: (await visitor.get(path)).status for path in expected} == expected


async def test_events_that_do_not_exist_are_missing(organizer: Visitor) -> None:
    await organizer.get("/organizer/events/new")
    for event_id in ("0" * 36, "-" * 36, "01a2041c-f94d-7880-9362-eb7df3f8bf10"):
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
