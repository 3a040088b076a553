"""Where a webhook may lead, and how what it is told is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import time
from pathlib import Path
from typing import Any

import pytest

from skep.webapp.http.targets import TargetRefused, checked, host_and_port, is_public
from skep.webapp.work.hooks import sign

PRIVATE = [
    "127.0.0.1", "127.8.9.10", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0.1.2.3",
    "169.254.169.254", "169.254.0.1", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1",
    "fd12:3456::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "2002:7f00:1::", "2001:0:4136:e378::1", "::127.0.0.1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "2a00:1450:4007::200e"]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_of_the_public_internet_is_never_called(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    shown = f"[{address}]" if ":" in address else address
    with pytest.raises(TargetRefused, match="private"):
        host_and_port(f"https://{shown}/hook")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://example.com/hook?x=1", "example.com", 443),
        ("http://example.com", "example.com", 80),
        ("https://example.com:8443/", "example.com", 8443),
        ("HTTPS://Example.COM/", "example.com", 443),
    ],
)
def test_addresses_that_may_be_called(url: str, host: str, port: int) -> None:
    assert host_and_port(url) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "https://", "https:///x",
        "https://user:secret@example.com/", "https://example.com:22/", "https://example.com:6379/",
        "https://example.com:99999/", "https://example.com:x/", "https://exa mple.com/", "https://example.com/\r\nX: 1",
        "https://exämple.com/", "https://example.com/#x", "https://[::1", "https://example.com\\@127.0.0.1/",
        "//example.com/", "javascript:alert(1)", "https://example.com/" + "a" * 500,
    ],
)  # fmt: skip
def test_addresses_that_may_not(url: str) -> None:
    with pytest.raises(TargetRefused):
        host_and_port(url)


@pytest.mark.parametrize("number", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
async def test_other_ways_to_write_an_address_are_looked_up_like_names(number: str) -> None:
    """The system's resolver reads them as addresses; what they lead to is what counts."""

    async def as_the_system_does(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    with pytest.raises(TargetRefused, match="private"):
        await checked(f"https://{number}/", as_the_system_does, is_public)


async def test_a_name_with_one_private_address_is_refused_whatever_the_others_are() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.7"]

    with pytest.raises(TargetRefused, match="private"):
        await checked("https://rebinding.example/", lookup, is_public)


async def test_a_name_that_leads_nowhere_is_said() -> None:
    async def nothing(host: str, port: int) -> list[str]:
        return []

    async def unknown(host: str, port: int) -> list[str]:
        raise OSError

    for lookup in (nothing, unknown):
        with pytest.raises(TargetRefused, match="name"):
            await checked("https://nowhere.example/", lookup, is_public)


def test_the_signature_is_that_of_the_common_standard() -> None:
    """standardwebhooks.com: HMAC-SHA256 over id, timestamp and body, with the secret's bytes."""
    key = bytes(range(24))
    secret = f"whsec_{base64.b64encode(key).decode()}"
    expected = base64.b64encode(hmac.digest(key, b'msg_1.1700000000.{"a":1}', hashlib.sha256)).decode()
    assert sign(secret, "msg_1", 1_700_000_000, b'{"a":1}') == f"v1,{expected}"


def test_the_documented_way_to_verify_a_message_works() -> None:
    """docs/api.md, as it is printed."""
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"(?s)```python\n(.*?)```", text)
    space: dict[str, Any] = {}
    exec(code, space)  # noqa: S102 (our own page)
    verified = space["verified"]
    secret, now, body = f"whsec_{base64.b64encode(bytes(24)).decode()}", int(time.time()), b'{"type":"order.paid"}'
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": ""}
    headers["webhook-signature"] = sign(secret, "msg_1", now, body)
    assert verified(secret, headers, body)
    assert not verified(secret, headers, body + b" ")
    assert not verified(f"whsec_{base64.b64encode(bytes(range(24))).decode()}", headers, body)
    old = {**headers, "webhook-timestamp": str(now - 600), "webhook-signature": sign(secret, "msg_1", now - 600, body)}
    assert not verified(secret, old, body)
