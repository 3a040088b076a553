from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from skep.crds.hosts import HOST_PATTERN, host_fault, is_under, read_domain, read_host


@pytest.mark.parametrize(
    "host",
    [
        "events.acme.org",
        "a.b",
        "x-1.example.com",
        "1und1.example",
        "xn--bcher-kva.example",
        "xn--4ca.de",
        "a" * 63 + ".com",
        ".".join(["a" * 61] * 4),
    ],
)
def test_host_names_in_canonical_form_pass(host: str) -> None:
    assert read_host(host) == host


@pytest.mark.parametrize(
    ("host", "remedy"),
    [
        ("", "it is empty"),
        ("https://events.acme.org", "write the host alone, events.acme.org"),
        ("https://events.acme.org/x", "write the host alone, events.acme.org"),
        ("events.acme.org/x", "write the host alone, without a path"),
        ("*.acme.org", "wildcards are not served; list each host"),
        ("10.0.0.1", "it is an IP address; routes go by name"),
        ("::1", "it is an IP address; routes go by name"),
        ("[2001:db8::1]", "it is an IP address; routes go by name"),
        ("1.2.3.4.5", "its last part is a number, as in an IP address; routes go by name"),
        ("acme.org:8080", "write it without the port, acme.org"),
        ("acme.org:", "write it without the port, acme.org"),
        ("acme.org.", "write it without the dot at the end, acme.org"),
        ("Acme.org", "write it in lower case, acme.org"),
        ("bücher.example", "write it in its encoded form, xn--bcher-kva.example"),
        ("BÜCHER.example", "write it in its encoded form, xn--bcher-kva.example"),
        ("straße.de", "write it in its encoded form, xn--strae-oqa.de"),
        ("a\u2044b.org", "it has characters that no host name can carry"),
        ("acme .org", "' ' cannot stand in one; use a-z, 0-9, '-' and '.'"),
        ("acme.org\n", "'\\n' cannot stand in one; use a-z, 0-9, '-' and '.'"),
        ("acme`.org", "'`' cannot stand in one; use a-z, 0-9, '-' and '.'"),
        ("a`) || Host(`b.org", "' ' cannot stand in one; use a-z, 0-9, '-' and '.'"),
        ("a'b.org", "\"'\" cannot stand in one; use a-z, 0-9, '-' and '.'"),
        ("a(b).org", "'(' cannot stand in one; use a-z, 0-9, '-' and '.'"),
        ("a_b.org", "'_' cannot stand in one; use a-z, 0-9, '-' and '.'"),
        ("a@b.org", "'@' cannot stand in one; use a-z, 0-9, '-' and '.'"),
        ("a..org", "two dots follow each other, or one leads"),
        (".acme.org", "two dots follow each other, or one leads"),
        ("-a.org", "the part '-a' begins or ends with '-'"),
        ("a-.org", "the part 'a-' begins or ends with '-'"),
        ("ab--c.org", "the part 'ab--c' has '--' in the third and fourth place, which only 'xn--' may have"),
        ("xn--a.org", "the part 'xn--a' is no valid encoding of an international name"),
        ("xn--acme-.org", "the part 'xn--acme-' begins or ends with '-'"),
        ("a" * 64 + ".org", f"the part '{'a' * 57}...' has 64 characters; 63 are the most"),
        (".".join(["a" * 60] * 5), "it has 304 characters; 253 are the most"),
    ],
)
def test_other_spellings_are_refused_with_the_right_one(host: str, remedy: str) -> None:
    assert host_fault(host) == remedy


def test_a_host_wants_a_domain_and_a_base_domain_does_not() -> None:
    assert read_domain("localhost") == "localhost"
    with pytest.raises(PydanticCustomError, match=r"'shop' is not a full host name: .* like shop\.example\.com"):
        read_host("shop")


@given(st.text(st.sampled_from("aZ0-._*:`'\"() \n\tüxn/@[]|&,"), max_size=20))
def test_whatever_passes_is_harmless_in_a_rule_of_the_edge(text: str) -> None:
    if host_fault(text) is None:
        assert re.fullmatch(r"[a-z0-9.-]+", text)
        assert "." not in text or re.fullmatch(HOST_PATTERN, text)


def test_below_a_domain_is_not_the_same_as_ending_like_it() -> None:
    assert is_under("a.example.com", "example.com")
    assert is_under("example.com", "example.com")
    assert not is_under("badexample.com", "example.com")
