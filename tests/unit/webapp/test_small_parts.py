"""Ids, addresses, limits, passwords, static files: each rule once."""

from __future__ import annotations

import asyncio
import threading
import time
from uuid import RFC_4122

import argon2
import pytest

from skep.webapp.addresses import normal_email
from skep.webapp.errors import Busy
from skep.webapp.http import ratelimit
from skep.webapp.http.ratelimit import RateLimiter
from skep.webapp.ids import new_token, token_hash, uuid7
from skep.webapp.organizer.event_form import slugs, timezones
from skep.webapp.passwords import AT_ONCE, MAX_WAITING, Passwords
from skep.webapp.store.texts import paragraphs


def test_row_ids_are_version_7_and_carry_the_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [uuid7() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert {(one.version, one.variant) for one in ids} == {(7, RFC_4122)}
    assert all(before <= one.int >> 80 <= after for one in ids)
    assert len(set(ids)) == 1000


def test_tokens_have_256_bits_and_fit_the_routes() -> None:
    token = new_token()
    assert len(token) == 43
    assert len(token_hash(token)) == 32
    assert len(token_hash("\udcff")) == 32  # a cookie may hold anything


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (" Lea@Example.COM ", "lea@example.com"),
        ("lea+tag@mail.example.co.uk", "lea+tag@mail.example.co.uk"),
        ("léa@exämple.com", "léa@exämple.com"),
        ("lea", None),
        ("lea@", None),
        ("@example.com", None),
        ("lea@example", None),
        ("lea@-example.com", None),
        ("lea@example..com", None),
        ("lea..m@example.com", None),
        ("le a@example.com", None),
        ("lea@example.com, b@example.com", None),
        ("Léa <lea@example.com>", None),
        ("lea@example.com\r\nBcc: x@example.com", None),
        ("lea@exam\x00ple.com", None),
        ("l" * 250 + "@example.com", None),
    ],
)
def test_addresses_as_they_are_stored(typed: str, stored: str | None) -> None:
    assert normal_email(typed) == stored


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_limit_counts_within_its_window_and_by_key() -> None:
    clock = Clock()
    limit = RateLimiter(2, 60.0, clock=clock)
    limit.count("a")
    clock.now = 10.0
    limit.count("a")
    assert limit.retry_after_s("a") == 50
    assert limit.retry_after_s("b") is None
    clock.now = 60.0
    assert limit.retry_after_s("a") is None
    limit.count("a")
    assert limit.retry_after_s("a") == 10
    limit.forget("a")
    assert limit.retry_after_s("a") is None


def test_a_limit_remembers_a_bounded_number_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "MAX_KEYS", 3)
    limit = RateLimiter(1, 60.0, clock=Clock())
    for key in "abcd":
        limit.count(key)
    assert [limit.retry_after_s(key) for key in "abcd"] == [None, 60, 60, 60]


async def test_passwords_are_checked_two_at_a_time_and_a_flood_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock, release = 0, 0, threading.Lock(), threading.Event()

    def work(password: str) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(10)
        with lock:
            running -= 1
        return password

    monkeypatch.setattr("skep.webapp.passwords._hash", work)
    passwords = Passwords()
    tasks = [asyncio.create_task(passwords.hash(str(number))) for number in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await passwords.hash("one too many")
    release.set()
    assert await asyncio.gather(*tasks) == [str(number) for number in range(MAX_WAITING)]
    assert most == AT_ONCE


async def test_a_password_matches_its_own_hash_only() -> None:
    passwords = Passwords()
    encoded = await passwords.hash("correct horse")
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(encoded, "correct horse")
    assert not await passwords.verify(encoded, "battery staple")
    assert not await passwords.verify(None, "correct horse")
    assert not await passwords.verify("rubbish", "correct horse")


async def test_an_unknown_account_takes_as_long_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same work is done for both: one computation of a hash, with the same parameters and lengths."""
    passwords = Passwords()
    encoded = await passwords.hash("correct horse")
    computed: list[str] = []
    compute = argon2.PasswordHasher.verify

    def counted(hasher: argon2.PasswordHasher, encoded: str, password: str) -> bool:
        computed.append(encoded)
        return compute(hasher, encoded, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)
    for known in (encoded, None):
        assert not await passwords.verify(known, "a wrong password")
    of_known, of_unknown = map(argon2.extract_parameters, computed)
    assert computed[0] == encoded
    assert of_known == of_unknown


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Open studio night", "open-studio-night"),
        ("Soirée d’été à l'Œuvre !", "soiree-d-ete-a-l-oeuvre"),
        ("  --  ", "event"),
        ("東京", "event"),
        ("x" * 200, "x" * 60),
        ("Straße 7", "strasse-7"),
    ],
)
def test_public_addresses(title: str, slug: str) -> None:
    plain, *others = slugs(title)
    assert plain == slug
    assert all(other.startswith(f"{slug}-") and len(other) == len(slug) + 6 for other in others)


def test_the_zones_offered_are_places() -> None:
    assert {"Europe/Paris", "America/New_York", "UTC"} <= set(timezones())
    assert not [name for name in timezones() if name.startswith(("Etc/", "US/", "SystemV/", "posix"))]


def test_blank_lines_make_paragraphs() -> None:
    assert paragraphs("\n\na\nb \n \n\nc\n") == [["a", "b"], ["c"]]
    assert paragraphs("") == []
