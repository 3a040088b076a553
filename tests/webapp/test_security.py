"""What a page must not allow: facts about web security, as a browser and an attacker meet them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from tests.rig.tenant import Tenant, Web
from tests.rig.visitor import PASSWORD, Visitor, event_fields, make_invitation, visiting

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Server": "skep",
}


async def test_every_answer_carries_the_headers(visitor: Visitor) -> None:
    pages = {
        "/": 200,
        "/healthz": 200,
        "/.well-known/skep": 200,
        "/theme.css": 200,
        "/nowhere": 404,
        "/organizer": 303,
        "/static/../main.py": 404,
    }
    for path, status in pages.items():
        answer = await visitor.get(path, redirects=False)
        assert answer.status == status, path
        assert EVERYWHERE.items() <= dict(answer.headers).items(), path
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "Strict-Transport-Security" not in answer.headers  # not without TLS


async def test_anonymous_pages_set_no_cookie(visitor: Visitor, organizer: Visitor) -> None:
    await organizer.publish(await organizer.create_event())
    for path in ("/", "/events/open-studio-night", "/organizer/sign-in", "/nowhere"):
        assert "Set-Cookie" not in (await visitor.get(path)).headers
    assert visitor.cookies() == {}
    await visitor.register("open-studio-night")
    assert set(visitor.cookies()) == {"cart"}


async def test_pages_hold_no_inline_script_or_style(organizer: Visitor) -> None:
    path = await organizer.create_event()
    for page in ("/", "/organizer", path, f"{path}/edit", f"{path}/attendees", "/events/open-studio-night", "/x"):
        text = (await organizer.get(page)).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*src=)|javascript:", text), page


async def test_what_people_write_is_text_and_never_markup(organizer: Visitor, visitor: Visitor) -> None:
    evil = "<script>alert(1)</script>\"'&{{ 7*7 }}"
    path = await organizer.create_event(title=evil, place=evil, description=f"{evil} javascript:alert(1)")
    await organizer.publish(path)
    slug = re.search(r'href="/events/([a-z0-9-]+)"', (await visitor.get("/")).text)
    assert slug is not None
    await visitor.register(slug[1], name=evil)
    for page in ("/", f"/events/{slug[1]}"):
        assert "<script>alert" not in (await visitor.get(page)).text
    for page in ("/organizer", path, f"{path}/edit", f"{path}/attendees"):
        answer = await organizer.get(page)
        assert "<script>alert" not in answer.text
    assert "{{ 7*7 }}" in (await organizer.get(f"{path}/attendees")).words


async def test_forms_of_other_sites_are_refused(visitor: Visitor) -> None:
    cases: list[tuple[dict[str, str], int]] = [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://[broken"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),  # a neighbour under the same domain
        ({"Sec-Fetch-Site": "same-origin"}, 422),
    ]
    for headers, status in cases:
        answer = await visitor.post("/organizer/sign-in", {"email": "a@example.com", "password": "x"}, headers=headers)
        assert answer.status == status, headers


async def test_a_form_that_does_not_say_where_it_comes_from_is_refused(visitor: Visitor) -> None:
    url = visitor.tenant.url + "/organizer/sign-in"
    async with visitor.session.post(url, data={"email": "a@example.com", "password": "x"}) as answer:
        assert answer.status == 403


@pytest.mark.parametrize("token", ["", "0" * 64, "é\udcff"])
async def test_a_signed_in_form_needs_its_token(organizer: Visitor, token: str) -> None:
    organizer.csrf = ""
    fields = event_fields() | ({"csrf": token.encode(errors="replace").decode()} if token else {})
    answer = await organizer.post("/organizer/events/new", fields)
    assert answer.status == 403
    assert "This form came from somewhere else" in answer.words
    assert "No events yet" in (await organizer.get("/organizer")).words


async def test_nothing_of_the_organizers_is_shown_to_strangers(organizer: Visitor, visitor: Visitor) -> None:
    path = await organizer.create_event()
    for page in ("/organizer", "/organizer/events/new", path, f"{path}/edit", f"{path}/attendees"):
        assert (await visitor.get(page)).path.startswith("/organizer/sign-in?next=")
    for action in ("/organizer/events/new", f"{path}/edit", f"{path}/publish", f"{path}/unpublish"):
        assert (await visitor.post(action, redirects=False)).headers["Location"] == "/organizer/sign-in"
    assert (await visitor.get("/events/open-studio-night")).status == 404


async def test_signing_in_leads_back_and_never_away(organizer: Visitor, tenant: Tenant) -> None:
    for target, landing in (
        ("/organizer/events/new", "/organizer/events/new"),
        ("//evil.example", "/organizer"),
        ("/\\evil.example", "/organizer"),
        ("https:evil.example", "/organizer"),
        ("/organizer/../events", "/organizer"),
    ):
        async with visiting(tenant) as somebody:
            assert (await somebody.sign_in(to=f"?next={quote(target, safe='')}")).path == landing


async def test_a_session_gets_a_new_id_at_login_and_ends_with_logout(organizer: Visitor, tenant: Tenant) -> None:
    first = organizer.cookies()["session"]
    await organizer.sign_in()
    second = organizer.cookies()["session"]
    assert first != second
    async with visiting(tenant) as thief:
        for stolen in (first,):
            answer = await thief.get("/organizer", headers={"Cookie": f"session={stolen}"})
            assert answer.path.startswith("/organizer/sign-in")
    await organizer.get("/organizer")
    assert "You are signed out" in (await organizer.post("/organizer/sign-out")).words
    assert "session" not in organizer.cookies()
    async with visiting(tenant) as thief:
        answer = await thief.get("/organizer", headers={"Cookie": f"session={second}"})
        assert answer.path.startswith("/organizer/sign-in")


@pytest.mark.parametrize(
    "age",
    [
        pytest.param(
            "UPDATE web_session SET seen_at = now() - interval '12 hours 1 minute'", id="idle for twelve hours"
        ),
        pytest.param("UPDATE web_session SET expires_at = now() - interval '1 second'", id="older than fourteen days"),
    ],
)
async def test_sessions_end_by_themselves(organizer: Visitor, tenant: Tenant, age: str) -> None:
    connection = await tenant.admin()
    limit = await connection.fetchval("SELECT expires_at - created_at FROM web_session")
    assert round(limit.total_seconds() / 86400, 3) == 14
    await connection.execute(age)
    await connection.close()
    assert (await organizer.get("/organizer")).path.startswith("/organizer/sign-in")


async def test_the_database_holds_no_token_and_no_password(organizer: Visitor, tenant: Tenant) -> None:
    connection = await tenant.admin()
    rows = await connection.fetch("SELECT * FROM web_session CROSS JOIN member CROSS JOIN invitation")
    await connection.close()
    stored = " ".join(str(value) for row in rows for value in row.values())
    assert organizer.cookies()["session"] not in stored
    assert PASSWORD not in stored
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in stored


async def test_guessing_passwords_is_slowed_down_by_account(organizer: Visitor, tenant: Tenant) -> None:
    async with visiting(tenant) as guesser:
        answers = [await guesser.sign_in(password=f"guess number {number}") for number in range(11)]
    assert [answer.status for answer in answers] == [422] * 10 + [429]
    assert "Please wait 15 minutes" in answers[-1].words
    assert int(answers[-1].headers["Retry-After"]) > 0


async def test_known_and_unknown_accounts_get_the_same_answer(organizer: Visitor, tenant: Tenant) -> None:
    async with visiting(tenant) as guesser:
        known = await guesser.sign_in(password="wrong password")
        unknown = await guesser.sign_in(email="nobody@example.com", password="wrong password")
    assert known.status == unknown.status
    assert known.words == unknown.words


@pytest.fixture
async def secure(tenant: Tenant) -> AsyncIterator[Web]:
    """As behind a proxy that ends TLS."""
    tenant.settings["secure"] = True
    tenant.write()
    async with tenant.running() as web:
        yield web


async def test_over_tls_cookies_are_host_bound_and_the_origin_must_be_too(secure: Web) -> None:
    origin = {"Origin": secure.tenant.url.replace("http:", "https:")}
    async with visiting(secure.tenant) as somebody:
        token = await make_invitation(secure.tenant)
        fields = {"name": "Léa", "email": "lea@example.com", "password": PASSWORD}
        assert (await somebody.post(f"/invite/{token}", fields)).status == 403  # an origin without TLS
        answer = await somebody.post(f"/invite/{token}", fields, headers=origin, redirects=False)
        assert answer.status == 303
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-session=")
        for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            assert attribute in cookie
        assert "Domain" not in cookie
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
