"""Waiting for sites to answer at the edge, as closely as a visitor could."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Collection

LOOK_S = 0.02  # between two looks at one host; a crowd is looked at as many times less, or looking would slow it down


def status_of(edge: tuple[str, int], host: str, path: str = "/") -> int:
    """0 while nobody answers."""
    connection = http.client.HTTPConnection(*edge, timeout=5.0)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def first_answers(
    edge: tuple[str, int],
    hosts: Collection[str],
    *,
    meanwhile: Callable[[], None] = lambda: None,
    path: str = "/",
    within_s: float = 180.0,
) -> dict[str, float]:
    """When each host answered 200 first, as `time.time()` tells it. *meanwhile* is called between two looks."""
    deadline = time.monotonic() + within_s
    answered: dict[str, float] = {}
    while len(answered) < len(hosts):
        for host in hosts:
            if host not in answered and status_of(edge, host, path) == 200:
                answered[host] = time.time()
        meanwhile()
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {within_s:g} s no answer from {sorted(set(hosts) - set(answered))}")
        time.sleep(LOOK_S * len(hosts))
    return answered
