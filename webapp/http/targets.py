"""Where a webhook may lead: an address of the public internet, looked up once and then kept to.

Whoever chooses an address could choose one of ours: a neighbour's app, the database, a cloud's metadata. So names are
resolved here, every address that they have must be public, and the connection goes to what was checked, not to what the
name means a moment later.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

PORTS = {"https": 443, "http": 80}
MORE_PORTS = frozenset({443, 80, 8443, 8080})
URL_LIMIT = 500
LOOKUP_S = 5.0

# Ways to write an IPv4 address inside an IPv6 one: what they lead to is not what they look like.
_WRAPPED = tuple(ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int], Awaitable[list[str]]]


class TargetRefused(Exception):
    """*reason*: "url" (not an address that is called), "name" (it leads nowhere), "private"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def host_and_port(url: str) -> tuple[str, int]:
    """Of an address that may be called at all. Raises TargetRefused."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise TargetRefused("url") from error
    is_plain = parts.username is None and parts.password is None and not parts.fragment
    if len(url) > URL_LIMIT or not url.isascii() or parts.scheme not in PORTS or not parts.hostname or not is_plain:
        raise TargetRefused("url")
    if any(letter <= " " or letter in '\\"<>`' for letter in url) or port not in MORE_PORTS:
        raise TargetRefused("url")
    literal = as_address(parts.hostname)
    if literal is not None and not is_public(literal):
        raise TargetRefused("private")
    return parts.hostname, port


def as_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _WRAPPED):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


async def look_up(host: str, port: int) -> list[str]:
    """All addresses of a name. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await asyncio.wait_for(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), LOOKUP_S)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def checked(url: str, lookup: Lookup, allows: Callable[[Address], bool]) -> list[str]:
    """The addresses of *url*'s host, all allowed. Raises TargetRefused."""
    host, port = host_and_port(url)
    try:
        found = await lookup(host, port)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise TargetRefused("name") from error
    addresses = [as_address(text.partition("%")[0]) for text in found]
    if not addresses:
        raise TargetRefused("name")
    if any(address is None or not allows(address) for address in addresses):
        raise TargetRefused("private")
    return found


class Pinned(AbstractResolver):
    """Knows one name, and the addresses that were checked."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None: ...
