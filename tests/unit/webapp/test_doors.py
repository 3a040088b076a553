"""What a door knows of people, and what it takes for a code."""

from __future__ import annotations

import hashlib

import pytest

from skep.webapp.ids import secret_text
from skep.webapp.shop.doors import short_name
from skep.webapp.shop.entry import code_hash


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Léa Martin", "Léa M."),
        ("Léa", "Léa"),
        ("Marie-Claire de la Tour", "Marie-Claire T."),
        ("  Noor   el   haddad ", "Noor H."),
        ("Ada 2", "Ada"),
        ("", ""),
        ("O’Neil (guest)", "O’Neil G."),
    ],
)
def test_a_first_name_and_an_initial(name: str, short: str) -> None:
    assert short_name(name) == short


def test_a_code_is_known_by_the_hash_of_its_secret() -> None:
    secret = bytes(range(16))
    assert code_hash(secret_text(secret)) == hashlib.sha256(secret).digest()
    assert code_hash(f" {secret_text(secret)}\n") == hashlib.sha256(secret).digest()


@pytest.mark.parametrize("code", ["", "A" * 21, "A" * 23, "A" * 21 + "!", "https://example.com", "é" * 22, "\0" * 22])
def test_what_no_ticket_of_ours_holds_is_none(code: str) -> None:
    assert code_hash(code) is None
