"""Who may speak for somebody else: `X-Forwarded-*` is believed from the configured proxies only.

Proxies are named by host name, and their addresses change as tasks come and go: names are looked up again every 30 s,
and at once (at most every 5 s) when a stranger connects. An address whose name no longer points to it is a stranger.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

log = logging.getLogger(__name__)

REFRESH_S = 30.0
STRANGER_REFRESH_S = 5.0
LOOKUP_TIMEOUT_S = 2.0

Lookup = Callable[[str], Awaitable[frozenset[str]]]


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: *address* for rate limits, *host* (with port) and *scheme* as the browser sees them."""

    address: str
    host: str
    scheme: str


async def resolve(name: str) -> frozenset[str]:
    """All addresses of a host name. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None)
    return frozenset(str(entry[4][0]) for entry in found)


class Proxies:
    def __init__(
        self, names: tuple[str, ...], *, lookup: Lookup = resolve, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._literal = frozenset(name for name in names if _is_address(name))
        self._names = tuple(name for name in names if name not in self._literal)
        self._lookup = lookup
        self._clock = clock
        self._resolved: frozenset[str] = frozenset()
        self._resolved_at = float("-inf")
        self._missing: set[str] = set()
        self._resolving = asyncio.Lock()

    async def trusts(self, peer: str) -> bool:
        """Is *peer* one of the proxies, as their names point now?"""
        if peer in self._literal:
            return True
        if not self._names:
            return False
        limit = REFRESH_S if peer in self._resolved else STRANGER_REFRESH_S
        if self._clock() - self._resolved_at >= limit:
            async with self._resolving:
                if self._clock() - self._resolved_at >= limit:
                    await self._refresh()
        return self._is_known(peer)

    def _is_known(self, address: str) -> bool:
        return address in self._literal or address in self._resolved

    async def _refresh(self) -> None:
        found: set[str] = set()
        missing: set[str] = set()
        for name in self._names:
            try:
                found |= await asyncio.wait_for(self._lookup(name), LOOKUP_TIMEOUT_S)
            except (OSError, TimeoutError, UnicodeError) as error:
                # No addresses: better to believe nobody than a neighbour who got an old address.
                missing.add(name)
                if name not in self._missing:  # once: under load this is asked every few seconds
                    log.warning("proxy not found", extra={"proxy": name, "reason": type(error).__name__})
        self._missing = missing
        self._resolved = frozenset(found)
        self._resolved_at = self._clock()

    async def client(self, peer: str, headers: Mapping[str, str], *, scheme: str) -> Client:
        """The client behind a connection from *peer*; *scheme* is what holds if no proxy says otherwise."""
        host = headers.get("Host", "")
        if not await self.trusts(peer):
            return Client(peer, host, scheme)
        address = peer
        # Each proxy adds on the right the address that it saw: the first that is no proxy is the client's.
        for hop in reversed(headers.get("X-Forwarded-For", "").split(",")):
            if not _is_address(hop := hop.strip()):
                break
            address = hop
            if not self._is_known(hop):
                break
        said = headers.get("X-Forwarded-Proto", "").lower()
        return Client(address, headers.get("X-Forwarded-Host", host), said if said in ("http", "https") else scheme)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
