"""Where sign-in may lead, whose forms count, and what a token reveals."""

from __future__ import annotations

import pytest

from skep.webapp.http.proxies import Client
from skep.webapp.http.security import csrf_token, is_csrf_token, is_own_form, safe_path

HERE = Client(address="192.0.2.1", host="acme.example.com", scheme="https")


@pytest.mark.parametrize("path", ["/organizer", "/organizer/events/new", "/organizer/events/01a2-b3/edit"])
def test_known_paths_are_followed(path: str) -> None:
    assert safe_path(path, "/organizer") == path


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example", "javascript:alert(1)",
        "/organizer//evil", "/organizer/../x", "/organizer/%2e%2e", "/organizer?x", "/organizer#x", "/organizers",
        "/organizer/\n", "/organizer\n", " /organizer", "/organizer/é", "/organizer/" + "a" * 200,
    ],
)  # fmt: skip
def test_everything_else_leads_home(path: str) -> None:
    assert safe_path(path, "/home") == "/home"


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({}, False),
        ({"Origin": "https://acme.example.com"}, True),
        ({"Origin": "https://ACME.example.com"}, True),
        ({"Origin": "http://acme.example.com"}, False),
        ({"Origin": "https://acme.example.com:8443"}, False),
        ({"Origin": "https://acme.example.com.evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://acme.example.com"}, False),
    ],
)
def test_only_our_own_forms_count(headers: dict[str, str], own: bool) -> None:
    assert is_own_form(headers, HERE, secure=True) is own


def test_a_csrf_token_belongs_to_one_session_and_does_not_show_it() -> None:
    token = csrf_token("session-secret")
    assert "session-secret" not in token
    assert is_csrf_token(token, "session-secret")
    assert not is_csrf_token(token, "another-session")
    assert not is_csrf_token("", "session-secret")
    assert not is_csrf_token("\udcff", "session-secret")
