"""A route as Traefik's labels on a service, and back. Pure.

Every name comes from the route's own, which is the tenant's, so no tenant can name another's router, service or
middleware; priority is explicit, since Traefik's default (the rule's length) lets a longer injected rule win.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from skep.operator.engine.spec import Route, pairs
from skep.operator.errors import EngineRefused

PREFIX = "traefik."
NETWORK = "traefik.swarm.network"
PRIORITY = "1000"  # one for all: hosts are unique over the platform, so no two rules meet
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_NETWORK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")
_IN_RULE = re.compile(r"Host\(`([^`]*)`\)")
_ROUTER_RULE = re.compile(r"traefik\.http\.routers\.([a-z0-9-]+)\.rule")


def render_route(route: Route) -> dict[str, str]:
    """Raises EngineRefused for a name, host or header that could mean something else in a label."""
    _check(route)
    router = f"traefik.http.routers.{route.name}"
    labels = {
        "traefik.enable": "true",
        f"{router}.rule": " || ".join(f"Host(`{host}`)" for host in route.hosts),
        f"{router}.entrypoints": "websecure" if route.tls else "web",
        f"{router}.priority": PRIORITY,
        f"{router}.service": route.name,
        f"traefik.http.services.{route.name}.loadbalancer.server.port": str(route.port),
    }
    if route.network is not None:
        labels[NETWORK] = route.network
    if route.tls:
        labels[f"{router}.tls"] = "true"
    if route.headers:
        labels[f"{router}.middlewares"] = route.name
        for header, value in route.headers:
            labels[_header_label(route.name, header)] = value
    return labels


def parse_route(labels: Mapping[str, str]) -> Route | None:
    """The route that explains most of the labels, or None; what it leaves over, the caller sees by rendering it."""
    names = [found[1] for label in labels if (found := _ROUTER_RULE.fullmatch(label))]
    routes = [route for name in names if (route := _read(name, labels)) is not None]

    def explains(route: Route) -> int:
        return sum(labels.get(label) == value for label, value in render_route(route).items())

    return max(routes, key=explains, default=None)


def _read(name: str, labels: Mapping[str, str]) -> Route | None:
    router = f"traefik.http.routers.{name}"
    headers = _header_label(name, "")
    route = Route(
        name=name,
        hosts=tuple(_IN_RULE.findall(labels[f"{router}.rule"])),
        port=_number(labels.get(f"traefik.http.services.{name}.loadbalancer.server.port", "")),
        headers=pairs({k.removeprefix(headers): v for k, v in labels.items() if k.startswith(headers)}),
        tls=labels.get(f"{router}.entrypoints") == "websecure",
        network=labels.get(NETWORK),
    )
    try:
        _check(route)
    except EngineRefused:
        return None
    return route


def _header_label(name: str, header: str) -> str:
    return f"traefik.http.middlewares.{name}.headers.customrequestheaders.{header}"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0


def _check(route: Route) -> None:
    if not _NAME.fullmatch(route.name):
        raise EngineRefused(f"route name {route.name!r} is not a DNS label")
    if not route.hosts:
        raise EngineRefused(f"route {route.name} has no host")
    for host in route.hosts:
        if not _HOST.fullmatch(host):
            raise EngineRefused(f"host {host!r} of route {route.name} is not a lower-case DNS name")
    if not 1 <= route.port <= 65535:
        raise EngineRefused(f"port {route.port} of route {route.name} is not 1 to 65535")
    if route.network is not None and not _NETWORK.fullmatch(route.network):
        raise EngineRefused(f"network {route.network!r} of route {route.name} is not a network's name")
    for header, value in route.headers:
        if not _HEADER.fullmatch(header) or not _VALUE.fullmatch(value):
            raise EngineRefused(f"header {header!r} of route {route.name} has a name or value that HTTP does not allow")
