"""A route as Traefik's labels on a service, and back. Pure.

Every name comes from the route's own, which is the tenant's, so no tenant can name another's router, service or
middleware; priority is explicit, since Traefik's default (the rule's length) lets a longer injected rule win.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from skep.operator.engine.rules import check_route
from skep.operator.engine.spec import Route, pairs
from skep.operator.errors import EngineRefused

PREFIX = "traefik."
NETWORK = "traefik.swarm.network"
PRIORITY = "1000"  # one for all: hosts are unique over the platform, so no two rules meet
_IN_RULE = re.compile(r"Host\(`([^`]*)`\)")
_ROUTER_RULE = re.compile(r"traefik\.http\.routers\.([a-z0-9-]+)\.rule")


def render_route(route: Route) -> dict[str, str]:
    """Raises EngineRefused for a name, host or header that could mean something else in a label."""
    check_route(route)
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
        check_route(route)
    except EngineRefused:
        return None
    return route


def _header_label(name: str, header: str) -> str:
    return f"traefik.http.middlewares.{name}.headers.customrequestheaders.{header}"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
