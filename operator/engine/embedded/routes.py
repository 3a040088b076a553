"""Routes as files for Traefik, which watches the folder: one file a service, replaced as a whole."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from skep.operator.engine.embedded.files import write_atomically
from skep.operator.engine.rules import check_route
from skep.operator.engine.spec import Route
from skep.operator.errors import EngineRefused

PRIORITY = 1000  # one for all: hosts are unique over the platform, so no two rules meet


def render(route: Route, ports: Iterable[int]) -> bytes:
    """JSON, which is YAML too and leaves nothing to quoting. Without a port the route answers 503."""
    router: dict[str, object] = {
        "rule": " || ".join(f"Host(`{host}`)" for host in route.hosts),
        "entryPoints": ["web"],
        "priority": PRIORITY,
        "service": route.name,
    }
    servers = [{"url": f"http://127.0.0.1:{port}"} for port in ports]
    http: dict[str, object] = {
        "routers": {route.name: router},
        "services": {route.name: {"loadBalancer": {"servers": servers}}},
    }
    if route.headers:
        router["middlewares"] = [route.name]
        http["middlewares"] = {route.name: {"headers": {"customRequestHeaders": dict(route.headers)}}}
    text = json.dumps({"http": http}, indent=1)
    # Traefik reads its files as templates: no value may open one. JSON itself never needs two braces in a row here.
    return text.replace("{{", "\\u007b\\u007b").encode()


class Routes:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: dict[str, bytes] = {}

    def check(self, route: Route) -> None:
        """Raises EngineRefused for a route that this engine cannot serve."""
        check_route(route)
        if route.tls:
            raise EngineRefused("the embedded engine serves plain HTTP only", remedy="set tls: off in the Platform")

    def write(self, service_id: str, route: Route | None, ports: tuple[int, ...]) -> None:
        """None removes it. An equal file is not written again."""
        path = self._directory / f"{service_id}.yml"
        if route is None:
            self._written.pop(service_id, None)
            path.unlink(missing_ok=True)
            return
        data = render(route, ports)
        if self._written.get(service_id) != data:
            # Traefik would take a file that begins in its folder for a change, and look again only after its period.
            write_atomically(path, data, durable=False, by_way_of=self._directory.parent)
            self._written[service_id] = data

    def clear(self, *, but: Iterable[str]) -> None:
        """Remove what an earlier run left, but the files of these services: their visitors wait for a 503 less."""
        keep = {f"{service_id}.yml" for service_id in but}
        for path in self._directory.iterdir():
            if path.name not in keep:
                with contextlib.suppress(OSError):
                    path.unlink()
