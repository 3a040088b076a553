"""Whose word about a client counts, while names move between addresses."""

from __future__ import annotations

import pytest

from skep.webapp.http.proxies import REFRESH_S, STRANGER_REFRESH_S, Client, Proxies


class Names:
    """A name service whose answers the test decides, and a clock that stands still."""

    def __init__(self, **addresses: set[str]) -> None:
        self.addresses = addresses
        self.now = 0.0
        self.asked = 0

    async def lookup(self, name: str) -> frozenset[str]:
        self.asked += 1
        if name not in self.addresses:
            raise OSError("no such name")
        return frozenset(self.addresses[name])

    def proxies(self, *names: str) -> Proxies:
        return Proxies(names, lookup=self.lookup, clock=lambda: self.now)


@pytest.fixture
def names() -> Names:
    return Names(traefik={"10.0.0.2", "10.0.0.3"})


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("10.0.0.2", "198.51.100.7", "198.51.100.7", id="one hop"),
        pytest.param("10.0.0.2", "6.6.6.6, 198.51.100.7", "198.51.100.7", id="what the client claims is left of it"),
        pytest.param("10.0.0.2", "198.51.100.7, 10.0.0.3", "198.51.100.7", id="through two proxies"),
        pytest.param("10.0.0.2", "", "10.0.0.2", id="nothing said"),
        pytest.param("10.0.0.2", "rubbish", "10.0.0.2", id="no address"),
        pytest.param("10.0.0.2", "198.51.100.7, rubbish", "10.0.0.2", id="rubbish at the end"),
        pytest.param("10.0.0.2", "2001:db8::1", "2001:db8::1", id="IPv6"),
        pytest.param("10.0.0.9", "198.51.100.7", "10.0.0.9", id="a stranger"),
    ],
)
async def test_the_clients_address(names: Names, peer: str, forwarded: str, address: str) -> None:
    headers = {"X-Forwarded-For": forwarded, "Host": "acme.example.com"}
    assert (await names.proxies("traefik").client(peer, headers, scheme="http")).address == address


async def test_scheme_and_host_come_from_the_proxy_only(names: Names) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "acme.example.com", "Host": "10.0.0.5:8080"}
    proxies = names.proxies("traefik")
    assert await proxies.client("10.0.0.2", headers, scheme="http") == Client("10.0.0.2", "acme.example.com", "https")
    assert await proxies.client("10.0.0.9", headers, scheme="http") == Client("10.0.0.9", "10.0.0.5:8080", "http")


async def test_a_new_proxy_is_found_and_a_former_one_forgotten(names: Names) -> None:
    proxies = names.proxies("traefik")
    assert await proxies.trusts("10.0.0.2")
    names.addresses["traefik"] = {"10.0.0.8"}
    names.now += STRANGER_REFRESH_S
    assert await proxies.trusts("10.0.0.8")
    assert not await proxies.trusts("10.0.0.2")  # that address may be a neighbour's by now


async def test_strangers_cannot_make_us_ask_all_the_time(names: Names) -> None:
    proxies = names.proxies("traefik")
    for number in range(100):
        assert not await proxies.trusts(f"10.9.9.{number}")
    assert names.asked == 1
    names.now += REFRESH_S
    assert await proxies.trusts("10.0.0.2")
    assert names.asked == 2


async def test_a_name_that_is_gone_is_nobody_and_is_said_once(names: Names, caplog: pytest.LogCaptureFixture) -> None:
    proxies = names.proxies("traefik", "127.0.0.1")
    assert await proxies.trusts("10.0.0.2")
    del names.addresses["traefik"]
    names.now += REFRESH_S
    assert not await proxies.trusts("10.0.0.2")
    assert await proxies.trusts("127.0.0.1")  # given as an address: needs no name service
    names.now += REFRESH_S
    assert not await proxies.trusts("10.0.0.2")
    assert [record.getMessage() for record in caplog.records] == ["proxy not found"]


async def test_without_proxies_nobody_is_asked(names: Names) -> None:
    assert not await names.proxies().trusts("10.0.0.2")
    assert names.asked == 0
